"""The values that a model takes for pixels: a name, or numbers, -> factors and offsets for each channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.errors import UnfreezeError

if TYPE_CHECKING:
    import numpy as np

PIXELS = ("0..255", "0..1", "-1..1", "imagenet", "caffe")  # ranges of pixel values that have a name
UNITS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation of ImageNet's pixels, from 0 to 1
HOW_TO_SAY = f"{', '.join(PIXELS)}, or MEAN/STD such as 127.5/127.5: the model takes (pixel - MEAN) / STD"


@dataclass(frozen=True)
class PixelRange:
    """value = pixel x factor + offset, for pixels from 0 to 255, in RGB; then the channels may be reversed."""

    factor: tuple[float, float, float]
    offset: tuple[float, float, float]
    reversed: bool = False  # BGR

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value."""
        ends = [end for f, o in zip(self.factor, self.offset, strict=True) for end in (o, 255 * f + o)]
        return min(ends), max(ends)

    @property
    def fits_grey(self) -> bool:
        """Whether it is the same for all three channels."""
        return len(set(self.factor)) == len(set(self.offset)) == 1

    def values(self, images: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, 3 or 1] -> float32 of the same shape. One channel is taken for red, green and blue alike."""
        import numpy as np  # settings name ranges, and they are light

        if images.shape[-1] == 1:
            grey: np.ndarray = images.astype(np.float32) * np.float32(self.factor[0]) + np.float32(self.offset[0])
            return grey
        values = images * np.array(self.factor, np.float32) + np.array(self.offset, np.float32)
        return values[..., ::-1] if self.reversed else values


NAMED = {
    "0..255": PixelRange((1.0,) * 3, (0.0,) * 3),
    "0..1": PixelRange((1 / 255,) * 3, (0.0,) * 3),
    "-1..1": PixelRange((2 / 255,) * 3, (-1.0,) * 3),
    "imagenet": PixelRange(
        tuple(1 / 255 / std for std in UNITS[1]),  # type: ignore[arg-type]
        tuple(-mean / std for mean, std in zip(*UNITS, strict=True)),  # type: ignore[arg-type]
    ),
    "caffe": PixelRange((1.0,) * 3, (-123.68, -116.779, -103.939), reversed=True),
}


def pixel_range(text: str) -> PixelRange:
    """The range that a text names: one of `PIXELS`, or MEAN/STD in units of pixels from 0 to 255, each one number or
    one for each of red, green and blue. If all deviations are below 1 the units are those of pixels from 0 to 1, as
    PyTorch's are. Raises UnfreezeError if it is neither."""
    if text in NAMED:
        return NAMED[text]
    mean, slash, std = text.partition("/")
    means, deviations = _three(mean), _three(std)
    if not slash or means is None or deviations is None or min(deviations) <= 0:
        raise UnfreezeError(f"--pixels is {text!r:.80}; give one of {HOW_TO_SAY}")
    if max(deviations) == 1 and 0 < max(map(abs, means)) <= 1:
        raise UnfreezeError(
            f"--pixels {text} does not say whether pixels are from 0 to 1 or to 255; give MEAN and STD in units of 255"
        )
    unit = 255.0 if max(deviations) < 1 else 1.0
    factor = tuple(1 / (one * unit) for one in deviations)
    offset = tuple(-one / other for one, other in zip(means, deviations, strict=True))
    return PixelRange(factor, offset)  # type: ignore[arg-type]


def _three(text: str) -> tuple[float, ...] | None:
    """The finite numbers in the text, one or three; None if it holds anything else."""
    try:
        numbers = [float(one) for one in text.split(",")]
    except ValueError:
        return None
    if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
        return None
    return tuple(numbers * 3 if len(numbers) == 1 else numbers)
