"""A CSV `path,label[,split]` -> `Listing`.

Paths are relative to the CSV's folder and may not lead out of it; an absolute path may lead anywhere.
"""

from __future__ import annotations

import csv
import posixpath
from pathlib import Path

from toolkit.data.settings import DataSettings
from toolkit.data.sources.listing import Entry, Listing, Rejected, check_label
from toolkit.data.sources.part_names import part_of
from toolkit.data.sources.reasons import why
from toolkit.errors import UnfreezeError, one_line


def read_csv(file: Path, settings: DataSettings) -> Listing:
    """The files that the CSV names. Raises UnfreezeError if it cannot be read or has no usable row."""
    listing = Listing(file.parent)
    seen: set[Entry] = set()
    for line, row in _csv_rows(file):
        entry = _csv_entry(file, line, row)
        if reason := _unusable(entry, seen):
            listing.rejected.append(Rejected(entry.path, f"line {line} of {one_line(file.name)} {reason}"))
        else:
            seen.add(entry)
            listing.entries.append(entry)
            listing.classes.add((entry.label, entry.part))
    if not listing.entries:
        left = why(listing.rejected)
        raise UnfreezeError(f"{one_line(str(file))} has no row with a path and a label{left}: add a row per image")
    return listing


def _unusable(entry: Entry, seen: set[Entry]) -> str:
    """What is wrong with a row; "" if nothing is."""
    if not entry.path or not entry.label:
        return f"has no {'label' if entry.path else 'path'}"
    if entry.path.split("/", 1)[0] == "..":
        return "leads out of the CSV's folder: move the CSV up, or write an absolute path"
    return "repeats an earlier one" if entry in seen else ""


def _csv_entry(file: Path, line: int, row: dict[str, str]) -> Entry:
    split = row.get("split", "")
    part = part_of(split) if split else ""
    where = one_line(f"{file}, line {line}")
    if part is None:
        raise UnfreezeError(f"{where}: split is {split[:40]!r}; write train, val, test or nothing")
    check_label(row["label"], where)
    path = posixpath.normpath(row["path"]) if row["path"] else ""
    return Entry(path, row["label"], part)


def _csv_rows(file: Path) -> list[tuple[int, dict[str, str]]]:
    """(line number, row) of each row. A row maps the column names in lower case to the values, both without outer
    blanks."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, skipinitialspace=True)
            columns = [name.strip().lower() for name in next(reader, [])]
            rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnfreezeError(one_line(f"{file} cannot be read as a CSV in UTF-8: {error}")) from error
    if not {"path", "label"} <= set(columns):
        found = ", ".join(columns)[:200] or "none"
        raise UnfreezeError(one_line(f"{file}: expected the columns path,label[,split], found {found}: name them so"))
    return [(line, dict.fromkeys(columns, "") | dict(zip(columns, cells, strict=False))) for line, cells in rows]
