"""Bayesian optimisation: a Gaussian process over the trials so far says which point is tried next."""

from __future__ import annotations

import random
import warnings
from itertools import islice
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial as OracleTrial

from tuning.oracles.base import ResumableOracle
from tuning.search_space import Values, all_points, coordinates, draw
from tuning.trial_records import completed, trial_seed

CANDIDATES = 4096  # points at which the confidence bound is evaluated


class BayesianOracle(ResumableOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Starts with random points, then proposes the untried point with the best confidence bound of a Gaussian process.

    The bound is evaluated at every untried point, or at `CANDIDATES` random ones of a larger space. KerasTuner follows
    the gradient of the bound from 50 starts instead, which takes seconds and ends at points already tried (issue 608).
    A trial that failed, diverged or still runs counts with the worst score measured so far: KerasTuner's own leaves a
    failed trial out and proposes its point again, and counts an infinite loss as 0.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        # KerasTuner fits the one length scale from 20 starts, which takes longer and finds no better one
        self.gpr.set_params(random_state=self.seed, n_restarts_optimizer=5)

    def propose(self, trial_id: str) -> Values | None:
        measured = completed(self)
        if len(measured) < self._initial():
            return self._random_values()
        candidates = self._candidates(trial_id)
        if not candidates:
            return None
        with warnings.catch_warnings():  # scikit-learn warns of a length scale at its bound
            warnings.simplefilter("ignore")
            self.gpr.fit(*self._observations(measured))
            mean, deviation = self.gpr.predict(self._cube(candidates), return_std=True)
        return candidates[int(np.argmin(mean - self.beta * deviation))]

    def _initial(self) -> int:
        """How many random trials come first: three for each dimension, as in KerasTuner, but at most half of the
        search, and at least three."""
        three_each = 3 * len(self.hyperparameters.space)
        return three_each if self.limit is None else max(3, min(three_each, self.limit // 2))

    def _candidates(self, trial_id: str) -> list[Values]:
        found = list(islice(all_points(self.hyperparameters), CANDIDATES + 1))
        if len(found) > CANDIDATES:
            rng = random.Random(trial_seed(self.seed, trial_id))
            found = [draw(self.hyperparameters, rng) for _ in range(CANDIDATES)]
        return [point for point in found if not self._duplicate(point)]

    def _observations(self, measured: list[OracleTrial]) -> tuple[np.ndarray, np.ndarray]:
        """The tried points, float [N, D], and their scores, float [N], with the sign at which smaller is better."""
        sign = 1.0 if self.objective.direction == "min" else -1.0
        scores = {trial.trial_id: sign * trial.score for trial in measured}
        worst = max(scores.values())
        tried = {name: t.hyperparameters.values for name, t in self.trials.items() if t.hyperparameters.values}
        return self._cube(list(tried.values())), np.array([scores.get(name, worst) for name in tried])

    def _cube(self, chosen: list[Values]) -> np.ndarray:
        return np.array([coordinates(self.hyperparameters, point) for point in chosen])
