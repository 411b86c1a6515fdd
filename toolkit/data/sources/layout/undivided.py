"""A sub-folder for each class. The parts may be inside: `cat/train`, `cat/test`, `dog/train`, `dog/test`."""

from __future__ import annotations

from pathlib import Path

from toolkit.data.sources.layout import undecided
from toolkit.data.sources.layout.divided import UNLABELLED, inside
from toolkit.data.sources.layout.nesting import files_of, has_images, recurring, sub_folders
from toolkit.data.sources.layout.record import ClassFolder, Layout
from toolkit.data.sources.part_names import is_doubtful, is_unlabelled, part_of, says_only_data


def take_classes(layout: Layout, parts: dict[Path, str], others: list[Path], classes_outside: bool) -> None:
    """Add the classes. Raises `UndecidedError` if one of the folders may be something else."""
    like = [*parts, *(folder for folder in others if is_doubtful(folder.name))]
    plain = [folder for folder in others if folder not in like and not is_unlabelled(folder.name)]
    folders = sorted([*like, *plain])
    _refuse_doubt(layout, like, plain, classes_outside)
    layout.left += [(folder, UNLABELLED) for folder in others if is_unlabelled(folder.name)]
    within = [inner for folder in folders for inner in sub_folders(folder)]
    if _parts_within(folders):
        layout.classes += [ClassFolder(inner, inner.parent.name, part_of(inner.name) or "") for inner in within]
        layout.notices.append(f"the parts are inside the classes, such as {layout.name(within[0])}")
        return
    layout.classes += [ClassFolder(folder, folder.name, "") for folder in folders]
    deep = [inner for inner in within if not has_images(inner.parent) and len(sub_folders(inner.parent)) > 1]
    if deep:
        layout.notices.append(f"folders inside a class, such as {layout.name(deep[0])}, are no classes of their own")


def _refuse_doubt(layout: Layout, like: list[Path], plain: list[Path], classes_outside: bool) -> None:
    """`like`: folders that are named like parts; `plain`: the others."""
    folders = sorted([*like, *plain])
    if (like or not classes_outside) and not _parts_within(folders) and (names := recurring(folders)):
        raise undecided.nested(layout.root, folders, names)
    if like and not plain:
        flat = [level for levels in inside(dict.fromkeys(like, "")).values() for level in levels if has_images(level)]
        files = [*layout.loose, *files_of(flat)]
        raise undecided.no_class_folders(layout.root, files) if flat else undecided.which_part(layout.root, like)
    heaps = [folder for folder in plain if says_only_data(folder.name)]
    if heaps and len(folders) > 1:
        rest = [folder for folder in folders if folder not in heaps]
        raise undecided.named_like_data(layout.root, heaps, rest)
    if like and not (len(like) == 1 and like[0].name.lower() == "train" and has_images(like[0])):  # a vehicle
        raise undecided.like_a_part(layout.root, like, plain)


def _parts_within(folders: list[Path]) -> bool:
    """Whether each folder has sub-folders of images that are named like parts, train among them, and nothing else."""
    for folder in folders:
        inner = sub_folders(folder)
        parts = {part_of(one.name) for one in inner}
        if has_images(folder) or None in parts or "train" not in parts or not all(map(has_images, inner)):
            return False
    return bool(folders)
