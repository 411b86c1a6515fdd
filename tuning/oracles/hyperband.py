"""Hyperband: several brackets of successive halving, from many short trials to few long ones."""

from __future__ import annotations

from itertools import islice
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial as OracleTrial
from keras_tuner.engine.trial import TrialStatus

from toolkit.errors import UnfreezeError
from tuning import keras_tuner_private
from tuning.oracles.base import ResumableOracle
from tuning.search_space import Values, all_points
from tuning.trial_records import FINISHED, completed

Bracket = dict[str, Any]  # KerasTuner's: "bracket_num" and "rounds", lists of {"past_id", "id"}


class HyperbandOracle(ResumableOracle, keras_tuner.oracles.HyperbandOracle):
    """Brackets of successive halving (Li et al., 2018); trials that failed or diverged are dropped first.

    KerasTuner's own ends after its first round if the space runs out of points (issue 676). If one trial fails, no
    trial of its bracket reaches the last round.
    """

    def __init__(self, *, space: keras_tuner.HyperParameters, **more: Any) -> None:
        super().__init__(space=space, **more)
        keras_tuner_private.check(self, keras_tuner_private.HYPERBAND)
        need = self._get_size(self._current_bracket, 0)
        count = sum(1 for _ in islice(all_points(space), need))
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
        """A trial of a new point for the bracket's first round; None if the round is full or every point tried."""
        if len(bracket["rounds"][0]) >= self._get_size(bracket["bracket_num"], 0):
            return None
        response: dict[str, Any] = self._random_trial(trial_id, bracket)
        return response if response["status"] == TrialStatus.RUNNING else None

    def _promote(self, bracket: Bracket, trial_id: str) -> dict[str, Any] | None:
        """A trial that goes on with the best trial of a finished round; None if there is none yet."""
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

    def _next_round(self, parent: OracleTrial, number: int) -> Values:
        values: Values = parent.hyperparameters.values
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
