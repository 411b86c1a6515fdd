"""How commands end: the result on standard output, as people read it or as JSON, and the verdict on artefacts.

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

if TYPE_CHECKING:
    from export.proof.parity import Parity


_PRINTED = False  # whether the command that runs has begun to print its JSON: nothing may follow it
_UNSHOWN = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # in names; json escapes the other control characters


def print_result(screen: Any, as_json: bool, value: Any, show: Callable[[], None]) -> None:
    """Print the result: `value` as JSON, or what `show` prints."""
    screen.close()
    if as_json:
        _print_json(value)
    else:
        show()


def begin() -> None:
    """To be called when a command starts: none of its JSON is printed yet."""
    global _PRINTED
    _PRINTED = False


def print_error(text: str, code: int) -> None:
    """Print why there is no result, and the exit code, as JSON; nothing where the result is printed already."""
    if not _PRINTED:
        with suppress(OSError):  # whoever read standard output is gone, and the exit code still tells
            _print_json({"error": text, "exit": code})


def _print_json(value: Any) -> None:
    global _PRINTED
    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    _PRINTED = True  # before the first byte: a signal may cut it
    click.echo(_UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def plain(value: Any) -> Any:
    """The value as JSON can hold it: numpy's numbers and arrays become Python's, numbers that are not finite null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def require_proof(parities: Sequence[Parity], strict: bool = False) -> None:
    """NoAnswerError where a file fails or where there is none; with `strict` also where one is undecided."""
    if not parities:
        raise NoAnswerError("no artefact to verify; `unfreeze export RUN` writes them")
    from unfreeze.screen.export_tables import shortfall

    if missing := shortfall(parities, strict):
        raise NoAnswerError(missing)
