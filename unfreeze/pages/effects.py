"""Which of the settings that a search varies matter, as far as a search of few trials can tell.

The measure is the correlation ratio (eta squared): the share of the variance between trials that lies between the
values of one setting, the main effect of a functional ANOVA on the trials that there are. Few trials make it large by
chance, so it is compared with its 95th percentile over shuffled trials (a permutation test; R. A. Fisher, The Design of
Experiments, 1935). Only a larger share is called an effect.

Only trials with the same number of epochs are compared, each configuration once: in a search that trains the better
half longer, longer training would otherwise count as an effect of a setting. Depth is compared only among trials that
fine-tuned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.models.spec import POINT
from tuning.results import Trial, ancestors
from unfreeze.wording import VARIED_WORDS

SETTINGS = dict(
    zip(POINT, ("head size", "dropout", "unfreeze depth"), strict=True)
)  # name of the field -> its name in a sentence
TUNING = ("unfreeze", "tune_rate")  # settings that change nothing in a trial that trains a head alone
LEAST = 6  # with fewer trials nothing is computed
SHUFFLES = 2000


@dataclass(frozen=True)
class Effect:
    """How much one setting explains. `share` is None if there are too few trials to compute it."""

    setting: str  # a name of SETTINGS
    label: str
    trials: int  # that were compared
    share: float | None = None  # of the variance between them
    chance: float | None = None  # 95th percentile of that share for shuffled trials

    @property
    def shown(self) -> bool:
        """Whether the share is larger than chance makes it in 95 of 100 cases."""
        return self.share is not None and self.chance is not None and self.share > self.chance


def effects(trials: Sequence[Trial], objective: str, head_epochs: int, ends: Mapping[str, int]) -> tuple[Effect, ...]:
    """The effect of each setting on `objective`, a name of SCORES, over the completed trials.

    `ends`: by trial, the epoch at which the oracle ended it, as far as that is known.
    """
    return tuple(
        _effect(name, label, _comparable(trials, objective, head_epochs, ends, tuned=name in TUNING), objective)
        for name, label in labels(trials).items()
    )


def labels(trials: Sequence[Trial]) -> dict[str, str]:
    """The settings that the trials vary, and their names in a sentence."""
    varied = dict.fromkeys(name for trial in trials for name in trial.varied)
    return {name: VARIED_WORDS.get(name, name) for name in varied} | SETTINGS


def _comparable(
    trials: Sequence[Trial], objective: str, head_epochs: int, ends: Mapping[str, int], *, tuned: bool
) -> list[Trial]:
    """The largest group of trials that trained for the same number of epochs. `tuned`: only those that fine-tuned."""
    groups: dict[tuple[int | None, int], list[Trial]] = defaultdict(list)
    parents = {trial.trial: trial.parent for trial in trials}
    for trial in trials:
        rung = len(ancestors(trial.trial, parents, Path("trials.csv")))
        end = ends.get(trial.trial)
        # If the oracle's own record is gone: a trial that continues another one has fine-tuned.
        only_head = end <= head_epochs if end is not None else rung == 0 and any(parents.values())
        if trial.value(objective) is not None and trial.point and not (tuned and only_head):
            groups[end, rung].append(trial)
    return max(groups.values(), key=len, default=[])


def _effect(name: str, label: str, trials: list[Trial], objective: str) -> Effect:
    levels = np.array([trial.values.get(name, "") for trial in trials])
    values = np.array([trial.value(objective) for trial in trials], np.float64)
    distinct = len(np.unique(levels))
    if len(trials) < LEAST or not 1 < distinct < len(trials) or not np.ptp(values):
        return Effect(name, label, len(trials))
    rng = np.random.default_rng(0)
    shuffled = [correlation_ratio(levels, rng.permutation(values)) for _ in range(SHUFFLES)]
    return Effect(name, label, len(trials), correlation_ratio(levels, values), float(np.percentile(shuffled, 95)))


def correlation_ratio(levels: np.ndarray, values: np.ndarray) -> float:
    """Eta squared: of the variance of `values`, float64 [N], the share between the groups of equal `levels`, [N]."""
    _, group = np.unique(levels, return_inverse=True)
    counts = np.bincount(group)
    means = np.bincount(group, weights=values) / counts
    return float((counts * (means - values.mean()) ** 2).sum() / ((values - values.mean()) ** 2).sum())
