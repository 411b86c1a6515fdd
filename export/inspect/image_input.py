"""The shape of an input -> what kind of image a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.inspect.model_file import End, Size

COLOURS = {1: "grey", 3: "RGB"}
SMALLEST = 8  # pixels; a smaller input is none of images


@dataclass(frozen=True)
class ImageInput:
    """An input of images."""

    layout: str  # "NHWC", "NCHW" or "NHW"
    colour: str  # "RGB", which may also be BGR, or "grey"
    height: Size
    width: Size
    batch: Size  # a number if it is fixed

    @property
    def square(self) -> bool:
        """Whether height and width are fixed and equal."""
        return isinstance(self.height, int) and self.height == self.width


def image_input(ends: Sequence[End]) -> ImageInput | None:
    """The images that a model takes; None if it has more than one input, or one that is not of images."""
    if len(ends) != 1 or ends[0].shape is None:
        return None
    shape = ends[0].shape
    if len(shape) == 3:
        batch, height, width = shape
        return _checked("NHW", 1, height, width, batch)
    if len(shape) != 4:
        return None
    if shape[3] in COLOURS:
        return _checked("NHWC", shape[3], shape[1], shape[2], shape[0])
    return _checked("NCHW", shape[1], shape[2], shape[3], shape[0]) if shape[1] in COLOURS else None


def _checked(layout: str, channels: Size, height: Size, width: Size, batch: Size) -> ImageInput | None:
    fixed = [size for size in (height, width) if isinstance(size, int)]
    if not isinstance(channels, int) or any(size < SMALLEST for size in fixed) or (layout == "NHW" and not fixed):
        return None
    return ImageInput(layout, COLOURS[channels], height, width, batch)
