"""What exporters write into the metadata of ONNX files: class names, and the range of pixel values."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

from export.description import LONGEST_DESCRIPTION

LABELS = ("names", "labels", "classes", "class_names", "id2label")  # keys under which exporters keep labels
NOMINAL = "Image.NominalPixelRange"  # what Windows ML and Custom Vision say of the input
ORDER, RGB = "Image.BitmapPixelFormat", ("Rgb8", "Rgba8", "Gray8")
PIXELS = {"NominalRange_0_255": "0..255", "Normalized_0_1": "0..1", "Normalized_1_1": "-1..1"}


def labels_in(metadata: Mapping[str, str]) -> tuple[tuple[str, ...] | None, str]:
    """(labels, their key) under one of the usual keys: a list or a dictionary by number, in JSON or as Python writes
    it, or names separated by commas or line ends. (None, "") if there are none."""
    for key in LABELS:
        text = metadata.get(key, "")
        found = _parsed(text) if 0 < len(text) <= LONGEST_DESCRIPTION else None
        if isinstance(found, dict):
            numbered = {str(number): name for number, name in found.items()}
            found = [numbered.get(str(number)) for number in range(len(numbered))]
        if isinstance(found, list) and len(found) > 1 and all(isinstance(name, str) for name in found):
            return tuple(found), key
    return None, ""


def pixels_in(metadata: Mapping[str, str]) -> str | None:
    """The range of pixel values, as `--pixels` takes it; None if the metadata has none, or says that the channels are
    in another order than red, green, blue."""
    if metadata.get(ORDER, RGB[0]) not in RGB:
        return None
    return PIXELS.get(metadata.get(NOMINAL, ""))


def _parsed(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):  # neither runs anything
        try:
            return parse(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    names = text.splitlines() if "\n" in text else text.split(",")
    return [name.strip() for name in names]
