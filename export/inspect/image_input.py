"""The shape of an input -> what kind of image a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.inspect.model_file import End, Size
from export.runtimes.model_input import layout_of

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
    found = layout_of(shape)
    if found is None:
        return None
    layout, channels, height, width = found
    if any(isinstance(size, int) and size < SMALLEST for size in (height, width)):
        return None
    return ImageInput(layout, COLOURS[channels], height, width, shape[0])
