"""A finished run's folder -> a new run in an MLflow store, with a nested one for each trial.

Every call makes a new MLflow run. Existing ones are never changed or deleted.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.proof.parity import Parity, read_parities
from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.evaluation.results import read_metrics
from toolkit.models.backbones import short_name
from toolkit.models.choices import choices
from toolkit.models.spec import POINT
from toolkit.stats.scores import SCORES
from toolkit.storage.files import read_json
from toolkit.training.history import read_history
from tuning.results import Trial, ancestors, read_trials
from unfreeze.tracking.mlflow_store import absolute, connected, experiment, reason, shown

FILES = (  # files of a run that are logged, if they exist
    *("report.html", "report.md", "model.keras", "model.json", "history.csv", "trials.csv", "metrics.json"),
    *("parity.json", "export", "plots"),
)
CURVE = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds", *SCORES))
SPEC = ("backbone", "alpha", "image_size", "pixels")  # of a model's spec, beside its point
METRICS_AT_ONCE = 1000  # limit of MLflow for one request

Metric = tuple[str, float, int]  # name, value, epoch


@dataclass(frozen=True)
class Logged:
    """The contents of one MLflow run."""

    name: str
    params: dict[str, str]
    metrics: list[Metric]
    tags: dict[str, str]
    good: bool = True


def log_to_mlflow(run: Path, uri: str) -> str:
    """Log the run in a folder to a store; MLflow's id of the new run. Raises NoAnswerError if the store fails.
    Raises UnfreezeError if a file of the run is damaged."""
    uri = absolute(uri)
    whole, trials = whole_run(run), trial_runs(run)
    try:
        with connected(uri) as client:
            return _log(client, experiment(client, uri), run, whole, trials)
    except UnfreezeError:
        raise
    except Exception as error:
        raise NoAnswerError(
            f"{run} is complete, but the MLflow store {shown(uri)} failed: {reason(error)}; repeat the call"
        ) from None


def _log(client: Any, experiment_id: str, run: Path, whole: Logged, trials: list[Logged]) -> str:
    run_id = _create(client, experiment_id, whole)
    try:
        for trial in trials:
            nested = _create(client, experiment_id, trial, parent=run_id)
            client.set_terminated(nested, "FINISHED" if trial.good else "FAILED")
        for path in filter(Path.exists, (run / name for name in FILES)):
            if path.is_dir():
                client.log_artifacts(run_id, str(path), path.name)
            else:
                client.log_artifact(run_id, str(path))
    except BaseException:  # MLflow then shows that the run was interrupted
        with suppress(Exception):
            client.set_terminated(run_id, "KILLED")
        raise
    client.set_terminated(run_id, "FINISHED")
    return run_id


def _create(client: Any, experiment_id: str, logged: Logged, parent: str | None = None) -> str:
    from mlflow import entities

    tags = logged.tags | ({"mlflow.parentRunId": parent} if parent else {})
    run_id: str = client.create_run(experiment_id, run_name=logged.name, tags=tags).info.run_id
    client.log_batch(run_id, params=[entities.Param(name, value) for name, value in logged.params.items()])
    now = int(time.time() * 1000)  # milliseconds
    metrics = [entities.Metric(name, value, now, step) for name, value, step in logged.metrics]
    for first in range(0, len(metrics), METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=metrics[first : first + METRICS_AT_ONCE])
    return run_id


def whole_run(run: Path) -> Logged:
    """The settings, the kept model and its learning curve, the test metrics and those of each exported file."""
    stored, model = read_json(run / "run.json"), read_json(run / "model.json")
    settings = _settings(stored["settings"])
    spec = model.get("spec", {})  # absent if the model was trained elsewhere
    kept = {f"model/{name}": _text(spec[name]) for name in (*SPEC, *POINT) if name in spec}
    taken = model.get("search", {}).get("taken", "")
    varied = next((one.varied for one in read_trials(run / "trials.csv") if one.trial == taken), {})
    kept |= {f"model/{name}": _text(value) for name, value in varied.items()}
    if "backbone" in spec:
        kept["model/backbone"] = short_name(spec["backbone"])
    tags = {
        "unfreeze.fingerprint": stored["fingerprint"],
        "unfreeze.version": stored["versions"]["unfreeze"],
        "unfreeze.seed": settings["seed"],
        "unfreeze.folder": str(run.resolve()),
        "unfreeze.trial": taken,
    }
    found: dict[str, float | None] = {}
    if evaluation := read_metrics(run, tuple(stored["class_names"])):
        names = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "calibration_error", "images")
        found = {f"test_{name}": getattr(evaluation, name) for name in names}
    for parity in read_parities(run / "parity.json"):
        found |= {f"{parity.artefact.name}/{name}": value for name, value in _parity_metrics(parity).items()}
    metrics = [(name, float(value), 0) for name, value in found.items() if value is not None]
    return Logged(run.resolve().name, settings | kept, [*_curve(run / "history.csv"), *metrics], tags)


def _settings(stored: dict[str, Any]) -> dict[str, str]:
    """The settings of a run.json; of those that the search varied all values. Several backbones are named as in tables,
    and what belongs to one of them is left out."""
    vary = dict(stored.get("vary", {}))
    told = {name: value for name, value in stored.items() if name != "vary"} | vary
    if "backbone" in vary:
        told["backbone"] = [one.label for one in choices(vary["backbone"])]
        told = {name: value for name, value in told.items() if name not in ("alpha", "weights", "pixels")}
    return {name: _text(value) for name, value in told.items()}


def _parity_metrics(parity: Parity) -> dict[str, float | None]:
    return {
        "accuracy": parity.accuracy,
        "lost": parity.lost,
        "flips": None if parity.accuracy is None else len(parity.flips),
        "bytes": parity.artefact.bytes,
        "latency_ms": parity.timings[0].median if parity.timings else None,
        "holds": int(bool(parity)),
    }


def trial_runs(run: Path) -> list[Logged]:
    """Each trial of the search. Its learning curve begins with those of the trials whose training it continues."""
    trials = read_trials(run / "trials.csv")
    parents = {trial.trial: trial.parent for trial in trials}
    return [_trial_run(run, trial, ancestors(trial.trial, parents, run / "trials.csv")) for trial in trials]


def _trial_run(run: Path, trial: Trial, before: list[str]) -> Logged:
    chain = [run / "search" / f"trial_{name}" / "history.csv" for name in (*before, trial.trial)]
    best = {"best_val_loss": trial.val_loss, "best_val_accuracy": trial.val_accuracy, "parameters": trial.parameters}
    metrics = [metric for path in chain for metric in _curve(path)]
    metrics += [(name, float(value), 0) for name, value in best.items() if value is not None]
    names = ("trial", "best_epoch", "best_stage", "parent", "mark", "message")
    tags = {f"unfreeze.{name}": str(getattr(trial, name)) for name in names if getattr(trial, name) not in (None, "")}
    params = {name: str(value) for name, value in trial.values.items()} if trial.point else {}
    good = trial.status == "COMPLETED" and trial.val_loss is not None
    return Logged(f"trial_{trial.trial}", params, metrics, tags, good)


def _curve(path: Path) -> list[Metric]:
    """The finite numbers in a history.csv; [] if there is no such file, as for a failed trial."""
    rows = read_history(path) if path.is_file() else []
    names = [name for name in dict.fromkeys((*CURVE, *(rows[0] if rows else ()))) if name not in ("epoch", "stage")]
    return [(name, row[name], row["epoch"]) for row in rows for name in names if math.isfinite(row.get(name, math.nan))]


def _text(value: Any) -> str:
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)
