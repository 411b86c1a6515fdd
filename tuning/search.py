"""The search: a run folder and its data -> trials by KerasTuner -> the model of the trial that is taken.

If an interrupted search is called again, it goes on. Left to others: which point is tried next
(`tuning.oracles`), running the trials (`tuning.tuner`), one trial (`tuning.trial_model`), choosing the trial to
take (`tuning.selection`).
"""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial as OracleTrial

from toolkit.data.folds import draw_folds
from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.models.backbones import deepest
from toolkit.models.spec import POINT
from toolkit.own.space import own_space, values_of
from toolkit.own.try_out import refused, try_out
from toolkit.progress import SILENT, Listener
from toolkit.run import Run
from toolkit.settings_rules import FollowedTuple
from toolkit.stats.scores import SCORES
from toolkit.storage.files import write_json
from toolkit.training.history import Row
from tuning import memory
from tuning.device import ANY, Device
from tuning.oracles.halving import HalvingOracle
from tuning.oracles.make import make_oracle
from tuning.results import SearchResult, Trial, read_left_out, write_left_out, write_trials
from tuning.retrain import retrained
from tuning.save_taken import final_of, save_taken
from tuning.search_space import Values, all_points, base_of, bases, hyperparameters, model_spec, varied
from tuning.selection import Candidate, Judged, choose_trial
from tuning.time_limit import TimeLimit, TimeOverError
from tuning.trial_curves import TrialCurves
from tuning.trial_files import trial_folder
from tuning.trial_model import TrialModel
from tuning.trial_records import completed, failures
from tuning.tuner import RunTuner


def search(
    run: Run,
    listener: Listener = SILENT,
    limit: TimeLimit | None = None,
    device: Device = ANY,
    more: bool = True,
) -> SearchResult:
    """Start or continue the search in a run folder. Writes trials.csv, model.keras, model.json and history.csv, and
    tensorboard/ during the search.

    `listener.on_trials` gets all trials that have ended: once at the start, then whenever another one ends. `limit`:
    the time of the command. `device`: what it leaves of the search space, and what trials are chosen by. `more`: False
    to choose among the trials that there are. Raises NoAnswerError if every trial failed, or if the time was over
    before one had ended.
    """
    limit = limit or TimeLimit()
    settings, labels = run.settings, run.images.select(*run.settings.judged_on).labels
    folds = draw_folds(run.images, settings.fold_count, settings) if settings.fold_count > 1 else None

    def report(oracle: keras_tuner.Oracle) -> None:
        trials = trial_rows(run, oracle)
        write_trials(run.path / "trials.csv", trials)
        listener.on_trials(trials)

    curves = TrialCurves(run)

    def tell(row: Row) -> None:
        curves.epoch(row)
        listener.on_epoch(row)
        limit.epoch()

    with refused():
        own = own_space(run.own)
    space = hyperparameters(settings, device.fits, own)
    oracle = _oracle(run, labels, space, device)
    model = TrialModel(run, folds, tell, limit.watched(listener.progress))
    if more:
        largest = {one.get("backbone"): one for one in sorted(bases(space), key=lambda one: one.get("image_size", 0))}
        for label, one in largest.items():  # a fault of any of them shows before the first trial
            base = model.base(one)
            limit.open(run, base.model, base.train, base.val, label, bases(space))
            if run.own.given:
                features = base.model.get_layer("pool").output.shape[-1]
                try_out(run, base.spec, features, next(all_points(space)), values_of(own))
    tuner = RunTuner(oracle, model, run=run, curves=curves, on_trial=report, limit=limit)
    if _requeue_damaged(run, oracle):
        tuner.reload()
    curves.open(oracle)
    if more:
        report(oracle)
    limit.resume(oracle, {row.trial: row.seconds for row in trial_rows(run, oracle)})
    if more:
        if isinstance(oracle, HalvingOracle):
            oracle.deeper = lambda values: _deeper(model, limit, values)
        with memory.gc_frozen(), limit.ending(oracle):
            tuner.search(verbose=0)
    if not completed(oracle):
        _, message = next(iter(failures(oracle)), ("", "no trial was run"))
        raise NoAnswerError(f"every trial failed; the first said: {message}")
    judged = device.judge(_candidates(run, oracle), lambda trial: tuner.load_model(oracle.trials[trial]))
    left_out = limit.left_out(oracle) if more else read_left_out(run.path)
    result = replace(_result(run, oracle, labels, judged), left_out=left_out)
    write_left_out(run.path, result.left_out)
    write_trials(run.path / "trials.csv", list(result.trials))
    taken = oracle.trials[result.taken]
    row = save_taken(
        run,
        lambda: tuner.load_model(taken),
        lambda rows: retrained(model, taken.hyperparameters, rows),
        result,
        lambda: model.base(taken.hyperparameters.values),
        listener.on_epoch,
    )
    return replace(result, kept=row)


def _deeper(model: TrialModel, limit: TimeLimit, values: Values) -> int | None:
    """Twice the unfreeze depth of a point, as far as its backbone goes, with its activations computed. None if it is
    unfrozen to the end, if the user named the depths, or if there is no time or no room for it."""
    depth, base = values["unfreeze"], model.base(values)
    most = deepest(base.spec.backbone)
    further = min(2 * depth, most)
    named = not isinstance(model.settings.unfreeze, FollowedTuple)
    if named or not 0 < depth < most or not limit.fits_deeper(values, whole=further == most):
        return None
    try:
        if base.is_cut(further):
            base.activations(further)
    except TimeOverError:
        raise
    except UnfreezeError:  # no room: the trials that there are stay
        return None
    return further


def _oracle(run: Run, labels: np.ndarray, space: keras_tuner.HyperParameters, device: Device) -> keras_tuner.Oracle:
    settings = run.settings

    def error(one: OracleTrial, other: OracleTrial) -> float:
        first, second = (trial_folder(run, trial.trial_id).answers() for trial in (one, other))
        return SCORES[settings.objective].standard_error(first, second, labels, settings.balanced)

    return make_oracle(
        settings.oracle,
        objective=settings.objective,
        space=space,
        max_trials=settings.trials,
        max_epochs=settings.epochs,
        head_epochs=settings.head_epochs,
        error=error,
        cost=lambda trial: device.cost(trial.hyperparameters.values),
        seed=settings.seed,
    )


def _requeue_damaged(run: Run, oracle: keras_tuner.Oracle) -> list[str]:
    """Mark completed trials whose files cannot be read as running, so that they run again. Returns their ids. A trial
    that diverged has no answers and is not one of them."""
    damaged = [trial for trial in completed(oracle) if not trial_folder(run, trial.trial_id).is_whole()]
    for trial in damaged:
        record = trial.get_state() | {"status": "RUNNING"}
        write_json(trial_folder(run, trial.trial_id).path / "trial.json", record)
    return [trial.trial_id for trial in damaged]


def trial_rows(run: Run, oracle: keras_tuner.Oracle) -> list[Trial]:
    """The trials that have ended, in the order of their numbers, the best one marked."""
    best = next((trial.trial_id for trial in completed(oracle)), None)
    ended = [trial for _, trial in sorted(oracle.trials.items()) if trial.status in ("COMPLETED", "FAILED")]
    return [_row(run, trial, "best" if trial.trial_id == best else "") for trial in ended]


def _candidates(run: Run, oracle: keras_tuner.Oracle) -> list[Candidate]:
    """The best trial of each point, the best first: a promoted trial has the same point as its parent."""
    points: dict[tuple, Any] = {}
    for trial in completed(oracle):
        values = trial.hyperparameters.values
        points.setdefault((*varied(values).values(), *(values[name] for name in POINT)), trial)
    return [_candidate(run, trial) for trial in points.values()]


def _result(run: Run, oracle: keras_tuner.Oracle, labels: np.ndarray, judged: Judged) -> SearchResult:
    choice = choose_trial(judged.candidates, labels, run.settings)
    if judged.taken:
        choice = replace(choice, taken=next(one for one in judged.candidates if one.trial == judged.taken))
    marks = {other.trial: "tied" for other in choice.tied} | {choice.best.trial: "best"}
    point = oracle.trials[choice.taken.trial].hyperparameters
    return SearchResult(
        taken=choice.taken.trial,
        best=choice.best.trial,
        tied=tuple(sorted(other.trial for other in choice.tied)),
        recommended=choice.recommended.trial,
        spec=model_spec(run.settings, len(run.images.class_names), point.values),
        trials=tuple(replace(row, mark=marks.get(row.trial, "")) for row in trial_rows(run, oracle)),
        refit=run.settings.refit,
        judged=len(labels),
        folds=run.settings.fold_count,
        objective=run.settings.objective,
        final=final_of(run, choice.taken.trial, labels),
        file=judged.file,
        broken=judged.broken.get(choice.taken.trial, ""),
    )


def _candidate(run: Run, trial: Any) -> Candidate:
    folder, values = trial_folder(run, trial.trial_id), trial.hyperparameters.values
    parameters, depth = folder.result()["parameters"], values["unfreeze"]
    size = run.settings.at(base_of(values)).image_size
    return Candidate(trial.trial_id, trial.score, parameters, depth, folder.answers(), size, values)


def _row(run: Run, trial: Any, mark: str) -> Trial:
    result = trial_folder(run, trial.trial_id).result() if trial.status == "COMPLETED" else {}
    best = result.get("best") or {}
    return Trial(
        trial=trial.trial_id,
        status=trial.status,
        **{name: trial.hyperparameters.values.get(name) for name in POINT},
        val_loss=_finite(best.get("val_loss")),
        val_accuracy=_finite(best.get("val_accuracy")),
        best_epoch=best.get("epoch"),
        best_stage=best.get("stage", ""),
        parameters=result.get("parameters"),
        seconds=result.get("seconds"),
        message=(trial.message or "").partition("\n")[0],
        parent=trial.hyperparameters.values.get("tuner/trial_id") or "",
        mark=mark,
        score=_finite(best.get(run.settings.objective)),
        fold_spread=_spread(result.get("folds") or []),
        varied=varied(trial.hyperparameters.values),
    )


def _spread(scores: list[float]) -> float | None:
    """The standard deviation of the objective over the folds; None if there are none."""
    return _finite(statistics.stdev(scores)) if len(scores) > 1 else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
