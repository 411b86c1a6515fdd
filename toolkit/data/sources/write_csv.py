"""DATA -> a CSV `path,label,split` that people can look at, edit, and give instead of DATA.

Where DATA does not say what is a class, the CSV has what there is to choose from: the classes that the files' names
seem to name, or a column for each level of folders.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from toolkit.data.settings import DataSettings
from toolkit.data.sources.any_folder import read_any
from toolkit.data.sources.class_folders import classes_in_a_heap
from toolkit.data.sources.layout.class_in_name import class_in_name, classes_in_names
from toolkit.data.sources.layout.undecided import UndecidedError
from toolkit.data.sources.listing import Entry, Rejected
from toolkit.data.sources.open import read_listing, refuse_csv_options
from toolkit.data.sources.part_names import is_doubtful, is_unlabelled, part_of
from toolkit.data.sources.reasons import refuse_left_out, why
from toolkit.errors import UnfreezeError, one_line
from toolkit.storage.files import atomic

FOLDER = "folder_"  # column of the outermost: folder_1
MOST_COLUMNS = 6  # columns for folders at most
NO_NUMBER = "its name does not begin or end with a number, so that it names no class"
UNLABELLED = "the name of its folder says that it has no class, or does not say which part it is"


@dataclass(frozen=True)
class WrittenCsv:
    """A CSV that was written."""

    file: Path
    rows: int
    columns: dict[str, dict[str, int]]  # each column that may be the class -> its values -> rows with it
    grouped: bool  # whether it has a column `group`
    left_out: tuple[Rejected, ...]
    notices: tuple[str, ...]  # sentences: what was decided when DATA was read


def write_csv(data: Path, file: Path, settings: DataSettings, *, strict: bool = False) -> WrittenCsv:
    """Write the CSV; no image is opened. Raises UnfreezeError if the file exists, if DATA has no image, or if `strict`
    is true and an image has to be left out."""
    if os.path.lexists(file):
        raise UnfreezeError(f"{one_line(str(file))} exists already and is not overwritten: give another name")
    refuse_csv_options(data, settings)
    root, rows, left, notices = _rows(data, settings)
    written = [row | {"path": _path(root, row["path"], file)} for row in rows]
    left += [
        Rejected(row["path"], "a CSV cannot hold its path")
        for row, own in zip(rows, written, strict=True)
        if _unwritable(own["path"])
    ]
    kept = [own for own in written if not _unwritable(own["path"])]
    if not kept:
        raise UnfreezeError(f"{one_line(str(data))} has no image for a CSV{why(left)}: give a folder with images")
    if strict:
        refuse_left_out(data, left)
    _save(file, kept)
    labels = [name for name in kept[0] if name == "label" or name.startswith(FOLDER)]
    counts = {name: dict(Counter(row[name] for row in kept).most_common()) for name in labels}
    return WrittenCsv(file, len(kept), counts, "group" in kept[0], tuple(left), tuple(notices))


Row = dict[str, str]  # path, relative to the root; label and perhaps group, or folder_1, folder_2, ...; split


def _save(file: Path, rows: Sequence[Row]) -> None:
    with atomic(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


Rows = tuple[Path, list[Row], list[Rejected], list[str]]  # what paths are relative to, rows, what is left out, notices


def _rows(data: Path, settings: DataSettings) -> Rows:
    try:
        listing = read_listing(data, settings)
    except UndecidedError:
        return _rows_to_decide(data)
    if data.is_dir() and classes_in_a_heap(listing):
        return _rows_to_decide(data)
    more = _more(listing.entries)
    return listing.root, [_row(entry, more) for entry in listing.entries], listing.rejected, listing.notices


def _row(entry: Entry, more: Sequence[str]) -> Row:
    return (
        {"path": entry.path, "label": entry.label}
        | {name: getattr(entry, name) for name in more}
        | {"split": entry.part}
    )


def _more(entries: Sequence[Entry]) -> list[str]:
    """What else is known of an entry, such as its group."""
    names = [field.name for field in fields(Entry) if field.name not in ("path", "label", "part")]
    return [name for name in names if any(getattr(entry, name) for entry in entries)]


def _rows_to_decide(data: Path) -> Rows:
    listing = read_any(data)
    paths = [entry.path for entry in listing.entries]
    labelled = [path for path in paths if not _is_unlabelled(path)]
    names = classes_in_names(map(Path, labelled))
    if not names:
        return data, list(_by_folders(paths)), listing.rejected, listing.notices
    rows = [{"path": path, "label": class_in_name(Path(path)), "split": _part(path)} for path in labelled]
    left = [Rejected(path, UNLABELLED) for path in paths if _is_unlabelled(path)]
    left += [Rejected(row["path"], NO_NUMBER) for row in rows if not row["label"]]
    return data, [row for row in rows if row["label"]], [*listing.rejected, *left], listing.notices


def _by_folders(paths: Sequence[str]) -> Iterator[Row]:
    levels = min(MOST_COLUMNS, max((path.count("/") for path in paths), default=0))
    for path in paths:
        folders = [*path.split("/")[:-1], *[""] * levels]
        columns = {f"{FOLDER}{number + 1}": folders[number] for number in range(levels)}
        yield {"path": path, **columns, "split": _part(path)}


def _part(path: str) -> str:
    """The part that a folder around the file stands for."""
    return next((part for folder in path.split("/")[:-1] if (part := part_of(folder))), "")


def _is_unlabelled(path: str) -> bool:
    return any(is_unlabelled(folder) or is_doubtful(folder) for folder in path.split("/")[:-1])


def _unwritable(path: str) -> bool:
    """Whether a path would not be read as it is: blanks around a value do not count, and a CSV is lines of UTF-8."""
    return path != path.strip() or any(letter in "\n\r\0" or "\ud800" <= letter <= "\udfff" for letter in path)


def _path(root: Path, path: str, file: Path) -> str:
    """Relative to the CSV's folder if it is below, otherwise absolute. Blanks at its beginning count behind `./`."""
    absolute, folder = (os.path.abspath(one) for one in (root / path, file.parent))
    inside = os.path.commonpath([absolute, folder]) == folder
    written = (Path(absolute).relative_to(folder) if inside else Path(absolute)).as_posix()
    return f"./{written}" if written != written.lstrip() else written
