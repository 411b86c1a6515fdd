"""What tells a copy of a picture from another one: `Look`, of the pixels that the check of a file decodes anyway."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from toolkit.pixels.perceptual_hash import perceptual_hash


@dataclass(frozen=True)
class Look:
    """Files of one format with the same pixels have the same `pixels`; of JPEGs with the same, others may differ."""

    pixels: str  # digest of the upright pixels that were decoded, hex
    hash: int | None  # perceptual hash; None if there is too little detail


def look_at(pixels: Image.Image | np.ndarray, turn: Image.Transpose | None, size: tuple[int, int]) -> Look:
    """`pixels`: RGB, or the uint16 [H, W, C] samples of a deeper image, as stored and perhaps reduced. `turn` makes
    them upright. `size`: that of the whole picture in pixels, as shown."""
    if isinstance(pixels, np.ndarray):
        grey, content = _eight(pixels), f"{turn} {pixels.shape}".encode() + pixels.tobytes()
    else:
        pixels = pixels if turn is None else pixels.transpose(turn)
        grey, content, turn = pixels.convert("L"), f"{pixels.size}".encode() + pixels.tobytes(), None
    upright = grey if turn is None else grey.transpose(turn)
    return Look(hashlib.blake2b(content, digest_size=16).hexdigest(), perceptual_hash(upright, size))


def _eight(samples: np.ndarray) -> Image.Image:
    """Deeper samples as grey of 8 bits over their own range: 12 bits of 16 would all be black."""
    grey = samples.mean(axis=2) if samples.ndim == 3 else samples.astype(np.float64)
    low, high = grey.min(), grey.max()
    return Image.fromarray(np.rint((grey - low) * (255 / max(high - low, 1))).astype(np.uint8))
