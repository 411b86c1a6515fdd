"""RGB -> grey: the luma of ITU-R 601, by the integer formula that Pillow's `convert("L")` uses."""

from __future__ import annotations

import numpy as np


def to_grey(rgb: np.ndarray) -> np.ndarray:
    """uint8 [..., 3] -> uint8 [..., 1]: (19595 R + 38470 G + 7471 B + 32768) >> 16, which leaves a grey pixel as it
    is."""
    red, green, blue = (rgb[..., channel : channel + 1].astype(np.uint32) for channel in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)
