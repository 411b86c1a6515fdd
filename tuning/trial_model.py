"""What one trial builds and trains: KerasTuner's HyperModel, on shared activations of the frozen prefix or on images.

A trial is a function of the seed and its point, not of its number: trials with equal heads have equal head stages,
which are trained once. `tuning.trial_files` has the files that a trial writes. `tuning.oracles` chooses its point;
`tuning.tuner` handles trials that fail or are interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import keras_tuner
import numpy as np

from toolkit.models.backbones import deepest
from toolkit.models.build import assemble, build_model, fresh_suffix
from toolkit.models.spec import ModelSpec
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.stats.scores import SCORES
from toolkit.training.answers import inference_function, predict_source
from toolkit.training.batches import Part, Source, unaugmented
from toolkit.training.folds import Turns, as_folds
from toolkit.training.history import History, Row, is_finite
from toolkit.training.staged_training import StagedTraining
from toolkit.training.train import whole_stages
from tuning.activations.cache import Activations, compute_activations
from tuning.search_space import model_spec
from tuning.trial_files import TrialFolder, head_file, read_head, write_head

Callbacks = Sequence[keras.callbacks.Callback]


@dataclass(frozen=True)
class Data:
    """The data on which every trial is trained and judged. With folds, `train` and `val` are the same images."""

    train: Part
    val: Part
    classes: int
    folds: np.ndarray | None = None  # int64 [N]: the fold in which each image is judged; None: there are no folds


class TrialModel(keras_tuner.HyperModel):
    """Builds and trains the model of one point of the search space; its suffix alone, if trials share the prefix."""

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

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The suffix from the last frozen tensor to the probabilities, or the whole model if nothing is shared."""
        spec = model_spec(self.settings, self.data.classes, hp)
        if self._is_cut(spec):
            return fresh_suffix(self.backbone, spec, self.settings.seed)
        head = fresh_suffix(self.backbone, replace(spec, unfreeze=0), self.settings.seed)
        return assemble(self.backbone, spec, head)

    def whole(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> keras.Model:
        """The whole model, from image to probabilities, for a model that `build` returned."""
        spec = model_spec(self.settings, self.data.classes, hp)
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
        """Train the model that `build` returned from `initial_epoch` to `epochs`, and write the result into the trial's
        folder.

        A head stage that an earlier trial has trained is taken from its file.
        """
        spec = model_spec(self.settings, self.data.classes, hp)
        span = range(initial_epoch, epochs or self.settings.epochs)
        shared = self._shared() if self._is_cut(spec) else None  # before the clock of this trial starts
        started = time.perf_counter()
        training = StagedTraining(model, self.settings, callbacks, self.on_epoch, folds=self.settings.fold_count)
        if parent := hp.values.get("tuner/trial_id"):
            TrialFolder(self.folder.with_name(f"trial_{parent}")).restore_folds(training.turns)
        for stage, part, train, val in self._stages(model, spec, shared):
            head = self._head_file(spec, span) if stage == "head" and shared else None
            if head and (kept := read_head(head, self.settings.fold_count)):
                weights, answers, rows = kept
                training.turns.set_weights_of(part, weights)
                training.replay(rows, answers)
                continue
            training.run(stage, part, as_folds(train, val, self.data.folds), span)
            if head and training.best.answers is not None:
                write_head(head, training.turns.weights_of(part), training.best.answers, training.history.rows)
        training.end()
        seconds = time.perf_counter() - started
        folder = TrialFolder(self.folder)
        if training.best.answers is not None:
            folder.write_model(training.turns, training.best.answers, self._averaged(training.turns, spec, shared))
        folder.write_result(
            training.history,
            parameters=self.backbone_parameters + head_parameters(model),
            seconds=seconds,
            folds=self._by_fold(training.best.answers),
        )
        return as_keras_history(training.history)

    def _averaged(self, turns: Turns, spec: ModelSpec, shared: Activations | None) -> np.ndarray | None:
        """Leave the mean of the folds' weights in the model. Returns its answers to the images that are judged, float32
        [N, C], which it was trained on; None if there are no folds."""
        if self.data.folds is None:
            return None
        turns.average()
        source = shared.source("val", spec.unfreeze) if shared else unaugmented(self.data.val)
        return predict_source(inference_function(turns.model), source, self.settings.batch_size)

    def _by_fold(self, answers: np.ndarray | None) -> list[float]:
        """The objective in each fold; [] if there are none, or if the training diverged at once."""
        folds, labels, balanced = self.data.folds, self.data.val.labels, self.settings.balanced
        if folds is None or answers is None:
            return []
        score = SCORES[self.settings.objective]
        rows = [folds == number for number in range(self.settings.fold_count)]
        return [score.of(answers[own], labels[own], balanced) for own in rows]

    def _is_cut(self, spec: ModelSpec) -> bool:
        """Whether the trial trains only a suffix. At the deepest depth nothing is frozen that could be shared."""
        return self.settings.cache and spec.unfreeze < deepest(spec.backbone)

    def _shared(self) -> Activations:
        """The activations that the trials share; they are computed when the first trial asks for them."""
        if self.activations is None:
            depths = {0, *self.settings.space[2]} - {deepest(self.spec.backbone)}
            parts = {"train": self.data.train, "val": self.data.val}
            self.activations = compute_activations(self.run, self.backbone, self.spec, parts, depths, self.progress)
        return self.activations

    def stages(
        self, hp: keras_tuner.HyperParameters, model: keras.Model
    ) -> Iterator[tuple[str, keras.Model, Source, Source]]:
        """Each stage of the training of a model that `build` returned: its name, the part of the model that is trained,
        and what it is trained and judged on."""
        spec = model_spec(self.settings, self.data.classes, hp)
        return self._stages(model, spec, self._shared() if self._is_cut(spec) else None)

    def _stages(
        self, model: keras.Model, spec: ModelSpec, shared: Activations | None
    ) -> Iterator[tuple[str, keras.Model, Source, Source]]:
        """A suffix trains its head on the pooled features, then all of itself on the activations at its cut."""
        if shared is None:
            yield from whole_stages(model, spec, self.data.train, self.data.val, self.settings)
            return
        head = model if spec.unfreeze == 0 else keras.Model(model.get_layer("pool").output, model.output)
        yield "head", head, shared.source("train", 0), shared.source("val", 0)
        yield "tune", model, shared.source("train", spec.unfreeze), shared.source("val", spec.unfreeze)

    def _head_file(self, spec: ModelSpec, span: range) -> Path | None:
        """Where the head stage of a trial over the epochs `span` is kept; None if the trial has no head stage, or goes
        on with one that another trial began."""
        epochs = range(span.start, min(span.stop, self.settings.head_epochs))
        return head_file(self.folder.parent, spec, epochs) if epochs and epochs.start == 0 else None


def head_parameters(model: keras.Model) -> int:
    """The number of parameters behind the pooled features."""
    return sum(layer.count_params() for layer in model.layers if layer.name in ("head", "probabilities"))


def as_keras_history(history: History) -> keras.callbacks.History:
    """The epochs with finite numbers, as the object from which KerasTuner picks the best one. If there are none, one
    epoch whose objective is NaN, from which `tuning.oracles.base` sees that the trial diverged."""
    rows = [row for row in history.rows if is_finite(row)] or [history.rows[0] | {history.objective: math.nan}]
    merged = keras.callbacks.History()
    merged.epoch = [row["epoch"] for row in rows]
    names = [name for name in rows[0] if name in history.measured]
    merged.history = {name: [row[name] for row in rows] for name in names}
    return merged
