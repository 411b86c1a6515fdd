"""The description in an artefact. It is checked before use, because the file may come from a stranger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from toolkit.pixels.colour import IGNORED, PROFILES
from toolkit.pixels.levels import FULL, LEVELS

LONGEST_DESCRIPTION = 4 << 20  # characters: 10,000 class names of 100 letters have 1 MB
LARGEST_SIDE = 8192  # pixels


def read_description(text: str | None) -> dict[str, Any] | None:
    """The description that a JSON text holds; None if there is no text. Raises ValueError if it is not what
    `export.artefacts.describe` writes."""
    if not text:
        return None
    if len(text) > LONGEST_DESCRIPTION:
        raise ValueError(f"its description has {len(text):,} characters, more than {LONGEST_DESCRIPTION:,}")
    try:
        description = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("its description is no JSON") from None
    if not isinstance(description, dict):
        raise ValueError("its description is no JSON object")
    _check_names(description.get("class_names"))
    entry = description.get("input")
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if not isinstance(shape, list) or len(shape) != 4 or type(shape[1]) is not int or not 0 < shape[1] <= LARGEST_SIDE:
        shape = None
    if shape is None or shape[3] not in (1, 3):
        raise ValueError(f"its description gives no input of [batch, 1..{LARGEST_SIDE}, 1..{LARGEST_SIDE}, 3 or 1]")
    if isinstance(entry, dict) and entry.get("levels", FULL) not in LEVELS:
        raise ValueError(f"its description gives levels that are none of {', '.join(LEVELS)}")
    _check_threshold(description.get("output"))
    if isinstance(entry, dict) and entry.get("profiles", IGNORED) not in PROFILES:
        raise ValueError(f"its description gives profiles that are none of {', '.join(PROFILES)}")
    return description


def levels(description: Mapping[str, Any] | None) -> str:
    """How the described model takes 16-bit images (`toolkit.pixels.levels`); without a description, by their high
    bytes, as all models of earlier versions do."""
    return FULL if description is None else str(description["input"].get("levels", FULL))


def profiles(description: Mapping[str, Any] | None) -> str:
    """How the described model takes colours (`toolkit.pixels.colour`); without a description, as they are stored,
    as all models of earlier versions do."""
    return IGNORED if description is None else str(description["input"].get("profiles", IGNORED))


def channels(description: dict[str, Any]) -> int:
    """Channels of the images that the described model takes: 3 for RGB, 1 for grey."""
    return int(description["input"]["shape"][3])


def reject_below(description: Mapping[str, Any] | None) -> float:
    """The top probability below which the described model is unsure; 0 if it always answers."""
    output = (description or {}).get("output")
    return float(output.get("reject_below", 0.0)) if isinstance(output, dict) else 0.0


def _check_threshold(output: Any) -> None:
    threshold = output.get("reject_below", 0) if isinstance(output, dict) else 0
    if type(threshold) not in (int, float) or not 0 <= threshold <= 1:
        raise ValueError(f"its description gives {threshold!r:.40} for reject_below, which is no probability")


def _check_names(names: Any) -> None:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError("its description gives no list of class names")
    if len(set(names)) < len(names):
        raise ValueError("its description names a class twice")
