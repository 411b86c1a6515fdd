"""KerasTuner's Tuner, subclassed so that it may be killed at any moment, repeats exactly, and prints nothing.

The oracle (`tuning.oracles`) chooses the points; the HyperModel (`tuning.trial_model`) builds and trains a trial's
model. `tuning.keras_tuner_private` lists the private names of KerasTuner that are used here.
"""

from __future__ import annotations

import contextlib
import io
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine.trial import Trial as OracleTrial
from keras_tuner.engine.trial import TrialStatus

from toolkit.errors import UnfreezeError, disk_is_full
from toolkit.run import Run
from toolkit.storage.files import write_json
from tuning import keras_tuner_private, memory
from tuning.checkpoints import check_room
from tuning.time_limit import TimeLimit
from tuning.trial_curves import TrialCurves
from tuning.trial_model import TrialModel
from tuning.trial_records import count_starts, trial_seed


class ResumableTuner(keras_tuner.Tuner):
    """Runs trials until the oracle stops. On the folder of an interrupted search, it continues that search.

    `HyperModel.build(hp)` is first called in the first trial, because the oracle's space is declared beforehand. Under
    Hyperband and halving `HyperModel.fit` also gets `epochs` and `initial_epoch`, and a promoted trial's model starts
    with the weights of its parent's best epoch.

    A trial that raises is FAILED, with its message, and the search goes on; `tuning.trial_records.failures` lists them.
    An exception that is not the fault of the point (Ctrl-C, a full disk) ends the search, and the next call runs that
    trial again.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hypermodel: keras_tuner.HyperModel | None,
        *,
        directory: str | Path,
        project_name: str,
    ) -> None:
        self.limit = TimeLimit()
        self._kept = memory.custom_gradients()
        with contextlib.redirect_stdout(io.StringIO()):  # "Reloading Tuner from ..."
            super().__init__(oracle, hypermodel, directory=str(directory), project_name=project_name)
        keras_tuner_private.check(self, keras_tuner_private.TUNER)

    def on_search_begin(self) -> None:
        self.save()  # so that a search that is killed in its first trial can be resumed too
        super().on_search_begin()

    def on_trial_begin(self, trial: OracleTrial) -> None:
        self.limit.begin(self.oracle, trial)
        super().on_trial_begin(trial)
        keras.utils.set_random_seed(trial_seed(self.oracle.seed, trial.trial_id))

    def on_trial_end(self, trial: OracleTrial) -> None:
        super().on_trial_end(trial)
        memory.free_graphs(keep=self._kept)
        self.limit.ended(trial)

    def run_trial(self, trial: OracleTrial, *fit_args: Any, **fit_kwargs: Any) -> Any:
        values = trial.hyperparameters.values
        if "tuner/epochs" in values:
            fit_kwargs.update(epochs=values["tuner/epochs"], initial_epoch=values["tuner/initial_epoch"])
        return super().run_trial(trial, *fit_args, **fit_kwargs)

    def _build_and_fit_model(self, trial: OracleTrial, *fit_args: Any, **fit_kwargs: Any) -> Any:
        fit_kwargs["callbacks"] = [_checked(callback) for callback in fit_kwargs["callbacks"]]
        return super()._build_and_fit_model(trial, *fit_args, **fit_kwargs)

    def load_model(self, trial: OracleTrial) -> keras.Model:
        with _without_optimizer():
            return super().load_model(trial)

    def save(self) -> None:
        self.oracle.save()
        write_json(Path(self._get_tuner_fname()), self.get_state())

    def reload(self) -> None:
        self.oracle.reload()

    def _populate_initial_space(self) -> None:
        self.reload()

    def _build_hypermodel(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = super()._build_hypermodel(hp)
        if parent := hp.values.get("tuner/trial_id"):
            with _without_optimizer():
                model.load_weights(self._get_checkpoint_fname(parent))
        return model

    def _configure_tensorboard_dir(self, callbacks: list[Any], trial: OracleTrial, execution: int = 0) -> None:
        if any(type(callback).__name__ == "TensorBoard" for callback in callbacks):
            super()._configure_tensorboard_dir(callbacks, trial, execution)

    def _try_run_and_update_trial(self, trial: OracleTrial, *fit_args: Any, **fit_kwargs: Any) -> None:
        try:
            with count_starts(Path(self.get_trial_dir(trial.trial_id))):
                self._run_and_update_trial(trial, *fit_args, **fit_kwargs)
            trial.status = TrialStatus.COMPLETED
        except (keras_tuner.errors.FatalError, UnfreezeError, OSError):  # every other point would fail too
            raise
        except Exception as error:
            if disk_is_full(error):  # TensorFlow raises the same class for a full disk and for a lack of memory
                raise
            trial.status = TrialStatus.FAILED
            trial.message = f"{type(error).__name__}: {' '.join(str(error).split())}\n{traceback.format_exc()}"


class RunTuner(ResumableTuner):
    """The tuner of a run. It tells the TrialModel in which folder a trial belongs, writes the trial's curve for
    TensorBoard, and calls `on_trial` when a trial has ended."""

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hypermodel: TrialModel,
        *,
        run: Run,
        curves: TrialCurves,
        on_trial: Callable[[keras_tuner.Oracle], None],
        limit: TimeLimit | None = None,
    ) -> None:
        super().__init__(oracle, hypermodel, directory=run.path, project_name="search")
        self.curves, self.on_trial, self.limit = curves, on_trial, limit or TimeLimit()

    def load_model(self, trial: OracleTrial) -> keras.Model:
        """The whole model, from image to probabilities."""
        return self.hypermodel.whole(trial.hyperparameters, super().load_model(trial))

    def on_trial_begin(self, trial: OracleTrial) -> None:
        self.hypermodel.base(trial.hyperparameters.values)  # before the clock of the trial starts
        super().on_trial_begin(trial)
        self.hypermodel.folder = Path(self.get_trial_dir(trial.trial_id))
        self.curves.begin(self.oracle, trial)

    def on_trial_end(self, trial: OracleTrial) -> None:
        self.curves.end()
        super().on_trial_end(trial)
        self.on_trial(self.oracle)


def _checked(callback: Any) -> Any:
    """The callback; if it is the one that saves the best epoch, it first checks that the disk has room."""
    if type(callback).__name__ == "SaveBestEpoch":
        write = callback._save_model

        def write_if_there_is_room() -> None:
            check_room(Path(callback.filepath).parent, callback.model)
            write()

        callback._save_model = write_if_there_is_room
    return callback


@contextlib.contextmanager
def _without_optimizer() -> Iterator[None]:
    """Silence Keras' warning that a new model has no variables for the optimizer's state in a checkpoint."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer", UserWarning)
        yield
