"""The oracle of a name, and the two that need no file of their own: random search and grid search.

What the oracles share is `tuning.oracles.base`; running the trials is left to `tuning.tuner`.
"""

from __future__ import annotations

from typing import Any

import keras_tuner

from toolkit.errors import UnfreezeError
from tuning.oracles.base import DIRECTIONS, ResumableOracle
from tuning.oracles.bayesian import BayesianOracle
from tuning.oracles.halving import HalvingOracle
from tuning.oracles.hyperband import HyperbandOracle
from tuning.search_space import Values, all_points, base_of


def make_oracle(
    kind: str,
    *,
    objective: str,
    space: keras_tuner.HyperParameters,
    max_trials: int,
    max_epochs: int,
    head_epochs: int = 0,
    seed: int,
    **halving: Any,
) -> keras_tuner.Oracle:
    """The oracle `kind`: "random", "bayesian", "hyperband", "grid" or "halving".

    `objective`: a name of SCORES. Random, Bayesian and grid search stop after `max_trials` trials, failed
    ones included, or when every point was tried. Hyperband runs the schedule that follows from `max_epochs`, whatever
    `max_trials` is. Halving tries `max_trials` points in more trials than that, because a trial that goes on with
    another one's weights is a trial of its own. Its `max_epochs` include the `head_epochs` of the first rung.
    `halving`: its `error(one, other)`, the standard error of the difference of two trials' objectives in the
    objective's unit, and its `cost(trial)`, what a trial's file costs on a device, None where that is not known.
    Raises UnfreezeError for an unknown name, and for a space that is too small for Hyperband.
    """
    if kind not in ORACLES:
        raise UnfreezeError(f"--oracle {kind}: there is no such oracle; give one of {', '.join(ORACLES)}")
    if objective not in DIRECTIONS:
        raise UnfreezeError(f"--objective {objective}: not known; give one of {', '.join(DIRECTIONS)}")
    common = {"objective": objective, "space": space, "seed": seed}
    if kind == "hyperband":
        return HyperbandOracle(max_epochs=max_epochs, **common)
    if kind == "halving":
        rungs: dict[str, Any] = {"head_epochs": head_epochs, "max_epochs": max_epochs}
        return HalvingOracle(max_trials=max_trials, **rungs, **halving, **common)
    return ORACLES[kind](max_trials=max_trials, **common)


class RandomOracle(ResumableOracle, keras_tuner.oracles.RandomSearchOracle):
    """A point drawn at random among those not tried yet, until every point was tried."""


class GridOracle(ResumableOracle, keras_tuner.oracles.GridSearchOracle):
    """Every point once, in the order of `all_points`, the bases in turn. KerasTuner's own loses its place when it is
    interrupted (issue 1055)."""

    def propose(self, trial_id: str) -> Values | None:
        least, left = self._least_tried(), (p for p in all_points(self.hyperparameters) if not self._duplicate(p))
        first = next(left, None)
        if first is None or base_of(first) in least:
            return first
        return next((point for point in left if base_of(point) in least), first)


ORACLES: dict[str, type[ResumableOracle]] = {
    "bayesian": BayesianOracle,
    "random": RandomOracle,
    "hyperband": HyperbandOracle,
    "grid": GridOracle,
    "halving": HalvingOracle,
}
