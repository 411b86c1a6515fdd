"""The files that a trial writes into the run folder, and how other trials and later steps read them.

    search/trial_0003/history.csv             the learning curve
                      val_probabilities.npy   what its best epoch answered to the images that judge it
                      checkpoint.weights.h5   the weights of its best epoch; a promoted trial starts from its parent's
                      folds.npz               with folds: the weights of each fold's model, whose mean the checkpoint is
                      mean_probabilities.npy  with folds: what the checkpoint's model answers to the same images
                      result.json             seconds, parameters and the best epoch; written last
                      trial.json              KerasTuner's record: `tuning.trial_records`
    search/heads/64-0.1-0-5.npz               a trained head stage, shared by all trials that have this head

A trial that diverged has neither answers nor weights.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from toolkit.errors import UnfreezeError
from toolkit.models.spec import ModelSpec
from toolkit.run import Run
from toolkit.storage.files import atomic, read_json, write_json
from toolkit.training.folds import Turns
from toolkit.training.history import History, Row, read_history
from tuning.checkpoints import CHECKPOINT, write_weights

HISTORY, ANSWERS, RESULT = "history.csv", "val_probabilities.npy", "result.json"
FOLDS, MEAN_ANSWERS = "folds.npz", "mean_probabilities.npy"


@dataclass(frozen=True)
class TrialFolder:
    """The folder of one trial."""

    path: Path

    def write_model(self, turns: Turns, answers: np.ndarray, mean: np.ndarray | None) -> None:
        """Write the weights of the best epoch, which `turns` and their keras.Model have, and its `answers`, float32
        [N, C]. `mean`: with folds the answers of the keras.Model, which has the mean of the weights."""
        for name, array in ((ANSWERS, answers), (MEAN_ANSWERS, mean)):
            if array is not None:
                with atomic(self.path / name) as temporary, temporary.open("wb") as file:
                    np.save(file, array, allow_pickle=False)
        if mean is not None:
            self._write_folds(turns.get_weights())
        write_weights(self.path / CHECKPOINT, turns.model)

    def write_result(self, history: History, *, parameters: int, seconds: float, folds: list[float]) -> None:
        """Write the learning curve and the result of a trial that has ended. `parameters`: of the whole model. `folds`:
        the objective in each fold, if there are several."""
        history.write(self.path / HISTORY)
        result: dict[str, Any] = {"seconds": round(seconds, 2), "parameters": parameters, "best": history.stored_best}
        write_json(self.path / RESULT, result | ({"folds": folds} if folds else {}))

    def _write_folds(self, weights: list[list[np.ndarray]]) -> None:
        """Write the arrays in which the folds' models differ; the checkpoint has the others."""
        columns = list(zip(*weights, strict=True))
        differ = [n for n, column in enumerate(columns) if any(not np.array_equal(column[0], own) for own in column)]
        arrays: dict[str, Any] = {f"{k}.{n}": weights[k][n] for k in range(len(weights)) for n in differ}
        with atomic(self.path / FOLDS) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    def restore_folds(self, turns: Turns) -> None:
        """Give each fold's model the weights of its best epoch. The keras.Model has those of the checkpoint. Nothing is
        done if there are no folds."""
        if turns.count == 1:
            return
        with np.load(self.path / FOLDS, allow_pickle=False) as arrays:
            common = turns.model.get_weights()
            turns.set_weights(
                [[arrays.get(f"{k}.{n}", own) for n, own in enumerate(common)] for k in range(turns.count)]
            )

    def history(self) -> list[Row]:
        """The learning curve. Raises UnfreezeError if it is missing or damaged."""
        return read_history(self.path / HISTORY)

    def answers(self) -> np.ndarray:
        """float32 [N, C]: the answers to the validation images. Raises OSError or ValueError if they cannot be read."""
        answers: np.ndarray = np.load(self.path / ANSWERS, allow_pickle=False)
        return answers

    def checkpoint_answers(self) -> np.ndarray:
        """float32 [N, C]: the answers of the checkpoint's model to the same images. Without folds they are `answers`.
        Raises as `answers` does."""
        if not (self.path / MEAN_ANSWERS).exists():
            return self.answers()
        answers: np.ndarray = np.load(self.path / MEAN_ANSWERS, allow_pickle=False)
        return answers

    def result(self) -> dict[str, Any]:
        """The content of result.json; {} if it was not written."""
        return read_json(self.path / RESULT) if (self.path / RESULT).exists() else {}

    def is_whole(self) -> bool:
        """Whether all files of a trial that completed can be read."""
        try:
            self.history()
            self.answers()
            result = read_json(self.path / RESULT)
            if "folds" in result:
                self.checkpoint_answers()
                with zipfile.ZipFile(self.path / FOLDS) as archive:
                    if archive.testzip():
                        return False
            return "parameters" in result and h5py.is_hdf5(self.path / CHECKPOINT)
        except (UnfreezeError, OSError, ValueError, EOFError, zipfile.BadZipFile):
            return False


def trial_folder(run: Run, trial: str) -> TrialFolder:
    """`trial`: KerasTuner's id, such as "0003"."""
    return TrialFolder(run.path / "search" / f"trial_{trial}")


def head_file(search: Path, spec: ModelSpec, epochs: range, others: Mapping[str, Any]) -> Path:
    """The file of a head stage in the folder of a search. Its name has all digits of the dropout rate, because
    0.3333333 is another rate than 0.333333. `others`: further values of its point on which the stage depends."""
    dropout = np.format_float_positional(spec.dropout, trim="-")
    point = f"-{hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()[:12]}" if others else ""
    return search / "heads" / f"{spec.head_units}-{dropout}-{epochs.start}-{epochs.stop}{point}.npz"


def write_head(path: Path, weights: list[list[np.ndarray]], answers: np.ndarray, rows: list[Row]) -> None:
    """Write a head stage: the weights of its best epoch, of each fold's model, that epoch's answers (float32 [N, C]),
    and the learning curve."""
    arrays: dict[str, Any] = {f"weights{n}": array for n, array in enumerate(chain.from_iterable(weights))}
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, answers=answers, rows=np.array(json.dumps(rows)), **arrays)


def read_head(path: Path, folds: int = 1) -> tuple[list[list[np.ndarray]], np.ndarray, list[Row]] | None:
    """(weights, answers, rows) as `write_head` was given them, of so many folds; None if the file is missing or
    damaged."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = [kept[f"weights{n}"] for n in range(len(kept.files) - 2)]
            weights = [arrays[len(arrays) * k // folds : len(arrays) * (k + 1) // folds] for k in range(folds)]
            return weights, kept["answers"], json.loads(str(kept["rows"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
