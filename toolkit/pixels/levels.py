"""Samples of 16 bits -> 8 bits. `levels` says how, for all images of a set alike:

"8" to "16"     the lowest so many bits fill the 8: "16" takes the high byte, "12" is for a sensor of 12 bits
"percentile"    each image's own range, from its 0.5 to its 99.5 percentile
"""

from __future__ import annotations

import numpy as np

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


def span(samples: np.ndarray) -> tuple[int, int]:
    """The lowest and the highest value of uint16 [H, W, C], but for 1 in `RARE` at either end, at least one pixel,
    which may be stuck, and for alpha. Only high bytes are looked at, so that both are bounds, by at most 255."""
    colours = samples.shape[2] - (samples.shape[2] + 1) % 2
    counts = np.bincount((samples[..., :colours] >> 8).astype(np.uint8).ravel(), minlength=256)
    seen, rare = np.cumsum(counts), max(colours, counts.sum() // RARE)
    if seen[-1] <= 2 * rare:  # a picture of one pixel or two
        rare = 0
    low, high = (int(np.searchsorted(seen, place, side="right")) for place in (rare, seen[-1] - rare - 1))
    return low << 8, high << 8 | 255


def to_eight(samples: np.ndarray, levels: str) -> np.ndarray:
    """uint16 [H, W, C] -> uint8 [H, W, C], C = 1 or 3, with alpha 2 or 4. Alpha is reduced to its high byte."""
    colours = samples.shape[2] - (samples.shape[2] + 1) % 2
    if levels == PERCENTILE:
        made = _stretched(samples[..., :colours])
    else:
        made = np.minimum(samples[..., :colours] >> (int(levels) - 8), 255).astype(np.uint8)
    if colours == samples.shape[2]:
        return made
    return np.concatenate([made, (samples[..., colours:] >> 8).astype(np.uint8)], axis=2)


def _stretched(colours: np.ndarray) -> np.ndarray:
    """All channels alike: the whole range of integers is mapped by a table, so that no floating point decides."""
    seen = np.cumsum(np.bincount(colours.ravel(), minlength=65536))
    low = int(np.searchsorted(seen, seen[-1] // CUT, side="right"))
    high = int(np.searchsorted(seen, seen[-1] - seen[-1] // CUT))
    span = max(1, high - low)
    table = (np.clip(np.arange(65536) - low, 0, span) * 255 + span // 2) // span
    return table.astype(np.uint8)[colours]
