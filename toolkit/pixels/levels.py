"""Samples of 16 bits -> 8 bits. `levels` says how, for all images of a set alike:

"8" to "16"     the lowest so many bits fill the 8: "16" takes the high byte, "12" is for a sensor of 12 bits
"percentile"    each image's own range, from its 0.5 to its 99.5 percentile
"""

from __future__ import annotations

import numpy as np

from toolkit.pixels.bands import bands

FULL, PERCENTILE = "16", "percentile"
LEVELS = (*map(str, range(8, 17)), PERCENTILE)
RARE = 1000  # samples, of which one is no part of an image's range
CUT = 200  # 1 sample of so many may lie below the range of "percentile", and 1 above


def words(levels: str) -> str:
    """What is done to 16-bit samples, for a recipe."""
    if levels == FULL:
        return "16-bit samples reduced to their high byte"
    if levels == PERCENTILE:
        return "16-bit samples of each image stretched from its 0.5 to its 99.5 percentile to 0 to 255"
    return f"16-bit samples read as {levels}-bit ones: shifted right by {int(levels) - 8} bits, at most 255"


def bits_used(top: int) -> int:
    """How many bits, 8 to 16, the largest sample takes."""
    return min(16, max(8, top.bit_length()))


def colours_of(samples: np.ndarray) -> np.ndarray:
    """[H, W, C] without alpha, which is the second channel or the fourth."""
    return samples[..., : 3 if samples.shape[2] > 2 else 1]


def span(samples: np.ndarray) -> tuple[int, int]:
    """The lowest and the highest value of uint16 [H, W, C], but for 1 in `RARE` at either end, at least one pixel,
    which may be stuck, and for alpha. Only high bytes are looked at, so that both are bounds, by at most 255."""
    colours, counts = colours_of(samples), np.zeros(256, np.int64)
    for rows in bands(colours):
        counts += np.bincount((colours[rows] >> 8).astype(np.uint8).ravel(), minlength=256)
    seen, rare = np.cumsum(counts), max(colours.shape[2], int(counts.sum()) // RARE)
    if seen[-1] <= 2 * rare:  # a picture of one pixel or two
        rare = 0
    low, high = (int(np.searchsorted(seen, place, side="right")) for place in (rare, seen[-1] - rare - 1))
    return low << 8, high << 8 | 255


def to_eight(samples: np.ndarray, levels: str) -> np.ndarray:
    """uint16 [H, W, C] -> uint8 [H, W, C], C = 1 or 3, with alpha 2 or 4. Alpha is reduced to its high byte."""
    colours = colours_of(samples)
    count = colours.shape[2]
    table = _stretching(colours) if levels == PERCENTILE else None
    made = np.empty(samples.shape, np.uint8)
    for rows in bands(samples):
        own = colours[rows]
        made[rows, :, :count] = np.minimum(own >> (int(levels) - 8), 255) if table is None else table[own]
        made[rows, :, count:] = samples[rows, :, count:] >> 8
    return made


def _stretching(colours: np.ndarray) -> np.ndarray:
    """uint8 [65536], for all channels alike: integers are mapped, so that no floating point decides."""
    counts = np.zeros(65536, np.int64)
    for rows in bands(colours):
        counts += np.bincount(colours[rows].ravel(), minlength=65536)
    seen = np.cumsum(counts)
    low = int(np.searchsorted(seen, seen[-1] // CUT, side="right"))
    high = int(np.searchsorted(seen, seen[-1] - seen[-1] // CUT))
    wide = max(1, high - low)
    return ((np.clip(np.arange(65536) - low, 0, wide) * 255 + wide // 2) // wide).astype(np.uint8)
