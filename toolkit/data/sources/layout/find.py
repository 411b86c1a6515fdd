"""DATA -> `Layout`: which of its folders stand for classes, and in which part.

A layout is read only if its names leave no doubt; otherwise `UndecidedError` says what to do.
"""

from __future__ import annotations

from pathlib import Path

from toolkit.data.sources.layout.divided import divide, inside
from toolkit.data.sources.layout.nesting import chain, files_of, is_around, recurring, sub_folders
from toolkit.data.sources.layout.record import Layout
from toolkit.data.sources.layout.undecided import few, nested, no_class_folders
from toolkit.data.sources.layout.undivided import take_classes
from toolkit.data.sources.part_names import is_doubtful, is_unlabelled, part_of, parts_of
from toolkit.data.sources.walk import LOOP, leads_back, visible


def find_layout(root: Path, *, classes_outside: bool = False) -> Layout:
    """Raises `UndecidedError` if people have to say what is a class. `classes_outside`: they said that the folders
    inside the folders of classes are something else."""
    layout = Layout(root)
    top = _top(layout)
    folders = sub_folders(top)
    layout.left += [(folder, LOOP) for folder in visible(top)[0] if leads_back(folder)]
    names = parts_of(folder.name for folder in folders)
    parts = {folder: names[folder.name] for folder in folders if folder.name in names}
    others = [folder for folder in folders if folder not in parts]
    levels = inside(parts)
    divided = {part for folder, part in parts.items() if sub_folders(levels[folder][-1])}
    if divided and ("train" in divided or not any(_may_be_class(folder) for folder in others)):
        divide(layout, parts, levels, others)
    else:
        take_classes(layout, parts, others, classes_outside)
    if not layout.classes:
        raise no_class_folders(root, layout.loose)
    for part in ("train", "val", "test", ""):
        own = [one.folder for one in layout.classes if one.part == part]
        if (names_inside := recurring(own)) and not classes_outside:
            raise nested(root, own, names_inside)
    return layout


def _may_be_class(folder: Path) -> bool:
    return not (is_unlabelled(folder.name) or is_doubtful(folder.name))


def _top(layout: Layout) -> Path:
    """The folder around the parts or the classes: `root`, or one further down. The files on the way are loose."""

    def goes_down(inner: Path) -> bool:
        return part_of(inner.name) is None and _may_be_class(inner) and is_around(inner)

    levels = chain(layout.root, goes_down)
    while len(levels) > 1 and not _is_around_several(levels[-1]):
        levels.pop()
    layout.loose += files_of(levels)
    if len(levels) > 1:
        beside = [other.name for level in levels[1:] for other in sub_folders(level.parent) if other != level]
        without = f"; there is no image in {few(beside)}" if beside else ""
        layout.notices.append(f"the classes are looked for in {layout.name(levels[-1])}{without}")
    return levels[-1]


def _is_around_several(folder: Path) -> bool:
    """Whether a folder holds anything but a single class."""
    folders = sub_folders(folder)
    return len(folders) != 1 or part_of(folders[0].name) is not None or not _may_be_class(folders[0])
