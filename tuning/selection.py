"""Which trials are statistically tied with the best one, and which of them to take.

All trials are judged on the same validation images, so two of them are compared image by image: their accuracies by the
exact McNemar test, their log losses by the mean of the differences and its standard error. Tied means that they do not
differ at the 5 % level.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from toolkit.stats.accuracy_lost import compare_answers
from toolkit.stats.metrics import Z95, log_losses


@dataclass(frozen=True)
class Candidate:
    """The facts about a completed trial on which the choice depends."""

    trial: str
    score: float
    parameters: int
    unfreeze: int  # stages
    answers: np.ndarray  # float32 [N, C] on the validation part


@dataclass(frozen=True)
class Choice:
    """The trial that is taken, and how it was chosen."""

    taken: Candidate
    best: Candidate
    tied: tuple[Candidate, ...]  # those that do not differ from the best one at the 5 % level
    recommended: Candidate  # the smallest of the best one and the tied ones


def choose_trial(candidates: list[Candidate], labels: np.ndarray, *, objective: str, pick: str) -> Choice:
    """Choose one of `candidates`, which are sorted, the best first.

    `labels`: int32 [N], of the validation images. `pick`: "best", or "smallest" for the one that is recommended.
    """
    best, *others = candidates
    equal = [other for other in others if tied(best, other, labels, objective)]
    recommended = smallest([best, *equal])
    return Choice(best if pick == "best" else recommended, best, tuple(equal), recommended)


def tied(best: Candidate, other: Candidate, labels: np.ndarray, objective: str) -> bool:
    """Whether the two trials do not differ at the 5 % level. `labels`: int32 [N], of the validation images."""
    if objective == "val_accuracy":
        return compare_answers(best.answers.argmax(1) == labels, other.answers.argmax(1) == labels).p_value > 0.05
    gap = _gap(best.answers, other.answers, labels, objective)
    if np.allclose(gap, gap[0]):
        return bool(abs(gap[0]) < 1e-12)
    return bool(abs(gap.mean()) <= Z95 * gap.std(ddof=1) / sqrt(len(gap)))


def standard_error(one: np.ndarray, other: np.ndarray, labels: np.ndarray, objective: str) -> float:
    """The standard error of the difference of two trials' objectives, which are means over the same images.

    `one` and `other`: their probabilities, float32 [N, C]. In nats for "val_loss", a fraction for "val_accuracy".
    """
    gap = _gap(one, other, labels, objective)
    return float(gap.std(ddof=1) / sqrt(len(gap))) if len(gap) > 1 else 0.0


def _gap(one: np.ndarray, other: np.ndarray, labels: np.ndarray, objective: str) -> np.ndarray:
    """float64 [N]: for each image, the objective of `other` minus that of `one`."""
    if objective == "val_accuracy":
        return (other.argmax(1) == labels).astype(float) - (one.argmax(1) == labels)
    return log_losses(other, labels) - log_losses(one, labels)


def smallest(candidates: list[Candidate]) -> Candidate:
    """The candidate with the fewest parameters; of equal ones the one with the fewest unfrozen stages, then the first
    in the list, which is the best."""
    return min(candidates, key=lambda candidate: (candidate.parameters, candidate.unfreeze))
