"""An estimate of the time that a search will still take, from the times of the trials that have ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuning.results import Trial, ancestors

Plan = Sequence[tuple[int, int]]  # (trials, epochs of each) of each rung; a search without rungs has one


def rungs_of(trials: Sequence[Trial]) -> list[int]:
    """The rung of each trial: how many trials it goes on from. Raises UnfreezeError if one would go on from itself."""
    parents = {trial.trial: trial.parent for trial in trials}
    return [len(ancestors(name, parents, Path("trials.csv"))) for name in parents]


def seconds_left(trials: Sequence[Trial], plan: Plan) -> float | None:
    """Seconds that the trials to come will take, if they are like those of their rung that have ended; without one of
    those like the rung before, epoch for epoch. None where that would be a guess: heads cost next to nothing, and tell
    nothing of fine-tuning."""
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
