"""Training of a whole model on images: the head with the backbone frozen, then the unfrozen stages at a lower rate.

The weights of the best epoch are restored at the end of each stage. The stages themselves are
`toolkit.training.staged_training`, what is trainable in each `toolkit.models.build`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

import keras
import numpy as np

from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.models.build import build_model, set_unfreeze
from toolkit.models.spec import ModelSpec
from toolkit.own.head import head_of
from toolkit.own.try_out import refused, try_out_single
from toolkit.progress import SILENT, Listener
from toolkit.run import Run
from toolkit.settings import Settings
from toolkit.training.answers import probabilities
from toolkit.training.batches import Part, Source, augmented, load_part, unaugmented
from toolkit.training.event_files import FOLDER, CurveWriter, write_space
from toolkit.training.folds import as_folds
from toolkit.training.held_out import HeldOut
from toolkit.training.history import History, Row
from toolkit.training.model_file import save_model, without_optimizer
from toolkit.training.recipe import Recipe, recipe
from toolkit.training.staged_training import STAGES, StagedTraining, stage_epochs


def train(
    model: keras.Model,
    spec: ModelSpec,
    train_part: Part,
    val_part: Part,
    settings: Settings,
    *,
    epochs: range | None = None,
    on_epoch: Callable[[Row], None] = lambda row: None,
    how: Recipe | None = None,
) -> History:
    """Train in place and leave the weights of the best epoch in the model. Returns the learning curve.

    `epochs`: those of the whole schedule (head epochs, then fine-tuning epochs) that are trained; None: all. `how`:
    None for the usual loss and Adam.
    """
    training = StagedTraining(model, settings, on_epoch=on_epoch, how=how)
    for stage, part, train_on, judge_on in whole_stages(model, spec, train_part, val_part, settings):
        training.run(stage, part, as_folds(train_on, judge_on), epochs or range(settings.epochs))
    training.end()
    return training.history


def whole_stages(
    model: keras.Model, spec: ModelSpec, train_part: Part, val_part: Part, settings: Settings
) -> Iterator[tuple[str, keras.Model, Source, Source]]:
    """Each stage of a whole model on images: its name, the model, and what it is trained and judged on.

    When the iterator reaches a stage, it makes that stage's layers trainable. A model of depth 0 has both stages too:
    the second one trains the head further, at a rate that decays.
    """
    for stage in STAGES:
        set_unfreeze(model, spec, spec.unfreeze if stage == "tune" else 0)
        yield stage, model, augmented(train_part, settings), unaugmented(val_part)


def refit(
    model: keras.Model,
    train_part: Part,
    val_part: Part,
    settings: Settings,
    rows: list[Row],
    answers: np.ndarray,
    on_epoch: Callable[[Row], None] = lambda row: None,
    how: Recipe | None = None,
) -> list[Row]:
    """Train on in place for `settings.refit` epochs on augmented views that no epoch has shown yet, with a learning
    rate that warms up and decays once more. Returns the whole learning curve.

    `rows`: the model's learning curve so far. `answers`: its probabilities for the validation part, float32 [N, C].
    The weights of the best of all epochs are left in the model. `how`: None for the usual loss and Adam.
    """
    training = StagedTraining(model, settings, on_epoch=on_epoch, how=how)
    training.resume(rows, answers)
    epochs = stage_epochs(settings, "refit")
    training.run("refit", model, as_folds(augmented(train_part, settings), unaugmented(val_part)), epochs)
    training.end()
    return training.history.rows


def train_run(run: Run, listener: Listener = SILENT) -> History:
    """Train one model without a search: the first value of each setting that a search would vary. Writes model.keras,
    model.json, history.csv and val_answers.npz, and tensorboard/ during the training. Raises NoAnswerError if no epoch
    had finite numbers."""
    settings, classes = run.settings, len(run.images.class_names)
    if settings.fold_count > 1 or settings.time_limit:
        raise UnfreezeError("folds and a time limit are those of a search; `tune` it, or train without them")
    train_part = load_part(run, "train", antialiased=settings.augment != "none", progress=listener.progress)
    val_part = load_part(run, "val", progress=listener.progress)
    units, rates, depths = settings.space
    spec = settings.spec(classes, units[0], rates[0], depths[0])
    own = try_out_single(run, spec) if run.own.given else {}
    point = own | asdict(spec.point)
    keras.utils.set_random_seed(settings.seed)
    with refused():
        head, how = head_of(run.own, point), recipe(settings, run.own, point)
        model = build_model(spec, settings.weights, head)
    write_space(run.path / FOLDER, settings, {name: (value,) for name, value in own.items()})
    board = CurveWriter(run.path / FOLDER / "model", settings.objective, point=point)

    def told(row: Row) -> None:
        board.add(row)
        listener.on_epoch(row)

    with refused():
        history = train(model, spec, train_part, val_part, settings, on_epoch=told, how=how)
    board.end(good=history.best is not None)
    if history.best is None:
        raise NoAnswerError(f"{settings.objective} was never finite; lower the learning rate or look at the data")
    held_out = HeldOut(probabilities(model, val_part.images), val_part.labels)
    save_model(run, without_optimizer(model, spec, head), spec, history.rows, held_out)
    return history
