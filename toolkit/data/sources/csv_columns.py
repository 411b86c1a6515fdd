"""What the columns of a CSV mean: which one has the paths, which the classes, the parts, and the groups.

A column is taken by its name, as an option gives it or as people call it. Where the names leave a doubt, the reader is
asked for the option.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from toolkit.data.groups import column_of
from toolkit.data.settings import DataSettings
from toolkit.data.sources.csv_groups import called_group, refuse_groups
from toolkit.data.sources.csv_names import forms, has_name, key, listed
from toolkit.data.sources.csv_parts import PART_NAMES, part_column
from toolkit.data.sources.csv_several import PAGE
from toolkit.data.sources.csv_table import Table
from toolkit.errors import UnfreezeError, one_line

# Names in small letters without blanks and underscores; those of an earlier row go before those of a later one.
PATH_NAMES = (
    "path",
    "filepath filename file fname imagepath imagefile imagefilename imagename image imgpath imgfile imgname img photo "
    "picture",
    "id imageid imageindex imgid photoid fileid idcode uuid name",
)
LABEL_NAMES = (
    "label",
    "labels labelname class classes classname classlabel category categoryname target species breed variety diagnosis "
    "dx y",
    "labelid classid categoryid targetid",
)
BINARY = {"0", "1", "0.0", "1.0", "true", "false"}
ONE_CLASS = 0.95  # share of the rows with exactly one 1, from which columns of 0 and 1 are classes
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
OPTIONS = "--image-column NAME --label-column NAME"


@dataclass(frozen=True)
class Columns:
    """The numbers of the columns that are read."""

    path: int
    labels: tuple[int, ...]  # one; or several of 0 and 1, of which the one with a 1 names the class
    part: int | None
    group: int | None
    notices: tuple[str, ...] = ()

    @property
    def used(self) -> set[int]:
        return {self.path, *self.labels} | {number for number in (self.part, self.group) if number is not None}


def choose_columns(table: Table, settings: DataSettings) -> Columns:
    """The columns to read. Raises UnfreezeError if they are not plain, or if one that is not asked for is called like a
    group and has groups in it."""
    group = _group_asked_for(table, settings)
    labels: tuple[int, ...] = ()
    if settings.label_column:
        labels = (_named(table, settings.label_column, "--label-column"),)
    split = _first(table, PART_NAMES[:1], {group, *labels})
    path = _path(table, settings, {group, split, *labels})
    labels = labels or _called_class(table, {group, split, path})
    part = part_column(table, _left(table, {group, path, *labels}), labelled=bool(labels)) if split is None else split
    labels = labels or _unnamed_class(table, {group, part, path})
    chosen = Columns(path, labels, part, group)
    if not settings.group_by:
        refuse_groups(table, _left(table, chosen.used), labels)
    return Columns(path, labels, part, group, tuple(_notices(table, chosen)))


def _left(table: Table, taken: Collection[int | None]) -> list[int]:
    return [n for n in range(len(table.columns)) if n not in taken]


def _group_asked_for(table: Table, settings: DataSettings) -> int | None:
    name = column_of(settings.group_by)
    return None if name is None else _named(table, name, "--group-by column:")


def _named(table: Table, name: str, option: str) -> int:
    """The column of that name. Small and capital letters count only where both occur."""
    for same in (lambda own: own == name, lambda own: own.lower() == name.lower()):
        found = [number for number, own in enumerate(table.columns) if same(own)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UnfreezeError(one_line(f"{table.file} has {len(found)} columns {name}: name them differently"))
    raise UnfreezeError(
        one_line(f"{table.file} has no column {name}, which {option} names; it has {listed(table.columns)}")
    )


def _first(table: Table, names: Iterable[str], taken: set[int | None]) -> int | None:
    """The column with one of the first names that occur; None if there is none. Raises UnfreezeError if there are
    several."""
    for row in names:
        same = [n for n, name in enumerate(table.columns) if forms(name) & {*row.split()} and n not in taken]
        found = [n for n in same if key(table.columns[n]) in row.split()] or same  # a plural if there is no singular
        if len(found) > 1:
            raise _unclear(table, found)
        if found:
            return found[0]
    return None


def _unclear(table: Table, found: Sequence[int]) -> UnfreezeError:
    names = listed([table.columns[number] for number in found])
    return UnfreezeError(one_line(f"{table.file}: the columns {names} may each be meant; say which: {OPTIONS}"))


def _path(table: Table, settings: DataSettings, taken: set[int | None]) -> int:
    if settings.image_column:
        path = _named(table, settings.image_column, "--image-column")
    else:
        found = _first(table, PATH_NAMES, taken)
        path = _address(table) if found is None else found
    address = next((cell for cell in table.values(path) if _ADDRESS.match(cell)), "")
    if address:
        raise UnfreezeError(
            one_line(
                f"{table.file}: column {table.columns[path]} has addresses, such as {address[:80]}: images must be "
                "files on this machine; fetch them, and give their paths"
            )
        )
    return path


def _address(table: Table) -> int:
    """A column of addresses. Raises UnfreezeError if there is none."""
    for number in range(len(table.columns)):
        if any(_ADDRESS.match(cell) for cell in table.values(number)[:10]):
            return number
    raise _unnamed(table)


def _unnamed(table: Table) -> UnfreezeError:
    return UnfreezeError(
        one_line(
            f"{table.file}: expected the columns path,label[,split], found {listed(table.columns)}: name them so, or "
            f"give {OPTIONS}"
        )
    )


def _called_class(table: Table, taken: set[int | None]) -> tuple[int, ...]:
    label = _first(table, LABEL_NAMES, taken)
    return () if label is None else (label,)


def _unnamed_class(table: Table, taken: set[int | None]) -> tuple[int, ...]:
    """The only column that is left, or those of 0 and 1."""
    left = [n for n in _left(table, taken) if has_name(table.columns[n])]
    single = [n for n in left if not called_group(table.columns[n])]
    if len(single) == 1:
        return (single[0],)
    if one_hot := _one_hot(table, left):
        return one_hot
    raise _unnamed(table)


def _one_hot(table: Table, left: list[int]) -> tuple[int, ...]:
    """The columns of 0 and 1, if there are several. Raises UnfreezeError if a row has several 1, or if many have none:
    then they are no classes."""
    binary = tuple(n for n in left if table.rows and {cell.lower() for cell in table.values(n)} <= BINARY)
    if len(binary) < 2:
        return ()
    names = listed([table.columns[n] for n in binary])
    ones = [[n for n in binary if is_one(cells[n])] for _, cells in table.rows]
    if (share := sum(len(own) == 1 for own in ones) / len(ones)) < ONE_CLASS:
        raise UnfreezeError(
            one_line(
                f"{table.file}: the columns {names} have one 1 in {share:.0%} of the rows, and classes have one in "
                "each: name the column with the class, --label-column NAME, or train a classifier for each column "
                f"({PAGE})"
            )
        )
    for (line, _), own in zip(table.rows, ones, strict=True):
        if len(own) > 1:
            several = listed([table.columns[n] for n in own])
            raise UnfreezeError(
                one_line(
                    f"{table.file}, line {line}: {several} are 1 at once, and a classifier gives one class for an "
                    "image: keep the rows that have one, or train a classifier for each class, with --label-column "
                    f"NAME ({PAGE})"
                )
            )
    return binary


def is_one(cell: str) -> bool:
    return cell.lower() in ("1", "1.0", "true")


def _notices(table: Table, chosen: Columns) -> Iterable[str]:
    name = table.file.name
    plain = [key(table.columns[n]) for n in (chosen.path, *chosen.labels)] == ["path", "label"]
    part = "" if chosen.part is None or key(table.columns[chosen.part]) == "split" else table.columns[chosen.part]
    if not plain or part:
        label = table.columns[chosen.labels[0]]
        if len(chosen.labels) > 1:
            classes = f"the one of the columns {listed([table.columns[n] for n in chosen.labels])} that is 1"
        else:
            classes = f"column `{label}`"
        also = f" and `{part}` as the part" if part else ""
        yield f"{name}: read column `{table.columns[chosen.path]}` as the path, {classes} as the class{also}"
    if len(chosen.labels) == 2:
        yield f"{name}: these are two columns only; if they are not the two classes, give --label-column NAME"
    unused = [own if has_name(own) else "(no name)" for n, own in enumerate(table.columns) if n not in chosen.used]
    if unused:
        yield f"{name}: not read: {'columns' if len(unused) > 1 else 'column'} {listed(unused)}"
