"""A preset's image converter -> the range of pixels that its backbone takes, and the size of its images."""

from __future__ import annotations

import math
from typing import Any

from toolkit.errors import UnfreezeError
from toolkit.pixels.pixel_range import NAMED, PIXELS, PixelRange, pixel_range

SAME = 1e-6  # largest difference from a range that has a name, relative to its values


def converter_pixels(converter: dict[str, Any], name: str) -> str:
    """The range as a setting names it. `converter`: value = pixel x scale + offset. Raises UnfreezeError if that is no
    range of pixels."""
    try:
        factor, offset = _three(converter.get("scale"), 1.0), _three(converter.get("offset"), 0.0)
        if "mean" in converter and "variance" in converter:  # as KerasHub wrote it at first: of scaled pixels
            deviations = [math.sqrt(one) for one in _three(converter["variance"], 1.0)]
            factor = [one / other for one, other in zip(factor, deviations, strict=True)]
            offset = [-one / other for one, other in zip(_three(converter["mean"], 0.0), deviations, strict=True)]
        return _text(factor, offset)
    except (TypeError, ValueError, ZeroDivisionError, UnfreezeError):
        raise UnfreezeError(
            f"the image converter of {name} scales pixels by {converter.get('scale')!r:.80} and adds "
            f"{converter.get('offset')!r:.80}, which is no range of pixels"
        ) from None


def converter_size(converter: dict[str, Any]) -> int:
    """The side of the images in pixels; 0 if it does not say, or if they are not square."""
    size = converter.get("image_size") or [converter.get("height"), converter.get("width")]
    if isinstance(size, list) and len(size) == 2 and size[0] == size[1] and isinstance(size[0], int) and size[0] > 0:
        return size[0]
    return 0


def _three(told: Any, default: float) -> list[float]:
    """A number for each of red, green and blue."""
    numbers = [float(one) for one in (told if isinstance(told, list) else [default if told is None else told])]
    if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
        raise ValueError
    return numbers * 3 if len(numbers) == 1 else numbers


def _text(factor: list[float], offset: list[float]) -> str:
    """The name of the range, or MEAN/STD."""
    wanted = PixelRange(tuple(factor), tuple(offset))  # type: ignore[arg-type]
    for name in PIXELS:
        if _same(NAMED[name], wanted):
            return name
    deviations = [1 / one for one in factor]
    means = [-one * std for one, std in zip(offset, deviations, strict=True)]
    text = f"{','.join(map(repr, means))}/{','.join(map(repr, deviations))}"
    if not _same(pixel_range(text), wanted):
        raise ValueError  # all deviations are below 1, which means pixels from 0 to 1
    return text


def _same(one: PixelRange, other: PixelRange) -> bool:
    """Whether two ranges give the same values."""
    apart = [abs(a - b) * 255 for a, b in zip(one.factor, other.factor, strict=True)]
    apart += [abs(a - b) for a, b in zip(one.offset, other.offset, strict=True)]
    return one.reversed == other.reversed and max(apart) <= SAME * max(map(abs, one.bounds))
