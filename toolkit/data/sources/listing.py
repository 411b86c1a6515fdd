"""What a data source names: files with their class and part, before any file is opened."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.data.sources.walk import is_image
from toolkit.errors import UnfreezeError, one_line


@dataclass(frozen=True)
class Entry:
    path: str  # POSIX, relative to the listing's root
    label: str  # class name
    part: str  # "train" | "val" | "test" | "": not given
    group: str = ""  # what it has in common with others; "": nothing that is known


@dataclass(frozen=True)
class Rejected:
    """A file that was left out, and the reason."""

    path: str  # POSIX, relative
    reason: str
    form: str = field(default="", compare=False)  # if its format is not read; run.json does not keep it


@dataclass
class Listing:
    """The files and classes that DATA names."""

    root: Path
    entries: list[Entry] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    classes: set[tuple[str, str]] = field(default_factory=set)  # (class name, part); empty folders count
    ignored: Counter[str] = field(default_factory=Counter)  # files that are no images, by their suffixes in lower case
    notices: list[str] = field(default_factory=list)  # sentences: what was decided, such as which folder was taken

    def images(self, files: list[Path]) -> list[Path]:
        """The files that are images. The others are counted in `ignored`."""
        found = [file for file in files if is_image(file)]
        others = set(files).difference(found)
        self.ignored.update(one_line(file.suffix.lower()) for file in others)
        return found

    def reject(self, path: Path, reason: str) -> None:
        name = path.relative_to(self.root).as_posix().encode("utf-8", "backslashreplace").decode()
        self.rejected.append(Rejected(name, reason))


def check_label(label: str, where: str) -> None:
    """Raises UnfreezeError if a class name cannot be a line of labels.txt."""
    kinds = {unicodedata.category(letter) for letter in label}
    if "Cs" in kinds:
        raise UnfreezeError(f"{where}: the class name {one_line(label)} is not UTF-8: rename it")
    if kinds & {"Cc", "Zl", "Zp"}:
        raise UnfreezeError(
            f"{where}: the class name {one_line(label)[:80]} has a line break or another control character, and "
            "labels.txt takes a name a line: rename it"
        )
