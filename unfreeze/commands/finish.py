"""How commands end: the result on standard output, as text or as JSON, and the verdict on artefacts.

With --json standard output holds one JSON value however the command ends: the result, or `{"error": ..., "exit": ...}`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from toolkit.errors import NoAnswerError
from unfreeze.gate.outcome import at_chance
from unfreeze.wording import at_chance_words

if TYPE_CHECKING:
    from export.proof.parity import Parity
    from tuning.results import SearchResult


_PRINTED = False  # whether the command has begun to print its JSON: nothing may be printed after it
# characters that names may hold and a terminal must not get; json escapes the other control characters
_UNSHOWN = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def print_result(screen: Any, as_json: bool, value: Any, show: Callable[[], None]) -> None:
    """Print the result: `value` as JSON, or what `show` prints."""
    screen.close()
    if as_json:
        _print_json(value)
    else:
        show()


def begin() -> None:
    """Call this when a command starts: none of its JSON has been printed yet."""
    global _PRINTED
    _PRINTED = False


def print_error(text: str, code: int) -> None:
    """Print why there is no result, and the exit code, as JSON; nothing if the result is printed already."""
    if not _PRINTED:
        with suppress(OSError):  # standard output may be closed; the exit code still tells
            _print_json({"error": text, "exit": code})


def _print_json(value: Any) -> None:
    global _PRINTED
    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    _PRINTED = True  # before the first byte, because a signal may interrupt the printing
    click.echo(_UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def plain(value: Any) -> Any:
    """The value as JSON can hold it: numpy's numbers and arrays become Python's, and infinity and NaN become null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def require_limits(result: SearchResult) -> None:
    """Raises NoAnswerError if the file of the trial that was taken breaks a limit of the device."""
    if result.broken:
        raise NoAnswerError(f"no trial keeps the limits as {result.file}; the nearest was taken: {result.broken}")


def require_sense(parities: Sequence[Parity]) -> None:
    """Raises NoAnswerError if the model that others are compared with is right no more often than chance: then that the
    others lose nothing says nothing."""
    found = at_chance(parities)
    if found is not None:
        raise NoAnswerError(at_chance_words(found))


def require_proof(parities: Sequence[Parity], strict: bool = False) -> None:
    """Raises NoAnswerError if a file fails or if there is none; with `strict` also if one is undecided."""
    if not parities:
        raise NoAnswerError("no artefact to verify; `unfreeze export RUN` writes them")
    from unfreeze.screen.export_tables import shortfall

    if missing := shortfall(parities, strict):
        raise NoAnswerError(missing)
