"""Which trials are statistically tied with the best one, and which of them to take.

All trials are judged on the same validation images, so two of them are compared image by image: their accuracies by the
exact McNemar test, all else by the difference and its standard error. Tied means that they do not
differ at the 5 % level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.settings import Settings
from toolkit.stats.accuracy_lost import compare_answers
from toolkit.stats.metrics import Z95
from toolkit.stats.scores import SCORES

if TYPE_CHECKING:  # light at import
    import keras

ROUNDING = 1e-9  # a standard error below it is one of equal differences


@dataclass(frozen=True)
class Candidate:
    """The facts about a completed trial on which the choice depends."""

    trial: str
    score: float
    size: int  # parameters of the model, or bytes where files are compared
    unfreeze: int  # stages
    answers: np.ndarray  # float32 [N, C] on the validation part
    image_size: int = 0  # pixels
    values: Mapping[str, Any] = field(default_factory=dict)  # of its point


@dataclass(frozen=True)
class Judged:
    """The candidates that are left to choose from, the best first, and what they were judged by."""

    candidates: Sequence[Candidate]
    file: str = ""  # name of the exported file whose answers they have; "": those of their models
    broken: Mapping[str, str] = field(default_factory=dict)  # trial -> the limits that it breaks, in words
    taken: str = ""  # the trial to take, whichever is the best; "": the one that `choose_trial` takes


# (the best trial of each point, the best first; a function from a trial to its model) -> those that are left
Judge = Callable[[Sequence[Candidate], Callable[[str], "keras.Model"]], Judged]


def as_trained(candidates: Sequence[Candidate], load: Callable[[str], keras.Model]) -> Judged:
    """All of them, by the answers of their models."""
    return Judged(candidates)


@dataclass(frozen=True)
class Choice:
    """The trial that is taken, and how it was chosen."""

    taken: Candidate
    best: Candidate
    tied: tuple[Candidate, ...]  # those that do not differ from the best one at the 5 % level
    recommended: Candidate  # the smallest of the best one and the tied ones


def choose_trial(candidates: Sequence[Candidate], labels: np.ndarray, settings: Settings) -> Choice:
    """Choose one of `candidates`, which are sorted, the best first, by `settings.pick`: "best", or "smallest" for the
    one that is recommended. `labels`: int32 [N], of the validation images."""
    best, *others = candidates
    equal = [other for other in others if tied(best, other, labels, settings)]
    recommended = smallest([best, *equal])
    return Choice(best if settings.pick == "best" else recommended, best, tuple(equal), recommended)


def tied(best: Candidate, other: Candidate, labels: np.ndarray, settings: Settings) -> bool:
    """Whether the two trials do not differ at the 5 % level. `labels`: int32 [N], of the validation images."""
    if settings.objective == "val_accuracy":
        return compare_answers(best.answers.argmax(1) == labels, other.answers.argmax(1) == labels).p_value > 0.05
    score, balanced = SCORES[settings.objective], settings.balanced
    gap = score.of(other.answers, labels, balanced) - score.of(best.answers, labels, balanced)
    error = score.standard_error(best.answers, other.answers, labels, balanced)
    return abs(gap) < 1e-12 if error < ROUNDING else abs(gap) <= Z95 * error


def smallest(candidates: list[Candidate]) -> Candidate:
    """The smallest candidate; of equal ones the one with the smallest images, then the one with the fewest unfrozen
    stages, then the first in the list, which is the best."""
    return min(candidates, key=lambda candidate: (candidate.size, candidate.image_size, candidate.unfreeze))
