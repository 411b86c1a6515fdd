"""Why files were left out, in a few words: for messages that say that nothing is left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from toolkit.data.sources.listing import Rejected
from toolkit.errors import UnfreezeError, one_line

SHOWN = 3  # kinds of reasons in a message at most
NONE: Mapping[str, int] = MappingProxyType({})
LONGEST = 120  # characters of a reason or a path


def why(rejected: Iterable[Rejected], ignored: Mapping[str, int] = NONE) -> str:
    """The most frequent reasons, each with a count and an example: " (40 files: 38 are empty, ...)"; "" if there is
    none. `ignored`: suffix -> number of files that are no images."""
    kinds: dict[str, list[Rejected]] = defaultdict(list)
    for left in rejected:
        kinds[kind(left.reason)].append(left)
    most = sorted(kinds.values(), key=len, reverse=True)  # stable: the first that came is the first of equals
    told = [_told(group) for group in most[:SHOWN]]
    if hidden := sum(map(len, most[SHOWN:])):
        told.append(f"{hidden} for other reasons")
    if ignored:
        told.append(f"{sum(ignored.values())} no images ({by_suffix(ignored)})")
    return f" (left out: {'; '.join(told)})" if told else ""


def refuse_left_out(data: Path, rejected: Sequence[Rejected]) -> None:
    """Raises UnfreezeError if anything was left out, which `--strict` does not allow."""
    if rejected:
        first = f"{one_line(rejected[0].path)}: {rejected[0].reason}"
        raise UnfreezeError(
            f"{one_line(str(data))}: {len(rejected)} left out, and --strict was given; the first is {first}"
        )


def by_suffix(files: Mapping[str, int]) -> str:
    """Suffix -> number of files, as words: "3 .txt, 1 .csv, 2 without a suffix", the most first."""
    most = sorted(files.items(), key=lambda pair: (-pair[1], pair[0]))
    told = [f"{count} {suffix or 'without a suffix'}" for suffix, count in most[: 2 * SHOWN]]
    others = sum(count for _, count in most[2 * SHOWN :])
    return one_line(", ".join([*told, f"{others} others"] if others else told))


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
