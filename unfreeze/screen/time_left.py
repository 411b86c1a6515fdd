"""An estimate of the time that a search will still take, from the times of the trials that have ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuning.results import Trial, ancestors

Plan = Sequence[tuple[int, int]]  # (trials, epochs of each) of each rung; a search without rungs has one


def rungs_of(trials: Sequence[Trial]) -> list[int]:
    """The rung of each trial: the number of trials whose training it continues, one after the other. Raises
    UnfreezeError if a trial continues itself."""
    parents = {trial.trial: trial.parent for trial in trials}
    return [len(ancestors(name, parents, Path("trials.csv"))) for name in parents]


def seconds_left(trials: Sequence[Trial], plan: Plan) -> float | None:
    """Seconds for the remaining trials: each takes the mean of the finished trials of its rung or, if there is none,
    the same time per epoch as the rung before. None if that is unknown; rung 0 trains heads only and says nothing of
    rung 1."""
    rungs, left = rungs_of(trials), 0.0
    rate: float | None = None  # seconds an epoch
    for number, (count, epochs) in enumerate(plan):
        ended = [trial for trial, rung in zip(trials, rungs, strict=True) if rung == number]
        times = [trial.seconds for trial in ended if trial.seconds is not None]
        if times:
            rate = sum(times) / len(times) / max(1, epochs)
        elif number < 2:
            rate = None
        if count > len(ended):
            if rate is None:
                return None
            left += (count - len(ended)) * rate * epochs
    return left
