"""The column of a CSV that says which part an image is in: a split that is given is never drawn anew."""

from __future__ import annotations

import re
from collections.abc import Collection

from toolkit.data.sources.csv_names import key, listed
from toolkit.data.sources.csv_table import Table
from toolkit.data.sources.part_names import part_of
from toolkit.errors import UnfreezeError, one_line

PART_NAMES = ("split", "part partition subset set dataset usage phase")
MOST_NAMES = 100  # of parts in one CSV: a column with more different values is not looked at
_FLAGS = {"0", "1", "0.0", "1.0", "true", "false", "yes", "no"}


def part_in(cell: str) -> str | None:
    """The part that a cell names, as `part_of` says; the public and the private test are the test."""
    return part_of(cell) or part_of(re.sub("public|private", "", cell, flags=re.IGNORECASE))


def part_column(table: Table, left: Collection[int], *, labelled: bool) -> int | None:
    """The column that holds nothing but names of parts, whatever it is called. Raises UnfreezeError if several do that
    differ, if one has other values, too, or if one says with 0 and 1 whether an image is in a part. `labelled`: whether
    the class is known; otherwise a column `train` of 0 and 1 may be one."""
    found = [n for n in left if _holds_parts(table, n)]
    if len({tuple(map(part_in, table.values(n))) for n in found}) > 1:
        names = listed([table.columns[n] for n in found])
        raise UnfreezeError(one_line(f"{table.file}: the columns {names} name different parts: call one of them split"))
    for n in () if found else left:
        _refuse_flags(table, n, labelled)
    return found[0] if found else None


def _holds_parts(table: Table, column: int) -> bool:
    """Whether all values of a column name parts. A column of another name that has one value only, such as `valid`,
    says something else. Raises UnfreezeError if most values name parts, or some in a column called so."""
    values = [cell for cell in table.values(column) if cell]
    if len({*values}) > MOST_NAMES:
        return False
    part = {cell: part_in(cell) for cell in {*values}}
    named = sum(part[cell] is not None for cell in values)
    called = key(table.columns[column]) in PART_NAMES[1].split()
    if named < len(values) and named and (called or named * 2 > len(values)):
        line, other = next((line, cells[column]) for line, cells in table.rows if not part.get(cells[column], "empty"))
        raise UnfreezeError(
            one_line(
                f"{table.file}, line {line}: column {table.columns[column]} is {other[:40]!r}, where other rows have "
                "names of parts; write train, val, test or nothing, or take the column out"
            )
        )
    return 0 < named == len(values) and (called or len({*part.values()}) > 1 or "train" in part.values())


def _refuse_flags(table: Table, column: int, labelled: bool) -> None:
    name = table.columns[column]
    bare = key(name).removeprefix("is")
    about = part_of(bare) if bare != key(name) or (labelled and bare != "valid") else None
    values = {cell.lower() for cell in table.values(column)} - {""}
    if about and len(values) > 1 and values <= _FLAGS:
        raise UnfreezeError(
            one_line(
                f"{table.file}: column {name} says what is in {about}; parts are read from a column split: "
                "put one in its place, with train, val, test or nothing in each row"
            )
        )
