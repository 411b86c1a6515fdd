"""RGB pixels -> grey ones, to the bit as Pillow makes them: the luma of ITU-R 601."""

from __future__ import annotations

import numpy as np

LUMA = (19595, 38470, 7471)  # of red, green and blue, in 1/65536


def to_grey(rgb: np.ndarray) -> np.ndarray:
    """uint8 [..., 3] -> uint8 [..., 1], as Pillow's `convert("L")` gives it."""
    summed = (rgb.astype(np.uint32) * np.array(LUMA, np.uint32)).sum(axis=-1, keepdims=True, dtype=np.uint32)
    return ((summed + 32768) >> 16).astype(np.uint8)
