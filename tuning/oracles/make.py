"""KerasTuner's four oracles, hardened, and successive halving: which point of the space a search tries next.

What they share is `tuning.oracles.base`, halving is in `tuning.oracles.halving`; running the trials is `tuning.tuner`,
judging them `tuning.trial_records`.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from itertools import islice
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus

from toolkit.errors import UnfreezeError
from tuning import keras_tuner_private
from tuning.oracles.base import DIRECTIONS, HardenedOracle
from tuning.oracles.halving import HalvingOracle
from tuning.oracles.points import Point, continuous, coordinates, draw, points
from tuning.trial_records import FINISHED, completed, failures, trial_seed
from tuning.tuner import Tuner

__all__ = [
    "BayesianOracle",
    "GridOracle",
    "HalvingOracle",
    "HyperbandOracle",
    "RandomOracle",
    "Tuner",
    "completed",
    "failures",
    "make_oracle",
    "trial_seed",
]

CANDIDATES = 4096  # points at which the Bayesian oracle evaluates its bound
Bracket = dict[str, Any]  # KerasTuner's: "bracket_num" and "rounds", lists of {"past_id", "id"}


def make_oracle(
    kind: str,
    *,
    objective: str,
    space: keras_tuner.HyperParameters,
    max_trials: int,
    max_epochs: int,
    head_epochs: int = 0,
    error: Callable[[Trial, Trial], float] = lambda one, other: 0.0,
    seed: int,
) -> keras_tuner.Oracle:
    """The oracle `kind`: "random" | "bayesian" | "hyperband" | "grid" | "halving".

    `objective` is "val_loss" or "val_accuracy". Random, Bayesian and grid stop after `max_trials`, failed ones
    included, or when no point is left. Hyperband runs the schedule that follows from `max_epochs`, whatever
    `max_trials` is. Halving tries `max_trials` points, in more trials than that: going on is a trial of its own;
    `max_epochs` holds the `head_epochs` with which it begins, `error` is the standard error of the difference of two
    trials' objectives. Raises UnfreezeError for an unknown name, and for a
    space too small for Hyperband.
    """
    if kind not in ORACLES:
        raise UnfreezeError(f"--oracle {kind}: there is no such oracle; give one of {', '.join(ORACLES)}")
    if objective not in DIRECTIONS:
        raise UnfreezeError(f"--objective {objective}: not known; give one of {', '.join(DIRECTIONS)}")
    extents: dict[str, dict[str, Any]] = {
        "hyperband": {"max_epochs": max_epochs},
        "halving": {
            "max_trials": max_trials,
            "head_epochs": head_epochs,
            "max_epochs": max_epochs,
            "error": error,
        },
    }
    extent = extents.get(kind, {"max_trials": max_trials})
    return ORACLES[kind](objective=objective, space=space, seed=seed, **extent)


class RandomOracle(HardenedOracle, keras_tuner.oracles.RandomSearchOracle):
    """A point drawn at random among those not tried yet, until none is left."""


class GridOracle(HardenedOracle, keras_tuner.oracles.GridSearchOracle):
    """Every point once, in the order of `points`; KerasTuner's loses its place when cut (issue 1055)."""

    def propose(self, trial_id: str) -> Point | None:
        return next((point for point in points(self.hyperparameters) if not self._duplicate(point)), None)


class BayesianOracle(HardenedOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """The untried point with the best confidence bound of a Gaussian process; random ones to start with.

    The bound is evaluated at every untried point, or at `CANDIDATES` random ones of a larger space.
    KerasTuner follows its gradient from 50 starts instead, takes seconds, and ends at points already tried
    (issue 608). A trial that failed, diverged or still runs counts as the worst score measured: KerasTuner
    leaves a failed one out and comes back to it, and takes an infinite loss for 0.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        # KerasTuner fits its one length scale from 20 starts, which takes longer and finds no more
        self.gpr.set_params(random_state=self.seed, n_restarts_optimizer=5)

    def propose(self, trial_id: str) -> Point | None:
        measured = completed(self)
        if len(measured) < self._initial():
            return self._random_values()
        candidates = self._candidates(trial_id)
        if not candidates:
            return None
        with warnings.catch_warnings():  # scikit-learn's, on a length scale at its bound
            warnings.simplefilter("ignore")
            self.gpr.fit(*self._observations(measured))
            mean, deviation = self.gpr.predict(self._cube(candidates), return_std=True)
        return candidates[int(np.argmin(mean - self.beta * deviation))]

    def _initial(self) -> int:
        """Random trials to start with: KerasTuner's three for each dimension, but no more than half of the search."""
        three_each = 3 * len(self.hyperparameters.space)
        return three_each if self.limit is None else max(3, min(three_each, self.limit // 2))

    def _candidates(self, trial_id: str) -> list[Point]:
        found = list(islice(points(self.hyperparameters), CANDIDATES + 1))
        if continuous(self.hyperparameters) or len(found) > CANDIDATES:
            rng = random.Random(trial_seed(self.seed, trial_id))
            found = [draw(self.hyperparameters, rng) for _ in range(CANDIDATES)]
        return [point for point in found if not self._duplicate(point)]

    def _observations(self, measured: list[Trial]) -> tuple[np.ndarray, np.ndarray]:
        """The tried points [N, D] and their scores [N], turned so that less is better."""
        sign = 1.0 if self.objective.direction == "min" else -1.0
        scores = {trial.trial_id: sign * trial.score for trial in measured}
        worst = max(scores.values())
        tried = {name: t.hyperparameters.values for name, t in self.trials.items() if t.hyperparameters.values}
        return self._cube(list(tried.values())), np.array([scores.get(name, worst) for name in tried])

    def _cube(self, chosen: list[Point]) -> np.ndarray:
        return np.array([coordinates(self.hyperparameters, point) for point in chosen])


class HyperbandOracle(HardenedOracle, keras_tuner.oracles.HyperbandOracle):
    """Brackets of successive halving; a trial that failed or diverged is the first to fall out.

    KerasTuner's ends after its first round where the space runs out of points (issue 676), and one failed
    trial keeps its whole bracket from the last round.
    """

    def __init__(self, *, space: keras_tuner.HyperParameters, **more: Any) -> None:
        super().__init__(space=space, **more)
        keras_tuner_private.check(self, keras_tuner_private.HYPERBAND)
        need = self._get_size(self._current_bracket, 0)
        count = need if continuous(space) else sum(1 for _ in islice(points(space), need))
        if count < need:
            raise UnfreezeError(
                f"hyperband over {self.max_epochs} epochs starts with {need} different points, "
                f"but the space has {count}: use --oracle random or widen the space"
            )

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        while True:
            for bracket in self._brackets:
                if response := self._start(bracket, trial_id) or self._promote(bracket, trial_id):
                    return response
            if self._current_bracket == 0 and self._current_iteration + 1 == self.hyperband_iterations:
                return {"status": TrialStatus.IDLE if self.ongoing_trials else TrialStatus.STOPPED}
            self._increment_bracket_num()
            self._start_new_bracket()

    def _start(self, bracket: Bracket, trial_id: str) -> dict[str, Any] | None:
        """A new point for the bracket's first round, where it has room and the space has a point."""
        if len(bracket["rounds"][0]) >= self._get_size(bracket["bracket_num"], 0):
            return None
        response: dict[str, Any] = self._random_trial(trial_id, bracket)
        return response if response["status"] == TrialStatus.RUNNING else None

    def _promote(self, bracket: Bracket, trial_id: str) -> dict[str, Any] | None:
        """The best trial of a finished round, to go on in the next one."""
        for number, following in enumerate(bracket["rounds"][1:], start=1):
            ended = {entry["id"] for entry in bracket["rounds"][number - 1]}
            if any(self.trials[name].status not in FINISHED for name in ended):
                return None
            left = ended - {entry["past_id"] for entry in following}
            best = [trial for trial in completed(self) if trial.trial_id in left]
            if best and len(following) < self._get_size(bracket["bracket_num"], number):
                following.append({"past_id": best[0].trial_id, "id": trial_id})
                return {"status": TrialStatus.RUNNING, "values": self._next_round(best[0], number)}
        return None

    def _next_round(self, parent: Trial, number: int) -> Point:
        values: Point = parent.hyperparameters.values
        return values | {
            "tuner/trial_id": parent.trial_id,
            "tuner/epochs": self._get_epochs(values["tuner/bracket"], number),
            "tuner/initial_epoch": self._get_epochs(values["tuner/bracket"], number - 1),
            "tuner/round": number,
        }

    def _derive(self) -> None:
        super()._derive()
        placed = {name: t.hyperparameters.values for name, t in self.trials.items()}
        placed = {name: values for name, values in placed.items() if "tuner/bracket" in values}
        reached = min((values["tuner/bracket"] for values in placed.values()), default=self._current_bracket)
        while self._current_bracket > reached:
            self._increment_bracket_num()
            self._start_new_bracket()
        rounds = {bracket["bracket_num"]: bracket["rounds"] for bracket in self._brackets}
        for name, values in placed.items():
            entry = {"past_id": values.get("tuner/trial_id"), "id": name}
            rounds[values["tuner/bracket"]][values["tuner/round"]].append(entry)


ORACLES: dict[str, type[HardenedOracle]] = {
    "bayesian": BayesianOracle,
    "random": RandomOracle,
    "hyperband": HyperbandOracle,
    "grid": GridOracle,
    "halving": HalvingOracle,
}
