"""What the folders of DATA stand for: the record that the other modules fill."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.data.sources.layout.nesting import Folders


@dataclass(frozen=True)
class ClassFolder:
    folder: Path
    label: str
    part: str  # "train" | "val" | "test" | "": not given


@dataclass
class Layout:
    root: Path
    classes: list[ClassFolder] = field(default_factory=list)
    loose: list[Path] = field(default_factory=list)  # files that lie in no class folder
    left: list[tuple[Path, str]] = field(default_factory=list)  # folders that are left out, and why
    known: Collection[str] = ()  # names that are classes without doubt
    folders: Folders = field(default_factory=Folders)
    notices: list[str] = field(default_factory=list)

    def name(self, folder: Path) -> str:
        """The folder's path below the root."""
        return folder.relative_to(self.root).as_posix()
