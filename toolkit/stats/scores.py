"""The measures by which epochs and trials are compared, of probabilities against labels: a table.

Some are means over the images, weighted or not; then two models are compared image by image. F1 and AUC are not, and
the spread of their difference is that of bootstrap samples of the images (Efron and Tibshirani, 1993).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from toolkit.stats.metrics import confusion_matrix, log_losses, ratio

SAMPLES = 200  # of the bootstrap; fewer, at least LEAST, where there are more than VALUES / SAMPLES probabilities
LEAST, VALUES = 20, 20_000_000
Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (probabilities float32 [N, C], labels int32 [N]) -> [N]


@dataclass(frozen=True)
class Score:
    """One measure. Exactly one of `each` and `whole` is given."""

    words: str
    rises: bool = True  # the larger, the better
    nats: bool = False  # else a fraction
    balanced: bool | None = False  # classes count alike, however many images they have; None: as in training
    each: Measure | None = None  # its values, whose weighted mean it is
    whole: Callable[[np.ndarray, np.ndarray], float] | None = None

    def of(self, answers: np.ndarray, labels: np.ndarray, balanced: bool = False) -> float:
        """The score of the answers, float32 [N, C], NaN if one of them is not finite. `balanced`: whether classes count
        alike in training."""
        if not np.isfinite(answers).all():
            return math.nan
        if self.whole is not None:
            return self.whole(answers, labels)
        return float(self._weighted(answers, labels, balanced).mean())

    def standard_error(self, one: np.ndarray, other: np.ndarray, labels: np.ndarray, balanced: bool = False) -> float:
        """That of the difference between two models' scores on the same images."""
        if len(labels) < 2:
            return 0.0
        if self.whole is not None:
            count = min(SAMPLES, max(LEAST, VALUES // one.size))
            drawn = (np.random.default_rng(n).integers(0, len(labels), len(labels)) for n in range(count))
            gaps = [self.whole(other[rows], labels[rows]) - self.whole(one[rows], labels[rows]) for rows in drawn]
            return float(np.std(gaps, ddof=1))
        return float(self._gaps(one, other, labels, balanced).std(ddof=1) / math.sqrt(len(labels)))

    def _gaps(self, one: np.ndarray, other: np.ndarray, labels: np.ndarray, balanced: bool = False) -> np.ndarray:
        """float64 [N]: for each image what it adds to the difference of the two scores, times N."""
        return self._weighted(other, labels, balanced) - self._weighted(one, labels, balanced)

    def _weighted(self, answers: np.ndarray, labels: np.ndarray, balanced: bool) -> np.ndarray:
        assert self.each is not None
        alike = balanced if self.balanced is None else self.balanced
        return self.each(answers, labels) * (class_weights(labels, answers.shape[1])[labels] if alike else 1.0)


def axis_label(objective: str) -> str:
    """The name of a score, with its unit if it has one."""
    score = SCORES[objective]
    return f"validation {score.words}{' (nats)' if score.nats else ''}"


def shown(objective: str, value: float, digits: int = 2) -> str:
    """A value of a score as text: a fraction in percent."""
    return f"{value:.4f} nats" if SCORES[objective].nats else f"{value:.{digits}%}"


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """float64 [C]: N / (classes that have images x images of the class), as scikit-learn's "balanced", so that the
    images of each class have the same sum. `labels`: int32 [N]."""
    counts = np.bincount(labels, minlength=classes)
    return len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))


def _right(answers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (answers.argmax(axis=1) == labels).astype(np.float64)


def _macro_f1(answers: np.ndarray, labels: np.ndarray) -> float:
    """The mean F1 of the classes that have images or answers."""
    confusion = confusion_matrix(labels, answers.argmax(axis=1), answers.shape[1])
    there = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float(ratio(2.0 * np.diag(confusion), there)[there > 0].mean())


def _macro_auc(answers: np.ndarray, labels: np.ndarray) -> float:
    """The mean over the classes of the area under the ROC curve of each against the others: the probability that an
    image of the class gets a higher value than one of another (Mann and Whitney, 1947). 0.5 if there is one class."""
    areas = [_area(column, labels == number) for number, column in enumerate(answers.T)]
    found = [area for area in areas if area is not None]
    return float(np.mean(found)) if found else 0.5


def _area(values: np.ndarray, own: np.ndarray) -> float | None:
    """The area under one ROC curve; None if one side has no image."""
    positives = int(own.sum())
    negatives = len(own) - positives
    if not positives or not negatives:
        return None
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]  # equal values share the mean of their ranks
    return float((ranks[own].sum() - positives * (positives + 1) / 2) / (positives * negatives))


SCORES = {
    "val_loss": Score("loss", rises=False, nats=True, balanced=None, each=log_losses),
    "val_accuracy": Score("accuracy", each=_right),
    "val_balanced_accuracy": Score("balanced accuracy", balanced=True, each=_right),
    "val_f1": Score("macro F1", whole=_macro_f1),
    "val_auc": Score("AUC", whole=_macro_auc),
}
