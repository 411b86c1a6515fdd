"""One augmented view of one image: flip, rotation, zoom and shift as one resampling; brightness and contrast as one
table of levels.

Augmentation is not part of the model. All random numbers come from the generator that the caller passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# The key of cached activations contains it: raise the number if the same seed gives other pixels. OpenCV 5 interpolates
# exactly, OpenCV 4 rounds positions to 1/32 pixel.
VERSION = f"2, OpenCV {cv2.__version__}"


@dataclass(frozen=True)
class Strength:
    """The largest change in either direction. For each image the change is drawn uniformly."""

    rotation: float  # degrees
    zoom: float  # fraction of the size
    shift: float  # fraction of the side
    light: float  # fraction of full brightness
    contrast: float  # fraction


STRENGTHS = {
    "light": Strength(rotation=10, zoom=0.10, shift=0.08, light=0.08, contrast=0.15),
    "strong": Strength(rotation=25, zoom=0.25, shift=0.15, light=0.20, contrast=0.40),
}


def augment(image: np.ndarray, strength: Strength, rng: np.random.Generator, *, flip: bool = True) -> np.ndarray:
    """One augmented copy: uint8 [S, S, C] -> uint8 [S, S, C]. All channels are moved and changed alike.

    Bilinear resampling; a pixel from outside the image is taken from its mirror image at the edge. `flip`: mirror half
    of the copies left to right. The same generator state gives the same pixels, however many threads OpenCV has.
    """
    size = image.shape[0]
    moved = cv2.warpAffine(
        np.ascontiguousarray(image),
        _affine(size, strength, rng, flip),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return cv2.LUT(moved, _levels(strength, rng)).reshape(image.shape)  # OpenCV drops the axis of a single channel


def _affine(size: int, strength: Strength, rng: np.random.Generator, flip: bool) -> np.ndarray:
    """float64 [2, 3]: maps (column, row, 1) of an output pixel to its column and row in the input, from 0 at the center
    of the first pixel. It turns, zooms and mirrors about the center of the image."""
    turn, zoom, right, down = rng.uniform(-1, 1, 4)
    angle = np.deg2rad(turn * strength.rotation)
    scale = 1 + zoom * strength.zoom
    mirror = -1.0 if rng.random() < 0.5 and flip else 1.0
    a, b = mirror * scale * np.cos(angle), -scale * np.sin(angle)
    d, e = mirror * scale * np.sin(angle), scale * np.cos(angle)
    middle = (size - 1) / 2
    x = middle + right * strength.shift * size - (a + b) * middle
    y = middle + down * strength.shift * size - (d + e) * middle
    return np.array([[a, b, x], [d, e, y]])


def _levels(strength: Strength, rng: np.random.Generator) -> np.ndarray:
    """uint8 [256]: the new value of each level; contrast about the middle grey, then brightness."""
    contrast, light = rng.uniform(-1, 1, 2)
    levels = (np.arange(256) - 127.5) * (1 + contrast * strength.contrast) + 127.5 + 255 * light * strength.light
    return np.rint(np.clip(levels, 0, 255)).astype(np.uint8)
