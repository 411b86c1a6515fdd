"""What the oracles of `tuning.oracles.make` share: KerasTuner's Oracle, subclassed so that a search can be resumed.

The records of the trials are the whole state. Everything else (which points were tried, which trials run again,
Hyperband's brackets) is derived from them on reload, so that a crash cannot leave two files that contradict each other.
A proposal depends only on the seed, the trial's number and the trials before it, so that an interrupted search goes on
as if it had not been interrupted. The private names of KerasTuner that are used are in `tuning.keras_tuner_private`.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial as OracleTrial
from keras_tuner.engine.trial import TrialStatus

from toolkit.stats.scores import SCORES
from toolkit.storage.files import write_json, write_text
from tuning import keras_tuner_private
from tuning.search_space import Values, all_points, base_of, bases, draw
from tuning.trial_records import DEATHS, FINISHED, completed, read_oracle_trials, read_record, starts, trial_seed

DIRECTIONS = {name: "max" if score.rises else "min" for name, score in SCORES.items()}
WORST_LOSS = -math.log(1e-7)  # nats: the largest crossentropy of one image, as Keras clips probabilities at 1e-7
DRAWS = 100  # after so many random points that were tried already, the untried points are listed


class ResumableOracle(keras_tuner.Oracle):
    """Stops after `max_trials` trials, or when every point was tried; a subclass proposes the next point in `propose`.

    A failed trial is not retried and does not end the search. A trial whose objective is not finite is COMPLETED, with
    a message, and with the worst finite value in place of the objective, because the Gaussian process needs a number.
    """

    def __init__(
        self,
        *,
        objective: str,
        space: keras_tuner.HyperParameters,
        seed: int,
        max_trials: int | None = None,
        **more: Any,
    ) -> None:
        super().__init__(
            objective=keras_tuner.Objective(objective, DIRECTIONS[objective]),
            hyperparameters=space.copy(),
            allow_new_entries=False,
            max_consecutive_failed_trials=math.inf,  # after three KerasTuner ends the search, and saves only two
            **more,
        )
        keras_tuner_private.check(self, keras_tuner_private.ORACLE)
        self.seed = seed  # KerasTuner replaces a seed of 0 by a random one
        self.limit = max_trials
        self.max_trials = None  # trial ids have as many digits as this number; None: always four
        self._display.verbose = 0

    @property
    def verbose(self) -> int:
        """Always 0, so that KerasTuner prints nothing. The argument `verbose` of `search` only goes to the model's
        `fit`."""
        return 0

    @verbose.setter
    def verbose(self, value: object) -> None:
        pass

    def remaining_trials(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - len(self.trials))

    def get_best_trials(self, num_trials: int = 1) -> list[OracleTrial]:
        return completed(self)[:num_trials]

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        point = None if self.remaining_trials() == 0 else self.propose(trial_id)
        return {"status": TrialStatus.STOPPED if point is None else TrialStatus.RUNNING, "values": point}

    def propose(self, trial_id: str) -> Values | None:
        """The point of the trial `trial_id`; None if every point was tried."""
        return self._random_values()

    def _random_values(self) -> Values | None:
        """A random point that was not tried yet, of one of the bases that were tried least; None if there is none."""
        rng = random.Random(trial_seed(self.seed, str(len(self.trials))))
        least = self._least_tried()
        for _ in range(DRAWS):
            base = rng.choice(least) if len(least) > 1 else least[0]
            if not self._duplicate(point := draw(self.hyperparameters, rng, base)):
                return point
        left = [point for point in all_points(self.hyperparameters) if not self._duplicate(point)]
        left = [point for point in left if base_of(point) in least] or left
        return rng.choice(left) if left else None

    def _least_tried(self) -> list[Values]:
        """The bases of which the fewest points were tried: so each has its turn, however few trials there are."""
        points = {self._compute_values_hash(v): v for t in self.trials.values() if (v := t.hyperparameters.values)}
        tried = [base_of(values) for values in points.values()]
        every = bases(self.hyperparameters)
        fewest = min(tried.count(base) for base in every)
        return [base for base in every if tried.count(base) == fewest]

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> OracleTrial:
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        name = self.objective.name
        if name in metrics and name not in finite:
            finite[name] = self._worst()
            self.trials[trial_id].message = f"the training diverged: {name} was {metrics[name]}"
        return super().update_trial(trial_id, finite, step)

    def _worst(self) -> float:
        if self.objective.direction == "max":
            return 0.0
        return max([WORST_LOSS, *(trial.score for trial in completed(self))])

    def save(self) -> None:
        """Write oracle.json, with all trials. KerasTuner calls this twice a trial, so the JSON has no indentation: then
        Python encodes it in C, in a fifth of the time."""
        write_text(Path(self._get_oracle_fname()), json.dumps(self.get_state(), ensure_ascii=False, allow_nan=False))

    def _save_trial(self, trial: OracleTrial) -> None:
        write_json(self._file(trial), trial.get_state())

    def _file(self, trial: OracleTrial) -> Path:
        return Path(self._get_trial_dir(trial.trial_id)) / "trial.json"

    def get_state(self) -> dict[str, Any]:
        """KerasTuner's state and every trial's record. Finished trials that KerasTuner still counts as ongoing are left
        out."""
        ongoing = {name: t.trial_id for name, t in self.ongoing_trials.items() if t.status not in FINISHED}
        trials = {name: trial.get_state() for name, trial in self.trials.items()}
        return super().get_state() | {"ongoing_trials": ongoing, "trials": trials}

    def reload(self) -> None:
        """Read the trials from disk. Trials that have ended stay as they are; the others will run again."""
        self.trials = read_oracle_trials(Path(self._project_dir))
        self._fill_holes()
        self._restart()
        self._derive()
        for trial in self.trials.values():
            if read_record(self._file(trial)) != trial.get_state():
                self._save_trial(trial)

    def _fill_holes(self) -> None:
        """Put a failed trial in the place of each one whose record was lost. Otherwise two trials would get the same
        id, because the id of a new trial is the number of trials."""
        known = {int(name): trial for name, trial in self.trials.items()}
        for number in set(range(max(known, default=0))) - set(known):
            nowhere = self.hyperparameters.copy()
            nowhere.values = {}
            known[number] = OracleTrial(nowhere, f"{number:04d}", TrialStatus.FAILED, "its record was lost")
        self.trials = {known[number].trial_id: known[number] for number in sorted(known)}

    def _restart(self) -> None:
        for trial in self.trials.values():
            deaths = starts(self._file(trial).parent)
            if trial.status not in FINISHED and deaths >= DEATHS:
                trial.status = TrialStatus.FAILED
                trial.message = f"its process was killed {deaths} times while it ran; did memory run out?"
        cut = [trial for trial in self.trials.values() if trial.status not in FINISHED]
        for trial in cut:
            trial.status = TrialStatus.RUNNING
            trial.message = None
            trial.metrics = type(trial.metrics)()  # KerasTuner discards the result of a trial that has metrics already
        self.ongoing_trials: dict[str, OracleTrial] = {}
        self._retry_queue = [trial.trial_id for trial in reversed(cut)]  # KerasTuner takes the last one first

    def _derive(self) -> None:
        self.start_order = list(self.trials)
        self.end_order = [name for name, trial in self.trials.items() if trial.status in FINISHED]
        self._run_times.update(dict.fromkeys(self.end_order, 1))
        for name, trial in self.trials.items():
            if values := trial.hyperparameters.values:
                self._id_to_hash[name] = self._compute_values_hash(values)
                self._tried_so_far.add(self._id_to_hash[name])
