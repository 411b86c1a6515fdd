"""How often two models disagree, and whether a model is any better than chance."""

from __future__ import annotations

import numpy as np

from toolkit.stats.accuracy_lost import CONFIDENCE

LEAST_IMAGES = 20  # below it no model is said to be no better than chance: a good one could look like it
LEAST_CHANCE = 0.05  # p-value from which on right answers are no more than chance gives


def flips_at_most(flips: int, images: int) -> float:
    """One-sided 95 % upper bound on the share of images that two models answer differently (Clopper and Pearson,
    Biometrika 26, 1934)."""
    from scipy.special import betaincinv

    return 1.0 if flips >= images else float(betaincinv(flips + 1, images - flips, CONFIDENCE))


def flips_at_least(flips: int, images: int) -> float:
    """One-sided 95 % lower bound on the same share."""
    return 1 - flips_at_most(images - flips, images)


def at_chance(labels: np.ndarray, answers: np.ndarray) -> bool:
    """Whether no more answers are right than if they had nothing to do with the images: then the share of right ones
    is the sum over the classes of (share of labels) x (share of answers), as in Cohen's kappa (Educational and
    Psychological Measurement 20, 1960), and a one-sided binomial test does not reject it.

    `labels`, `answers`: int [N]. False for fewer than `LEAST_IMAGES` images, on which no model can be told from chance.
    """
    from scipy.special import bdtrc

    images = len(labels)
    if images < LEAST_IMAGES:
        return False
    classes = int(max(labels.max(), answers.max())) + 1
    shares = [np.bincount(one, minlength=classes) / images for one in (labels, answers)]
    expected = float(np.dot(*shares))
    right = int((labels == answers).sum())
    if expected >= 1:
        return False  # there is one class only, and it is the answer
    return right == 0 or float(bdtrc(right - 1, images, expected)) > LEAST_CHANCE
