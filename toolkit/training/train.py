"""Training: the head with the backbone frozen, then the unfrozen stages at a lower rate with warm-up and cosine decay.

The weights of the best epoch are restored at the end of each stage. Batches are left to `toolkit.training.batches`, the
trainable flags to `toolkit.models.build`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

import keras
import numpy as np

from toolkit.errors import NoAnswerError
from toolkit.models.build import build_model, set_unfreeze
from toolkit.models.spec import ModelSpec
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.settings import Settings
from toolkit.training.batches import Part, Source, augmented, load_part, plain
from toolkit.training.course import STAGES, Course, stage_epochs
from toolkit.training.event_files import FOLDER, Curve, write_space
from toolkit.training.history import History, Row
from toolkit.training.model_file import save_model, without_optimizer


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
    for stage in whole_stages(model, spec, train_part, val_part, settings):
        course.run(*stage, epochs or range(settings.epochs))
    course.end()
    return course.history


def whole_stages(
    model: keras.Model, spec: ModelSpec, train_part: Part, val_part: Part, settings: Settings
) -> Iterator[tuple[str, keras.Model, Source, Source]]:
    """The arguments of `Course.run` for each stage of a whole model on images. When a stage is asked for, the layers
    that it trains are made trainable. Depth 0 has both stages too: the second one trains the head at a rate that
    decays."""
    for stage in STAGES:
        set_unfreeze(model, spec, spec.unfreeze if stage == "tune" else 0)
        yield stage, model, augmented(train_part, settings), plain(val_part)


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
    board = Curve(run.path / FOLDER / "model", settings.objective, point=asdict(spec.point))

    def told(row: Row) -> None:
        board.add(row)
        on_epoch(row)

    history = train(model, spec, train_part, val_part, settings, on_epoch=told)
    board.end(good=history.best is not None)
    if history.best is None:
        raise NoAnswerError(f"{settings.objective} was never finite; lower the learning rate or look at the data")
    save_model(run, without_optimizer(model, spec), spec, history.rows)
    return history
