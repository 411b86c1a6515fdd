"""The input of a model from elsewhere: its layout, size and type, and images converted to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toolkit.errors import UnfreezeError
from toolkit.pixels.grey import to_grey
from toolkit.pixels.pixel_range import PIXELS, PixelRange, pixel_range

CHANNELS = (1, 3)  # grey, RGB
LEAST_LEVELS = 100  # that a range has to have in an input of integers
LEAST_OVERLAP = 0.05  # of a range of pixel values with what a quantised input can hold: below it does not fit


@dataclass(frozen=True)
class ModelInput:
    """What a model takes. Dimensions that the file leaves open are None."""

    layout: str  # "NHWC" | "NCHW" | "NHW", of grey images without an axis of channels
    batch: int | None
    height: int | None
    width: int | None
    channels: int  # 3, or 1: grey
    dtype: np.dtype
    scale: float = 0.0  # of a quantised input, value = scale x (number - zero); 0: not quantised
    zero: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels. Raises UnfreezeError if the file leaves one open."""
        if self.height is None or self.width is None:
            raise UnfreezeError("it takes images of any size; give --image-size, in pixels")
        return self.height, self.width

    def sized(self, side: int | None) -> ModelInput:
        """The same with `side` pixels where the file leaves height or width open."""
        return replace(self, height=self.height or side, width=self.width or side)

    @property
    def takes_pixels(self) -> bool:
        """As `takes_bytes`."""
        return takes_bytes(self.dtype, self.scale, self.zero)

    @property
    def _limits(self) -> tuple[int, int]:
        limits = np.iinfo(self.dtype)
        return int(limits.min), int(limits.max)

    def check_pixels(self, pixels: str | None) -> PixelRange | None:
        """The range that the text names; None if the input takes the bytes as they are. Raises UnfreezeError if none is
        given where one is needed, or if a quantised input cannot hold it."""
        if self.takes_pixels:
            return None
        if pixels is None:
            raise UnfreezeError(
                f"it takes {self.dtype} and does not say which values pixels have; give --pixels with one of "
                f"{', '.join(PIXELS)}, or MEAN/STD (`unfreeze inspect` of the file says which are plausible)"
            )
        named = pixel_range(pixels)
        if self.channels == 1 and not named.fits_grey:
            raise UnfreezeError(f"a greyscale model has no pixel range of three channels; give another than {pixels}")
        if np.issubdtype(self.dtype, np.integer) and not self.scale:
            (low, high), limits = named.bounds, self._limits
            if low < limits[0] or high > limits[1] or high - low < LEAST_LEVELS:
                raise UnfreezeError(
                    f"it takes {self.dtype}, from {limits[0]} to {limits[1]}, and --pixels {pixels} gives {low:.3g} to "
                    f"{high:.3g}, which it cannot hold; give a range that fits, such as --pixels 128/1 for int8"
                )
        if self.scale:
            low, high = (self.scale * (end - self.zero) for end in self._limits)
            overlap = min(high, named.bounds[1]) - max(low, named.bounds[0])
            if overlap < LEAST_OVERLAP * (max(high, named.bounds[1]) - min(low, named.bounds[0])):
                raise UnfreezeError(
                    f"it takes values from {low:.3g} to {high:.3g} by its own quantisation, and --pixels {pixels} "
                    f"gives {named.bounds[0]:.3g} to {named.bounds[1]:.3g}; give the range that fits"
                )
        return named

    def convert(self, images: np.ndarray, pixels: PixelRange | None) -> np.ndarray:
        """uint8 [N, H, W, 3] in RGB -> what the model takes. `pixels`: as `check_pixels` gives it."""
        fed = to_grey(images) if self.channels == 1 else images
        if self.takes_pixels:
            fed = fed if self.dtype == np.uint8 else (fed.astype(np.int16) + self._limits[0]).astype(self.dtype)
        else:
            assert pixels is not None
            fed = pixels.values(fed)
            if np.issubdtype(self.dtype, np.integer):
                fed = np.clip(np.rint(fed / (self.scale or 1.0)) + self.zero, *self._limits)
            fed = fed.astype(self.dtype)
        if self.layout == "NHW":
            fed = fed[..., 0]
        return np.ascontiguousarray(fed.transpose(0, 3, 1, 2) if self.layout == "NCHW" else fed)


def model_input(shape: Sequence[Any], dtype: Any, quantization: tuple[float, int] = (0.0, 0)) -> ModelInput:
    """The input of this shape, in which a dimension that is open is None, a text, or not positive. `quantization`:
    scale and zero point; a scale of 0: none. Raises UnfreezeError if it is not an input of images, RGB or grey."""
    sizes = [size if isinstance(size, int) and size > 0 else None for size in shape]
    found = layout_of(sizes)
    if found is not None:
        layout, channels, height, width = found
        scale, zero = quantization
        return ModelInput(layout, sizes[0], height, width, channels, np.dtype(dtype), float(scale), int(zero))
    told = "[" + ", ".join("?" if size is None else str(size) for size in sizes) + "]"
    raise UnfreezeError(
        f"it takes {told}; a classifier of images must take RGB or grey ones: [N, H, W, 3], [N, 3, H, W], "
        "[N, H, W, 1], [N, 1, H, W] or [N, H, W]"
    )


def layout_of(shape: Sequence[Any]) -> tuple[str, int, Any, Any] | None:
    """(layout, channels, height, width) of an input of images of this shape; None if it is of none. A dimension that is
    no number is open."""
    if len(shape) == 3 and all(isinstance(size, int) for size in shape[1:]) and shape[2] not in CHANNELS:
        return "NHW", 1, shape[1], shape[2]
    if len(shape) == 4 and shape[3] in CHANNELS:
        return "NHWC", shape[3], shape[1], shape[2]
    if len(shape) == 4 and shape[1] in CHANNELS:
        return "NCHW", shape[1], shape[2], shape[3]
    return None


def takes_bytes(dtype: Any, scale: float, zero: int) -> bool:
    """Whether an input takes the bytes of the pixels as they are: integers of 8 bits, not quantised (a scale of 0), or
    quantised so that they stand for 0 to 255."""
    if np.dtype(dtype) == np.uint8 and not scale:
        return True
    return np.dtype(dtype) in (np.uint8, np.int8) and abs(scale - 1) < 1e-3 and zero == np.iinfo(dtype).min
