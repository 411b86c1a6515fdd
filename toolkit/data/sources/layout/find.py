"""DATA -> `Layout`: which of its folders stand for classes, and in which part.

A layout is read only if its names leave no doubt; otherwise `UndecidedError` says what to do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from toolkit.data.sources.layout.divided import divide
from toolkit.data.sources.layout.doubt import is_like_part, may_be_class, refuse_outer, refuse_recurring, tell_inner
from toolkit.data.sources.layout.nesting import files_of
from toolkit.data.sources.layout.record import Layout
from toolkit.data.sources.layout.undecided import few, no_class_folders
from toolkit.data.sources.layout.undivided import take_classes
from toolkit.data.sources.layout.unlikely import unlikely
from toolkit.data.sources.part_names import parts_of
from toolkit.data.sources.walk import LOOP, leads_back, visible


def find_layout(root: Path, *, known: Collection[str] = (), classes_outside: bool = False) -> Layout:
    """Raises `UndecidedError` if people have to say what is a class. `known`: names that are classes without doubt.
    `classes_outside`: people said that the folders inside the folders of classes are something else."""
    layout = Layout(root, known=known)
    top = _top(layout)
    folders = _without_empty(layout, layout.folders.sub_folders(top))
    layout.left += [(folder, LOOP) for folder in visible(top)[0] if leads_back(folder)]
    names = parts_of(folder.name for folder in folders)
    order = ("train", "val", "test")
    named = [folder for folder in folders if folder.name in names]
    parts = {folder: names[folder.name] for folder in sorted(named, key=lambda one: order.index(names[one.name]))}
    others = [folder for folder in folders if folder not in parts]
    levels = layout.folders.inside(parts, known)
    divided = {part for folder, part in parts.items() if layout.folders.sub_folders(levels[folder][-1])}
    if divided and ("train" in divided or not any(map(may_be_class, others))):
        divide(layout, parts, levels, others)
    else:
        take_classes(layout, folders, classes_outside or _are_known(folders, known))
    if not layout.classes:
        raise no_class_folders(root, layout.loose)
    for part in (*order, ""):
        own = [one.folder for one in layout.classes if one.part == part]
        if not (classes_outside or _are_known(own, known)):
            refuse_recurring(layout, own)
            refuse_outer(layout, own)
    tell_inner(layout)
    if told := unlikely(one.label for one in layout.classes if one.label not in known):
        layout.notices.append(told)
    return layout


def _without_empty(layout: Layout, folders: list[Path]) -> list[Path]:
    """Beside parts, a folder without any image, such as one of annotations, says nothing about the layout."""
    if not any(map(is_like_part, folders)):
        return folders
    empty = [folder for folder in folders if may_be_class(folder) and not layout.folders.holds_image(folder)]
    if empty:
        layout.notices.append(f"there is no image in {few([layout.name(folder) for folder in empty])}")
    return [folder for folder in folders if folder not in empty]


def _are_known(folders: Sequence[Path], known: Collection[str]) -> bool:
    return all(folder.name in known for folder in folders)


def _top(layout: Layout) -> Path:
    """The folder around the parts or the classes: `root`, or one further down. The files on the way are loose."""

    levels = layout.folders.chain(
        layout.root,
        lambda inner: inner.name not in layout.known and may_be_class(inner) and layout.folders.is_around(inner),
    )
    while len(levels) > 1 and not _is_around_several(layout, levels[-1]):
        levels.pop()
    layout.loose += files_of(levels)
    if len(levels) > 1:
        beside = [
            other.name for level in levels[1:] for other in layout.folders.sub_folders(level.parent) if other != level
        ]
        without = f"; there is no image in {few(beside)}" if beside else ""
        layout.notices.append(f"the classes are looked for in {layout.name(levels[-1])}{without}")
    return levels[-1]


def _is_around_several(layout: Layout, folder: Path) -> bool:
    """Whether a folder holds anything but a single class."""
    folders = layout.folders.sub_folders(folder)
    return len(folders) != 1 or not may_be_class(folders[0])
