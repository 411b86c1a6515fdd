"""Folders in folders: which one, below the folder that was named, is the one around the classes.

Archives are often unpacked into a folder of their own name (`training_set/training_set`), or hold one folder with
everything in it (`PetImages/{Cat,Dog}`, `data/images/{train,test}`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from toolkit.data.sources.part_names import part_of, says_data
from toolkit.data.sources.walk import entries, is_image, leads_back, visible

DEEPEST = 8  # folders in each other that are gone down at most


@dataclass
class Folders:
    """What is in folders, which is asked again and again. It lives as long as one call of `find_layout`: what changes
    meanwhile is not seen."""

    inner: dict[Path, list[Path]] = field(default_factory=dict)  # folder -> its `sub_folders`
    imaged: dict[Path, bool] = field(default_factory=dict)  # folder -> whether it `has_images`

    def chain(self, folder: Path, goes_down: Callable[[Path], bool]) -> list[Path]:
        """The folder, the only folder in it, the only one in that, and so on, as long as `goes_down` is true of it."""
        found = [folder]
        while len(found) < DEEPEST and (inner := self._only(found[-1])) and goes_down(inner):
            found.append(inner)
        return found

    def inside(self, parts: dict[Path, str], classes: Collection[str] = ()) -> dict[Path, list[Path]]:
        """For each folder of a part, train/ first, the folder itself and those in it that lead to the one around its
        classes. `classes`: names that are classes without doubt."""
        found: dict[Path, list[Path]] = {}
        known = {*classes}  # a class of train/ that stands alone in test/ is a class there, too
        for folder, part in parts.items():
            found[folder] = self.chain(folder, partial(self._doubles, part, known))
            if part == "train":
                known |= {inner.name for inner in self.sub_folders(found[folder][-1])}
        return found

    def _doubles(self, part: str, known: set[str], inner: Path) -> bool:
        """Whether a folder in one of a part is no class, but the part once more or a folder around its classes."""
        again = inner.name == inner.parent.name or part_of(inner.name) == part
        return inner.name not in known and (again or self.is_around(inner))

    def _only(self, folder: Path) -> Path | None:
        """The one sub-folder; if there are others and they hold no image, the one that is named like a folder of
        images."""
        folders = self.sub_folders(folder)
        if self.has_images(folder):
            return None
        if len(folders) > 1:
            holding = list(islice(filter(self.holds_image, folders), 2))
            folders = holding if len(holding) == 1 and says_data(holding[0].name) else []
        return folders[0] if folders else None

    def is_around(self, folder: Path) -> bool:
        """Whether a folder may be one around others: it holds folders and no image, or is named like one."""
        return says_data(folder.name) or (bool(self.sub_folders(folder)) and not self.has_images(folder))

    def sub_folders(self, folder: Path) -> list[Path]:
        """The folders in it, and links to folders but those that lead back to a folder around the link."""
        if folder not in self.inner:
            names = sorted(name for name, is_folder in entries(folder) if is_folder)
            self.inner[folder] = [inner for inner in map(folder.joinpath, names) if not leads_back(inner)]
        return self.inner[folder]

    def has_images(self, folder: Path) -> bool:
        """Whether an image lies directly in the folder."""
        if folder not in self.imaged:
            self.imaged[folder] = any(not inner and is_image(folder / name) for name, inner in entries(folder))
        return self.imaged[folder]

    def holds_image(self, folder: Path) -> bool:
        """Whether there is an image in the folder or below it."""
        waiting = [folder]
        while waiting:
            one = waiting.pop()
            if self.has_images(one):
                return True
            waiting += [inner for inner in self.sub_folders(one) if not inner.is_symlink()]
        return False

    def outer(self, folders: Iterable[Path]) -> dict[Path, Path]:
        """For each folder in which no image lies directly, the folder around its sub-folders: itself, or one further
        down. Where images lie directly in a folder, it is a class without doubt."""
        ends = {folder: self.chain(folder, self.is_around)[-1] for folder in folders if not self.has_images(folder)}
        return {folder: end for folder, end in ends.items() if not self.has_images(end)}

    def recurring(self, folders: Iterable[Path]) -> tuple[dict[Path, Path], list[str]]:
        """(`outer`, the names of sub-folders that most of these have). There are none if it is one name at most."""
        tops = self.outer(folders)
        inner = [{one.name.casefold(): one for one in self.sub_folders(end)} for end in tops.values()]
        times = Counter(name for own in inner for name in own)
        often = [name for name, count in sorted(times.items()) if count > 1 and 2 * count > len(tops)]
        names = [name for name in often if any(self.holds_image(own[name]) for own in inner if name in own)]
        return tops, names if len(names) > 1 else []


def files_of(levels: Iterable[Path]) -> list[Path]:
    """The files that lie directly in the folders."""
    return [file for level in levels for file in visible(level)[1]]
