"""What tells a copy of a picture from another one: `Look`, of the pixels that the check of a file decodes anyway."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from toolkit.pixels.bands import bands
from toolkit.pixels.levels import colours_of
from toolkit.pixels.perceptual_hash import perceptual_hash


@dataclass(frozen=True)
class Look:
    """Files of which `toolkit.pixels.decode.pixel_digest` is the same have the same `pixels`, but for a JPEG, which is
    reduced and grey here, and has those of other JPEGs alone. Files with the same `pixels` may differ."""

    pixels: str  # digest of the pixels that were decoded, hex
    hash: int | None  # perceptual hash; None if there is too little detail


def look_at(pixels: Image.Image | np.ndarray, turn: Image.Transpose | None, size: tuple[int, int]) -> Look:
    """`pixels`: RGB, or grey of a JPEG, perhaps reduced; or the uint16 [H, W, C] samples of a deeper image, as stored.
    `turn` makes them upright. `size`: that of the whole picture in pixels, as shown."""
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(pixels, np.ndarray):
        digest.update(f"{turn} {pixels.shape}".encode())
        for rows in bands(pixels):
            digest.update(_known(pixels[rows]).tobytes())
        grey = _eight(colours_of(pixels))
        grey = grey if turn is None else grey.transpose(turn)
    else:
        pixels = pixels if turn is None else pixels.transpose(turn)
        digest.update(f"{pixels.size}".encode())
        digest.update(pixels.tobytes())
        grey = pixels.convert("L")
    return Look(digest.hexdigest(), perceptual_hash(grey, size))


def _known(samples: np.ndarray) -> np.ndarray:
    """What every format gives in a check: in colour the high bytes, because the low ones take a second decoding."""
    return samples if samples.shape[2] < 3 else (samples >> 8).astype(np.uint8)


def _eight(colours: np.ndarray) -> Image.Image:
    """Deeper samples as grey of 8 bits over their own range: 12 bits of 16 would all be black."""
    ends = [(int(grey.min()), int(grey.max())) for grey in (_grey(colours[rows]) for rows in bands(colours))]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    factor = 255 / max(high - low, colours.shape[2])
    made = np.empty(colours.shape[:2], np.uint8)
    for rows in bands(colours):
        made[rows] = np.rint((_grey(colours[rows]) - low) * factor)
    return Image.fromarray(made)


def _grey(colours: np.ndarray) -> np.ndarray:
    return colours.sum(axis=2, dtype=np.uint32)
