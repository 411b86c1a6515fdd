"""Bilinear resize without antialias, which OpenCV's INTER_LINEAR and a browser's canvas reproduce.

Half-pixel centers, edges clamped, in float32: the operations of `tf.image.resize` in the same order.
"""

from __future__ import annotations

import numpy as np

WIDE = 8192  # pixels; in wider images each pixel is picked by itself, because whole rows would take too much memory


Size = int | tuple[int, int]  # pixels: the side of a square, or height and width


def sides(size: Size) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else size


def resize(pixels: np.ndarray, size: Size, *, centers: bool = True) -> np.ndarray:
    """`uint8 [H, W, C]` -> `uint8 [height, width, C]`, stretched; rounded half to even. `centers=False`: without
    half-pixel centers, as TensorFlow 1 did and MediaPipe does."""
    height, width = sides(size)
    above, below, down = _neighbours(pixels.shape[0], height, centers)
    left, right, across = _neighbours(pixels.shape[1], width, centers)

    def rows(y: np.ndarray) -> np.ndarray:  # float32 [height, width, C]
        if pixels.shape[1] > WIDE:
            return _blend(pixels[y[:, None], left], pixels[y[:, None], right], across[:, None])
        picked = pixels[y]
        return _blend(picked[:, left], picked[:, right], across[:, None])

    mixed = _blend(rows(above), rows(below), down[:, None, None])
    return np.rint(mixed, out=mixed).astype(np.uint8)


def _neighbours(length: int, size: int, centers: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each output position: the two source positions around it, and the weight of the second, float32."""
    step = np.float32(length) / np.float32(size)
    half = np.float32(0.5 if centers else 0)
    at = (np.arange(size, dtype=np.float32) + half) * step - half
    first = np.floor(at)
    low = np.maximum(first, 0).astype(np.intp)
    high = np.minimum(np.ceil(at), length - 1).astype(np.intp)
    return low, high, at - first


def _blend(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """first + (second - first) * weight, in float32, with one temporary array: this is the hot path."""
    base = first.astype(np.float32, copy=False)
    mixed = second - base
    mixed *= weight
    mixed += base
    return mixed
