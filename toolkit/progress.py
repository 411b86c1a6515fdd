"""`Listener`: the functions that long work calls to report its progress, in one record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # light at import
    from toolkit.data.image_set import ImageSet
    from toolkit.training.history import Row

Progress = Callable[[str, int, int], None]  # (what, done, total)


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


def ignore(told: Any) -> None:
    """Do nothing with the argument."""


@dataclass(frozen=True)
class Listener:
    """Functions that are called while work goes on, in the thread that works. Each may be left out."""

    progress: Progress = silent  # how much of a step is done, often
    on_images: Callable[[ImageSet], None] = ignore  # the images, once, before anything is trained
    on_warning: Callable[[str], None] = ignore  # a sentence that the user should read, before anything is trained
    on_probes: Callable[[Any, Any], None] = lambda limits, probed: None  # what was measured before a search, and limits
    on_finalists: Callable[[Any, Any], None] = lambda limits, found: None  # what was measured of trained files
    on_epoch: Callable[[Row], None] = ignore  # each epoch's numbers, a row of history.csv
    on_trials: Callable[[list[Any]], None] = ignore  # all trials that have ended, whenever one has


SILENT = Listener()
