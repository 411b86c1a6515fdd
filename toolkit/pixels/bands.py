"""Bands of rows: what is computed of a large picture on the way takes the memory of one band."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

AT_ONCE = 1_000_000  # samples


def bands(samples: np.ndarray) -> Iterator[slice]:
    """Slices of the first axis, which together are all of it."""
    rows = max(1, AT_ONCE // max(1, samples[:1].size))
    return (slice(start, start + rows) for start in range(0, len(samples), rows))


def looked_up(table: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """`table[samples]`, for which numpy would make indices of 8 bytes."""
    made = np.empty(samples.shape, table.dtype)
    for rows in bands(samples):
        made[rows] = table[samples[rows]]
    return made
