"""What is refused because only people know what is a class, and in which words. Each says which call is meant."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from toolkit import errors
from toolkit.data.sources.layout.class_in_name import class_in_name, classes_in_names
from toolkit.data.sources.part_names import part_of
from toolkit.data.sources.walk import is_image, visible
from toolkit.errors import UnfreezeError, one_line

SHOWN = 3  # names in a message at most


class UndecidedError(UnfreezeError):
    """The names in a folder do not say what is a class. A CSV may."""


def no_class_folders(root: Path, files: Iterable[Path]) -> UndecidedError:
    """The images lie together."""
    images = [file for file in files if is_image(file)]
    if classes := classes_in_names(images):
        named = few([f"{name} ({count})" for name, count in classes.items()])
        return UndecidedError(
            f"{_where(root)} has no class folders, but files such as {one_line(_named(images, classes))}: if the "
            f"classes are {named}, type {_write_csv(root)}, then `unfreeze run labels.csv RUN`"
        )
    heaps = Counter(file.parent.relative_to(root).as_posix() for file in images)
    seen = few([f"{count} images{_inside(name)}" for name, count in heaps.most_common()])
    found = f", but {seen}" if images else ""
    return UndecidedError(
        f"{_where(root)} has no class folders{found}: put each class's images into a sub-folder of its own, or give "
        f"{_csv(root, {file.parent for file in images})}"
    )


def nested(root: Path, tops: Mapping[Path, Path], inner: Sequence[str], have: str) -> UndecidedError:
    """The sub-folders may be the classes. `tops`: each outer folder and the one around its sub-folders."""
    folders = list(tops)
    return UndecidedError(
        f"{_where(root)}: {few(_names(folders))} {have}, {few(inner)}: which are the classes? For one of them, "
        f"type `unfreeze scan {_typed(folders[0])}`{_for_all(root, tops, inner)}"
    )


def _for_all(root: Path, tops: Mapping[Path, Path], inner: Sequence[str]) -> str:
    """The CSV and its column; "" if the sub-folders do not lie equally deep, so that no column has them."""
    below = {len(end.relative_to(root).parts) + 1 for end in tops.values()}
    if len(below) > 1:
        return ""
    deep, level = below.pop(), len(next(iter(tops)).relative_to(root).parts)
    either = f"folder_{deep}` ({few(inner)}) or folder_{level} ({few(_names(list(tops)))})"
    column = f"folder_{deep + 1}`" if all(map(part_of, inner)) else either
    return f"; for all, {_write_csv(root)}, then `unfreeze run labels.csv RUN --label-column {column}"


def like_a_part(root: Path, like: Sequence[Path], plain: Sequence[Path]) -> UndecidedError:
    """Folders that would become classes are named like parts, some or all of them."""
    around = like[0].parent
    if not plain and around != root:
        inner = one_line(around.relative_to(root).as_posix())
        return UndecidedError(
            f"{_where(root)}: {few(_names(like))} in {inner} are named like parts of the data: give the folder around "
            f"them, `unfreeze scan {_typed(around)}`"
        )
    if not plain:
        return which_part(root, like)
    return UndecidedError(
        f"{_where(root)}: beside {few(_names(plain))} stands what is named like a part of the data, "
        f"{few(_names(like))}: if it is a part, put the classes into train/; if it is a class, rename it; if it has no "
        "classes, move it away"
    )


def part_or_class(root: Path, train: Path, heaps: Sequence[Path]) -> UndecidedError:
    """train/ has sub-folders, and there are images in a folder beside it."""
    return UndecidedError(
        f"{_where(root)}: {few([train.name])} has sub-folders like a part of the data, and beside it are images in "
        f"{few(_names(heaps))}: if it is a part, give `unfreeze scan {_typed(train)}`; if it is a class, rename it"
    )


def unnamed_part(root: Path, folder: Path, inner: Sequence[str]) -> UndecidedError:
    """A folder beside train/ has the same classes, but not the name of a part."""
    return UndecidedError(
        f"{_where(root)}: {few([folder.name])} has sub-folders as the train part has, {few(inner)}, but its name does "
        "not say which part it is: name it train, val or test, or move it away"
    )


def parts_in_some(root: Path, folder: Path, parts: Sequence[str]) -> UndecidedError:
    """A folder beside others holds parts, and not all of them do."""
    return UndecidedError(
        f"{_where(root)}: {few([folder.name])} holds parts of the data, {few(parts)}, and not every folder beside it "
        "does so: put train/ and the others around the classes, or into each of them"
    )


def part_in_class(root: Path, folders: Sequence[Path]) -> UndecidedError:
    """`cat_train`, `cat_test`: a class and a part in one name."""
    return UndecidedError(
        f"{_where(root)}: {few(_names(folders))}: named like a class and a part of the data at once: put them into "
        "folders train/, val/ and test/ with a sub-folder per class, or rename them if they are classes"
    )


def two_of_a_part(root: Path, part: str, folders: Sequence[Path]) -> UndecidedError:
    return UndecidedError(
        f"{_where(root)}: {few(_names(folders))} are both named like the {part} part: put their images together, or "
        "move one of them away"
    )


def which_part(root: Path, folders: Sequence[Path]) -> UndecidedError:
    return UndecidedError(
        f"{_where(root)}: {few(_names(folders))}: named like parts of the data, but not which: name them train, val "
        "and test, or give one of them"
    )


def named_like_data(root: Path, heaps: Sequence[Path], others: Sequence[Path]) -> UndecidedError:
    beside = f" beside {few(_names(others))}" if others else ""
    return UndecidedError(
        f"{_where(root)}: expected folders that are named like classes, found {few(_names(heaps))}{beside}: give the "
        f"folder around the classes, such as `unfreeze scan {_typed(heaps[0])}`, or rename it"
    )


def copy_inside(root: Path, folder: Path, names: Sequence[str]) -> UndecidedError:
    """A folder holds folders of the same names as those beside it."""
    return UndecidedError(
        f"{_where(root)}: {few([folder.name])} holds {few(names)}, which are also beside it: if it is a copy, move it "
        f"away; if it is the data, give `unfreeze scan {_typed(folder)}`"
    )


def few(names: Sequence[str]) -> str:
    """The first names, as one line, and how many more there are."""
    return one_line(errors.few(names, SHOWN))


def _names(folders: Sequence[Path]) -> list[str]:
    return [folder.name for folder in folders]


def _named(images: Sequence[Path], classes: dict[str, int]) -> str:
    """A file for each of two classes."""
    firsts = [next(image.name for image in images if class_in_name(image) == name) for name in list(classes)[:2]]
    return " and ".join(firsts)


def _inside(folder: str) -> str:
    return "" if folder == "." else f" in {folder}/"


def _csv(root: Path, heaps: Iterable[Path]) -> str:
    """What to give instead: the CSV that lies in the folder or beside the images, if there is one."""
    folders = [root, *sorted(heaps)]
    files = [file for one in folders for file in visible(one)[1] if file.suffix.lower() in (".csv", ".tsv")]
    return f"the CSV that names them: `unfreeze scan {_typed(files[0])}`" if files else "a CSV path,label"


def _write_csv(root: Path) -> str:
    return f"`unfreeze scan {_typed(root)} --write-csv labels.csv`"


def _typed(path: Path) -> str:
    return one_line(shlex.quote(str(path)))


def _where(root: Path) -> str:
    return one_line(str(root))
