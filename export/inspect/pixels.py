"""Which ranges of pixel values a model may take, and what speaks for each. Most files do not say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from export.inspect.model_file import GUESS, LIKELY, STATED, End, Hint, ModelFile, Normalisation, Step
from toolkit.pixels.pixel_range import NAMED

RANGES = {  # what black and white become, per channel in RGB
    name: (np.array(one.offset), 255 * np.array(one.factor) + np.array(one.offset)) for name, one in NAMED.items()
}
BEFORE = ("0..255", "0..1", "-1..1")  # what a model that normalises by itself may take
TOLERANCE = 0.04  # of the width of a range; converters calibrate on images that may have no black or white
UNKNOWN = "cannot be told from the file: 0..255, 0..1, -1..1 (MobileNet), imagenet (PyTorch) or caffe"
INTEGERS = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32768, 32767)}
VERBS = {"add": "adds", "subtract": "subtracts", "multiply": "multiplies by", "divide": "divides by"}
FAMILIES = (  # names of architectures in keras.applications and TensorFlow's own model zoo -> what they take
    ("efficientnet[-_]?lite", "-1..1"),
    ("efficientnet|convnext|mobilenet_?v3", "0..255"),  # they normalise inside
    ("mobilenet|inception|xception|nasnet|resnet_?(50|101|152)_?v2|resnet_?v2", "-1..1"),
    ("resnet_?(50|101|152)|vgg_?(16|19)", "caffe"),
    ("densenet", "imagenet"),
)


def pixel_hints(file: ModelFile) -> tuple[Hint, ...]:
    """What speaks for a range, the strongest first; () if nothing does."""
    entry = file.inputs[0] if len(file.inputs) == 1 else None
    if entry is None:
        return ()
    found = [
        *file.hints,
        *_stated(file),
        *_as_they_are(entry),
        *_quantised(file.quantised or entry),
        *_by_steps(file.steps),
    ]
    found = found or list(_by_names(file))
    strongest = sorted(found, key=lambda hint: (STATED, LIKELY, GUESS).index(hint.kind))
    return tuple({hint.value: hint for hint in reversed(strongest)}.values())[::-1]


def range_name(mean: Sequence[float], deviation: Sequence[float]) -> str:
    """The value of --pixels for (pixel - mean) / deviation: the name of a range, or "MEAN/DEVIATION"."""
    black, white = (np.broadcast_to((level - np.array(mean)) / np.array(deviation), 3) for level in (0.0, 255.0))
    for name, (low, high) in RANGES.items():
        if name != "caffe" and np.allclose(black, low, atol=0.02) and np.allclose(white, high, atol=0.02):
            return name
    return f"{_listed(mean)}/{_listed(deviation)}"


def normalisation_name(normalisation: Normalisation) -> str:
    """As `range_name`; mean and deviation may have one number for all channels."""
    mean, deviation = normalisation
    if {len(mean), len(deviation)} <= {1, 3}:
        return range_name(mean, deviation)
    return f"{_listed(mean)}/{_listed(deviation)}"


def _stated(file: ModelFile) -> Iterator[Hint]:
    if file.normalisation:
        mean, deviation = map(_listed, file.normalisation)
        reason = f"its metadata: mean {mean}, deviation {deviation} of pixels 0..255"
        yield Hint(normalisation_name(file.normalisation), STATED, reason)


def _as_they_are(entry: End) -> Iterator[Hint]:
    if entry.dtype == "uint8" and entry.scale is None:
        yield Hint("0..255", STATED, "its input is uint8 without a scale: the pixels as they are")


def _quantised(entry: End) -> Iterator[Hint]:
    """The ranges that the scale and the zero point of the input stand for."""
    if entry.scale is None or entry.zero_point is None or entry.dtype not in INTEGERS or entry.per_channel:
        return
    low, high = ((number - entry.zero_point) * entry.scale for number in INTEGERS[entry.dtype])
    for name, (black, white) in RANGES.items():
        least, most = black.min(), white.max()
        if entry.dtype == "int16":  # symmetric: only the largest magnitude is told
            least, most = -max(-least, most), max(-least, most)
        limit = TOLERANCE * (most - least)
        if abs(low - least) <= limit and abs(high - most) <= limit:
            told = f"scale {entry.scale:g} and zero point {entry.zero_point} of its input in {entry.dtype}"
            as_bytes = _as_bytes(entry, black[0], white[0]) if name in BEFORE else ""
            yield Hint(name, LIKELY, f"{told} stand for {low:.4g} to {high:.4g}{as_bytes}")


def _as_bytes(entry: End, black: float, white: float) -> str:
    """Whether pixels in this range become integers that are, but for 1, the pixels themselves."""
    pixels = np.arange(256)
    values = np.rint((black + pixels / 255 * (white - black)) / (entry.scale or 1.0)) + (entry.zero_point or 0)
    shift = {"uint8": 0, "int8": 128}.get(entry.dtype)
    if shift is None or np.abs(np.clip(values, *INTEGERS[entry.dtype]) + shift - pixels).max() > 1:
        return ""
    return f": an app may pass each pixel's bytes {'as they are' if shift == 0 else 'minus 128'}"


def _by_steps(steps: Sequence[Step]) -> Iterator[Hint]:
    """The ranges that the first operations turn into another known range."""
    if not steps:
        return
    factor, offset = np.ones(3), np.zeros(3)
    for step in steps:
        number = np.array(step.numbers, float)
        if step.operation in ("multiply", "divide"):
            number = number if step.operation == "multiply" else 1 / number
            factor, offset = factor * number, offset * number
        else:
            offset = offset + (number if step.operation == "add" else -number)
    told = ", then ".join(f"{VERBS[step.operation]} {_listed(step.numbers)}" for step in steps)
    for before in BEFORE:
        after = [factor * level + offset for level in RANGES[before]]
        for name, wanted in RANGES.items():
            width = (wanted[1] - wanted[0]).mean()
            orders = [wanted, tuple(levels[::-1] for levels in wanted)]  # RGB and BGR
            if name != before and any(_close(after, order, TOLERANCE * width) for order in orders):
                yield Hint(before, LIKELY, f"it first {told}, which makes {name} of {before}")


def _close(levels: Sequence[np.ndarray], wanted: Sequence[np.ndarray], limit: float) -> bool:
    return all(bool((abs(one - other) <= limit).all()) for one, other in zip(levels, wanted, strict=True))


def _by_names(file: ModelFile) -> Iterator[Hint]:
    if "ultralytics" in file.metadata.get("author", "").lower():
        yield Hint("0..1", GUESS, "Ultralytics wrote it, whose models take this")
        return
    if "pytorch" in file.producer.lower():
        yield Hint("imagenet", GUESS, "PyTorch wrote it, whose own models take this")
        return
    for pattern, value in FAMILIES:
        name = next((name for name in file.names if re.search(pattern, name, re.IGNORECASE)), None)
        if name:
            yield Hint(value, GUESS, f"a layer is named {name[:60]!a}; the models of that name take this")
            return


def _listed(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:.6g}" for number in numbers)
