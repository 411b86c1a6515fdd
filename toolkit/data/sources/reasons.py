"""Why files were left out, in a few words: for messages that say that nothing is left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from toolkit.data.sources.listing import Rejected
from toolkit.errors import one_line

SHOWN = 3  # kinds of reasons in a message at most
LONGEST = 120  # characters of a reason or a path


def why(rejected: Iterable[Rejected], ignored: int = 0) -> str:
    """The most frequent reasons, each with a count and an example: " (40 files: 38 are empty, ...)"; "" if there is
    none. `ignored`: files that were not looked at, because nothing says that they are images."""
    kinds: dict[str, list[Rejected]] = defaultdict(list)
    for left in rejected:
        kinds[kind(left.reason)].append(left)
    most = sorted(kinds.values(), key=len, reverse=True)  # stable: the first that came is the first of equals
    told = [_told(group) for group in most[:SHOWN]]
    if hidden := sum(map(len, most[SHOWN:])):
        told.append(f"{hidden} for other reasons")
    if ignored:
        told.append(f"{ignored} without an image's suffix")
    return f" (left out: {'; '.join(told)})" if told else ""


def kind(reason: str) -> str:
    """A reason without what is particular to a file: words with a digit, a dot, a slash or a quote."""
    return " ".join(word for word in reason.split() if not any(letter in "./\\'\"0123456789" for letter in word))


def _told(group: list[Rejected]) -> str:
    first = group[0]
    example = f"{_short(first.path)}: {_short(first.reason)}" if first.path else _short(first.reason)
    return f"{len(group)}, such as {example}" if len(group) > 1 else example


def _short(text: str) -> str:
    """Its beginning and its end: the end of a path says which file, the end of a reason what to do."""
    line = one_line(text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]}…{line[-LONGEST // 2 :]}"
