"""Probabilities and labels -> `Evaluation`, in numpy, without a model.

Wilson's interval is six lines here: `scipy.stats`, which has it too, takes 0.7 s of processor time to load.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt

import numpy as np

from toolkit.stats.rejection import Coverage, coverage_table

Z95 = 1.959963984540054  # the 97.5th percentile of the standard normal distribution
BINS = 15  # of the calibration error


@dataclass(frozen=True)
class Evaluation:
    """How good a model's answers are on one part of the data."""

    images: int
    accuracy: float
    accuracy_interval: tuple[float, float]  # 95 %, Wilson
    log_loss: float  # nats
    calibration_error: float  # expected calibration error, 15 equal bins of the top probability
    confusion: np.ndarray  # int64 [C, C], rows are the true classes
    class_names: tuple[str, ...]
    precision: np.ndarray  # float64 [C]; 0 where nothing was answered so
    recall: np.ndarray  # float64 [C]; 0 where the class has no image
    recall_interval: np.ndarray  # float64 [C, 2]: 95 %, Wilson; 0 to 1 where the class has no image
    f1: np.ndarray  # float64 [C]
    coverage: tuple[Coverage, ...] = ()  # what thresholds on the top probability do; earlier versions did not store it
    trained_on: int | None = None  # how many of the images the model was trained or chosen on; None: the run's own test

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have images (Brodersen et al., 2010)."""
        return float(self.recall[self.confusion.sum(axis=1) > 0].mean())

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that have images or answers."""
        return float(self.f1[self.confusion.sum(axis=0) + self.confusion.sum(axis=1) > 0].mean())

    @property
    def majority(self) -> tuple[str, float]:
        """The class with the most of these images, and its share of them: the accuracy of answering nothing else."""
        images = self.confusion.sum(axis=1)
        return self.class_names[int(images.argmax())], float(images.max() / self.images)

    @property
    def beats_majority(self) -> bool:
        """Whether the model is shown to be right more often than the answer of the majority, at the one-sided 5 % level
        of the exact McNemar test on the same images."""
        from scipy.special import bdtrc

        common = int(self.confusion.sum(axis=1).argmax())
        gained = int(np.trace(self.confusion) - self.confusion[common, common])
        lost = int(self.confusion[common].sum() - self.confusion[common, common])
        return gained > 0 and float(bdtrc(gained - 1, gained + lost, 0.5)) <= 0.05

    def to_json(self) -> dict[str, object]:
        """The content of metrics.json, with a record for each class."""
        images = self.confusion.sum(axis=1)
        columns = zip(self.class_names, self.precision, self.recall, self.recall_interval, self.f1, images, strict=True)
        values = asdict(self) | {
            "accuracy_interval": list(self.accuracy_interval),
            "confusion": self.confusion.tolist(),
            "coverage": [row.to_json() for row in self.coverage],
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "majority": {"class": self.majority[0], "accuracy": self.majority[1], "beaten": self.beats_majority},
            "classes": {
                name: {
                    "precision": float(p),
                    "recall": float(r),
                    "recall_interval": [float(low), float(high)],
                    "f1": float(f),
                    "images": int(n),
                }
                for name, p, r, (low, high), f, n in columns
            },
        }
        left_out = {"class_names", "precision", "recall", "recall_interval", "f1"}
        left_out |= {"trained_on"} if self.trained_on is None else set()
        return {name: values[name] for name in values if name not in left_out}


def evaluate(probabilities: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...]) -> Evaluation:
    """float [N, C] and int [N] -> Evaluation. Raises ValueError if there is no image or the shapes disagree."""
    if probabilities.shape != (len(labels), len(class_names)) or not len(labels):
        raise ValueError(f"{probabilities.shape} probabilities for {len(labels)} labels of {len(class_names)} classes")
    answers = probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, answers, len(class_names))
    right = int(np.trace(confusion))
    hits = np.diag(confusion)
    precision = ratio(hits, confusion.sum(axis=0))
    recall = ratio(hits, confusion.sum(axis=1))
    return Evaluation(
        images=len(labels),
        accuracy=right / len(labels),
        accuracy_interval=wilson(right, len(labels)),
        log_loss=float(log_losses(probabilities, labels).mean()),
        calibration_error=calibration_error(probabilities, labels),
        confusion=confusion,
        class_names=class_names,
        precision=precision,
        recall=recall,
        recall_interval=recall_intervals(confusion),
        f1=ratio(2 * precision * recall, precision + recall),
        coverage=coverage_table(probabilities, labels),
    )


def confusion_matrix(labels: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """int64 [C, C]: row the true class, column the answer."""
    return np.bincount(labels.astype(np.int64) * classes + answers, minlength=classes**2).reshape(classes, classes)


def recall_intervals(confusion: np.ndarray) -> np.ndarray:
    """float64 [C, 2]: the Wilson interval of each class's recall, 0 to 1 for a class without images."""
    rows = zip(np.diag(confusion).tolist(), confusion.sum(axis=1).tolist(), strict=True)
    return np.array([wilson(hits, images) if images else (0.0, 1.0) for hits, images in rows], np.float64)


def log_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float64 [N], nats: the negative log of the true class' probability, which is clipped to float32's epsilon."""
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.clip(true, np.finfo(np.float32).eps, 1.0))


def wilson(right: int, total: int) -> tuple[float, float]:
    """The 95 % confidence interval of a proportion (E. B. Wilson, JASA 22, 1927), which stays valid near 0 and 1."""
    share, z2 = right / total, Z95**2 / total
    middle = (share + z2 / 2) / (1 + z2)
    half = Z95 * sqrt(share * (1 - share) / total + z2 / (4 * total)) / (1 + z2)
    low = middle - half if right else 0.0  # as in the formula, without its rounding error
    high = middle + half if right < total else 1.0
    return low, high


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error of the top answer (Guo et al., 2017): mean |accuracy - confidence| over 15 equal bins,
    weighted by the images in each."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


def worst_mistakes(probabilities: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """int64 [<= count]: the rows that were answered wrongly, the most confident answers first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:count]


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """float64 [C]: the quotients, 0 where the divisor is."""
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
