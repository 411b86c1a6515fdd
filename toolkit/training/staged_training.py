"""The stages of one model's training: the head, fine-tuning, and a refit; their callbacks and learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from toolkit.settings import Settings
from toolkit.stats.scores import SCORES
from toolkit.training.fit import fit
from toolkit.training.folds import Fold, Turns
from toolkit.training.history import History, Row
from toolkit.training.recipe import Rate, Recipe, recipe

STAGES = ("head", "tune")
WARM_UP = 0.1  # fraction of the fine-tuning steps
APART = 2**20  # seeds of two layers: more than there are epochs


class StagedTraining:
    """Trains one model stage by stage, and keeps the weights of the best epoch of all stages.

    For the callbacks it is one training, which begins with the first stage and ends with `end`. `owner` is the model
    that the callbacks see. `folds`: how many models are trained in turn in it; the best epoch is that of all together.
    `how`: loss, optimizer and metrics; None: the usual ones.
    """

    def __init__(
        self,
        owner: keras.Model,
        settings: Settings,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        on_epoch: Callable[[Row], None] = lambda row: None,
        *,
        folds: int = 1,
        how: Recipe | None = None,
    ) -> None:
        self.owner, self.settings, self.callbacks, self.how = owner, settings, callbacks, how or recipe(settings)
        self.history, self.turns = History(settings.objective), Turns(owner, folds)
        self.recorder, self.best = Recorder(self.history, on_epoch), KeepBest(self.history, self.turns)
        self.begun = False

    def run(self, stage: str, model: keras.Model, folds: Sequence[Fold], epochs: range) -> None:
        """Train `model`, which is the owner or a part of it, for those of `epochs` that belong to `stage`; then restore
        the weights of the best epoch so far."""
        span = stage_epochs(self.settings, stage)
        part = range(max(span.start, epochs.start), min(span.stop, epochs.stop))
        if not part:
            return
        self.recorder.stage = stage
        images = max(len(fold.train.labels) for fold in folds)
        for number in range(len(folds)):
            with self.turns.turn(number):
                optimizer = begin_stage(self.owner, self.settings, stage, part, images, self.how)
        self._begin(optimizer)
        callbacks = [self.recorder, self.best, *self.callbacks, self._patience()]
        fit(model, optimizer, folds, self.settings, epochs=part, callbacks=callbacks, turns=self.turns, how=self.how)
        self.best.restore()

    def replay(self, rows: list[Row], answers: np.ndarray) -> None:
        """Take over a head stage that another trial trained, and report its epochs to the callbacks as if it had been
        trained here.

        `rows`: its learning curve; `answers`, float32 [N, C]: those of its best epoch, whose weights the owner has.
        """
        self._begin(self.how.optimizer(self.settings.head_rate))
        self.resume(rows, answers)
        if best := self.history.best:
            for callback in self.callbacks:
                callback.on_epoch_end(best["epoch"], {name: best[name] for name in self.history.measured})
        for row in rows:
            self.recorder.on_epoch(row)

    def resume(self, rows: list[Row], answers: np.ndarray) -> None:
        """Continue a training that has ended. The owner must have the weights of its best epoch already."""
        self.history.rows += rows
        if self.history.best is not None:
            self.owner.answers = answers
            self.best.keep()

    def end(self) -> None:
        """Tell the callbacks that the training has ended."""
        for callback in self.callbacks if self.begun else ():
            callback.on_train_end({})

    def _begin(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Give the owner its optimizer, and tell the callbacks that the training begins, if this is the first stage."""
        self.owner.compile(optimizer)
        first, self.begun = not self.begun, True
        for callback in (self.recorder, self.best, *self.callbacks) if first else ():
            callback.set_params({"epochs": self.settings.epochs, "verbose": 0})
            callback.set_model(self.owner)
            callback.on_train_begin({})

    def _patience(self) -> keras.callbacks.EarlyStopping:
        """Stops a stage after `settings.patience` epochs without improvement. Each stage counts anew."""
        mode = "max" if SCORES[self.settings.objective].rises else "min"
        patience = keras.callbacks.EarlyStopping(self.settings.objective, patience=self.settings.patience, mode=mode)
        patience.set_model(self.owner)
        patience.on_train_begin()
        return patience


def steps(count: int, settings: Settings) -> int:
    """Batches in an epoch over `count` images; the last one may be smaller."""
    return math.ceil(count / settings.batch_size)


def stage_epochs(settings: Settings, stage: str) -> range:
    """The epochs of the stage "head", "tune" or "refit" in the whole schedule, counted from 0."""
    ends = {"head": (0, settings.head_epochs), "tune": (settings.head_epochs, settings.epochs)}
    ends["refit"] = (settings.epochs, settings.epochs + settings.refit)
    return range(*ends[stage])


def begin_stage(
    model: keras.Model, settings: Settings, stage: str, part: range, images: int, how: Recipe | None = None
) -> keras.optimizers.Optimizer:
    """Seed the model's layers with chance for a stage, of which the epochs `part` are trained on so many images.
    Returns its optimizer. `how`: None for Adam."""
    _reseed(model, settings.seed, part.start)
    return (how or recipe(settings)).optimizer(_rate(settings, stage, part, steps(images, settings)))


def _rate(settings: Settings, stage: str, part: range, steps: int) -> Rate:
    """A constant learning rate for the head; warm-up and cosine decay over the whole stage for fine-tuning.

    `part`: the epochs of the stage that are trained now. `steps`: the number of steps in an epoch.
    """
    if stage == "head":
        return settings.head_rate
    span = stage_epochs(settings, stage)
    return Decay(settings.tune_rate, len(span) * steps, (part.start - span.start) * steps)


class Decay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up over a tenth of `total` steps to `peak`, then cosine decay to 0 (Loshchilov and Hutter, 2017).

    `done`: steps of the schedule that a parent trial has trained. The schedule continues behind them, but warms up once
    more, because Adam's moments are empty. Setting Adam's own count of steps to `done` instead would switch off its
    bias correction, and the first updates would be far too large.
    """

    def __init__(self, peak: float, total: int, done: int = 0) -> None:
        self.warm, self.done = max(1, round(WARM_UP * total)), done
        self.whole = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, total - self.warm), warmup_target=peak, warmup_steps=self.warm
        )

    def __call__(self, step: Any) -> Any:
        rate = self.whole(step + self.done)
        return rate * keras.ops.minimum(1.0, keras.ops.cast(step + 1, rate.dtype) / self.warm) if self.done else rate


def _reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Seed each layer with chance, such as Dropout, with the epoch at which a stage starts, the second one with another
    seed than the first. Then a stage repeats exactly, whether the stage before it was trained here or taken over from
    another trial."""
    states = [
        layer.seed_generator.state
        for layer in model._flatten_layers(include_self=False)
        if isinstance(getattr(layer, "seed_generator", None), keras.random.SeedGenerator)
        and getattr(layer, "rate", 1) > 0  # a backbone's are switched off, and differ by depth
    ]
    for number, state in enumerate(states):
        state.assign([seed, epoch + number * APART])


class Recorder(keras.callbacks.Callback):
    """Appends a row to the history after each epoch, and calls `on_epoch` with it."""

    def __init__(self, history: History, on_epoch: Callable[[Row], None]) -> None:
        super().__init__()
        self.record, self.on_epoch = history, on_epoch
        self.stage = ""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        numbers = {name: float((logs or {}).get(name, math.nan)) for name in self.record.measured}
        row = {
            "epoch": epoch,
            "stage": self.stage,
            **numbers,
            "learning_rate": float(self.model.optimizer.learning_rate),
            "seconds": round((logs or {}).get("seconds", math.nan), 3),
        }
        row |= {name: value for name, value in (logs or {}).items() if name not in row}  # metrics of the caller's
        self.record.rows.append(row)
        self.on_epoch(row)


class KeepBest(keras.callbacks.Callback):
    """Keeps the weights and the answers of the best epoch of all stages so far, in memory."""

    def __init__(self, history: History, turns: Turns) -> None:
        super().__init__()
        self.record, self.turns = history, turns
        self.weights: list[list[np.ndarray]] | None = None  # of each fold's model
        self.answers: np.ndarray | None = None  # float32 [N, C] for the images that are judged

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.record.rows[-1] is self.record.best:
            self.keep()

    def keep(self) -> None:
        self.weights, self.answers = self.turns.get_weights(), self.turns.model.answers

    def restore(self) -> None:
        if self.weights is not None:
            self.turns.set_weights(self.weights)
