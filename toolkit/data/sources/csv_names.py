"""The names of a CSV's columns: compared, cut into words, and listed in messages."""

from __future__ import annotations

import re
from collections.abc import Sequence

from toolkit.errors import few

_GAPS = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])|(?<=[a-z])(?=[A-Z])|[\W_]+")
NO_NAME = re.compile(r"(Unnamed: \d+)?")  # what pandas and spreadsheets put above a column of row numbers


def key(name: str) -> str:
    """A name without what does not count: capitals, blanks, `_`."""
    return re.sub(r"[\W_]+", "", name.lower())


def forms(name: str) -> set[str]:
    """A name as it is compared: as it is, and without the `s` of a plural."""
    return {key(name), key(name).removesuffix("s")}


def words(name: str) -> list[str]:
    """The words of a name in lower case: `sourceVideo_id2` -> source, video, id, 2."""
    return [word.lower() for word in _GAPS.split(name) if word]


def has_name(name: str) -> bool:
    return NO_NAME.fullmatch(name) is None


def listed(names: Sequence[str], most: int = 12) -> str:
    return few([name[:40] for name in names], most) or "none"


def quoted(name: str) -> str:
    return f"'{name}'" if re.search(r"[^\w-]", name) else name
