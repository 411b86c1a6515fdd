"""RGB -> grey: the luma of ITU-R 601, by the integer formula that Pillow's `convert("L")` uses."""

from __future__ import annotations

import numpy as np

LUMA = (19595, 38470, 7471)  # of red, green and blue, in 1/65536


def to_grey(rgb: np.ndarray) -> np.ndarray:
    """uint8 [..., 3] -> uint8 [..., 1]: (19595 R + 38470 G + 7471 B + 32768) >> 16, which leaves a grey pixel as it
    is."""
    summed = (rgb.astype(np.uint32) * np.array(LUMA, np.uint32)).sum(axis=-1, keepdims=True, dtype=np.uint32)
    return ((summed + 32768) >> 16).astype(np.uint8)
