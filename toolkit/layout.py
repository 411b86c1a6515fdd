"""DATA -> the files it names, each with its label and part: the three layouts, read without opening an image.

A folder with a sub-folder per class; or with train/, val/, test/, each with a sub-folder per class; or a CSV
`path,label[,split]`. What is in the files, and whether the classes will do, is left to `toolkit.folder`.

Links: one to a file is followed, wherever it leads, and so is one that stands for a class or a part: data sets are put
together so. One to a folder further down is not, nor one that leads up to a folder it is in: either may go round for
ever. Paths in a CSV are relative to its folder and stay in it; elsewhere leads an absolute path, written on purpose.
"""

from __future__ import annotations

import csv
import posixpath
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.errors import UnfreezeError, one_line
from toolkit.images import SUFFIXES

PARTS = {  # as people write it, in lower case -> as the project does
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Entry:
    path: str  # POSIX, relative to the listing's root
    label: str  # class name
    part: str  # "train" | "val" | "test" | "": not given


@dataclass(frozen=True)
class Rejected:
    """What was left out, and why, in a person's words."""

    path: str  # POSIX, relative
    reason: str


@dataclass
class Listing:
    """What DATA names; filled while it is read."""

    root: Path
    entries: list[Entry] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    classes: set[tuple[str, str]] = field(default_factory=set)  # (class name, part), empty folders too
    ignored: int = 0  # files without an image's suffix

    def reject(self, path: Path, reason: str) -> None:
        name = path.relative_to(self.root).as_posix().encode("utf-8", "backslashreplace").decode()
        self.rejected.append(Rejected(name, reason))


def read_layout(data: Path) -> Listing:
    """The entries of DATA sorted by path; `UnfreezeError` where it is none of the three layouts."""
    if _surely(data.is_dir):
        listing = _read_folder(data)
    elif _surely(data.is_file) and data.suffix.lower() == ".csv":
        listing = _read_csv(data)
    else:
        what = "is neither a folder nor a .csv file" if _surely(data.exists) else "does not exist"
        raise UnfreezeError(
            f"{one_line(str(data))} {what}; give a folder with a sub-folder per class, or a CSV path,label"
        )
    listing.entries.sort(key=lambda entry: (entry.path, entry.label, entry.part))
    return listing


def _read_folder(root: Path) -> Listing:
    listing = Listing(root)
    folders, loose = _visible(root)
    parts = {folder: PARTS[folder.name.lower()] for folder in folders if folder.name.lower() in PARTS}
    # A class may itself be called "train": it then holds images, not folders.
    divided = {part for folder, part in parts.items() if _visible(folder)[0]}
    if divided and ("train" in divided or len(parts) == len(folders)):
        _add_parts(listing, folders, parts)
    else:
        _add_classes(listing, folders, "")
    _reject_loose(listing, loose)
    if not listing.classes:
        raise UnfreezeError(
            f"{one_line(str(root))} has no class folders: put each class's images into a sub-folder of its own"
        )
    return listing


def _add_parts(listing: Listing, folders: list[Path], parts: dict[Path, str]) -> None:
    for folder in folders:
        if folder in parts:
            classes, loose = _visible(folder)
            _add_classes(listing, classes, parts[folder])
            _reject_loose(listing, loose)
        else:
            listing.reject(folder, "a folder beside train/ that is neither val/ nor test/")


def _add_classes(listing: Listing, folders: list[Path], part: str) -> None:
    for folder in folders:
        outer = folder.parent.resolve()
        if folder.is_symlink() and folder.resolve() in (outer, *outer.parents):
            listing.reject(folder, "a symbolic link to a folder that it is in, which is not followed")
            continue
        _check_label(folder.name, one_line(str(listing.root)))
        listing.classes.add((folder.name, part))
        _add_tree(listing, folder, folder.name, part)


def _add_tree(listing: Listing, top: Path, label: str, part: str) -> None:
    waiting = [top]  # no recursion: folders may be nested more deeply than Python's stack
    while waiting:
        folders, files = _visible(waiting.pop())
        for file in _images(listing, files):
            listing.entries.append(Entry(file.relative_to(listing.root).as_posix(), label, part))
        for inner in folders:
            if inner.is_symlink():  # it may lead back up, and round for ever
                listing.reject(inner, "a symbolic link to a folder, which is not followed")
            else:
                waiting.append(inner)


def _check_label(label: str, where: str) -> None:
    """UnfreezeError where a class's name cannot be a line of labels.txt."""
    kinds = {unicodedata.category(letter) for letter in label}
    if "Cs" in kinds:
        raise UnfreezeError(f"{where}: the class name {one_line(label)} is not UTF-8: rename it")
    if kinds & {"Cc", "Zl", "Zp"}:
        raise UnfreezeError(
            f"{where}: the class name {one_line(label)[:80]} has a line break or another control character, and "
            "labels.txt takes a name a line: rename it"
        )


def _reject_loose(listing: Listing, files: list[Path]) -> None:
    for file in _images(listing, files):
        listing.reject(file, "not in a class folder")


def _images(listing: Listing, files: list[Path]) -> list[Path]:
    """Those with an image's suffix; the others are counted."""
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    listing.ignored += len(files) - len(images)
    return images


def _visible(folder: Path) -> tuple[list[Path], list[Path]]:
    """Sub-folders and files, sorted, without hidden ones and what macOS adds to archives."""
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise UnfreezeError(f"{one_line(str(folder))} cannot be read: {error.strerror}") from error
    kinds = [(path, _surely(path.is_dir)) for path in paths]
    return [path for path, is_folder in kinds if is_folder], [path for path, is_folder in kinds if not is_folder]


def _surely(ask: Callable[[], bool]) -> bool:
    """False, too, where the system does not say: `Path.is_dir` and its like raise for a name that is too long and for a
    link that leads where one may not look."""
    try:
        return ask()
    except OSError:
        return False


def _read_csv(file: Path) -> Listing:
    listing = Listing(file.parent)
    seen: set[Entry] = set()
    for line, row in _csv_rows(file):
        entry = _csv_entry(file, line, row)
        if reason := _unusable(entry, seen):
            listing.rejected.append(Rejected(entry.path, f"line {line} of {one_line(file.name)} {reason}"))
        else:
            seen.add(entry)
            listing.entries.append(entry)
            listing.classes.add((entry.label, entry.part))
    if not listing.entries:
        first = f" (the first: {listing.rejected[0].reason})" if listing.rejected else ""
        raise UnfreezeError(f"{one_line(str(file))} has no row with a path and a label{first}: add a row per image")
    return listing


def _unusable(entry: Entry, seen: set[Entry]) -> str:
    """What is wrong with a row, or nothing."""
    if not entry.path or not entry.label:
        return f"has no {'label' if entry.path else 'path'}"
    if entry.path.split("/", 1)[0] == "..":
        return "leads out of the CSV's folder: move the CSV up, or write an absolute path"
    return "repeats an earlier one" if entry in seen else ""


def _csv_entry(file: Path, line: int, row: dict[str, str]) -> Entry:
    split = row.get("split", "").lower()
    where = one_line(f"{file}, line {line}")
    if split and split not in PARTS:
        raise UnfreezeError(f"{where}: split is {split[:40]!r}; write train, val, test or nothing")
    _check_label(row["label"], where)
    path = posixpath.normpath(row["path"]) if row["path"] else ""
    return Entry(path, row["label"], PARTS.get(split, ""))


def _csv_rows(file: Path) -> list[tuple[int, dict[str, str]]]:
    """(line number, row) of each row, keyed by column names in lower case, without outer blanks."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, skipinitialspace=True)
            columns = [name.strip().lower() for name in next(reader, [])]
            rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnfreezeError(one_line(f"{file} cannot be read as a CSV in UTF-8: {error}")) from error
    if not {"path", "label"} <= set(columns):
        found = ", ".join(columns)[:200] or "none"
        raise UnfreezeError(one_line(f"{file}: expected the columns path,label[,split], found {found}: name them so"))
    return [(line, dict.fromkeys(columns, "") | dict(zip(columns, cells, strict=False))) for line, cells in rows]
