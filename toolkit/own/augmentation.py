"""One view of one image, drawn by a function of the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from toolkit.errors import UnfreezeError
from toolkit.own.calls import PartError, blamed, named

STATES = 16  # of rng, in which the function is tried: it may do something else at random only now and then
Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def own_view(image: np.ndarray, augment: Augment, rng: np.random.Generator) -> np.ndarray:
    """uint8 [S, S, C] -> uint8 [S, S, C]. The function gets a copy, which it may change. Raises UnfreezeError, which
    ends the search, if it raises or gives anything else: all trials are trained on the views."""
    try:
        with blamed("augment", augment):
            made: Any = augment(np.array(image), rng)
    except PartError as error:
        raise UnfreezeError(str(error)) from error.__cause__
    if not isinstance(made, np.ndarray) or made.dtype != np.uint8 or made.shape != image.shape:
        told = f"{made.dtype} {list(made.shape)}" if isinstance(made, np.ndarray) else type(made).__name__
        raise UnfreezeError(f"{named('augment', augment)} gives {told}, expected uint8 {list(image.shape)}")
    return np.array(made)  # the function may write its next view into the same array


def check_augment(augment: Augment | None, shape: tuple[int, int, int]) -> None:
    """Raises UnfreezeError if the function fails on an image of random pixels, or if one of several states of `rng`
    gives different pixels."""
    if augment is None:
        return
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    first, second = ([own_view(image, augment, np.random.default_rng(n)) for n in range(STATES)] for _ in range(2))
    if not np.array_equal(first, second):
        raise UnfreezeError(
            f"{named('augment', augment)} gives two images for one state of rng; draw from rng and nothing else, so "
            "that views repeat"
        )
