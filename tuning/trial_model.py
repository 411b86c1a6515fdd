"""What one trial builds and trains: KerasTuner's HyperModel, on shared prefix activations or on whole images.

The rest (oracle, checkpoint of the best epoch, resume) stays with KerasTuner; see `tuning.oracles.make`. A trial is a
function of the seed and its point, not of its number: equal heads have equal head stages, which are trained once.
"""

from __future__ import annotations

import json
import math
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from toolkit.models.applications import deepest
from toolkit.models.build import assemble, build_model, fresh_suffix
from toolkit.models.spec import ModelSpec
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.storage.files import atomic, write_json
from toolkit.training.batches import Part, Source
from toolkit.training.course import Course
from toolkit.training.history import COLUMNS, Row, is_finite
from toolkit.training.train import train_whole
from tuning.activations.cache import Activations, compute
from tuning.checkpoints import CHECKPOINT, write_weights
from tuning.space import spec_of

ANSWERS = "val_probabilities.npy"
Callbacks = Sequence[keras.callbacks.Callback]


@dataclass(frozen=True)
class Data:
    """What every trial trains and is judged on."""

    train: Part
    val: Part
    classes: int


class TrialModel(keras_tuner.HyperModel):
    """Builds and fits the model of one point of the search space; of its suffix alone, if there is a frozen prefix."""

    def __init__(
        self, run: Run, data: Data, on_epoch: Callable[[Row], None] = lambda row: None, progress: Progress = silent
    ) -> None:
        super().__init__(name="unfreeze")
        self.run, self.settings, self.data, self.on_epoch, self.progress = run, run.settings, data, on_epoch, progress
        self.folder = Path()  # of the trial that runs; the tuner sets it
        keras.utils.set_random_seed(self.settings.seed)
        self.spec = self.settings.spec(data.classes, 0, 0.0, 0)
        self.backbone = build_model(self.spec, self.settings.weights)  # all trials start from its weights
        self.backbone_parameters = self.backbone.count_params() - head_parameters(self.backbone)
        self.activations: Activations | None = None

    def _shared(self) -> Activations:
        """What the trials share, computed when the first of them asks."""
        if self.activations is None:
            depths = {0, *self.settings.unfreeze} - {deepest(self.settings.backbone)}
            parts = {"train": self.data.train, "val": self.data.val}
            self.activations = compute(self.run, self.backbone, self.spec, parts, depths, self.progress)
        return self.activations

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        spec = spec_of(self.settings, self.data.classes, hp)
        if self._is_cut(spec):
            return fresh_suffix(self.backbone, spec, self.settings.seed)
        head = fresh_suffix(self.backbone, replace(spec, unfreeze=0), self.settings.seed)
        return assemble(self.backbone, spec, head)

    def whole(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> keras.Model:
        """What `build` gave, as a model from image to probabilities."""
        spec = spec_of(self.settings, self.data.classes, hp)
        return assemble(self.backbone, spec, model) if self._is_cut(spec) else model

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *,
        callbacks: Callbacks,
        epochs: int | None = None,
        initial_epoch: int = 0,
        verbose: int = 0,
    ) -> keras.callbacks.History:
        spec, last = spec_of(self.settings, self.data.classes, hp), epochs or self.settings.epochs
        if self._is_cut(spec):
            self._shared()  # before the clock of this trial starts
        started = time.perf_counter()
        course, span = Course(model, self.settings, callbacks, self.on_epoch), range(initial_epoch, last)
        if self._is_cut(spec):
            self._train_suffix(course, spec, span)
        else:
            train_whole(course, spec, self.data.train, self.data.val, span)
        course.end()
        self._record(course, time.perf_counter() - started)
        return as_keras_history(course)

    def _is_cut(self, spec: ModelSpec) -> bool:
        """Whether the trial trains a suffix; at the deepest depth there is nothing that could be shared."""
        return self.settings.cache and spec.unfreeze < deepest(spec.backbone)

    def _train_suffix(self, course: Course, spec: ModelSpec, epochs: range) -> None:
        model, shared = course.owner, self._shared()
        train, val = (shared.source(part, 0) for part in ("train", "val"))
        head = model if spec.unfreeze == 0 else keras.Model(model.get_layer("pool").output, model.output)
        self._head_stage(course, head, spec, train, val, epochs)
        train, val = (shared.source(part, spec.unfreeze) for part in ("train", "val"))
        course.run("tune", model, train, val, epochs)

    def _head_stage(
        self, course: Course, head: keras.Model, spec: ModelSpec, train: Source, val: Source, epochs: range
    ) -> None:
        """Trained by the first trial that has this head, and taken up by the others."""
        part = range(epochs.start, min(epochs.stop, self.settings.head_epochs))
        if not part:
            return
        path = self.folder.parent / "heads" / head_name(spec, part)
        kept = read_head(path) if part.start == 0 else None
        if kept is None:
            course.run("head", head, train, val, part)
            if part.start == 0 and course.best.answers is not None:
                write_head(path, head.get_weights(), course.best.answers, course.history.rows)
        else:
            weights, answers, rows = kept
            head.set_weights(weights)
            course.replay(rows, answers)

    def _record(self, course: Course, seconds: float) -> None:
        """What KerasTuner does not keep: the learning curve, the time, the answers on the validation part."""
        course.history.write(self.folder / "history.csv")
        if course.best.answers is not None:
            write_answers(self.folder / ANSWERS, course.best.answers)
            write_weights(self.folder / CHECKPOINT, course.owner)
        parameters = self.backbone_parameters + head_parameters(course.owner)
        facts: dict[str, Any] = {"seconds": round(seconds, 2), "parameters": parameters, "best": course.history.best}
        write_json(self.folder / "result.json", facts)


def head_name(spec: ModelSpec, epochs: range) -> str:
    """The name of the file of a head stage. All digits of the dropout rate count: 0.1 is "0.1", and 0.3333333 is not
    0.333333."""
    dropout = np.format_float_positional(spec.dropout, trim="-")
    return f"{spec.head_units}-{dropout}-{epochs.start}-{epochs.stop}.npz"


def head_parameters(model: keras.Model) -> int:
    """Parameters behind the pooled features."""
    return sum(layer.count_params() for layer in model.layers if layer.name in ("head", "probabilities"))


def write_answers(path: Path, answers: np.ndarray) -> None:
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, answers, allow_pickle=False)


def write_head(path: Path, weights: list[np.ndarray], answers: np.ndarray, rows: list[Row]) -> None:
    """Keep a head stage: the weights of its best epoch, that epoch's answers, the learning curve."""
    arrays: dict[str, Any] = {f"weights{n}": array for n, array in enumerate(weights)}
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, answers=answers, rows=np.array(json.dumps(rows)), **arrays)


def read_head(path: Path) -> tuple[list[np.ndarray], np.ndarray, list[Row]] | None:
    """What `write_head` kept; None where there is nothing, or nothing whole."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            weights = [kept[f"weights{n}"] for n in range(len(kept.files) - 2)]
            return weights, kept["answers"], json.loads(str(kept["rows"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def as_keras_history(course: Course) -> keras.callbacks.History:
    """The rows as the object from which KerasTuner picks the best epoch: those with finite numbers, or, where there are
    none, one whose objective is NaN, which says that the trial diverged."""
    history = course.history
    rows = [row for row in history.rows if is_finite(row)] or [history.rows[0] | {history.objective: math.nan}]
    merged = keras.callbacks.History()
    merged.epoch = [row["epoch"] for row in rows]
    names = [name for name in rows[0] if name in COLUMNS[2:6]]
    merged.history = {name: [row[name] for row in rows] for name in names}
    return merged
