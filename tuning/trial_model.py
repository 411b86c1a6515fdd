"""What one trial builds and trains: KerasTuner's HyperModel, on shared activations of the frozen prefix or on images.

A trial is a function of the seed and its point, not of its number: trials with equal heads have equal head stages,
which are trained once. `tuning.trial_files` has the files that a trial writes. `tuning.oracles` chooses its point;
`tuning.tuner` handles trials that fail or are interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from toolkit.models.build import Head, assemble, fresh_suffix
from toolkit.models.spec import ModelSpec
from toolkit.own.head import head_of
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.settings import Settings
from toolkit.stats.scores import SCORES
from toolkit.training.answers import inference_function, predict_source
from toolkit.training.batches import Source, unaugmented
from toolkit.training.folds import Turns, as_folds
from toolkit.training.history import History, Row, is_finite
from toolkit.training.recipe import Recipe, recipe
from toolkit.training.staged_training import StagedTraining
from toolkit.training.train import whole_stages
from tuning.base_model import BaseModel, head_parameters
from tuning.search_space import base_of, model_spec, varied
from tuning.trial_files import TrialFolder, head_file, read_head, write_head

Callbacks = Sequence[keras.callbacks.Callback]


class TrialModel(keras_tuner.HyperModel):
    """Builds and trains the model of one point of the search space; its suffix alone, if trials share the prefix.

    `folds`: int64 [N], the fold in which each image is judged; None: there are no folds. `progress`: of decoding and
    of the passes over the frozen prefix.
    """

    def __init__(
        self,
        run: Run,
        folds: np.ndarray | None = None,
        on_epoch: Callable[[Row], None] = lambda row: None,
        progress: Progress = silent,
    ) -> None:
        super().__init__(name="unfreeze")
        self.run, self.settings, self.folds, self.on_epoch, self.progress = run, run.settings, folds, on_epoch, progress
        self.folder = Path()  # of the trial that runs; the tuner sets it
        self.classes = len(run.images.class_names)
        self._bases: dict[tuple, BaseModel] = {}

    def base(self, values: Mapping[str, Any]) -> BaseModel:
        """The backbone and the images from which the trial of a point starts."""
        own = base_of(values)
        key = tuple(own.values())
        if key not in self._bases:
            settings = self.settings.at(own)
            alike = (one for one in self._bases.values() if replace(one.settings, augment=settings.augment) == settings)
            same = (one.model for one in alike)
            self._bases[key] = BaseModel(self.run, settings, _naming(own, self.progress), next(same, None))
        return self._bases[key]

    def spec(self, hp: keras_tuner.HyperParameters) -> ModelSpec:
        """The architecture of a point."""
        return model_spec(self.settings, self.classes, hp.values)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The suffix from the last frozen tensor to the probabilities, or the whole model if nothing is shared."""
        spec, base = self.spec(hp), self.base(hp.values)
        if base.is_cut(spec.unfreeze):
            return fresh_suffix(base.model, spec, self.settings.seed, self.head(hp))
        head = fresh_suffix(base.model, replace(spec, unfreeze=0), self.settings.seed, self.head(hp))
        return assemble(base.model, spec, head, self.head(hp))

    def whole(self, hp: keras_tuner.HyperParameters, model: keras.Model) -> keras.Model:
        """The whole model, from image to probabilities, for a model that `build` returned."""
        spec, base = self.spec(hp), self.base(hp.values)
        return assemble(base.model, spec, model, self.head(hp)) if base.is_cut(spec.unfreeze) else model

    def head(self, hp: keras_tuner.HyperParameters) -> Head:
        """What makes the head of a point."""
        return head_of(self.run.own, hp.values)

    def recipe(self, hp: keras_tuner.HyperParameters) -> Recipe:
        """Loss, optimizer and metrics of a point."""
        return recipe(self.settings.at(hp.values), self.run.own, hp.values)

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
        spec, base, settings = self.spec(hp), self.base(hp.values), self.settings.at(hp.values)
        span = range(initial_epoch, epochs or settings.epochs)
        shared = base.activations(spec.unfreeze) if base.is_cut(spec.unfreeze) else None
        started = time.perf_counter()  # the activations are not this trial's alone
        how = self.recipe(hp)
        training = StagedTraining(model, settings, callbacks, self.on_epoch, folds=settings.fold_count, how=how)
        if parent := hp.values.get("tuner/trial_id"):
            TrialFolder(self.folder.with_name(f"trial_{parent}")).restore_folds(training.turns)
        for stage, part, train, val in self._stages(model, spec, base, settings):
            head = self._head_file(hp.values, spec, span) if stage == "head" and shared else None
            if head and (kept := read_head(head, settings.fold_count)):
                weights, answers, rows = kept
                training.turns.set_weights_of(part, weights)
                training.replay(rows, answers)
                continue
            training.run(stage, part, as_folds(train, val, self.folds), span)
            if head and training.best.answers is not None:
                write_head(head, training.turns.weights_of(part), training.best.answers, training.history.rows)
        training.end()
        seconds = time.perf_counter() - started
        folder = TrialFolder(self.folder)
        if training.best.answers is not None:
            mean = self._averaged(training.turns, spec, base, settings)
            folder.write_model(training.turns, training.best.answers, mean)
        folder.write_result(
            training.history,
            parameters=base.parameters + head_parameters(model),
            seconds=seconds,
            folds=self._by_fold(training.best.answers, base.val.labels),
        )
        return as_keras_history(training.history)

    def _averaged(self, turns: Turns, spec: ModelSpec, base: BaseModel, settings: Settings) -> np.ndarray | None:
        """Leave the mean of the folds' weights in the model. Returns its answers to the images that are judged, float32
        [N, C], which it was trained on; None if there are no folds."""
        if self.folds is None:
            return None
        turns.average()
        cut = base.is_cut(spec.unfreeze)
        source = base.activations(spec.unfreeze).source("val", spec.unfreeze) if cut else unaugmented(base.val)
        return predict_source(inference_function(turns.model), source, settings.batch_size)

    def _by_fold(self, answers: np.ndarray | None, labels: np.ndarray) -> list[float]:
        """The objective in each fold; [] if there are none, or if the training diverged at once."""
        if self.folds is None or answers is None:
            return []
        score, balanced = SCORES[self.settings.objective], self.settings.balanced
        rows = [self.folds == number for number in range(self.settings.fold_count)]
        return [score.of(answers[own], labels[own], balanced) for own in rows]

    def stages(
        self, hp: keras_tuner.HyperParameters, model: keras.Model
    ) -> Iterator[tuple[str, keras.Model, Source, Source]]:
        """Each stage of the training of a model that `build` returned: its name, the part of the model that is trained,
        and what it is trained and judged on."""
        return self._stages(model, self.spec(hp), self.base(hp.values), self.settings.at(hp.values))

    def _stages(
        self, model: keras.Model, spec: ModelSpec, base: BaseModel, settings: Settings
    ) -> Iterator[tuple[str, keras.Model, Source, Source]]:
        """A suffix trains its head on the pooled features, then all of itself on the activations at its cut."""
        if not base.is_cut(spec.unfreeze):
            yield from whole_stages(model, spec, base.train, base.val, settings)
            return
        shared = base.activations(spec.unfreeze)
        head = model if spec.unfreeze == 0 else keras.Model(model.get_layer("pool").output, model.output)
        yield "head", head, shared.source("train", 0), shared.source("val", 0)
        yield "tune", model, shared.source("train", spec.unfreeze), shared.source("val", spec.unfreeze)

    def _head_file(self, values: Mapping[str, Any], spec: ModelSpec, span: range) -> Path | None:
        """Where the head stage of a trial over the epochs `span` is kept; None if the trial has no head stage, or goes
        on with one that another trial began."""
        epochs = range(span.start, min(span.stop, self.settings.head_epochs))
        others = {name: value for name, value in varied(values).items() if name != "tune_rate"}
        return head_file(self.folder.parent, spec, epochs, others) if epochs and epochs.start == 0 else None


def _naming(base: Mapping[str, Any], progress: Progress) -> Progress:
    """The same function, which is told of the base, if there are several."""
    if not base:
        return progress
    words = ", ".join(f"{value} px" if name == "image_size" else str(value) for name, value in base.items())
    return lambda what, done, total: progress(f"{what} ({words})", done, total)


def as_keras_history(history: History) -> keras.callbacks.History:
    """The epochs with finite numbers, as the object from which KerasTuner picks the best one. If there are none, one
    epoch whose objective is NaN, from which `tuning.oracles.base` sees that the trial diverged."""
    rows = [row for row in history.rows if is_finite(row)] or [history.rows[0] | {history.objective: math.nan}]
    merged = keras.callbacks.History()
    merged.epoch = [row["epoch"] for row in rows]
    names = [name for name in rows[0] if name in history.measured]
    merged.history = {name: [row[name] for row in rows] for name in names}
    return merged
