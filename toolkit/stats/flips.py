"""How often two models disagree, and whether a model is any better than chance."""

from __future__ import annotations

import numpy as np

from toolkit.stats.accuracy_lost import CONFIDENCE

LEAST_IMAGES = 20  # below it no model is said to be no better than chance: a good one could look like it
PERMUTATIONS = 1999  # of the test against chance
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
    """Whether no more answers are right than if they had nothing to do with the images, by a one-sided permutation
    test: among answers that were dealt out to the images at random, at least `LEAST_CHANCE` have as many right. It
    keeps how often each class is there and is answered, so that a model that finds two of four rare cases is not taken
    for one that always gives the other class.

    `labels`, `answers`: int [N]. False where nothing can be told: fewer than `LEAST_IMAGES` images, or one class alone.
    """
    if len(labels) < LEAST_IMAGES or len(np.unique(labels)) < 2:
        return False
    right = int((labels == answers).sum())
    rng = np.random.default_rng(0)
    dealt = np.array([int((labels == rng.permutation(answers)).sum()) for _ in range(PERMUTATIONS)])
    return (int((dealt >= right).sum()) + 1) / (PERMUTATIONS + 1) > LEAST_CHANCE
