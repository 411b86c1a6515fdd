"""Training: the head with the backbone frozen, then the unfrozen stages at a lower rate with warm-up and cosine decay.

The weights of the best epoch are restored at the end of each stage. Batches are left to `toolkit.data`, the trainable
flags to `toolkit.model`.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from toolkit.data import Part, balanced_weights, load_part, training_batches, validation_batches
from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.model import build_model, set_unfreeze
from toolkit.progress import Progress, silent
from toolkit.run import Run, atomic, read_json, remove, write_json, write_text
from toolkit.settings import Settings
from toolkit.spec import ModelSpec

COLUMNS = ("epoch", "stage", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")
WARM_UP = 0.1  # fraction of the fine-tuning steps

Row = dict[str, Any]


@dataclass
class History:
    """A row for each epoch, and which one is best by the objective."""

    objective: str
    rows: list[Row] = field(default_factory=list)

    def better(self, value: float, than: float) -> bool:
        return value < than if self.objective == "val_loss" else value > than

    @property
    def best(self) -> Row | None:
        """The first epoch with the best objective, of those with finite numbers; None where there is none."""
        finite = [row for row in self.rows if is_finite(row)]
        pick = min if self.objective == "val_loss" else max
        return pick(finite, key=lambda row: row[self.objective], default=None)

    def write(self, path: Path) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(path, text.getvalue())


def read_history(path: Path) -> list[Row]:
    """The rows of a `history.csv`, numbers as numbers; UnfreezeError where it is missing or damaged."""
    numbers = COLUMNS[2:]
    try:
        with path.open(newline="") as file:
            rows: list[Row] = list(csv.DictReader(file))
        if not rows:
            raise ValueError("it has no epoch")
        return [row | {name: float(row[name]) for name in numbers} | {"epoch": int(row["epoch"])} for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UnfreezeError(f"{path} cannot be read ({error}); repeat the training that writes it") from None


def is_finite(row: Row) -> bool:
    """Whether training had not diverged in this epoch."""
    return all(math.isfinite(row[name]) for name in COLUMNS[2:6])


def train(
    model: keras.Model,
    spec: ModelSpec,
    train_part: Part,
    val_part: Part,
    settings: Settings,
    *,
    epochs: range | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    on_epoch: Callable[[Row], None] = lambda row: None,
) -> History:
    """Train in place and leave the weights of the best epoch in the model.

    `epochs` is a part of the whole schedule (head epochs, then fine-tuning epochs): a promoted trial goes on where its
    parent stopped. Depth 0 has both stages too: the second one anneals the head.
    """
    epochs = range(settings.epochs) if epochs is None else epochs
    history = History(settings.objective)
    best = KeepBest(history)
    for stage, span in _stages(settings).items():
        part = range(max(span.start, epochs.start), min(span.stop, epochs.stop))
        if part:
            set_unfreeze(model, spec, spec.unfreeze if stage == "tune" else 0)
            _compile(model, stage, part, span, steps(len(train_part.labels), settings), settings)
            recorder = Recorder(history, stage, on_epoch)
            _fit(model, train_part, val_part, settings, part, [recorder, best, *callbacks])
            best.restore(model)
    return history


def probabilities(model: keras.Model, images: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """The model's answers: uint8 [N, S, S, 3] -> float32 [N, C]. A traced call takes half the time of `predict`."""

    @tf.function(input_signature=[tf.TensorSpec((None, *images.shape[1:]), tf.uint8)])
    def answer(batch: tf.Tensor) -> tf.Tensor:
        return model(batch, training=False)

    starts = range(0, len(images), batch_size)
    return np.concatenate([answer(np.asarray(images[start : start + batch_size])).numpy() for start in starts])


def steps(count: int, settings: Settings) -> int:
    """Steps in an epoch over `count` images."""
    return math.ceil(count / settings.batch_size)


def _stages(settings: Settings) -> dict[str, range]:
    return {"head": range(settings.head_epochs), "tune": range(settings.head_epochs, settings.epochs)}


def _compile(model: keras.Model, stage: str, part: range, span: range, steps: int, settings: Settings) -> None:
    rate: Any = settings.head_rate
    if stage == "tune":
        total = len(span) * steps
        warm = max(1, round(WARM_UP * total))
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, total - warm), warmup_target=settings.tune_rate, warmup_steps=warm
        )
    optimizer = keras.optimizers.Adam(rate)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    optimizer.build(model.trainable_variables)
    optimizer.iterations.assign((part.start - span.start) * steps)  # the schedule goes on where a parent trial stopped


def _fit(
    model: keras.Model,
    train_part: Part,
    val_part: Part,
    settings: Settings,
    part: range,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    classes = model.output_shape[-1]
    balanced = settings.class_weights == "balanced"
    weights = balanced_weights(train_part.labels, classes) if balanced else np.ones(classes, np.float32)
    model.fit(
        training_batches(
            train_part,
            epochs=part,
            batch_size=settings.batch_size,
            augmentation=settings.augment,
            class_weights=weights,
            seed=settings.seed,
        ),
        steps_per_epoch=steps(len(train_part.labels), settings),
        validation_data=validation_batches(val_part, batch_size=settings.batch_size),
        initial_epoch=part.start,
        epochs=part.stop,
        shuffle=False,  # `training_batches` has shuffled
        verbose=0,
        callbacks=[
            *callbacks,
            StopOnNaN(),
            keras.callbacks.EarlyStopping(settings.objective, patience=settings.patience),
        ],
    )


class StopOnNaN(keras.callbacks.Callback):
    """Ends training that diverged; Keras' own one prints on standard output, which is the caller's."""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = True


class Recorder(keras.callbacks.Callback):
    """Appends each epoch's numbers to the history."""

    def __init__(self, history: History, stage: str, on_epoch: Callable[[Row], None]) -> None:
        super().__init__()
        self.record, self.stage, self.on_epoch = history, stage, on_epoch
        self.started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        numbers = {name: float((logs or {}).get(name, math.nan)) for name in COLUMNS[2:6]}
        row = {
            "epoch": epoch,
            "stage": self.stage,
            **numbers,
            "learning_rate": float(self.model.optimizer.learning_rate),
            "seconds": round(time.perf_counter() - self.started, 3),
        }
        self.record.rows.append(row)
        self.on_epoch(row)


class KeepBest(keras.callbacks.Callback):
    """Keeps the weights of the best epoch of all stages in memory."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self.record = history
        self.weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.record.rows[-1] is self.record.best:
            self.weights = self.model.get_weights()

    def restore(self, model: keras.Model) -> None:
        if self.weights is not None:
            model.set_weights(self.weights)


def save_model(run: Run, model: keras.Model, spec: ModelSpec, rows: list[Row], **more: Any) -> None:
    """A run's answer: model.keras (without optimizer state), model.json (its spec) and history.csv.

    What was said of an earlier model is removed; its export stays, and `verify` tells that it is not this model's.
    """
    for stale in ("metrics.json", "parity.json", "plots"):
        remove(run.path / stale)
    history = History(run.settings.objective, rows)
    history.write(run.path / "history.csv")
    with atomic(run.path / "model.keras") as temporary:
        model.save(temporary)
    write_json(run.path / "model.json", {"spec": asdict(spec), "best_epoch": history.best, **more})


def load_model(run: Run) -> tuple[keras.Model, ModelSpec]:
    """The model that a run ended with; UnfreezeError where it has none yet."""
    path, again = run.path / "model.keras", f"unfreeze tune DATA {run.path}"
    if not path.is_file():
        raise UnfreezeError(f"{run.path} has no model yet; finish its search with `{again}`")
    try:
        spec = ModelSpec(**read_json(path.with_name("model.json"))["spec"])
    except (KeyError, TypeError) as error:
        raise UnfreezeError(f"model.json beside {path} is damaged ({error}); repeat `{again}`") from None
    try:
        return keras.saving.load_model(path, compile=False), spec
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise UnfreezeError(f"{path} cannot be loaded ({error}); repeat `{again}`") from None


def train_run(run: Run, *, progress: Progress = silent, on_epoch: Callable[[Row], None] = lambda row: None) -> History:
    """One model, no search: the first point of the settings' space. Writes model.keras, model.json and history.csv."""
    settings, classes = run.settings, len(run.images.class_names)
    train_part = load_part(run, "train", antialiased=settings.augment != "none", progress=progress)
    val_part = load_part(run, "val", progress=progress)
    keras.utils.set_random_seed(settings.seed)
    spec = settings.spec(classes, settings.head_units[0], settings.dropout[0], settings.unfreeze[0])
    model = build_model(spec, settings.weights)
    history = train(model, spec, train_part, val_part, settings, on_epoch=on_epoch)
    if history.best is None:
        raise NoAnswerError(f"{settings.objective} was never finite; lower the learning rate or look at the data")
    final = build_model(spec)  # without optimizer state
    final.set_weights(model.get_weights())
    save_model(run, final, spec, history.rows)
    return history
