"""What the columns of a CSV mean: which one has the paths, which the classes, the parts, and the groups.

A column is taken by its name, as an option gives it or as people call it. Where the names leave a doubt, the reader is
asked for the option.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from toolkit.data.groups import column_of
from toolkit.data.settings import DataSettings
from toolkit.data.sources.csv_table import Table
from toolkit.data.sources.part_names import part_of
from toolkit.errors import UnfreezeError, one_line

# Names in small letters without blanks and underscores; those of an earlier row go before those of a later one.
PATH_NAMES = (
    "path",
    "filepath filename file fname imagepath imagefile imagefilename imagename image imgpath imgfile imgname img photo "
    "picture",
    "id imageid imgid photoid fileid idcode uuid name",
)
LABEL_NAMES = (
    "label",
    "labels labelname class classes classname classlabel category categoryname target species breed variety diagnosis "
    "dx y",
    "labelid classid categoryid targetid",
)
PART_NAMES = ("split", "part partition subset set")
GROUP_NAMES = (  # alone, or before `id`, `name`, `no` or `number`
    "group patient subject person participant animal individual case lesion specimen video clip sequence session scene "
    "burst series study visit encounter location site hospital camera station farm field plot plant"
)
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
    taken = {group} - {None}
    part = _first(table, PART_NAMES[:1], taken)
    part = _part(table, taken) if part is None else part
    taken |= {part} - {None}
    labels: tuple[int, ...] = ()
    if settings.label_column:
        labels = (_named(table, settings.label_column, "--label-column"),)
    path = _path(table, settings, taken | {*labels})
    labels = labels or _labels(table, taken | {path})
    chosen = Columns(path, labels, part, group)
    if not settings.group_by:
        _refuse_groups(table, chosen)
    return Columns(path, labels, part, group, tuple(_notices(table, chosen)))


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


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
        one_line(f"{table.file} has no column {name}, which {option} names; it has {_listed(table.columns)}")
    )


def _first(table: Table, names: Iterable[str], taken: set[int | None]) -> int | None:
    """The column with one of the first names that occur; None if there is none. Raises UnfreezeError if there are
    several."""
    for row in names:
        found = [n for n, name in enumerate(table.columns) if _key(name) in row.split() and n not in taken]
        if len(found) > 1:
            raise _unclear(table, found)
        if found:
            return found[0]
    return None


def _unclear(table: Table, found: Sequence[int]) -> UnfreezeError:
    names = _listed([table.columns[number] for number in found])
    return UnfreezeError(one_line(f"{table.file}: the columns {names} may each be meant; say which: {OPTIONS}"))


def _path(table: Table, settings: DataSettings, taken: set[int | None]) -> int:
    if settings.image_column:
        return _named(table, settings.image_column, "--image-column")
    path = _first(table, PATH_NAMES, taken)
    if path is None:
        raise _unnamed(table)
    return path


def _unnamed(table: Table) -> UnfreezeError:
    return UnfreezeError(
        one_line(
            f"{table.file}: expected the columns path,label[,split], found {_listed(table.columns)}: name them so, or "
            f"give {OPTIONS}"
        )
    )


def _labels(table: Table, taken: set[int | None]) -> tuple[int, ...]:
    label = _first(table, LABEL_NAMES, taken)
    if label is not None:
        return (label,)
    left = [n for n, name in enumerate(table.columns) if n not in taken and name and not _called_group(name)]
    if len(left) == 1:
        return (left[0],)
    if one_hot := _one_hot(table, left):
        return one_hot
    raise _unnamed(table)


def _one_hot(table: Table, left: list[int]) -> tuple[int, ...]:
    """The columns of 0 and 1, if they are classes: at most one 1 in a row, and in half of the rows or more. Raises
    UnfreezeError if a row has several."""
    binary = tuple(n for n in left if set(table.values(n)) <= {"0", "1", "0.0", "1.0"} and table.rows)
    if len(binary) < 2:
        return ()
    counts = [(line, sum(is_one(cells[n]) for n in binary)) for line, cells in table.rows]
    for (line, count), (_, cells) in zip(counts, table.rows, strict=True):
        if count > 1:
            several = _listed([table.columns[n] for n in binary if is_one(cells[n])])
            raise UnfreezeError(
                one_line(
                    f"{table.file}, line {line}: {several} are 1 at once, and a classifier gives one class for an "
                    "image: keep the rows that have one, or train a classifier for each class, with --label-column NAME"
                )
            )
    return binary if sum(count for _, count in counts) * 2 >= len(counts) else ()


def is_one(cell: str) -> bool:
    return cell in ("1", "1.0")


def _part(table: Table, taken: set[int | None]) -> int | None:
    """A column with another name than `split` that holds nothing but names of parts."""
    found = [n for n, name in enumerate(table.columns) if _key(name) in PART_NAMES[1].split() and n not in taken]
    plain = [n for n in found if (names := {*table.values(n)} - {""}) and all(map(part_of, names))]
    return plain[0] if len(plain) == 1 else None


def _called_group(name: str) -> bool:
    return bool({_key(name), re.sub(r"(ids?|name|no|number|nr)$", "", _key(name))} & {*GROUP_NAMES.split()})


def _refuse_groups(table: Table, chosen: Columns) -> None:
    left = [n for n in range(len(table.columns)) if n not in chosen.used]
    like = [n for n in left if _called_group(table.columns[n]) or re.search(r"[\W_]id$", table.columns[n].lower())]
    found = [table.columns[n] for n in like if _groups_images(table, n, chosen)]
    if found:
        many = f"columns {_listed(found)} look" if len(found) > 1 else f"column {found[0]} looks"
        raise UnfreezeError(
            one_line(
                f"{table.file}: {many} like what several images have in common, and images of one group must not stand "
                f"in two parts; give --group-by column:{_quoted(found[0])}, or --group-by none if it does not matter"
            )
        )


def _groups_images(table: Table, column: int, chosen: Columns) -> bool:
    """Whether a value stands beside several images, and the column is no other name of the classes: then each class
    would have one value."""
    counts: dict[str, int] = defaultdict(int)
    of_class: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for _, cells in table.rows:
        if cells[column]:
            counts[cells[column]] += 1
            of_class[tuple(cells[n] for n in chosen.labels)].add(cells[column])
    return len(counts) > 1 and max(counts.values()) > 1 and any(len(values) > 1 for values in of_class.values())


def _notices(table: Table, chosen: Columns) -> Iterable[str]:
    name = table.file.name
    plain = [_key(table.columns[n]) for n in (chosen.path, *chosen.labels)] == ["path", "label"]
    part = "" if chosen.part is None or _key(table.columns[chosen.part]) == "split" else table.columns[chosen.part]
    if not plain or part:
        label = table.columns[chosen.labels[0]]
        if len(chosen.labels) > 1:
            classes = f"the one of the columns {_listed([table.columns[n] for n in chosen.labels])} that is 1"
        else:
            classes = f"column `{label}`"
        also = f" and `{part}` as the part" if part else ""
        yield f"{name}: read column `{table.columns[chosen.path]}` as the path, {classes} as the class{also}"
    unused = [own or "(no name)" for n, own in enumerate(table.columns) if n not in chosen.used]
    if unused:
        yield f"{name}: not read: {'columns' if len(unused) > 1 else 'column'} {_listed(unused)}"


def _listed(names: Sequence[str], most: int = 12) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(name[:40] for name in names[:most]) + more


def _quoted(name: str) -> str:
    return f"'{name}'" if re.search(r"[^\w-]", name) else name
