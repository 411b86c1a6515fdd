"""What one trial builds and trains: KerasTuner's HyperModel, and `train_trial`, the one function that a trial calls.

The rest (oracle, checkpoint of the best epoch, resume) stays with KerasTuner; see `tuning.oracles`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from toolkit.data import Part
from toolkit.model import Weights, backbone_weights, build_model, set_backbone_weights
from toolkit.run import atomic, write_json
from toolkit.settings import Settings
from toolkit.spec import ModelSpec
from toolkit.train import History, Row, is_finite, probabilities, train
from tuning.space import spec_of


@dataclass(frozen=True)
class Data:
    """What every trial trains and is judged on."""

    train: Part
    val: Part
    classes: int


def train_trial(
    model: keras.Model,
    spec: ModelSpec,
    data: Data,
    settings: Settings,
    *,
    epochs: range,
    callbacks: Sequence[keras.callbacks.Callback],
    on_epoch: Callable[[Row], None],
) -> tuple[History, np.ndarray]:
    """Train a trial's model in place; its history, and its best epoch's answers on the validation part, [N, C]."""
    history = train(model, spec, data.train, data.val, settings, epochs=epochs, callbacks=callbacks, on_epoch=on_epoch)
    return history, probabilities(model, data.val.images)


def pretrained(settings: Settings) -> Weights:
    """The backbone's weights, read once for all trials; UnfreezeError where they cannot be had."""
    if settings.weights == "none":
        return {}
    spec = settings.spec(2, 0, 0.0, 0)
    return backbone_weights(build_model(spec, settings.weights))


class TrialModel(keras_tuner.HyperModel):
    """Builds and fits the model of one point of the search space."""

    def __init__(self, settings: Settings, data: Data, on_epoch: Callable[[Row], None] = lambda row: None) -> None:
        super().__init__(name="unfreeze")
        self.settings, self.data, self.on_epoch = settings, data, on_epoch
        self.folder = Path()  # of the trial that runs; the tuner sets it
        self.backbone = pretrained(settings)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model = build_model(spec_of(self.settings, self.data.classes, hp))
        set_backbone_weights(model, self.backbone)
        return model

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *,
        callbacks: Sequence[keras.callbacks.Callback],
        epochs: int | None = None,
        initial_epoch: int = 0,
        verbose: int = 0,
    ) -> keras.callbacks.History:
        spec = spec_of(self.settings, self.data.classes, hp)
        span = range(initial_epoch, epochs or self.settings.epochs)
        started = time.perf_counter()
        history, answers = train_trial(
            model, spec, self.data, self.settings, epochs=span, callbacks=callbacks, on_epoch=self.on_epoch
        )
        self._record(model, history, answers, time.perf_counter() - started)
        return as_keras_history(history)

    def _record(self, model: keras.Model, history: History, answers: np.ndarray, seconds: float) -> None:
        """What KerasTuner does not keep: the learning curve, the time, the answers on the validation part."""
        history.write(self.folder / "history.csv")
        write_answers(self.folder / "val_probabilities.npy", answers)
        facts: dict[str, Any] = {
            "seconds": round(seconds, 2),
            "parameters": model.count_params(),
            "best": history.best,
        }
        write_json(self.folder / "result.json", facts)


def write_answers(path: Path, answers: np.ndarray) -> None:
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, answers, allow_pickle=False)


def as_keras_history(history: History) -> keras.callbacks.History:
    """The rows as the object from which KerasTuner picks the best epoch: those with finite numbers, or, where there are
    none, one whose objective is NaN, which says that the trial diverged."""
    rows = [row for row in history.rows if is_finite(row)] or [history.rows[0] | {history.objective: math.nan}]
    merged = keras.callbacks.History()
    merged.epoch = [row["epoch"] for row in rows]
    merged.history = {name: [row[name] for row in rows] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    return merged
