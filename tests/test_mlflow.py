from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import OPTIONS
from toolkit.errors import UnfreezeError
from toolkit.run import Run
from toolkit.storage.files import file_digest, read_json, write_json
from toolkit.training.history import read_history
from tuning.results import Trial, write_trials
from unfreeze import cli
from unfreeze.tracking import mlflow as tracking
from unfreeze.tracking import mlflow_store
from unfreeze.tracking.mlflow import log_to_mlflow
from unfreeze.tracking.mlflow_store import absolute, check_store, experiment, shown

pytestmark = [
    # MLflow 3.17's store on SQLAlchemy 2.1
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
]
CURVE = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables: they take seconds to make."""
    try:
        import mlflow  # noqa: F401
    except ImportError:
        if os.environ.get("UNFREEZE_REQUIRE_SHARED"):
            pytest.fail("mlflow is not installed")
        pytest.skip("mlflow is not installed: pip install 'unfreeze[mlflow]'")
    path = tmp_path_factory.mktemp("store") / "empty.db"
    with mlflow_store.connected(f"sqlite:///{path}") as client:
        client.search_experiments()
    return path


@pytest.fixture
def store(empty: Path, tmp_path: Path) -> str:
    shutil.copy(empty, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Path:
    shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("cache"))
    return tmp_path / "run"


@pytest.fixture
def client(store: str) -> Iterator[Any]:
    with mlflow_store.connected(store) as client:
        yield client


def runs(client: Any, store: str) -> tuple[list[Any], list[Any]]:
    """Those that stand alone and those inside them, by MLflow's own search; the trash left out."""
    found = client.search_runs([experiment(client, store)])
    nested = [one for one in found if "mlflow.parentRunId" in one.data.tags]
    return [one for one in found if one not in nested], sorted(nested, key=lambda one: one.info.run_name)


def curve(client: Any, run_id: str, name: str) -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in client.get_metric_history(run_id, name))


def expected(history: Path, name: str) -> list[tuple[int, float]]:
    return [(row["epoch"], row[name]) for row in read_history(history)]


def sent(client: Any, run_id: str, folder: str = "") -> dict[str, str]:
    """Path -> SHA-256 of every file in the store."""
    found = {}
    for one in client.list_artifacts(run_id, folder):
        if one.is_dir:
            found |= sent(client, run_id, one.path)
        else:
            found[one.path] = file_digest(Path(client.download_artifacts(run_id, one.path)))
    return found


def snapshot(client: Any, store: str, run_id: str) -> Any:
    """All that a store says of a run and of those inside it."""
    whole, trials = runs(client, store)
    own = [one for one in (*whole, *trials) if run_id in (one.info.run_id, one.data.tags.get("mlflow.parentRunId"))]
    points = {(one.info.run_id, k): curve(client, one.info.run_id, k) for one in own for k in one.data.metrics}
    return [one.to_dictionary() for one in own], points


# What is told


def test_the_store_holds_what_the_folder_holds(client: Any, store: str, run: Path) -> None:
    run_id = log_to_mlflow(run, store)
    ((whole,), trials) = runs(client, store)
    stored, metrics = read_json(run / "run.json"), read_json(run / "metrics.json")
    assert (whole.info.run_id, whole.info.run_name, whole.info.status) == (run_id, "run", "FINISHED")
    assert whole.data.params.items() >= {"backbone": "Tiny", "head_units": "0, 4", "tune_epochs": "1"}.items()
    assert whole.data.params.keys() >= stored["settings"].keys() - {"vary"}
    assert whole.data.tags["unfreeze.fingerprint"] == stored["fingerprint"]
    assert whole.data.tags["unfreeze.version"] == stored["versions"]["unfreeze"]
    assert whole.data.tags["unfreeze.seed"] == "0"
    assert whole.data.metrics["test_accuracy"] == metrics["accuracy"]
    assert whole.data.metrics["test_log_loss"] == metrics["log_loss"]
    for name in CURVE:
        assert curve(client, run_id, name) == expected(run / "history.csv", name)
    with (run / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [one.info.run_name for one in trials] == [f"trial_{row['trial']}" for row in rows]
    for one, row in zip(trials, rows, strict=True):
        assert one.data.params == {name: row[name] for name in ("head_units", "dropout", "unfreeze")}
        assert one.data.metrics["best_val_loss"] == float(row["val_loss"])
        assert one.data.tags["mlflow.parentRunId"] == run_id
        for name in CURVE:
            history = run / "search" / f"trial_{row['trial']}" / "history.csv"
            assert curve(client, one.info.run_id, name) == expected(history, name)


def test_the_proof_and_the_files(client: Any, store: str, run: Path) -> None:
    (run / "report.html").write_text("<p>")
    run_id = log_to_mlflow(run, store)
    numbers = client.get_run(run_id).data.metrics
    for parity in read_json(run / "parity.json"):
        name = parity["artefact"]["name"]
        assert numbers[f"{name}/accuracy"] == parity["accuracy"]
        assert numbers[f"{name}/lost"] == parity["lost"]
        assert numbers[f"{name}/flips"] == len(parity["flips"])
        assert numbers[f"{name}/bytes"] == parity["artefact"]["bytes"]
    found = sent(client, run_id)
    assert found.keys() >= {"report.html", "model.keras", "export/model.onnx", "export/manifest.json", "trials.csv"}
    for top in ("export", "plots"):
        files = {path.relative_to(run).as_posix() for path in (run / top).rglob("*") if path.is_file()}
        assert {path for path in found if path.startswith(top)} == files
    assert found == {path: file_digest(run / path) for path in found}
    assert client.get_run(run_id).info.artifact_uri.startswith((run.parent / "mlartifacts").as_uri())


def test_a_trial_that_goes_on_stands_behind_the_one_it_goes_on_from(tmp_path: Path) -> None:
    head = "epoch,stage,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds\n"
    for number in range(3):
        folder = tmp_path / "search" / f"trial_000{number}"
        folder.mkdir(parents=True)
        (folder / "history.csv").write_text(f"{head}{number},tune,.1,.1,0.{number}5,.1,.1,nan\n")
    trials = [
        Trial(f"000{n}", "COMPLETED", 4, 0.1, 0, 0.05 + n / 10, 0.1, n, "tune", 9, 1.0, "", f"000{n - 1}" if n else "")
        for n in range(3)
    ]
    failed = Trial("0003", "FAILED", 4, 0.2, 0, None, None, None, "", None, None, "out of luck")
    write_trials(tmp_path / "trials.csv", [*trials, failed])
    *_, last, broken = tracking.trial_runs(tmp_path)
    assert [(v, step) for name, v, step in last.metrics if name == "val_loss"] == [(0.05, 0), (0.15, 1), (0.25, 2)]
    assert not [metric for metric in last.metrics if metric[0] == "seconds"]  # not a number
    assert (broken.good, broken.metrics, broken.tags["unfreeze.message"]) == (False, [], "out of luck")


# Again


def test_every_call_makes_a_run_and_leaves_the_others_alone(client: Any, store: str, run: Path) -> None:
    first = log_to_mlflow(run, store)
    before = snapshot(client, store, first)
    stored = read_json(run / "run.json")
    stored["settings"]["trials"] = 4
    write_json(run / "run.json", stored)
    second = log_to_mlflow(run, store)
    assert snapshot(client, store, first) == before
    assert {one.info.run_id: one.data.params["trials"] for one in runs(client, store)[0]} == {first: "3", second: "4"}
    assert sent(client, first).keys() == sent(client, second).keys()
    assert not (run / "mlflow.json").exists()


@pytest.mark.parametrize("call", ["log_artifact", "set_terminated"])
def test_a_run_that_was_cut_is_shown_as_cut(client: Any, store: str, run: Path, monkeypatch, call: str) -> None:
    """`set_terminated` is called first at the end of a trial's run; at its second call the store is told so."""
    real, calls = getattr(type(client), call), []

    def cut(*given, **more) -> Any:
        calls.append(given)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(f"mlflow.MlflowClient.{call}", cut)
        with pytest.raises(KeyboardInterrupt):
            log_to_mlflow(run, store)
    assert [one.info.status for one in runs(client, store)[0]] == ["KILLED"]
    assert client.get_run(log_to_mlflow(run, store)).info.status == "FINISHED"


def test_a_plain_folder_where_mlflow_is_told_to_allow_it(
    empty: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "mlruns").as_uri()
    check_store(uri)
    run_id = log_to_mlflow(run, uri)
    with mlflow_store.connected(uri) as client:
        assert curve(client, run_id, "val_loss") == expected(run / "history.csv", "val_loss")


# The call


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("mlruns", "sqlite:///mlflow.db"),
        ("file:///tmp/mlruns", "sqlite:///mlflow.db"),
        ("sqllite:///mlflow.db", "sqllite"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///nowhere/mlflow.db", "there is no folder nowhere"),
        ("sqlite:///notes.txt", "file is not a database"),
        ("ftp://name:secret@host/x", "ftp://host/x"),
        ("http://[name:secret@host", "the MLflow store http://host cannot be used"),
    ],
)
def test_a_wrong_uri(empty: Path, uri: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    (tmp_path / "notes.txt").write_text("these are my own notes")
    with pytest.raises(UnfreezeError) as raised:
        check_store(uri)
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert (tmp_path / "notes.txt").read_text() == "these are my own notes"


def test_a_relative_path_is_the_same_file_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("sqlite:///mlflow.db") == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert absolute(absolute("sqlite:///mlflow.db")) == absolute("sqlite:///mlflow.db")


@pytest.mark.parametrize("command", ["run", "tune", "train"])
def test_without_mlflow_nothing_starts(
    command: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mlflow_store, "find_spec", lambda name: None)
    code = cli._main([command, str(pictures), str(tmp_path / "run"), "--mlflow", "sqlite:///mlflow.db"])
    assert code == 2
    said = capsys.readouterr().err
    assert said == "error: --mlflow needs the package mlflow: pip install 'unfreeze[mlflow]'\n"
    assert not (tmp_path / "run").exists()


def test_nothing_starts_where_nobody_answers(
    empty: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = "http://name:secret@localhost:1"
    assert cli._main(["train", str(pictures), str(tmp_path / "run"), "--mlflow", uri]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: the MLflow store http://localhost:1 cannot be used: ")
    assert "secret" not in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_experiment_of_another_name(store: str, client: Any, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "pets")
    check_store(store)
    run_id = log_to_mlflow(run, store)
    assert client.get_experiment(client.get_run(run_id).info.experiment_id).name == "pets"


def test_a_deleted_experiment_is_found_before_anything_starts(store: str, client: Any) -> None:
    client.delete_experiment(experiment(client, store))
    with pytest.raises(UnfreezeError, match="was deleted; restore it"):
        check_store(store)


def test_a_store_that_fails_in_the_end(store: str, client: Any, run: Path, monkeypatch) -> None:
    def broken(*call, **more) -> None:
        raise OSError("the network is gone")

    monkeypatch.setattr("mlflow.MlflowClient.create_run", broken)
    with pytest.raises(tracking.NoAnswerError, match=r"is complete, but .* failed: the network is gone; repeat"):
        log_to_mlflow(run, store)


def test_passwords_stay_out_of_the_folder() -> None:
    assert shown("http://name:secret@host:5000/path") == "http://host:5000/path"
    assert shown("postgresql+psycopg2://name:se%40cret@host/db") == "postgresql+psycopg2://host/db"
    assert shown("sqlite:////tmp/a@b.db") == "sqlite:////tmp/a@b.db"


def test_the_command(tiny: str, store: str, client: Any, pictures: Path, tmp_path: Path, capsys) -> None:
    options = [*OPTIONS[:8], "--head-units", "4", "--unfreeze", "0", "--head-epochs", "1", "--tune-epochs", "1"]
    call = ["train", str(pictures), str(tmp_path / "run"), *options, "--mlflow", store]
    assert cli._main(call) == 0
    ((whole,), trials) = runs(client, store)
    assert f"logged to MLflow as run {whole.info.run_id}" in capsys.readouterr().err
    assert whole.data.params["model/head_units"] == "4"
    assert not trials
    assert "model.keras" in sent(client, whole.info.run_id)


# Privacy


WATCHED = """
import socket, sys
from pathlib import Path
asked = []
def refuse(host, *rest, **more):
    asked.append(host)
    raise OSError("no network here")
socket.getaddrinfo = refuse
from unfreeze.tracking import mlflow_store
from unfreeze.tracking.mlflow import log_to_mlflow
if sys.argv[3] == "careless":
    mlflow_store.PRIVATE.clear()
mlflow_store.check_store(sys.argv[1])
log_to_mlflow(Path(sys.argv[2]), sys.argv[1])
from mlflow.telemetry import get_telemetry_client
client = get_telemetry_client()
if client is not None:
    client.flush()
print(client is not None or bool(asked), sorted(set(asked)))
"""


@pytest.mark.parametrize("how", ["as it is", "careless"])
def test_nothing_is_sent_to_anybody_else(store: str, run: Path, how: str) -> None:
    """`careless`, without our setting, shows that this test would see it."""
    quiet = {
        "PYTEST_CURRENT_TEST",
        "CI",
        "GITHUB_ACTIONS",
        "DO_NOT_TRACK",
        "MLFLOW_DISABLE_TELEMETRY",
    }
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    call = [sys.executable, "-c", WATCHED, store, str(run), how]
    ended = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
    if how == "careless":
        assert ended.stdout.startswith("True ")
    else:
        assert (ended.stdout, ended.stderr) == ("False []\n", "")


def test_the_environment_is_as_it_was(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    before = dict(os.environ)
    with mlflow_store.connected(store):
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == os.environ["DO_NOT_TRACK"] == "true"
    assert dict(os.environ) == before
