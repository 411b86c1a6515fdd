"""A connection to an MLflow store: found wrong before anything starts, and without MLflow's usage statistics.

The package `mlflow` is an extra and is imported only here, when a store was asked for. What is written to the store is
`unfreeze.tracking.mlflow`.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from toolkit.errors import UnfreezeError, first_line

EXPERIMENT = "unfreeze"  # unless MLFLOW_EXPERIMENT_NAME, MLflow's own variable, says another
SCHEMES = ("sqlite", "postgresql", "mysql", "mssql", "http", "https", "databricks")
# MLflow sends usage statistics to its makers unless one of these is set
PRIVATE = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
HASTY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}  # seconds; else minutes pass


def require(uri: str | None) -> None:
    """Nothing without a URI; UnfreezeError where `mlflow` is not installed or the store cannot be used."""
    if uri is None:
        return
    if find_spec("mlflow") is None:
        raise UnfreezeError("--mlflow needs the package mlflow: pip install 'unfreeze[mlflow]'")
    uri = normal(uri)
    with _environment(HASTY):
        try:
            with connected(uri) as client:
                experiment(client, uri)
        except UnfreezeError:
            raise
        except Exception as error:
            raise UnfreezeError(f"the MLflow store {shown(uri)} cannot be used: {reason(error, uri)}") from None


@contextlib.contextmanager
def connected(uri: str) -> Iterator[Any]:
    """An MlflowClient; while the block runs MLflow is silent and tells its makers nothing."""
    with _environment(PRIVATE):
        from mlflow import MlflowClient

        with _silent("mlflow", "alembic"):  # behind the import, which sets their levels
            yield MlflowClient(tracking_uri=uri, registry_uri=uri)


def experiment(client: Any, uri: str) -> str:
    """The id of the experiment that takes the runs; it is made where there is none."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    there = client.get_experiment_by_name(name)
    if there is None:
        made: str = client.create_experiment(name, artifact_location=_files(uri))
        return made
    if there.lifecycle_stage != "active":
        raise UnfreezeError(
            f"the experiment {name!r} in the MLflow store {shown(uri)} was deleted; restore it, or give another name "
            "in MLFLOW_EXPERIMENT_NAME"
        )
    known: str = there.experiment_id
    return known


def normal(uri: str) -> str:
    """The URI as it is understood in every folder; UnfreezeError where it is not one of a store."""
    try:
        scheme = urlsplit(uri).scheme.partition("+")[0] if ":" in uri else ""
    except ValueError as error:
        raise UnfreezeError(f"--mlflow {uri}: {error}; give sqlite:///mlflow.db or http://...") from None
    if scheme in ("", "file"):
        if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1"):
            return uri
        raise UnfreezeError(
            f"--mlflow {uri}: MLflow no longer keeps runs in a plain folder; give a file sqlite:///mlflow.db or the "
            "http address of a server"
        )
    if scheme not in SCHEMES:
        raise UnfreezeError(
            f"--mlflow {shown(uri)}: no MLflow store is called so; give sqlite:///mlflow.db or http://..."
        )
    return f"sqlite:///{_database(uri)}" if scheme == "sqlite" else uri


def shown(uri: str) -> str:
    """The URI without user and password."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri


def reason(error: Exception, uri: str) -> str:
    """What a failure says, in a line, without user and password."""
    secret = urlsplit(uri).netloc.rpartition("@")[0]
    said = first_line(error)
    return (said.replace(f"{secret}@", "") if secret else said)[:300]


def _database(uri: str) -> Path:
    """The absolute path of an SQLite file that is one or that can be made."""
    path = Path(uri.partition(":///")[2])
    if path == Path() or path.is_dir():
        raise UnfreezeError(f"--mlflow {uri} names no file; give sqlite:///mlflow.db")
    if not path.absolute().parent.is_dir():
        raise UnfreezeError(f"--mlflow {uri}: there is no folder {path.parent}; make it or give another")
    if path.exists():
        with path.open("rb") as file:
            start = file.read(16)
        if start and start != b"SQLite format 3\0":
            raise UnfreezeError(f"--mlflow {uri}: {path} is no SQLite database; give another file")
    return path.resolve()


def _files(uri: str) -> str | None:
    """Where an experiment's files go: beside an SQLite file (MLflow would put them into the folder that one happens to
    be in), else where the server says."""
    if not uri.startswith("sqlite:"):
        return None
    return (Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts").as_uri()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _silent(*names: str) -> Iterator[None]:
    """Only warnings of these loggers."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
