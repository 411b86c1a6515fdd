"""A finished run's folder, told to an MLflow store. What the folder holds is all that is told.

One MLflow run for the run, a nested one for each trial. RUN/mlflow.json remembers which it is: called again, it is
brought up to date. What MLflow cannot change, parameters and curves, makes it a new one, and the old one goes into
MLflow's trash.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.storage.files import file_digest, read_json, write_json
from unfreeze.tracking.mlflow_store import connected, experiment, normal, reason, shown

RECORD = "mlflow.json"  # in the run's folder: store -> {"run_id": of MLflow, "files": path -> SHA-256 of what was sent}
FILES = (  # of a run, if it has them
    *("report.html", "report.md", "model.keras", "model.json", "history.csv", "trials.csv", "metrics.json"),
    *("parity.json", "export", "plots"),
)
POINT = ("head_units", "dropout", "unfreeze")
CURVE = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")
MOST = 1000  # metrics that MLflow takes at once

Point = tuple[str, float, int]  # metric, value, epoch


@dataclass(frozen=True)
class Logged:
    """What never changes in an MLflow run."""

    name: str
    params: dict[str, str]
    curve: tuple[Point, ...]
    tags: dict[str, str]
    good: bool = True


def log_to_mlflow(run: Path, uri: str) -> str:
    """Tell a store of the run in a folder; returns MLflow's id of it. NoAnswerError where the store fails."""
    uri = normal(uri)
    try:
        with connected(uri) as client:
            return _log(client, run, uri)
    except (UnfreezeError, NoAnswerError):
        raise
    except Exception as error:
        raise NoAnswerError(
            f"{run} is whole, but the MLflow store {shown(uri)} failed: {reason(error, uri)}; repeat the call"
        ) from None


def _log(client: Any, run: Path, uri: str) -> str:
    record = read_json(run / RECORD) if (run / RECORD).is_file() else {}
    whole, trials = _whole(run), _trials(run)
    fixed = [whole.params, whole.curve, *map(asdict, trials)]  # the same in a copy of the folder
    digest = hashlib.sha256(json.dumps(fixed).encode()).hexdigest()
    kept = record.get(shown(uri), {})
    run_id = _still_there(client, kept.get("run_id"), digest, run)
    if run_id is None:
        kept = {"run_id": _create(client, experiment(client, uri), whole), "files": {}}
        write_json(run / RECORD, record | {shown(uri): kept})
        run_id = kept["run_id"]
        for trial in trials:
            _finish(client, _create(client, experiment(client, uri), trial, run_id), trial.good)
        client.set_tag(run_id, "unfreeze.digest", digest)  # the last: without it the rest is not whole
    _numbers(client, run_id, _results(run))
    for path, sha256 in _files(run):
        if kept["files"].get(path) != sha256:
            client.log_artifact(run_id, str(run / path), str(Path(path).parent) if "/" in path else None)
            kept["files"][path] = sha256
    _finish(client, run_id, whole.good)
    write_json(run / RECORD, record | {shown(uri): kept})
    return run_id


def _still_there(client: Any, run_id: str | None, digest: str, run: Path) -> str | None:
    """The id of the MLflow run that says the same of this run; one that says something else is deleted."""
    from mlflow.exceptions import MlflowException

    if run_id is None:
        return None
    try:
        known = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None  # another store at the same address
    if known.info.lifecycle_stage != "active":
        return None
    if known.data.tags.get("unfreeze.digest") == digest:
        return run_id
    if known.data.tags.get("unfreeze.folder") == str(run.resolve()):  # not that of which this folder is a copy
        inside = f"tags.mlflow.parentRunId = '{run_id}'"
        for nested in client.search_runs([known.info.experiment_id], inside, max_results=MOST):
            client.delete_run(nested.info.run_id)
        client.delete_run(run_id)
    return None


def _create(client: Any, experiment_id: str, logged: Logged, parent: str | None = None) -> str:
    from mlflow.entities import Metric, Param, RunTag

    tags = logged.tags | ({"mlflow.parentRunId": parent} if parent else {})
    run_id: str = client.create_run(experiment_id, run_name=logged.name).info.run_id
    now = int(time.time() * 1000)  # milliseconds
    metrics = [Metric(name, value, now, step) for name, value, step in logged.curve]
    params = [Param(name, value) for name, value in logged.params.items()]
    client.log_batch(run_id, params=params, tags=[RunTag(name, value) for name, value in tags.items()])
    for first in range(0, len(metrics), MOST):
        client.log_batch(run_id, metrics=metrics[first : first + MOST])
    return run_id


def _numbers(client: Any, run_id: str, wanted: dict[str, float]) -> None:
    """Those that the run does not have already."""
    from mlflow.entities import Metric

    now, known = int(time.time() * 1000), client.get_run(run_id).data.metrics
    new = [Metric(name, value, now, 0) for name, value in wanted.items() if known.get(name) != value]
    for first in range(0, len(new), MOST):
        client.log_batch(run_id, metrics=new[first : first + MOST])


def _finish(client: Any, run_id: str, good: bool) -> None:
    client.set_terminated(run_id, "FINISHED" if good else "FAILED")


def _whole(run: Path) -> Logged:
    """The settings, the model that was kept and its learning curve."""
    stored, model = read_json(run / "run.json"), read_json(run / "model.json")
    settings = {name: _text(value) for name, value in stored["settings"].items()}
    spec = model.get("spec", {})  # none of a model that was trained elsewhere
    kept = {f"model/{name}": _text(spec[name]) for name in POINT if name in spec}
    tags = {
        "unfreeze.fingerprint": stored["fingerprint"],
        "unfreeze.version": stored["versions"]["unfreeze"],
        "unfreeze.seed": settings["seed"],
        "unfreeze.folder": str(run.resolve()),
        "unfreeze.trial": model.get("search", {}).get("taken", ""),
    }
    return Logged(run.resolve().name, settings | kept, _curve(run / "history.csv"), tags)


def _trials(run: Path) -> list[Logged]:
    if not (run / "trials.csv").is_file():
        return []
    with (run / "trials.csv").open(newline="") as file:
        rows = {row["trial"]: row for row in csv.DictReader(file)}
    return [_trial(run, rows, name) for name in rows]


def _trial(run: Path, rows: dict[str, dict[str, str]], name: str) -> Logged:
    """A trial, its curve behind that of the trial with whose weights it went on."""
    row, chain = rows[name], [name]
    while parent := rows[chain[0]]["parent"]:
        chain.insert(0, parent)
    curve = [point for one in chain for point in _curve(run / "search" / f"trial_{one}" / "history.csv")]
    best = [(f"best_{key}", float(row[key]), 0) for key in ("val_loss", "val_accuracy") if row[key]]
    cost = [(key, float(row[key]), 0) for key in ("parameters",) if row[key]]
    tags = {f"unfreeze.{key}": row[key] for key in ("trial", "best_epoch", "best_stage", "parent", "mark", "message")}
    params = {key: row[key] for key in POINT if row[key]}
    good = row["status"] == "COMPLETED" and bool(row["val_loss"])
    return Logged(f"trial_{name}", params, (*curve, *best, *cost), {k: v for k, v in tags.items() if v}, good)


def _curve(path: Path) -> tuple[Point, ...]:
    """A failed trial has none. Numbers that are not finite are left out."""
    if not path.is_file():
        return ()
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    points = [(name, float(row[name]), int(row["epoch"])) for row in rows for name in CURVE]
    return tuple(point for point in points if math.isfinite(point[1]))


def _results(run: Path) -> dict[str, float]:
    """The test's numbers, and of each artefact those of its proof."""
    found: dict[str, float] = {}
    if (run / "metrics.json").is_file():
        metrics = read_json(run / "metrics.json")
        found = {f"test_{name}": metrics[name] for name in ("accuracy", "log_loss", "calibration_error", "images")}
    for parity in read_json(run / "parity.json") if (run / "parity.json").is_file() else []:
        times = (parity.get("timings") or [{}])[0]
        numbers = {
            "accuracy": parity.get("accuracy"),
            "lost": parity.get("lost"),
            "flips": None if parity.get("accuracy") is None else len(parity["flips"]),
            "bytes": parity["artefact"]["bytes"],
            "latency_ms": times.get("median"),
            "holds": int(parity["holds"]),
        }
        name = parity["artefact"]["name"]
        found |= {f"{name}/{key}": float(value) for key, value in numbers.items() if value is not None}
    return found


def _files(run: Path) -> Iterator[tuple[str, str]]:
    """(path in the run's folder, SHA-256) of each file that is sent."""
    for name in FILES:
        top = run / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file():
                yield path.relative_to(run).as_posix(), file_digest(path)


def _text(value: Any) -> str:
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)
