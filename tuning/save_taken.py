"""The model of the trial that is taken -> model.keras, model.json and history.csv of the run."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import keras
import numpy as np

from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.own.head import head_of
from toolkit.run import Run
from toolkit.stats.scores import SCORES
from toolkit.storage.files import read_json, remove, write_json
from toolkit.training.answers import probabilities
from toolkit.training.batches import Part
from toolkit.training.event_files import FOLDER, CurveWriter, has_events, write_curve
from toolkit.training.held_out import HeldOut
from toolkit.training.history import Row, read_history
from toolkit.training.model_file import save_model, without_optimizer
from toolkit.training.recipe import recipe
from toolkit.training.train import refit
from tuning.base_model import BaseModel
from tuning.results import SearchResult, ancestors
from tuning.trial_files import trial_folder

# by dtype of the activations: how much a probability of the saved model may differ from the one that its trial recorded
PROBABILITY_TOLERANCE = {"float32": 1e-4, "float16": 2e-2}


def save_taken(
    run: Run,
    load_model: Callable[[], keras.Model],
    retrain: Callable[[list[Row]], keras.Model],
    result: SearchResult,
    base_of_taken: Callable[[], BaseModel],
    on_epoch: Callable[[Row], None] = lambda row: None,
) -> Row:
    """Train the taken trial's model on for `result.refit` epochs and save it; do nothing if the run already has this
    model.

    `load_model` returns the whole model with the weights of the trial's best epoch; with folds, the mean of those of
    its folds. `retrain` returns one that was trained on the images of all folds, along the learning curve that it is
    given. `base_of_taken` returns what the trial started from. Returns the row of the epoch whose weights were saved.
    Raises NoAnswerError if the model's probabilities differ from those that its trial recorded.
    """
    folder = trial_folder(run, result.taken)
    numbers = {key: value for key, value in asdict(result).items() if key not in ("spec", "trials", "kept", "left_out")}
    place, objective = run.path / FOLDER / "model", run.settings.objective
    if _is_saved(run, numbers):
        _tell_again(run, numbers)
        if not has_events(place):
            write_curve(place, objective, read_history(run.path / "history.csv"))
        return _saved_epoch(run)
    base, model = base_of_taken(), load_model()
    values = result.trial(result.taken).values
    settings, head = run.settings.at(values), head_of(run.own, values)
    answers = probabilities(model, base.val.images)
    difference = float(np.abs(answers - folder.checkpoint_answers()).max())
    if not difference <= PROBABILITY_TOLERANCE[run.settings.cache_dtype if run.settings.cache else "float32"]:
        raise NoAnswerError(
            f"the model of trial {result.taken}, built again from its weights, answers differently from what the trial "
            f"recorded: a probability differs by {difference:.2g}; repeat the search in a new run folder"
        )
    rows, curve = _whole_history(run, result), CurveWriter(place, objective)
    for row in rows:
        curve.add(row)
    if result.final == "retrained":
        model = without_optimizer(_working(retrain(rows), run, folder.answers(), base.val), result.spec, head)
    if result.refit:

        def tell(row: Row) -> None:
            curve.add(row)
            on_epoch(row)

        rows = refit(
            model, base.train, base.val, settings, rows, folder.answers(), tell, recipe(settings, run.own, values)
        )
        model = without_optimizer(model, result.spec, head)
        answers = probabilities(model, base.val.images)
    held_out = folder.answers() if run.settings.fold_count > 1 else answers  # the final model was trained on all images
    save_model(run, model, result.spec, rows, HeldOut(held_out, base.val.labels), search=numbers)
    return _saved_epoch(run)


def final_of(run: Run, trial: str, labels: np.ndarray) -> str:
    """How the final model is made of a trial with folds; "" if there are none. `labels`, int32 [N]: of the images that
    judged the trial.

    Where models have moved too far apart, the mean of their weights is none that works (Frankle et al., 2020); then one
    is trained anew.
    """
    settings, folder = run.settings, trial_folder(run, trial)
    if settings.fold_count == 1:
        return ""
    works = _works(folder.checkpoint_answers(), folder.answers(), labels, settings.balanced)
    return settings.final if works else "retrained"


def _working(model: keras.Model, run: Run, unseen: np.ndarray, judged: Part) -> keras.Model:
    """The retrained model. Raises NoAnswerError if it does not work. `unseen`: float32 [N, C], answers of the folds'
    models."""
    if not _works(probabilities(model, judged.images), unseen, judged.labels, run.settings.balanced):
        raise NoAnswerError(
            "the model that was trained anew on all images answers them worse than its folds' models do images they "
            "have not seen: give a lower --tune-rate or --head-rate, in a new run folder"
        )
    return model


def _works(answers: np.ndarray, unseen: np.ndarray, labels: np.ndarray, balanced: bool) -> bool:
    """Whether a model answers the images that it was trained on at least as well as others answer them unseen: its loss
    is not above theirs by more than three standard errors of the difference. Both float32 [N, C]."""
    loss = SCORES["val_loss"]
    gap = loss.of(answers, labels, balanced) - loss.of(unseen, labels, balanced)
    return bool(gap <= 3 * loss.standard_error(unseen, answers, labels, balanced))  # False where one is not finite


def _whole_history(run: Run, result: SearchResult) -> list[Row]:
    """The learning curves of the trials from which the taken one went on, then its own."""
    parents = {trial.trial: trial.parent for trial in result.trials}
    chain = [*ancestors(result.taken, parents, run.path / "search"), result.taken]
    return [row for name in chain for row in trial_folder(run, name).history()]


def _saved_epoch(run: Run) -> Row:
    best: Row = read_json(run.path / "model.json")["best_epoch"]
    return best


def _tell_again(run: Run, numbers: dict[str, Any]) -> None:
    """Write what is told of the search into model.json, where it has changed and the model has not. A report of what
    was told before is removed."""
    described = read_json(run.path / "model.json")
    now = json.loads(json.dumps(numbers))
    if described["search"] != now:
        write_json(run.path / "model.json", described | {"search": now})
        for name in ("report.html", "report.md"):
            remove(run.path / name)


def _is_saved(run: Run, numbers: dict[str, Any]) -> bool:
    """Whether the run already has the whole model of this trial. Then it is not written again, so that an export of it
    stays valid."""
    try:
        stored = read_json(run.path / "model.json")["search"]
        before = {"refit": 0, "final": ""} | stored  # earlier versions did not write these two
        same = all(before[name] == numbers[name] for name in ("taken", "refit", "final"))
        read_history(run.path / "history.csv")
        with zipfile.ZipFile(run.path / "model.keras") as archive:
            return bool(same and archive.testzip() is None)
    except (UnfreezeError, OSError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile):
        return False  # damaged: it is made again from the trial
