"""64 bits that stay nearly the same when a picture is resized or encoded anew: the pHash.

Its low frequencies (discrete cosine transform of 32 x 32 grey pixels), each compared with their median. Source: C.
Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1. A mirrored or turned
picture has other bits.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

GRID = 32  # pixels: side of the picture that is transformed
LOW = 8  # frequencies in each direction
LEAST_SIDE = 32  # pixels: a smaller picture has too little detail to tell a copy from another picture
LEAST_CONTRAST = 6.0  # levels, standard deviation of the low frequencies: below it the bits are noise

_AT = (2 * np.arange(GRID) + 1) * np.pi / (2 * GRID)
_COSINES = (np.cos(np.arange(LOW)[:, None] * _AT) * np.sqrt(2 / GRID)).astype(np.float32)  # [LOW, GRID]


def perceptual_hash(grey: Image.Image, size: tuple[int, int]) -> int | None:
    """The hash of a grey picture, which may be a reduced one; `size` is that of the whole, in pixels. None if it has too
    little detail."""
    if min(size) < LEAST_SIDE:
        return None
    reduced = grey.resize((GRID, GRID), Image.Resampling.BILINEAR).tobytes()
    pixels = np.frombuffer(reduced, np.uint8).reshape(GRID, GRID).astype(np.float32)
    low = (_COSINES @ pixels @ _COSINES.T).ravel()
    low[0] = 0  # the mean brightness
    if float(low @ low) < (LEAST_CONTRAST * GRID) ** 2:  # the transform keeps the sum of squares
        return None
    bits = low > sorted(low[1:].tolist())[(LOW * LOW - 1) // 2]
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
