"""Two models on the images of each class: what the second loses of the recall, with bounds.

Many classes are looked at at once, so that one of them looks bad by chance. Therefore every bound of one class is wrong
with a probability of at most 0.05 / C for C classes with images (Bonferroni): all of them together hold with 95 %
confidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.stats.accuracy_lost import CONFIDENCE, PairedAnswers, compare_answers


@dataclass(frozen=True)
class RecallLost:
    """What is lost on the images of one class."""

    label: int
    pair: PairedAnswers
    at_least: float  # lower bound on the recall lost, a fraction; 0 where no loss is shown
    at_most: float  # upper bound


def recalls_lost(labels: np.ndarray, before: np.ndarray, after: np.ndarray) -> list[RecallLost]:
    """Of each class that has images, in the order of the labels. `labels`, `before`, `after`: int [N], the true
    classes and the answers of both models."""
    present = np.unique(labels)
    chance = (1 - CONFIDENCE) / max(1, len(present))
    found = []
    for label in map(int, present):
        own = labels == label
        pair = compare_answers(before[own] == label, after[own] == label)
        found.append(RecallLost(label, pair, lost_at_least(pair, chance), pair.bound(chance)))
    return found


def lost_at_least(pair: PairedAnswers, chance: float) -> float:
    """A lower bound on the share that is lost, wrong with a probability of at most `chance` however few images there
    are; 0 where no loss is shown.

    Tango's score is no such bound: with one lost answer of 20 it would already show a loss of half a point. Here the
    lost answers are taken for a sum: those that the two models exchange by chance, of which as many are gained, and an
    excess. Half of `chance` goes into the exact McNemar test, which says how many lost answers are excess, the other
    half into the exact bound on a proportion (Clopper and Pearson, Biometrika 26, 1934) of these.
    """
    from scipy.special import bdtr, betaincinv

    lost, gained = pair.lost, pair.gained
    excess = np.arange(1, lost + 1)
    exchanged = lost - excess + 1  # the lost answers that are left if one less is excess
    shown = excess[bdtr(gained, exchanged + gained, 0.5) <= chance / 2]
    if not len(shown):
        return 0.0
    most = int(shown.max())
    return float(betaincinv(most, pair.images - most + 1, chance / 2))
