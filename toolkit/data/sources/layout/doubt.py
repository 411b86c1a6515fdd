"""Folders that would become classes: those that are named as if they were something else are refused or left out."""

from __future__ import annotations

from pathlib import Path

from toolkit.data.sources.layout import undecided
from toolkit.data.sources.layout.nesting import files_of
from toolkit.data.sources.layout.record import Layout
from toolkit.data.sources.part_names import (
    are_groups,
    are_shares,
    classes_of_parts,
    is_doubtful,
    is_unlabelled,
    part_of,
    says_only_data,
)

UNLABELLED = "its name says that its images have no class: rename it if it is one"


def is_like_part(folder: Path) -> bool:
    """Whether a folder is named like a part, even if it is not plain which."""
    return part_of(folder.name) is not None or is_doubtful(folder.name)


def may_be_class(folder: Path) -> bool:
    return not (is_unlabelled(folder.name) or is_like_part(folder))


def classes_of(layout: Layout, folders: list[Path]) -> list[Path]:
    """The folders that are classes; the others are left out. Raises `UndecidedError` if it is not plain."""
    sure = [folder for folder in folders if folder.name in layout.known]
    unlabelled = [folder for folder in folders if is_unlabelled(folder.name) and folder not in sure]
    layout.left += [(folder, UNLABELLED) for folder in unlabelled]
    kept = [folder for folder in folders if folder not in unlabelled]
    like = [folder for folder in kept if is_like_part(folder) and folder not in sure]
    plain = [folder for folder in kept if folder not in like]
    if like and not _is_class(layout, like, plain):
        raise undecided.like_a_part(layout.root, like, plain)
    if both := classes_of_parts(one.name for one in plain):
        raise undecided.part_in_class(layout.root, [one for one in plain if one.name in both])
    layout.notices += [f"{one.name} is read as a class, not as a part" for one in like]
    _refuse_heaps(layout, kept)
    names = {one.name for one in kept}
    for folder in kept:
        again = sorted(names & {inner.name for inner in layout.folders.sub_folders(folder)})
        if len(again) > 1:
            raise undecided.copy_inside(layout.root, folder, again)
    return kept


def refuse_recurring(layout: Layout, folders: list[Path]) -> None:
    """Raises `UndecidedError` if sub-folders may be the classes, because most of the folders have the same."""
    tops, names = layout.folders.recurring(folders)
    if names:
        raise undecided.nested(layout.root, tops, names, "have the same sub-folders")


def refuse_outer(layout: Layout, folders: list[Path]) -> None:
    """Raises `UndecidedError` if no image lies directly in one of several folders, and their sub-folders may be the
    classes: one is in two folders, or the outer names are those of sites, days or numbers."""
    tops = layout.folders.outer(folders)
    held = [filter(layout.folders.holds_image, layout.folders.sub_folders(end)) for end in tops.values()]
    inner = [one.name for own in held for one in own]
    names = sorted({name.casefold(): name for name in inner}.values())
    if len(tops) < max(len(folders), 2) or len(names) < 2:
        return
    if len(names) < len(inner) or are_groups([folder.name for folder in tops]):
        raise undecided.nested(layout.root, tops, names, "hold images only in sub-folders")


def tell_inner(layout: Layout) -> None:
    """A note that the folders inside the classes are none."""
    for end in layout.folders.outer(one.folder for one in layout.classes).values():
        if inner := next(filter(layout.folders.holds_image, layout.folders.sub_folders(end)), None):
            name = layout.name(inner)
            layout.notices.append(f"folders inside a class, such as {name}, are no classes of their own")
            return


def _refuse_heaps(layout: Layout, folders: list[Path]) -> None:
    """Raises `UndecidedError` if folders hold images of any class, by their names."""
    heaps = [folder for folder in folders if says_only_data(folder.name) and folder.name not in layout.known]
    sure = all(folder.name in layout.known for folder in folders)
    shares = not sure and are_shares([folder.name for folder in folders])
    if shares and all(map(layout.folders.has_images, folders)):
        raise undecided.no_class_folders(layout.root, [*layout.loose, *files_of(folders)])
    if shares or (heaps and len(folders) > 1):
        named = folders if shares else heaps
        raise undecided.named_like_data(layout.root, named, [folder for folder in folders if folder not in named])


def _is_class(layout: Layout, like: list[Path], plain: list[Path]) -> bool:
    """Whether what is named like a part may be a class, because nothing else is: "train", a vehicle, and "valid" beside
    "invalid", if they hold images."""
    names = [folder.name.lower() for folder in like]
    if not plain or not layout.folders.has_images(like[0]):
        return False
    return names == ["train"] or (names == ["valid"] and any(folder.name.lower() == "invalid" for folder in plain))
