"""The model of a trial with folds, trained anew on all of their images at once, for as many epochs as was best in the
folds. No images are left that could say when to stop."""

from __future__ import annotations

import keras
import keras_tuner

from toolkit.training.fit import fit
from toolkit.training.folds import Turns, as_folds
from toolkit.training.history import History, Row
from toolkit.training.staged_training import begin_stage, stage_epochs
from tuning.trial_model import TrialModel


def retrained(trials: TrialModel, point: keras_tuner.HyperParameters, rows: list[Row]) -> keras.Model:
    """The whole model of a point, from image to probabilities. `rows`: the learning curve of its trial, and of those
    from which it went on."""
    settings, model = trials.settings.at(point.values), trials.build(point)
    turns, how = Turns(model), trials.recipe(point)
    for stage, part, train, val in trials.stages(point, model):
        epochs = best_epochs(stage_epochs(settings, stage), rows, settings.objective)
        if epochs:
            optimizer = begin_stage(model, settings, stage, epochs, len(train.labels), how)
            fit(part, optimizer, as_folds(train, val), settings, epochs=epochs, callbacks=[], turns=turns, how=how)
    return trials.whole(point, model)


def best_epochs(span: range, rows: list[Row], objective: str) -> range:
    """The epochs of a stage, which has those of `span`, up to the one whose weights were kept at its end: none if an
    earlier stage had the best epoch."""
    best = History(objective, [row for row in rows if row["epoch"] < span.stop]).best
    return range(span.start, best["epoch"] + 1) if best else span
