"""Two models on the same images: whether the second loses accuracy, how much at most, and how many images would tell.

That a difference is "not significant" does not show that two models are equal. So beside McNemar's test there is a
one-sided 95 % bound on the accuracy that is lost, and a verdict against a margin that was chosen before.

The exact McNemar test is written with scipy.special: loading scipy.stats takes twice as long as this whole module.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, sqrt

import numpy as np

CONFIDENCE = 0.95  # of the one-sided bounds
Z = 1.6448536269514722  # the 95th percentile of the standard normal distribution
POWER = 0.8  # probability with which the number of images that is named gives a verdict
Z_POWER = 0.8416212335729143  # its normal quantile
MAX_IMAGES_NAMED = 20_000  # a larger number of needed images is not named, because nobody collects so many
LARGEST_MARGIN = 0.02  # the most that a margin grows to where there are few images
EXACT = 200  # expected flips, up to which the power is computed exactly
HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"  # the verdicts, as JSON has them
EARLIER = {  # verdicts as earlier versions wrote them
    "does not hold": FAILS,
    "too few images to tell": UNDECIDED,
    "could not run": FAILS,
}


@dataclass(frozen=True)
class PairedAnswers:
    """How many images only one of two models answers correctly, and what follows for the accuracy."""

    images: int
    lost: int  # right by the first, wrong by the second
    gained: int  # wrong by the first, right by the second

    @property
    def loss(self) -> float:
        """Accuracy lost on these images, a fraction; negative if it was gained."""
        return (self.lost - self.gained) / self.images

    @property
    def p_value(self) -> float:
        """Two-sided p-value of the exact McNemar test (Psychometrika 12, 1947)."""
        from scipy.special import bdtr

        return min(1.0, 2 * float(bdtr(min(self.lost, self.gained), self.lost + self.gained, 0.5)))

    @property
    def lost_at_most(self) -> float:
        """One-sided 95 % upper bound on the accuracy that is lost on images like these, a fraction.

        Tango's score bound for paired proportions (Statistics in Medicine 17, 1998), but at least 1 - 0.05 ** (1 / N),
        the bound if no answer flips at all (the exact form of the rule of three). The latter is the larger one if no
        answer flips, or if so much is gained that the score bound falls below it.
        """
        return self.bound()

    def bound(self, chance: float = 1 - CONFIDENCE) -> float:
        """The bound of `lost_at_most`, but wrong with a probability of at most `chance`, in (0, 0.05]."""
        z = Z if chance == 1 - CONFIDENCE else normal_quantile(chance)
        return max(_score_bound(self.lost, self.gained, self.images, z), _bound_without_flips(self.images, chance))

    @property
    def lost_at_least(self) -> float:
        """One-sided 95 % lower bound on the accuracy lost, a fraction."""
        return -_score_bound(self.gained, self.lost, self.images)

    def verdict(self, margin: float) -> str:
        """HOLDS if at most `margin`, a fraction, is lost with 95 % confidence, FAILS if more is, else UNDECIDED."""
        if self.lost_at_most <= margin:
            return HOLDS
        return FAILS if self.lost_at_least > margin else UNDECIDED

    def images_needed(self, margin: float) -> int | None:
        """How many images give a verdict, HOLDS or FAILS, with a probability of 80 %, if answers flip at these rates.

        None if that takes more than `MAX_IMAGES_NAMED` images. If these images already gave a verdict, the number is at
        most `images`.

        Where few flips are expected, the probability is the exact one, summed over all counts of flips; where more than
        `EXACT` are, the sample size follows from the normal approximation (J. Nam, Biometrics 53, 1997).
        """
        lost, gained = self.lost / self.images, self.gained / self.images
        needed = _images_for_power(lost, gained, margin)
        if self.verdict(margin) != UNDECIDED:
            return min(needed or self.images, self.images)
        return needed if needed and needed <= MAX_IMAGES_NAMED else None


def margin_of(images: int, least: float) -> float:
    """The margin, a fraction, for so many images where none was chosen: `least` if the images can show it; otherwise
    what they show if no answer is lost, rounded up to a tenth of a point, and at most `LARGEST_MARGIN`. It depends on
    nothing but the number of images, which is known before a file is run, so a verdict keeps its 95 % confidence."""
    shown = ceil(1000 * _bound_without_flips(images) - 1e-9) / 1000
    return max(least, min(LARGEST_MARGIN, shown))


def images_that_show(margin: float) -> int:
    """The number of images that show a margin, a fraction, if no answer is lost: 598 for half a point."""
    return ceil(log(1 - CONFIDENCE) / log(1 - margin)) if margin < 1 else 1


def compare_answers(first: np.ndarray, second: np.ndarray) -> PairedAnswers:
    """The comparison of two models. `first` and `second`: bool [N], which images each model answers correctly. Raises
    ValueError if there is no image."""
    if not len(first):
        raise ValueError("no image was compared")
    return PairedAnswers(len(first), int((first & ~second).sum()), int((second & ~first).sum()))


def normal_quantile(chance: float) -> float:
    """What a standard normal variable exceeds with this probability."""
    from scipy.special import ndtri

    return -float(ndtri(chance))


def _bound_without_flips(images: int, chance: float = 1 - CONFIDENCE) -> float:
    return 1 - chance ** (1 / images)


def _score_bound(lost: int, gained: int, images: int, z: float = Z) -> float:
    """The difference of the two proportions at which the score statistic falls to -z."""
    from scipy.optimize import brentq

    found = (lost - gained) / images
    if found >= 1:
        return 1.0
    return float(brentq(lambda delta: _score(lost, gained, images, delta) + z, found + 1e-12, 1 - 1e-12))


def _score(lost: np.ndarray | float, gained: np.ndarray | float, images: float, delta: float) -> np.ndarray | float:
    """Tango's statistic: `lost - gained` minus what a true difference `delta` makes expect, in standard deviations
    under the most likely rates with that difference. Counts may be arrays, or rates if `images` is 1."""
    rate = _most_likely_gain(lost, gained, images, delta)
    return (lost - gained - images * delta) / np.sqrt(images * (2 * rate + delta * (1 - delta)))


def _most_likely_gain(
    lost: np.ndarray | float, gained: np.ndarray | float, images: float, delta: float
) -> np.ndarray | float:
    """The rate of gained answers that maximises the likelihood, if `delta` more than that are lost."""
    a = 2 * images
    b = (2 * images - lost + gained) * delta - lost - gained
    c = -gained * delta * (1 - delta)
    return (np.sqrt(np.maximum(0.0, b * b - 4 * a * c)) - b) / (2 * a)


def _images_for_power(lost: float, gained: float, margin: float) -> int | None:
    """The number of images that gives a verdict with probability `POWER`. None if the rates lose just the margin."""
    holds = lost - gained < margin
    # That more than the margin is lost is the same question with the two models exchanged.
    one, other, delta = (lost, gained, margin) if holds else (gained, lost, -margin)
    gap = delta - (one - other)
    if gap < 1e-12:
        return None
    under_margin = sqrt(2 * _most_likely_gain(one, other, 1, delta) + delta * (1 - delta))
    under_truth = sqrt(max(0.0, one + other - (one - other) ** 2))
    enough = ((Z * under_margin + Z_POWER * under_truth) / gap) ** 2
    least = images_that_show(margin) if holds else 1  # for the bound without flips
    images = ceil(max(enough, least))
    if images * (lost + gained) > EXACT:
        return images
    images = ceil(max(0.7 * enough, least))
    while _power(lost, gained, images, margin) < POWER:
        images += max(1, images // 100)
    return images


def _power(lost: float, gained: float, images: int, margin: float) -> float:
    """The probability of a verdict on so many images, if these are the true rates: the multinomial probabilities of all
    counts of lost and gained answers, within 8 standard deviations, that give one."""
    from scipy.special import gammaln, xlog1py, xlogy

    b, c = np.meshgrid(*(_counts(images, rate) for rate in (lost, gained)), indexing="ij")
    same = images - b - c
    with np.errstate(invalid="ignore", divide="ignore"):
        told = _score(c, b, images, -margin) < -Z
        if _bound_without_flips(images) <= margin:
            told |= _score(b, c, images, margin) <= -Z
    possible = same >= 0
    same = np.maximum(same, 0)
    logs = gammaln(images + 1) - gammaln(b + 1) - gammaln(c + 1) - gammaln(same + 1)
    logs += xlogy(b, lost) + xlogy(c, gained) + xlog1py(same, -(lost + gained))
    return float(np.exp(logs)[told & possible].sum())


def _counts(images: int, rate: float) -> np.ndarray:
    """float64: the counts within about 8 standard deviations of the expected one; all others are practically
    impossible."""
    middle, around = images * rate, 8 * sqrt(images * rate) + 8
    return np.arange(max(0, int(middle - around)), min(images, ceil(middle + around)) + 1, dtype=np.float64)
