"""The files that a trial writes into the run folder, and how other trials and later steps read them.

    search/trial_0003/history.csv             the learning curve
                      val_probabilities.npy   what its best epoch answered to the validation images
                      checkpoint.weights.h5   the weights of its best epoch; a promoted trial starts from its parent's
                      result.json             seconds, parameters and the best epoch; written last
                      trial.json              KerasTuner's record: `tuning.trial_records`
    search/heads/64-0.1-0-5.npz               a trained head stage, shared by all trials that have this head

A trial that diverged has neither answers nor weights.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from toolkit.errors import UnfreezeError
from toolkit.models.spec import ModelSpec
from toolkit.run import Run
from toolkit.storage.files import atomic, read_json, write_json
from toolkit.training.history import History, Row, read_history
from tuning.checkpoints import CHECKPOINT, write_weights

HISTORY, ANSWERS, RESULT = "history.csv", "val_probabilities.npy", "result.json"


@dataclass(frozen=True)
class TrialFolder:
    """The folder of one trial."""

    path: Path

    def write(
        self, history: History, answers: np.ndarray | None, model: keras.Model, *, parameters: int, seconds: float
    ) -> None:
        """Write the result of a trial that has ended. `model` has the weights of the best epoch, whose `answers`,
        float32 [N, C], are None if the training diverged at once. `parameters`: of the whole model."""
        history.write(self.path / HISTORY)
        if answers is not None:
            with atomic(self.path / ANSWERS) as temporary, temporary.open("wb") as file:
                np.save(file, answers, allow_pickle=False)
            write_weights(self.path / CHECKPOINT, model)
        result: dict[str, Any] = {"seconds": round(seconds, 2), "parameters": parameters, "best": history.best}
        write_json(self.path / RESULT, result)

    def history(self) -> list[Row]:
        """The learning curve. Raises UnfreezeError if it is missing or damaged."""
        return read_history(self.path / HISTORY)

    def answers(self) -> np.ndarray:
        """float32 [N, C]: the answers to the validation images. Raises OSError or ValueError if they cannot be read."""
        answers: np.ndarray = np.load(self.path / ANSWERS, allow_pickle=False)
        return answers

    def result(self) -> dict[str, Any]:
        """The content of result.json; {} if it was not written."""
        return read_json(self.path / RESULT) if (self.path / RESULT).exists() else {}

    def is_whole(self) -> bool:
        """Whether all files of a trial that completed can be read."""
        try:
            self.history()
            self.answers()
            return "parameters" in read_json(self.path / RESULT) and h5py.is_hdf5(self.path / CHECKPOINT)
        except (UnfreezeError, OSError, ValueError, EOFError):
            return False


def trial_folder(run: Run, trial: str) -> TrialFolder:
    """`trial`: KerasTuner's id, such as "0003"."""
    return TrialFolder(run.path / "search" / f"trial_{trial}")


def head_file(search: Path, spec: ModelSpec, epochs: range) -> Path:
    """The file of a head stage in the folder of a search. Its name has all digits of the dropout rate, because
    0.3333333 is another rate than 0.333333."""
    dropout = np.format_float_positional(spec.dropout, trim="-")
    return search / "heads" / f"{spec.head_units}-{dropout}-{epochs.start}-{epochs.stop}.npz"


def write_head(path: Path, weights: list[np.ndarray], answers: np.ndarray, rows: list[Row]) -> None:
    """Write a head stage: the weights of its best epoch, that epoch's answers (float32 [N, C]), and the learning
    curve."""
    arrays: dict[str, Any] = {f"weights{n}": array for n, array in enumerate(weights)}
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, answers=answers, rows=np.array(json.dumps(rows)), **arrays)


def read_head(path: Path) -> tuple[list[np.ndarray], np.ndarray, list[Row]] | None:
    """(weights, answers, rows) as `write_head` was given them; None if the file is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            weights = [kept[f"weights{n}"] for n in range(len(kept.files) - 2)]
            return weights, kept["answers"], json.loads(str(kept["rows"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
