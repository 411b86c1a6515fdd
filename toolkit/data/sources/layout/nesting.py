"""Folders in folders: which one, below the folder that was named, is the one around the classes.

Archives are often unpacked into a folder of their own name (`training_set/training_set`), or hold one folder with
everything in it (`PetImages/{Cat,Dog}`, `data/images/{train,test}`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path

from toolkit.data.sources.part_names import part_of, says_data
from toolkit.data.sources.walk import entries, is_image, leads_back, visible

DEEPEST = 8  # folders in each other that are gone down at most


def chain(folder: Path, goes_down: Callable[[Path], bool]) -> list[Path]:
    """The folder, the only folder in it, the only one in that, and so on, as long as `goes_down` is true of it."""
    found = [folder]
    while len(found) < DEEPEST and (inner := _only(found[-1])) and goes_down(inner):
        found.append(inner)
    return found


def inside(parts: dict[Path, str]) -> dict[Path, list[Path]]:
    """For each folder of a part, train/ first, the folder itself and those in it that lead to the one around its
    classes."""
    found: dict[Path, list[Path]] = {}
    known: set[str] = set()  # a class of train/ that stands alone in test/ is a class there, too
    for folder, part in parts.items():
        found[folder] = chain(folder, partial(_doubles, part, known))
        if part == "train":
            known |= {inner.name for inner in sub_folders(found[folder][-1])}
    return found


def _doubles(part: str, known: set[str], inner: Path) -> bool:
    """Whether a folder in one of a part is no class, but the part once more or a folder around its classes."""
    again = inner.name == inner.parent.name or part_of(inner.name) == part
    return inner.name not in known and (again or is_around(inner))


def _only(folder: Path) -> Path | None:
    """The one sub-folder; if there are others and they hold no image, the one that is named like a folder of images."""
    folders = sub_folders(folder)
    if has_images(folder):
        return None
    if len(folders) > 1:
        holding = list(islice(filter(holds_image, folders), 2))
        folders = holding if len(holding) == 1 and says_data(holding[0].name) else []
    return folders[0] if folders else None


def is_around(folder: Path) -> bool:
    """Whether a folder may be one around others: it holds folders and no image, or is named like one."""
    return says_data(folder.name) or (bool(sub_folders(folder)) and not has_images(folder))


def sub_folders(folder: Path) -> list[Path]:
    """The folders in it, and links to folders but those that lead back to a folder around the link."""
    names = sorted(name for name, is_folder in entries(folder) if is_folder)
    return [inner for inner in map(folder.joinpath, names) if not leads_back(inner)]


def has_images(folder: Path) -> bool:
    """Whether an image lies directly in the folder."""
    return any(not is_folder and is_image(folder / name) for name, is_folder in entries(folder))


def holds_image(folder: Path) -> bool:
    """Whether there is an image in the folder or below it."""
    waiting = [folder]
    while waiting:
        one = waiting.pop()
        if has_images(one):
            return True
        waiting += [inner for inner in sub_folders(one) if not inner.is_symlink()]
    return False


def files_of(levels: Iterable[Path]) -> list[Path]:
    """The files that lie directly in the folders."""
    return [file for level in levels for file in visible(level)[1]]


def outer(folders: Iterable[Path]) -> dict[Path, Path]:
    """For each folder in which no image lies directly, the folder around its sub-folders: itself, or one further down.
    Where images lie directly in a folder, it is a class without doubt."""
    ends = {folder: chain(folder, is_around)[-1] for folder in folders if not has_images(folder)}
    return {folder: end for folder, end in ends.items() if not has_images(end)}


def recurring(folders: Iterable[Path]) -> tuple[dict[Path, Path], list[str]]:
    """(`outer`, the names of sub-folders that most of these have). There are none if it is one name at most."""
    tops = outer(folders)
    inner = [{one.name.casefold(): one for one in sub_folders(end)} for end in tops.values()]
    times = Counter(name for own in inner for name in own)
    often = [name for name, count in sorted(times.items()) if count > 1 and 2 * count > len(tops)]
    names = [name for name in often if any(holds_image(own[name]) for own in inner if name in own)]
    return tops, names if len(names) > 1 else []
