"""What the device that a model is for changes of a search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuning.search_space import Fits, Values
from tuning.selection import Judge, as_trained


def no_cost(values: Values) -> float | None:
    """Nothing is known of what a point costs."""
    return None


@dataclass(frozen=True)
class Device:
    """The defaults leave a search as it is without one."""

    fits: Fits | None = None  # what is left of the search space; None: all
    judge: Judge = as_trained  # what the completed trials are chosen by
    cost: Callable[[Values], float | None] = no_cost  # of a point's file, such as its latency in milliseconds


ANY = Device()
