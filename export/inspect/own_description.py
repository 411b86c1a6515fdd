"""What Unfreeze itself wrote into a file, as it stands in the records of this package."""

from __future__ import annotations

from typing import Any

from export.description import read_description
from export.inspect.model_file import STATED, Hint, cut, cut_labels
from toolkit.errors import short_reason


def own_description(text: str | None) -> dict[str, Any]:
    """Fields of a `ModelFile` that a description tells; {} if there is none. One that is damaged becomes a note."""
    try:
        description = read_description(text)
    except ValueError as error:
        return {"notes": (f"Unfreeze's description in it is not used: {short_reason(error)}",)}
    if description is None:
        return {}
    colour = description["input"].get("colour")
    told = {name: cut(description[name]) for name in ("license", "calibration") if description.get(name)}
    return {
        "labels": cut_labels(description["class_names"]),
        "labels_from": "Unfreeze's description",
        "colour": cut(colour, 20) if isinstance(colour, str) else None,
        "hints": (Hint("0..255", STATED, "Unfreeze's description: it takes the pixels as they are"),),
        "metadata": told | {"unfreeze": cut(description.get("unfreeze", ""))},
    }
