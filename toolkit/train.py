"""Training: the head with the backbone frozen, then the unfrozen stages at a lower rate with warm-up and cosine decay.

The weights of the best epoch are restored at the end of each stage. Batches are left to `toolkit.data`, the trainable
flags to `toolkit.model`.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from toolkit.data import Part, Source, augmented, balanced_weights, load_part, plain
from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.events import FOLDER, POINT, Curve, write_space
from toolkit.files import atomic, read_json, remove, write_json, write_text
from toolkit.fit import answering, fit, predicted
from toolkit.keras_file import read_model
from toolkit.model import build_model, set_unfreeze
from toolkit.progress import Progress, silent
from toolkit.run import Run
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

    @property
    def best(self) -> Row | None:
        """The first epoch with the best objective, of those with finite numbers; None where there is none."""
        finite = [row for row in self.rows if is_finite(row)]
        pick = min if self.objective == "val_loss" else max
        return pick(finite, key=lambda row: row[self.objective], default=None)

    def write(self, path: Path) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
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


STAGES = ("head", "tune")


def train(
    model: keras.Model,
    spec: ModelSpec,
    train_part: Part,
    val_part: Part,
    settings: Settings,
    *,
    epochs: range | None = None,
    on_epoch: Callable[[Row], None] = lambda row: None,
) -> History:
    """Train in place and leave the weights of the best epoch in the model.

    `epochs` is a part of the whole schedule: head epochs, then fine-tuning epochs.
    """
    course = Course(model, settings, on_epoch=on_epoch)
    train_whole(course, spec, train_part, val_part, epochs or range(settings.epochs))
    course.end()
    return course.history


def train_whole(course: Course, spec: ModelSpec, train_part: Part, val_part: Part, epochs: range) -> None:
    """Both stages on images. Depth 0 has both too: the second one anneals the head."""
    for stage in STAGES:
        set_unfreeze(course.owner, spec, spec.unfreeze if stage == "tune" else 0)
        course.run(stage, course.owner, augmented(train_part, course.settings), plain(val_part), epochs)


def refit(
    model: keras.Model,
    train_part: Part,
    val_part: Part,
    settings: Settings,
    rows: list[Row],
    answers: np.ndarray,
    on_epoch: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Train on in place for `settings.refit` epochs, the rate decaying once more, on views that no epoch has shown yet.

    `rows` and `answers`, float32 [N, C], are the model's learning curve so far and what it says of the validation part.
    The weights of the best epoch of all are left in it. Returns the whole learning curve.
    """
    course = Course(model, settings, on_epoch=on_epoch)
    course.take_up(rows, answers)
    course.run("refit", model, augmented(train_part, settings), plain(val_part), stage_epochs(settings, "refit"))
    course.end()
    return course.history.rows


class Course:
    """The stages of one model's training, and the best epoch of all of them.

    To the callbacks they are one training, which begins with the first stage and ends with `end`.
    """

    def __init__(
        self,
        owner: keras.Model,
        settings: Settings,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        on_epoch: Callable[[Row], None] = lambda row: None,
    ) -> None:
        self.owner, self.settings, self.callbacks = owner, settings, callbacks
        self.history = History(settings.objective)
        self.recorder, self.best = Recorder(self.history, on_epoch), KeepBest(self.history)
        self.begun = False

    def run(self, stage: str, model: keras.Model, train: Source, val: Source, epochs: range) -> None:
        """Train `model`, the owner or a part of it, for those of `epochs` that belong to `stage`; restore the best."""
        span = stage_epochs(self.settings, stage)
        part = range(max(span.start, epochs.start), min(span.stop, epochs.stop))
        if not part:
            return
        self.recorder.stage = stage
        _reseed(self.owner, self.settings.seed, part.start)
        optimizer = _optimizer(self.settings, stage, part, steps(len(train.labels), self.settings))
        self._begin(optimizer)
        fit(
            model,
            optimizer,
            train,
            val,
            epochs=part,
            batch_size=self.settings.batch_size,
            class_weights=_class_weights(self.settings, train.labels, model.output_shape[-1]),
            seed=self.settings.seed,
            callbacks=[self.recorder, self.best, *self.callbacks, self._patience()],
            owner=self.owner,
        )
        self.best.restore(self.owner)

    def replay(self, rows: list[Row], answers: np.ndarray) -> None:
        """Take up a stage that another trial trained, and tell of it as if it had been trained here."""
        self._begin(keras.optimizers.Adam(self.settings.head_rate))
        self.take_up(rows, answers)
        if best := self.history.best:
            for callback in self.callbacks:
                callback.on_epoch_end(best["epoch"], {name: best[name] for name in COLUMNS[2:6]})
        for row in rows:
            self.recorder.on_epoch(row)

    def take_up(self, rows: list[Row], answers: np.ndarray) -> None:
        """Go on from a training that is over; the owner has the weights of its best epoch already."""
        self.history.rows += rows
        if self.history.best is not None:
            self.owner.answers = answers
            self.best.keep(self.owner)

    def end(self) -> None:
        """Tell the callbacks that the training is over."""
        for callback in self.callbacks if self.begun else ():
            callback.on_train_end({})

    def _begin(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Show the callbacks the model with its optimizer, and, the first time, that the training begins."""
        self.owner.compile(optimizer)
        first, self.begun = not self.begun, True
        for callback in (self.recorder, self.best, *self.callbacks) if first else ():
            callback.set_params({"epochs": self.settings.epochs, "verbose": 0})
            callback.set_model(self.owner)
            callback.on_train_begin({})

    def _patience(self) -> keras.callbacks.EarlyStopping:
        """Its count starts with each stage."""
        mode = "min" if self.settings.objective == "val_loss" else "max"
        patience = keras.callbacks.EarlyStopping(self.settings.objective, patience=self.settings.patience, mode=mode)
        patience.set_model(self.owner)
        patience.on_train_begin()
        return patience


def probabilities(model: keras.Model, images: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """The model's answers: uint8 [N, S, S, 3] -> float32 [N, C]."""
    part = Part(images, np.zeros(len(images), np.int32))
    return predicted(answering(model), plain(part), batch_size)


def steps(count: int, settings: Settings) -> int:
    """Steps in an epoch over `count` images."""
    return math.ceil(count / settings.batch_size)


def stage_epochs(settings: Settings, stage: str) -> range:
    """The epochs of a stage in the whole schedule."""
    ends = {"head": (0, settings.head_epochs), "tune": (settings.head_epochs, settings.epochs)}
    ends["refit"] = (settings.epochs, settings.epochs + settings.refit)
    return range(*ends[stage])


def _optimizer(settings: Settings, stage: str, part: range, steps: int) -> keras.optimizers.Optimizer:
    """Adam: at a constant rate for the head; with warm-up and cosine decay over the whole stage for fine-tuning."""
    if stage == "head":
        return keras.optimizers.Adam(settings.head_rate)
    span = stage_epochs(settings, stage)
    return keras.optimizers.Adam(Decay(settings.tune_rate, len(span) * steps, (part.start - span.start) * steps))


class Decay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up over a tenth of `total` steps to `peak`, then cosine decay to 0 (Loshchilov and Hutter, 2017).

    `done` steps lie behind: where a parent trial stopped, the schedule goes on, but warms up once more, for Adam's
    moments are empty. Moving Adam's own count instead would undo its bias correction, and the first updates would be
    far too large.
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
    """Dropout draws from the epoch at which a stage starts, not from what was drawn before: a stage is the same whether
    the one before it was trained or taken up."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            layer.seed_generator.state.assign([seed, epoch])


def _class_weights(settings: Settings, labels: np.ndarray, classes: int) -> np.ndarray:
    balanced = settings.class_weights == "balanced"
    return balanced_weights(labels, classes) if balanced else np.ones(classes, np.float32)


class Recorder(keras.callbacks.Callback):
    """Appends each epoch's numbers to the history."""

    def __init__(self, history: History, on_epoch: Callable[[Row], None]) -> None:
        super().__init__()
        self.record, self.on_epoch = history, on_epoch
        self.stage = ""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        numbers = {name: float((logs or {}).get(name, math.nan)) for name in COLUMNS[2:6]}
        row = {
            "epoch": epoch,
            "stage": self.stage,
            **numbers,
            "learning_rate": float(self.model.optimizer.learning_rate),
            "seconds": round((logs or {}).get("seconds", math.nan), 3),
        }
        self.record.rows.append(row)
        self.on_epoch(row)


class KeepBest(keras.callbacks.Callback):
    """Keeps the weights and the answers of the best epoch of all stages in memory."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self.record = history
        self.weights: list[np.ndarray] | None = None
        self.answers: np.ndarray | None = None  # float32 [N, C] on the validation part

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.record.rows[-1] is self.record.best:
            self.keep(self.model)

    def keep(self, model: keras.Model) -> None:
        self.weights, self.answers = model.get_weights(), model.answers

    def restore(self, model: keras.Model) -> None:
        if self.weights is not None:
            model.set_weights(self.weights)


def without_optimizer(model: keras.Model, spec: ModelSpec) -> keras.Model:
    """The model as `build_model` gives it; one that was trained would be saved with its optimizer's state."""
    fresh = build_model(spec)
    fresh.set_weights(model.get_weights())
    return fresh


def save_model(run: Run, model: keras.Model, spec: ModelSpec, rows: list[Row], **more: Any) -> None:
    """A run's answer: model.keras (without optimizer state), model.json (its spec) and history.csv."""
    history = History(run.settings.objective, rows)
    put_model(run, model, {"spec": asdict(spec), "best_epoch": history.best, **more}, history)


def put_model(run: Run, model: keras.Model, described: dict[str, Any], history: History | None = None) -> None:
    """The model and what there is to say of it: model.keras, model.json, and history.csv where it was trained here.

    What was said of an earlier model is removed; its export stays, and `verify` tells that it is not this model's.
    """
    for stale in (
        *("model.json", "metrics.json", "test_probabilities.npz", "parity.json", "resize.json"),
        *("plots", "report.html", "report.md"),
    ):
        remove(run.path / stale)
    if history is not None:
        history.write(run.path / "history.csv")
    with atomic(run.path / "model.keras") as temporary:
        model.save(temporary)
    write_json(run.path / "model.json", described)


def load_model(run: Run) -> keras.Model:
    """The model that a run ended with; UnfreezeError where it has none yet."""
    path, again = run.path / "model.keras", f"unfreeze tune DATA {run.path}"
    if not path.is_file():
        raise UnfreezeError(f"{run.path} has no model yet; finish its search with `{again}`")
    if not isinstance(read_json(path.with_name("model.json")), dict):
        raise UnfreezeError(f"model.json beside {path} is damaged; repeat `{again}`")
    try:
        return read_model(path)
    except UnfreezeError as error:
        raise UnfreezeError(f"{error}; repeat `{again}`") from None


def train_run(run: Run, *, progress: Progress = silent, on_epoch: Callable[[Row], None] = lambda row: None) -> History:
    """One model, no search: the first point of the settings' space. Writes model.keras, model.json and history.csv, and
    tensorboard/ while it goes on."""
    settings, classes = run.settings, len(run.images.class_names)
    train_part = load_part(run, "train", antialiased=settings.augment != "none", progress=progress)
    val_part = load_part(run, "val", progress=progress)
    keras.utils.set_random_seed(settings.seed)
    spec = settings.spec(classes, settings.head_units[0], settings.dropout[0], settings.unfreeze[0])
    model = build_model(spec, settings.weights)
    write_space(run.path / FOLDER, settings)
    point = {name: getattr(spec, name) for name in POINT}
    board = Curve(run.path / FOLDER / "model", settings.objective, point=point)

    def told(row: Row) -> None:
        board.add(row)
        on_epoch(row)

    history = train(model, spec, train_part, val_part, settings, on_epoch=told)
    board.end(good=history.best is not None)
    if history.best is None:
        raise NoAnswerError(f"{settings.objective} was never finite; lower the learning rate or look at the data")
    save_model(run, without_optimizer(model, spec), spec, history.rows)
    return history
