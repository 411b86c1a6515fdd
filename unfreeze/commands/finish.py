"""How commands end: the result on standard output, as people read it or as JSON, and the verdict on artefacts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from toolkit.errors import NoAnswerError

if TYPE_CHECKING:
    from export.proof.parity import Parity


_UNSHOWN = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # in names; json escapes the other control characters


def answer(screen: Any, as_json: bool, value: Any, show: Callable[[], None]) -> None:
    """The result on standard output: as JSON, or as people read it."""
    screen.close()
    if as_json:
        text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
        click.echo(_UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
    else:
        show()


def plain(value: Any) -> Any:
    """What JSON can hold: numpy's numbers and arrays as Python's, and null for what is not a finite number."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def require(parities: Sequence[Parity], strict: bool = False) -> None:
    """NoAnswerError where one does not hold; with `strict`, where one cannot be told, too."""
    if not parities:
        raise NoAnswerError("no artefact to verify; `unfreeze export RUN` writes them")
    from unfreeze.screen.export_tables import shortfall

    if missing := shortfall(parities, strict):
        raise NoAnswerError(missing)
