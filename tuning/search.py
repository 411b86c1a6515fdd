"""The search: a run folder and its data -> trials by KerasTuner -> the model of the trial that is taken.

Interrupted and called again it goes on. State on disk and oracles are `tuning.oracles.make`, a trial is
`tuning.trial_model`.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import h5py
import keras_tuner
import numpy as np

from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.models.spec import POINT
from toolkit.progress import SILENT, Listener
from toolkit.run import Run
from toolkit.storage.files import read_json, write_json
from toolkit.training.answers import probabilities
from toolkit.training.batches import load_part
from toolkit.training.event_files import FOLDER, Curve, has_events, write_curve
from toolkit.training.history import Row, read_history
from toolkit.training.model_file import save_model, without_optimizer
from toolkit.training.train import refit
from tuning import memory
from tuning.oracles.make import Tuner, completed, failures, make_oracle
from tuning.results import SearchResult, Trial, ancestors, write_trials
from tuning.selection import Candidate, smallest, standard_error, tied
from tuning.space import hyperparameters, spec_of
from tuning.trial_curves import Board
from tuning.trial_model import ANSWERS, Data, TrialModel

SAME = {"float32": 1e-4, "float16": 2e-2}  # between a trial's recorded answers and those of the model rebuilt from it


class _Tuner(Tuner):
    """Tells the HyperModel where the trial's folder is, TensorBoard of each trial, the caller when one has ended."""

    def __init__(self, *args: Any, board: Board, on_trial: Callable[[keras_tuner.Oracle], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.board, self.on_trial = board, on_trial

    def load_model(self, trial: Any) -> Any:
        """The whole model, from image to probabilities."""
        return self.hypermodel.whole(trial.hyperparameters, super().load_model(trial))

    def on_trial_begin(self, trial: Any) -> None:
        super().on_trial_begin(trial)
        self.hypermodel.folder = Path(self.get_trial_dir(trial.trial_id))
        self.board.begin(self.oracle, trial)

    def on_trial_end(self, trial: Any) -> None:
        self.board.end()
        super().on_trial_end(trial)
        self.on_trial(self.oracle)


def search(run: Run, listener: Listener = SILENT) -> SearchResult:
    """Search, or go on with the search, in a run folder; writes trials.csv, model.keras, model.json and history.csv,
    and tensorboard/ while it goes on.

    `listener.on_trials` gets all ended trials whenever one has ended, and once at the start.
    NoAnswerError where all failed.
    """
    data = Data(
        train=load_part(run, "train", antialiased=run.settings.augment != "none", progress=listener.progress),
        val=load_part(run, "val", progress=listener.progress),
        classes=len(run.images.class_names),
    )

    def report(oracle: keras_tuner.Oracle) -> None:
        trials = table(run, oracle)
        write_trials(run.path / "trials.csv", trials)
        listener.on_trials(trials)

    board = Board(run)
    tuner = _tuner(run, TrialModel(run, data, _both(board.epoch, listener.on_epoch), listener.progress), board, report)
    if _requeue_damaged(run, tuner.oracle):
        tuner.reload()
    board.open(tuner.oracle)
    report(tuner.oracle)
    with memory.settled():
        tuner.search(verbose=0)
    if not completed(tuner.oracle):
        _, message = next(iter(failures(tuner.oracle)), ("", "no trial was run"))
        raise NoAnswerError(f"every trial failed; the first said: {message}")
    result = choose(run, tuner.oracle, data.val.labels)
    write_trials(run.path / "trials.csv", list(result.trials))
    return replace(result, kept=_save_taken(run, tuner, result, data, listener.on_epoch))


def _both(one: Callable[[Row], None], other: Callable[[Row], None]) -> Callable[[Row], None]:
    def told(row: Row) -> None:
        one(row)
        other(row)

    return told


def _tuner(run: Run, model: TrialModel, board: Board, on_trial: Callable[[keras_tuner.Oracle], None]) -> _Tuner:
    settings = run.settings
    oracle = make_oracle(
        settings.oracle,
        objective=settings.objective,
        space=hyperparameters(settings),
        max_trials=settings.trials,
        max_epochs=settings.epochs,
        head_epochs=settings.head_epochs,
        error=_error(run, model.data.val.labels),
        seed=settings.seed,
    )
    return _Tuner(oracle, model, directory=str(run.path), project_name="search", board=board, on_trial=on_trial)


def _error(run: Run, labels: np.ndarray) -> Callable[[Any, Any], float]:
    """The standard error of the difference of two trials' objectives, from what they answered."""

    def error(one: Any, other: Any) -> float:
        answers = _answers(run, one.trial_id), _answers(run, other.trial_id)
        return standard_error(*answers, labels, run.settings.objective)

    return error


def _requeue_damaged(run: Run, oracle: keras_tuner.Oracle) -> list[str]:
    """Have the completed trials run again whose files cannot be read; their ids. One that diverged has no answers."""
    damaged = [trial for trial in completed(oracle) if not _readable(_folder(run, trial.trial_id))]
    for trial in damaged:
        write_json(_folder(run, trial.trial_id) / "trial.json", trial.get_state() | {"status": "RUNNING"})
    return [trial.trial_id for trial in damaged]


def _readable(folder: Path) -> bool:
    try:
        read_history(folder / "history.csv")
        np.load(folder / ANSWERS, allow_pickle=False)
        return "parameters" in read_json(folder / "result.json") and h5py.is_hdf5(folder / "checkpoint.weights.h5")
    except (UnfreezeError, OSError, ValueError, EOFError):
        return False


def table(run: Run, oracle: keras_tuner.Oracle) -> list[Trial]:
    """The ended trials in the order of their numbers, the best marked."""
    best = next((trial.trial_id for trial in completed(oracle)), None)
    ended = [trial for _, trial in sorted(oracle.trials.items()) if trial.status in ("COMPLETED", "FAILED")]
    return [_row(run, trial, "best" if trial.trial_id == best else "") for trial in ended]


def choose(run: Run, oracle: keras_tuner.Oracle, labels: np.ndarray) -> SearchResult:
    """The best trial, those tied with it, the smallest of them, and by `pick` the one to take."""
    points: dict[tuple, Any] = {}  # of a trial and those that went on from it, the best alone
    for trial in completed(oracle):
        points.setdefault(tuple(trial.hyperparameters.get(name) for name in POINT), trial)
    best, *others = [_candidate(run, trial) for trial in points.values()]
    equal = [other for other in others if tied(best, other, labels, run.settings.objective)]
    recommended = smallest([best, *equal])
    taken = best if run.settings.pick == "best" else recommended
    marks = {other.trial: "tied" for other in equal} | {best.trial: "best"}
    point = oracle.trials[taken.trial].hyperparameters
    return SearchResult(
        taken=taken.trial,
        best=best.trial,
        tied=tuple(sorted(other.trial for other in equal)),
        recommended=recommended.trial,
        spec=spec_of(run.settings, len(run.images.class_names), point),
        trials=tuple(replace(row, mark=marks.get(row.trial, "")) for row in table(run, oracle)),
        refit=run.settings.refit,
    )


def _save_taken(
    run: Run, tuner: Tuner, result: SearchResult, data: Data, on_epoch: Callable[[Row], None]
) -> dict[str, Any]:
    """The model that the trial measured, proven to give the answers that the trial recorded, and trained on if that is
    asked for. Returns the epoch whose weights it has."""
    numbers = {key: value for key, value in asdict(result).items() if key not in ("spec", "trials", "kept")}
    place, objective = run.path / FOLDER / "model", run.settings.objective
    if _is_saved(run, numbers):
        if not has_events(place):
            write_curve(place, objective, read_history(run.path / "history.csv"))
        return _kept(run)
    model = tuner.load_model(tuner.oracle.trials[result.taken])
    recorded = _answers(run, result.taken)
    difference = float(np.abs(probabilities(model, data.val.images) - recorded).max())
    if not difference <= SAME[run.settings.cache_dtype if run.settings.cache else "float32"]:
        raise NoAnswerError(f"trial {result.taken}'s model, rebuilt, differs from what it answered by {difference:.2g}")
    rows, board = _curve(run, result.trial(result.taken), result), Curve(place, objective)
    for row in rows:
        board.add(row)
    if result.refit:
        rows = refit(model, data.train, data.val, run.settings, rows, recorded, _both(board.add, on_epoch))
        model = without_optimizer(model, result.spec)
    save_model(run, model, result.spec, rows, search=numbers)
    return _kept(run)


def _curve(run: Run, trial: Trial, result: SearchResult) -> list[Row]:
    """The learning curve of a trial, behind those of the trials from which it went on."""
    chain = ancestors(trial.trial, {one.trial: one.parent for one in result.trials}, run.path / "search")
    return [row for name in (*chain, trial.trial) for row in read_history(_folder(run, name) / "history.csv")]


def _kept(run: Run) -> dict[str, Any]:
    best: dict[str, Any] = read_json(run.path / "model.json")["best_epoch"]
    return best


def _is_saved(run: Run, numbers: dict[str, Any]) -> bool:
    """Whether the run already has this trial's model: it is not written again, so that its export stays its own."""
    try:
        stored = read_json(run.path / "model.json")["search"]
        same = all(stored.get(name, 0) == numbers[name] for name in ("taken", "refit"))
        read_history(run.path / "history.csv")
        with zipfile.ZipFile(run.path / "model.keras") as archive:
            return bool(same and archive.testzip() is None)
    except (UnfreezeError, OSError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile):
        return False  # damaged: it is made again of the trial


def _folder(run: Run, trial: str) -> Path:
    return run.path / "search" / f"trial_{trial}"


def _answers(run: Run, trial: str) -> np.ndarray:
    """float32 [N, C]: what a trial says of the validation part."""
    answers: np.ndarray = np.load(_folder(run, trial) / ANSWERS, allow_pickle=False)
    return answers


def _facts(run: Run, trial: str) -> dict[str, Any]:
    path = _folder(run, trial) / "result.json"
    return read_json(path) if path.exists() else {}


def _candidate(run: Run, trial: Any) -> Candidate:
    answers = _answers(run, trial.trial_id)
    facts = _facts(run, trial.trial_id)
    return Candidate(trial.trial_id, trial.score, facts["parameters"], trial.hyperparameters.get("unfreeze"), answers)


def _row(run: Run, trial: Any, mark: str) -> Trial:
    done = trial.status == "COMPLETED"
    facts = _facts(run, trial.trial_id) if done else {}
    best = facts.get("best") or {}
    return Trial(
        trial=trial.trial_id,
        status=trial.status,
        **{name: trial.hyperparameters.values.get(name) for name in POINT},
        val_loss=_finite(best.get("val_loss")),
        val_accuracy=_finite(best.get("val_accuracy")),
        best_epoch=best.get("epoch"),
        best_stage=best.get("stage", ""),
        parameters=facts.get("parameters"),
        seconds=facts.get("seconds"),
        message=(trial.message or "").partition("\n")[0],
        parent=trial.hyperparameters.values.get("tuner/trial_id") or "",
        mark=mark,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
