"""A sub-folder for each class. The parts may be inside: `cat/train`, `cat/test`, `dog/train`, `dog/test`."""

from __future__ import annotations

from pathlib import Path

from toolkit.data.sources.layout import undecided
from toolkit.data.sources.layout.doubt import classes_of, is_like_part, may_be_class, refuse_recurring
from toolkit.data.sources.layout.nesting import files_of
from toolkit.data.sources.layout.record import ClassFolder, Layout
from toolkit.data.sources.part_names import part_of


def take_classes(layout: Layout, folders: list[Path], classes_outside: bool) -> None:
    """Add the classes. Raises `UndecidedError` if one of the folders may be something else."""
    like = [folder for folder in folders if is_like_part(folder) and folder.name not in layout.known]
    if like and not any(map(may_be_class, folders)):
        _refuse_parts(layout, like)
    if not like and _parts_within(layout, folders):
        within = [inner for folder in folders for inner in layout.folders.sub_folders(folder)]
        layout.classes += [ClassFolder(inner, inner.parent.name, part_of(inner.name) or "") for inner in within]
        layout.notices.append(f"the parts are inside the classes, such as {layout.name(within[0])}")
        return
    if like or not classes_outside:
        refuse_recurring(layout, folders)
        _refuse_some_parts(layout, folders)
    classes = classes_of(layout, folders)
    layout.classes += [ClassFolder(folder, folder.name, "") for folder in classes]


def _refuse_some_parts(layout: Layout, folders: list[Path]) -> None:
    """Raises `UndecidedError` if there are parts inside some of the classes only."""
    for folder in folders:
        parts = [inner.name for inner in layout.folders.sub_folders(folder) if part_of(inner.name)]
        if len(parts) > 1 and not layout.folders.has_images(folder):
            raise undecided.parts_in_some(layout.root, folder, parts)


def _refuse_parts(layout: Layout, like: list[Path]) -> None:
    """All folders are named like parts, and no classes are in those that hold training images."""
    refuse_recurring(layout, like)
    levels = layout.folders.inside({folder: part_of(folder.name) or "" for folder in like}).values()
    if flat := [level for own in levels for level in own if layout.folders.has_images(level)]:
        raise undecided.no_class_folders(layout.root, [*layout.loose, *files_of(flat)])
    raise undecided.which_part(layout.root, like)


def _parts_within(layout: Layout, folders: list[Path]) -> bool:
    """Whether each folder has sub-folders of images that are named like parts, train among them, and nothing else."""
    for folder in folders:
        inner = layout.folders.sub_folders(folder)
        parts = {part_of(one.name) for one in inner}
        if (
            layout.folders.has_images(folder)
            or None in parts
            or "train" not in parts
            or not all(map(layout.folders.has_images, inner))
        ):
            return False
    return bool(folders)
