"""Two models on the same images: was accuracy lost, and how much could it be at most.

"Not significantly different" is not "equal": beside McNemar's test stands a one-sided 95 % bound on the accuracy
lost, and a verdict against a margin that was stated before.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.special import bdtr

CONFIDENCE = 0.95  # one-sided
Z = 1.6448536269514722  # the 95th percentile of the standard normal distribution
MOST = 10_000_000  # images beyond which no number is named
HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"  # the verdicts, as JSON has them
EARLIER = {  # as an earlier version wrote them
    "does not hold": FAILS,
    "too few images to tell": UNDECIDED,
    "could not run": FAILS,
}


@dataclass(frozen=True)
class Paired:
    """How many images only one of the two answers rightly, and what follows for the accuracy."""

    images: int
    lost: float  # right by the first, wrong by the second; a whole number, but where more images are imagined
    gained: float  # the other way round

    @property
    def loss(self) -> float:
        """Accuracy lost on these images, a fraction; negative where it was gained."""
        return (self.lost - self.gained) / self.images

    @property
    def p_value(self) -> float:
        """Two-sided, of the exact McNemar test (Psychometrika 12, 1947)."""
        few, total = round(min(self.lost, self.gained)), round(self.lost + self.gained)
        return min(1.0, 2 * float(bdtr(few, total, 0.5)))

    @property
    def most(self) -> float:
        """One-sided 95 % upper bound on the accuracy that is lost on images like these, a fraction.

        Tango's score bound for paired proportions (Statistics in Medicine 17, 1998), and never less than what no flip
        at all would leave possible, 1 - 0.05 ** (1 / N): the exact form of the rule of three. That is what speaks where
        nothing flips, and where so much is gained that the score bound alone would fall below it.
        """
        return max(_score_bound(self.lost, self.gained, self.images), 1 - (1 - CONFIDENCE) ** (1 / self.images))

    @property
    def least(self) -> float:
        """One-sided 95 % lower bound on it."""
        return -_score_bound(self.gained, self.lost, self.images)

    def verdict(self, margin: float) -> str:
        """Whether no more than `margin`, a fraction, is lost: HOLDS where that is shown with 95 % confidence, FAILS
        where more is shown to be lost, else UNDECIDED."""
        if self.most <= margin:
            return HOLDS
        return FAILS if self.least > margin else UNDECIDED

    def images_needed(self, margin: float) -> int | None:
        """How many images would tell if answers flipped at the same rates; None where `MOST` would not."""
        if not self._scaled(MOST)._tells(margin):
            return None
        few, enough = 0, MOST
        while enough - few > 1:
            middle = (few + enough) // 2
            few, enough = (few, middle) if self._scaled(middle)._tells(margin) else (middle, enough)
        return enough

    def _scaled(self, images: int) -> Paired:
        return Paired(images, self.lost * images / self.images, self.gained * images / self.images)

    def _tells(self, margin: float) -> bool:
        return self.verdict(margin) != UNDECIDED


def paired(first: np.ndarray, second: np.ndarray) -> Paired:
    """Of two bool [N] that say which images each answers rightly. ValueError where there is none."""
    if not len(first):
        raise ValueError("no image was compared")
    return Paired(len(first), int((first & ~second).sum()), int((second & ~first).sum()))


def _score_bound(lost: float, gained: float, images: int) -> float:
    """The difference of the two proportions at which the score statistic falls to -Z."""
    found = (lost - gained) / images
    if found >= 1:
        return 1.0
    return float(brentq(lambda delta: _score(lost, gained, images, delta) + Z, found + 1e-12, 1 - 1e-12))


def _score(lost: float, gained: float, images: int, delta: float) -> float:
    """Tango's statistic: how far `lost - gained` lies from what a true difference `delta` makes expect, in deviations
    under the most likely rates with that difference."""
    a = 2 * images
    b = (2 * images - lost + gained) * delta - lost - gained
    c = -gained * delta * (1 - delta)
    rate = (sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)  # of those gained
    return (lost - gained - images * delta) / sqrt(images * (2 * rate + delta * (1 - delta)))
