"""Folders that would become classes: those that are named as if they were something else are refused or left out."""

from __future__ import annotations

from pathlib import Path

from toolkit.data.sources.layout import undecided
from toolkit.data.sources.layout.nesting import has_images
from toolkit.data.sources.layout.record import Layout
from toolkit.data.sources.part_names import is_doubtful, is_unlabelled, part_of, says_only_data

UNLABELLED = "its name says that its images have no class: rename it if it is one"


def is_like_part(folder: Path) -> bool:
    """Whether a folder is named like a part, even if it is not plain which."""
    return part_of(folder.name) is not None or is_doubtful(folder.name)


def may_be_class(folder: Path) -> bool:
    return not (is_unlabelled(folder.name) or is_like_part(folder))


def classes_of(layout: Layout, folders: list[Path]) -> list[Path]:
    """The folders that are classes; the others are left out. Raises `UndecidedError` if it is not plain."""
    layout.left += [(folder, UNLABELLED) for folder in folders if is_unlabelled(folder.name)]
    kept = [folder for folder in folders if not is_unlabelled(folder.name)]
    like = [folder for folder in kept if is_like_part(folder)]
    plain = [folder for folder in kept if folder not in like]
    if like and not (plain and _is_vehicle(like)):
        raise undecided.like_a_part(layout.root, like, plain)
    heaps = [folder for folder in plain if says_only_data(folder.name)]
    if heaps and len(kept) > 1:
        raise undecided.named_like_data(layout.root, heaps, [folder for folder in kept if folder not in heaps])
    return kept


def _is_vehicle(like: list[Path]) -> bool:
    """Whether "train" may be a class: it holds images, and nothing else is named like a part."""
    return [folder.name.lower() for folder in like] == ["train"] and has_images(like[0])
