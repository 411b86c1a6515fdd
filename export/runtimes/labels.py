"""Files of class names, as people have them: a name a line, with or without its number."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from export.settings import Conversion
from toolkit.errors import UnfreezeError, first_line
from toolkit.storage.safe_read import read

_NUMBERED = re.compile(r"\s*(\d+)\s*[:,\t ]\s*(\S.*?)\s*$")


def read_labels(path: Path) -> tuple[str, ...]:
    """The class names in a text file, in the order of the model's answers.

    Where all lines begin with a number (`0 Cat`, `0: Cat`, `0,Cat`) and the numbers count from 0 or 1, they are left
    out. A name that occurs several times is followed by its place, counted from 0, in parentheses. Raises UnfreezeError
    if it is no text file or has no name.
    """
    try:
        text = read(path).decode("utf-8-sig")
    except (OSError, ValueError, UnfreezeError) as error:
        reason = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"cannot be read ({_reason(error)})"
        raise UnfreezeError(f"{path} {reason}; give --labels a UTF-8 text file with one class name a line") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise UnfreezeError(f"{path} is empty; give --labels a text file with one class name a line")
    return told_apart(_without_numbers(lines))


def class_names(conversion: Conversion) -> tuple[str, ...] | None:
    """The class names that were given, from their file if it is one; None if none were."""
    if isinstance(conversion.labels, Path):
        return read_labels(conversion.labels)
    return None if conversion.labels is None else told_apart(conversion.labels)


def told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """The names, in which one that occurs several times is followed by its place: "crane (134)"."""
    counts = Counter(names)
    return tuple(f"{name} ({place})" if counts[name] > 1 else name for place, name in enumerate(names))


def _without_numbers(lines: Sequence[str]) -> list[str]:
    """The names in the order of their numbers, if each line has one and they count from 0 or 1; else the lines. The
    same where they would all be one name without their numbers, as coins would."""
    found = [(int(match[1]), match[2]) for match in map(_NUMBERED.match, lines) if match]
    numbers, names = sorted(number for number, _ in found), {name for _, name in found}
    counted = len(found) == len(lines) and any(numbers == [*range(first, first + len(lines))] for first in (0, 1))
    if not counted or (len(lines) > 1 and len(names) == 1):
        return list(lines)
    return [name for _, name in sorted(found)]


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or first_line(error)
