"""The columns of a CSV that hold what several images have in common, such as a patient: none is passed over."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence

from toolkit.data.sources.csv_names import key, listed, quoted, words
from toolkit.data.sources.csv_table import Table
from toolkit.errors import UnfreezeError, one_line

GROUP_NAMES = (  # any word of a name, in the singular
    "group patient subject person participant animal individual case lesion specimen slide donor mouse owner video "
    "clip sequence session scene burst series study visit encounter location site hospital camera station farm field "
    "plot plant pid"
)
NUMBERED = ("id", "ids", "uid", "uuid", "guid", "code", "number", "no", "nr")  # last words of names of anything
JOINED = re.compile(r"(ids?|name|code|no|number|nr)$")  # the same, written without a gap
MEASURED = (  # last words that make a name one of a value, not of a group: `patient_age`
    *("age", "sex", "gender", "race", "ethnicity", "weight", "height", "width", "depth", "length", "size", "area"),
    *("count", "date", "year", "month", "day", "time", "duration", "kind", "type", "status", "score", "grade", "stage"),
)
_NO_IDS = ("valid", "grid", "hybrid", "fluid", "solid", "covid", "thyroid", "steroid")  # end in `id` and mean none


def called_group(name: str) -> bool:
    """Whether a name has the word for a group in it, and is not that of a value that a group has."""
    own = words(name)
    if own and own[-1] in MEASURED:
        return False
    joined = key(name)
    forms = {*own, joined, JOINED.sub("", joined)}
    return bool({form for one in forms for form in (one, one.removesuffix("s"))} & {*GROUP_NAMES.split()})


def refuse_groups(table: Table, left: Collection[int], labels: Sequence[int]) -> None:
    """Raises UnfreezeError if a column that is not read has groups of images in it. `left`: the columns that are not
    read; `labels`: those of the classes."""
    found = [
        table.columns[n]
        for n in left
        if (called_group(table.columns[n]) or _numbers(table, n)) and _groups_images(table, n, labels)
    ]
    if found:
        many = f"columns {listed(found)} look" if len(found) > 1 else f"column {found[0]} looks"
        raise UnfreezeError(
            one_line(
                f"{table.file}: {many} like what several images have in common, and images of one group must not stand "
                f"in two parts; give --group-by column:{quoted(found[0])}, or --group-by none if it does not matter"
            )
        )


def _numbers(table: Table, column: int) -> bool:
    """Whether a column is called like one of numbers or codes of something. Where that is written without a gap, it
    may be another word, such as one for a disease, of which there are two values."""
    name = table.columns[column]
    if words(name)[-1:] and words(name)[-1] in NUMBERED:
        return True
    joined = key(name)
    ends = joined.endswith(("id", "code", "number")) and joined not in _NO_IDS
    return ends and len({*table.values(column)} - {""}) > 2


def _groups_images(table: Table, column: int, labels: Sequence[int]) -> bool:
    """Whether a value stands beside several images, and the column is no other name of the classes: then each class
    would have one value."""
    counts: dict[str, int] = defaultdict(int)
    of_class: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for _, cells in table.rows:
        if cells[column]:
            counts[cells[column]] += 1
            of_class[tuple(cells[n] for n in labels)].add(cells[column])
    return len(counts) > 1 and max(counts.values()) > 1 and any(len(values) > 1 for values in of_class.values())
