"""One augmented view of one image: flip, rotation, zoom, shift as one resampling; brightness, contrast as one table.

Augmentation stands outside the model. What is drawn comes from the generator that is handed in, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

VERSION = 1  # of what is drawn and how it is drawn: raise it when the same seed gives other views


@dataclass(frozen=True)
class Strength:
    """Largest change in either direction; each image draws uniformly."""

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
    """One augmented copy: uint8 [S, S, 3] -> uint8 [S, S, 3]; what moves in from outside is the mirrored edge. `flip`:
    half of the copies are mirrored left to right."""
    size = image.shape[0]
    margin = size // 2 - 1  # the reflection that a shift, a zoom out or a rotation can uncover
    padded = Image.fromarray(np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect"))
    moved = padded.transform(
        (size, size), Image.Transform.AFFINE, _affine(size, margin, strength, rng, flip), Image.Resampling.BILINEAR
    )
    return np.asarray(moved.point(_levels(strength, rng) * 3))


def _affine(size: int, margin: int, strength: Strength, rng: np.random.Generator, flip: bool) -> tuple[float, ...]:
    """The six coefficients that map an output pixel to its place in the padded input (Pillow's AFFINE)."""
    turn, zoom, right, down = rng.uniform(-1, 1, 4)
    angle = np.deg2rad(turn * strength.rotation)
    scale = 1 + zoom * strength.zoom
    mirror = -1.0 if rng.random() < 0.5 and flip else 1.0
    a, b = mirror * scale * np.cos(angle), -scale * np.sin(angle)
    d, e = mirror * scale * np.sin(angle), scale * np.cos(angle)
    middle = size / 2
    x = margin + middle + right * strength.shift * size - a * middle - b * middle
    y = margin + middle + down * strength.shift * size - d * middle - e * middle
    return (a, b, x, d, e, y)


def _levels(strength: Strength, rng: np.random.Generator) -> list[int]:
    """The table that maps each of the 256 levels: contrast about the middle grey, then brightness."""
    contrast, light = rng.uniform(-1, 1, 2)
    levels = (np.arange(256) - 127.5) * (1 + contrast * strength.contrast) + 127.5 + 255 * light * strength.light
    return np.rint(np.clip(levels, 0, 255)).astype(int).tolist()
