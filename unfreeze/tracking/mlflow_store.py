"""A connection to an MLflow store. It is checked before anything starts, and MLflow's usage statistics are off.

The package `mlflow` is an extra. It is imported only here, and only if a store is used. `unfreeze.tracking.mlflow`
decides what is logged.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toolkit.errors import UnfreezeError, first_line

EXPERIMENT = "unfreeze"  # unless MLFLOW_EXPERIMENT_NAME, MLflow's own variable, is set
SQLITE = "sqlite:///"
# MLflow sends usage statistics to its makers unless one of these is set.
PRIVATE = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
# Without these MLflow tries for minutes to reach a server that does not answer. The timeout is in seconds.
HASTY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


def check_store(uri: str | None) -> None:
    """Raises UnfreezeError if `mlflow` is not installed or the store cannot be used. Does nothing if `uri` is None."""
    if uri is None:
        return
    if find_spec("mlflow") is None:
        raise UnfreezeError("--mlflow needs the package mlflow: pip install 'unfreeze[mlflow]'")
    uri = absolute(uri)
    try:
        with _environment(HASTY), connected(uri) as client:
            experiment(client, uri)
    except UnfreezeError:
        raise
    except Exception as error:
        raise UnfreezeError(
            f"the MLflow store {shown(uri)} cannot be used: {reason(error)}; give sqlite:///mlflow.db or the http "
            "address of a server"
        ) from None


@contextlib.contextmanager
def connected(uri: str) -> Iterator[Any]:
    """An MlflowClient. While the block runs, MLflow logs only warnings and sends no usage statistics."""
    with _environment(PRIVATE):
        from mlflow import MlflowClient

        loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
        before = [logger.level for logger in loggers]  # the import sets them
        try:
            for logger in loggers:
                logger.setLevel(logging.WARNING)
            yield MlflowClient(tracking_uri=uri, registry_uri=uri)
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


def experiment(client: Any, uri: str) -> str:
    """The id of the experiment for the runs, which is created if it does not exist. Raises UnfreezeError if one of its
    name lies in MLflow's trash."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    known = client.get_experiment_by_name(name)
    if known is not None and known.lifecycle_stage != "active":
        raise UnfreezeError(
            f"the experiment {name!r} in the MLflow store {shown(uri)} was deleted; restore it, or give another name "
            "in MLFLOW_EXPERIMENT_NAME"
        )
    if known is not None:
        return str(known.experiment_id)
    # Files go beside an SQLite file (MLflow would put them into the working folder), else where the server says.
    beside = (Path(uri.removeprefix(SQLITE)).parent / "mlartifacts").as_uri() if uri.startswith(SQLITE) else None
    return str(client.create_experiment(name, artifact_location=beside))


def absolute(uri: str) -> str:
    """The URI, with an absolute path if it is that of an SQLite file. Raises UnfreezeError if that names no file or
    lies in no folder (MLflow would take the first for a database in memory)."""
    if not uri.startswith("sqlite:"):
        return uri
    path = Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else Path()
    if path == Path() or path.is_dir():
        raise UnfreezeError(f"--mlflow {uri} names no file; give sqlite:///mlflow.db")
    if not path.absolute().parent.is_dir():
        raise UnfreezeError(f"--mlflow {uri}: there is no folder {path.parent}; make it or give another")
    return f"{SQLITE}{path.resolve()}"


def shown(text: str) -> str:
    """A URI, or a text with URIs in it, without user and password."""
    return re.sub(r"(?<=://)[^/\s]*@", "", text)


def reason(error: Exception) -> str:
    """What a failure says, in a line of at most 300 characters, without user and password."""
    return shown(first_line(error))[:300]


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables while the block runs."""
    before = {name: os.environ[name] for name in values if name in os.environ}
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            os.environ.pop(name, None)
        os.environ.update(before)
