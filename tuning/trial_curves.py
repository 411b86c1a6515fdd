"""The trials of a search as TensorBoard shows them, each in its own folder of RUN/tensorboard.

The event files themselves are `toolkit.training.event_files`.
"""

from __future__ import annotations

from pathlib import Path

import keras_tuner
from keras_tuner.engine.trial import Trial as OracleTrial

from toolkit.models.spec import POINT
from toolkit.own.space import values_of
from toolkit.run import Run
from toolkit.storage.files import remove
from toolkit.training.event_files import FOLDER, CurveWriter, has_events, write_curve, write_space
from toolkit.training.history import Row
from tuning.results import ancestors
from tuning.search_space import Values, own_names, varied
from tuning.trial_files import trial_folder
from tuning.trial_records import completed


class TrialCurves:
    """Writes the curve of the trial that runs."""

    def __init__(self, run: Run) -> None:
        self.run, self.folder = run, run.path / FOLDER
        self.curve: CurveWriter | None = None

    def open(self, oracle: keras_tuner.Oracle) -> None:
        """Write the search space, and the curves of completed trials that have none, because the curves were deleted or
        an older version ran the trials. Curves of trials that are not in the search are removed."""
        values = values_of(oracle.hyperparameters)
        write_space(self.folder, self.run.settings, {name: values[name] for name in own_names(values)})
        self._sweep(oracle)
        for trial in completed(oracle):
            if not has_events(self._place(trial.trial_id)):
                rows, before = self._rows(trial.trial_id), self._before(oracle, trial)
                write_curve(
                    self._place(trial.trial_id), self.run.settings.objective, rows, point=_point(trial), before=before
                )

    def begin(self, oracle: keras_tuner.Oracle, trial: OracleTrial) -> None:
        """Begin a new curve, because a trial starts, or starts again."""
        before = self._before(oracle, trial)
        place = self._place(trial.trial_id)
        self.curve = CurveWriter(place, self.run.settings.objective, point=_point(trial), before=before)

    def epoch(self, row: Row) -> None:
        if self.curve is not None:
            self.curve.add(row)

    def end(self) -> None:
        """End the curve. This comes before the trial is recorded as ended: recorded trials have whole curves."""
        if self.curve is not None:
            self.curve.end(good=self.curve.best is not None)
            self.curve = None

    def _sweep(self, oracle: keras_tuner.Oracle) -> None:
        if not (self.run.path / "model.keras").exists():
            remove(self.folder / "model")
        for place in self.folder.glob("trial_*"):
            if place.name.removeprefix("trial_") not in oracle.trials:
                remove(place)

    def _place(self, name: str) -> Path:
        return self.folder / f"trial_{name}"

    def _rows(self, name: str) -> list[Row]:
        return trial_folder(self.run, name).history()

    def _before(self, oracle: keras_tuner.Oracle, trial: OracleTrial) -> list[Row]:
        """The learning curves of the trials that this one goes on from, the earliest first."""
        parents = {name: one.hyperparameters.values.get("tuner/trial_id") or "" for name, one in oracle.trials.items()}
        parents[trial.trial_id] = trial.hyperparameters.values.get("tuner/trial_id") or ""
        chain = ancestors(trial.trial_id, parents, self.run.path / "search")
        return [row for name in chain for row in self._rows(name)]


def _point(trial: OracleTrial) -> Values:
    values = trial.hyperparameters.values
    return varied(values) | {name: values[name] for name in POINT}
