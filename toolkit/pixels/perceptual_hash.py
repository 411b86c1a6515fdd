"""64 bits that stay nearly the same when a picture is resized or encoded anew: the pHash.

Its low frequencies (discrete cosine transform of 32 x 32 grey pixels), each compared with their median. Source: C.
Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1. A mirrored or turned
picture has other bits.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

GRID = 32  # pixels: side of the picture that is transformed
LOW, FINE = 8, 20  # frequencies in each direction: those compared, and those from which detail is fine
LEAST_SIDE = 32  # pixels
LEAST_CONTRAST = 6.0  # levels, standard deviation
LEAST_DETAIL = 0.001  # of the variance is fine: an enlarged small picture has less, a photograph ten times as much

_AT = (2 * np.arange(GRID) + 1) * np.pi / (2 * GRID)
_COSINES = (np.cos(np.arange(FINE)[:, None] * _AT) * np.sqrt(2 / GRID)).astype(np.float32)  # [FINE, GRID]
_COSINES[0] /= np.sqrt(2)  # orthonormal: the transform keeps the sum of squares


def perceptual_hash(grey: Image.Image, size: tuple[int, int]) -> int | None:
    """The hash of a grey picture, which may be a reduced one; `size`: that of the whole, in pixels. None if the picture
    is too small, too flat or too smooth to tell a copy from another picture."""
    if min(size) < LEAST_SIDE:
        return None
    reduced = grey.resize((GRID, GRID), Image.Resampling.BILINEAR).tobytes()
    pixels = np.frombuffer(reduced, np.uint8).reshape(GRID, GRID).astype(np.float32)
    pixels -= pixels.mean()
    coarse = _COSINES @ pixels @ _COSINES.T
    total = float(np.vdot(pixels, pixels))
    if total < (LEAST_CONTRAST * GRID) ** 2 or 1 - float(np.vdot(coarse, coarse)) / total < LEAST_DETAIL:
        return None
    low = coarse[:LOW, :LOW].ravel()
    bits = low > sorted(low[1:].tolist())[(LOW * LOW - 1) // 2]
    bits[0] = False  # the mean brightness
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
