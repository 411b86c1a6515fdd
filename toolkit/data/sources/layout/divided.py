"""train/, val/ and test/ with a sub-folder for each class, whatever people call them."""

from __future__ import annotations

from pathlib import Path

from toolkit.data.sources.layout.doubt import UNLABELLED, classes_of
from toolkit.data.sources.layout.nesting import files_of
from toolkit.data.sources.layout.record import ClassFolder, Layout
from toolkit.data.sources.layout.undecided import no_class_folders, part_or_class, two_of_a_part, unnamed_part
from toolkit.data.sources.part_names import PARTS, is_doubtful, is_unlabelled, says_data
from toolkit.data.sources.walk import LOOP, leads_back, visible

DOUBTFUL = "its name does not say which part it is: name it train, val or test"
BESIDE = "a folder beside train/ that is neither val/ nor test/"


def divide(layout: Layout, parts: dict[Path, str], levels: dict[Path, list[Path]], others: list[Path]) -> None:
    """Add the classes of each part. `levels`: the folders that lead to the one around its classes. Raises
    `UndecidedError` if it is not plain that these are parts, or which."""
    _refuse_doubt(layout, parts, others)
    _refuse_unnamed(layout, [levels[folder][-1] for folder in parts if parts[folder] == "train"], others)
    for folder, part in parts.items():
        around, loose = levels[folder][-1], files_of(levels[folder])
        layout.loose += loose
        if part == "train" and not layout.folders.sub_folders(around) and layout.folders.holds_image(folder):
            raise no_class_folders(layout.root, loose)
        layout.classes += [
            ClassFolder(one, one.name, part) for one in classes_of(layout, layout.folders.sub_folders(around))
        ]
        layout.left += [(inner, LOOP) for inner in visible(around)[0] if leads_back(inner)]
    layout.left += [(folder, _why_not(folder)) for folder in others]
    read = {layout.name(levels[folder][-1]): part for folder, part in parts.items()}
    if any(name.lower() not in PARTS for name in read):
        layout.notices.append("the parts are " + ", ".join(f"{name} ({part})" for name, part in read.items()))


def _refuse_doubt(layout: Layout, parts: dict[Path, str], others: list[Path]) -> None:
    for part in sorted(set(parts.values())):
        own = [folder for folder in parts if parts[folder] == part]
        if len(own) > 1 and sum(map(layout.folders.holds_image, own)) > 1:
            raise two_of_a_part(layout.root, part, own)
    heaps = [folder for folder in others if _why_not(folder) == BESIDE and layout.folders.has_images(folder)]
    if len(parts) == 1 and heaps:
        raise part_or_class(layout.root, next(iter(parts)), heaps)


def _refuse_unnamed(layout: Layout, train: list[Path], others: list[Path]) -> None:
    """Raises `UndecidedError` if a folder that would be left out has classes of train/: a test part, perhaps, of which
    nothing must be missing where the results are computed."""
    seen = layout.folders
    classes = {one.name.casefold() for around in train for one in seen.sub_folders(around)}
    for folder in others:
        around = seen.chain(folder, _doubles)[-1]
        inner = [one for one in seen.sub_folders(around) if one.name.casefold() in classes]
        if not is_unlabelled(folder.name) and any(map(seen.holds_image, inner)):
            raise unnamed_part(layout.root, folder, [one.name for one in inner])


def _doubles(inner: Path) -> bool:
    return inner.name == inner.parent.name or says_data(inner.name)


def _why_not(folder: Path) -> str:
    """Why a folder beside the parts is left out."""
    if is_unlabelled(folder.name):
        return UNLABELLED
    return DOUBTFUL if is_doubtful(folder.name) else BESIDE
