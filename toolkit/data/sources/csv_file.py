"""A CSV with a row for each image -> `Listing`.

Paths are relative to the CSV's folder, or to another one that the settings name, and may not lead out of it; an
absolute path may lead anywhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from toolkit.data.settings import DataSettings
from toolkit.data.sources.csv_columns import Columns, choose_columns, is_one
from toolkit.data.sources.csv_parts import part_in
from toolkit.data.sources.csv_paths import locate
from toolkit.data.sources.csv_several import refuse_several
from toolkit.data.sources.csv_table import Table, read_table
from toolkit.data.sources.listing import Entry, Listing, Rejected, check_label
from toolkit.data.sources.reasons import why
from toolkit.data.sources.walk import has_picture_suffix, is_true
from toolkit.errors import UnfreezeError, one_line

_BLANK_END = re.compile(r"^\s|\s/|/\s")  # of a folder in a path


def read_csv(file: Path, settings: DataSettings) -> Listing:
    """The files that the CSV names. Raises UnfreezeError if it cannot be read, if it is not plain what its columns and
    paths mean, or if it has no usable row."""
    table = read_table(file)
    _refuse_without_header(table)
    columns = choose_columns(table, settings)
    labels = [_label(table, columns, line, cells) for line, cells in table.rows]
    parts = [_part(table, columns, line, cells) for line, cells in table.rows]
    base = _base(file, settings)
    paths, guessed = locate(file, base, table.values(columns.path), _with_dot(settings.suffix))
    labels = [_as_folder(label, path) for label, path in zip(labels, paths, strict=True)]
    refuse_several(table, paths, labels)
    listing = Listing(base, notices=[*columns.notices, *filter(None, (guessed, _numbers(labels)))])
    groups = table.values(columns.group) if columns.group is not None else [""] * len(paths)
    _fill(listing, table, [Entry(*row) for row in zip(paths, labels, parts, groups, strict=True)])
    if not listing.entries:
        left = why(listing.rejected)
        raise UnfreezeError(f"{one_line(str(file))} has no row with a path and a label{left}: add a row per image")
    return listing


def _base(file: Path, settings: DataSettings) -> Path:
    """The folder that the paths are relative to."""
    base = Path(settings.image_dir) if settings.image_dir else file.parent
    if not is_true(base.is_dir):
        raise UnfreezeError(one_line(f"--image-dir {base} is no folder: give the one that the paths are relative to"))
    return base


def _with_dot(suffix: str) -> str:
    """`jpg` is meant as `.jpg`; `_small.jpg` as it is."""
    return f".{suffix}" if has_picture_suffix(f"a.{suffix}") and "." not in suffix else suffix


def _fill(listing: Listing, table: Table, entries: Sequence[Entry]) -> None:
    """Add the rows that can be used, and the reason for each that cannot."""
    seen: set[Entry] = set()
    name = one_line(table.file.name)
    for (line, _), entry in zip(table.rows, entries, strict=True):
        if reason := _unusable(entry, seen):
            listing.rejected.append(Rejected(entry.path, f"line {line} of {name} {reason}"))
        else:
            seen.add(entry)
            listing.entries.append(entry)
            listing.classes.add((entry.label, entry.part))
    for line in table.too_wide:
        listing.rejected.append(
            Rejected("", f"line {line} of {name} has more cells than the header: quote those with a delimiter in them")
        )


def _unusable(entry: Entry, seen: set[Entry]) -> str:
    """What is wrong with a row; "" if nothing is."""
    if not entry.path or not entry.label:
        return f"has no {'label' if entry.path else 'path'}"
    if entry.path.split("/", 1)[0] == "..":
        return "leads out of the CSV's folder: move the CSV up, or write an absolute path"
    return "repeats an earlier one" if entry in seen else ""


def _label(table: Table, columns: Columns, line: int, cells: tuple[str, ...]) -> str:
    """The class that a row names; "" if it names none."""
    one = len(columns.labels) == 1
    label = (
        cells[columns.labels[0]] if one else next((table.columns[n] for n in columns.labels if is_one(cells[n])), "")
    )
    check_label(label, one_line(f"{table.file}, line {line}"))
    return label


def _as_folder(label: str, path: str) -> str:
    """The label; or the folder in the path with the same name, if that has outer blanks, which a cell has lost."""
    if not _BLANK_END.search(path):
        return label
    return next((folder for folder in path.split("/")[:-1] if label and folder.strip() == label), label)


def _part(table: Table, columns: Columns, line: int, cells: tuple[str, ...]) -> str:
    name = "" if columns.part is None else cells[columns.part]
    part = part_in(name) if name else ""
    if part is None:
        raise UnfreezeError(
            one_line(f"{table.file}, line {line}: split is {name[:40]!r}; write train, val, test or nothing")
        )
    return part


def _refuse_without_header(table: Table) -> None:
    """Raises UnfreezeError if the first line is that of an image."""
    named = [name for name in table.columns if has_picture_suffix(name)]
    if named:
        raise UnfreezeError(
            one_line(
                f"{table.file} begins with {named[0]}, not with names of columns: put the line path,label above it"
            )
        )


def _numbers(labels: list[str]) -> str:
    """A sentence if the classes are numbers; "" if they are not."""
    names = sorted(Counter(filter(None, labels)))
    if not names or not all(name.isdecimal() for name in names):
        return ""
    few = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return f"the classes are numbers, whose names are the texts {few}, in the order of texts"
