from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import SETTINGS
from toolkit.progress import Listener
from toolkit.run import Run, prepare
from toolkit.storage.files import read_json
from toolkit.training.event_files import SCALARS, CurveWriter, has_events, write_curve, write_space
from toolkit.training.history import read_history
from toolkit.training.train import train_run
from tuning.search import search

Points = dict[str, list[tuple[int, float]]]  # tag -> (step, value)


def scalars(folder: Path) -> Points:
    """By TensorBoard's own reader, which is not told to drop what a restart would leave behind."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}, purge_orphaned_data=False)
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def expected(rows: list[dict]) -> Points:
    return {tag: [(row["epoch"], float(np.float32(row[tag]))) for row in rows] for tag in SCALARS}


def assert_shows(folder: Path, rows: list[dict]) -> None:
    found = scalars(folder)
    assert {tag: found[tag] for tag in SCALARS} == expected(rows)


def row(epoch: int, loss: float, **more) -> dict:
    numbers = {"loss": loss + 0.1, "accuracy": 0.5, "val_loss": loss, "val_accuracy": 0.5 + epoch / 10}
    return {"epoch": epoch, "stage": "head", **numbers, "learning_rate": 1e-3, "seconds": 0.25, **more}


def history(run: Run, trial: str) -> list[dict]:
    return read_history(run.path / "search" / f"trial_{trial}" / "history.csv")


def places(run: Run) -> list[str]:
    return sorted(path.name for path in (run.path / "tensorboard").iterdir() if path.is_dir())


# The file


def test_what_is_written_is_read_at_once(tmp_path: Path) -> None:
    curve = CurveWriter(tmp_path / "trial_0000", "val_loss", point={"head_units": 64, "dropout": 0.1, "unfreeze": 2})
    rows = []
    for epoch, loss in enumerate((0.5, 0.3, 0.4)):
        rows.append(row(epoch, loss))
        curve.add(rows[-1])
        assert_shows(tmp_path / "trial_0000", rows)
    curve.end(good=True)
    assert_shows(tmp_path / "trial_0000", rows)


@pytest.mark.parametrize(("objective", "best"), [("val_loss", [0, 1, 1]), ("val_accuracy", [0, 0, 2])])
def test_the_best_epoch_so_far(tmp_path: Path, objective: str, best: list[int]) -> None:
    rows = [row(0, 0.5, val_accuracy=0.7), row(1, 0.3, val_accuracy=0.7), row(2, 0.4, val_accuracy=0.8)]
    write_curve(tmp_path, objective, rows)
    found = scalars(tmp_path)
    for name in ("val_loss", "val_accuracy"):
        values = [(epoch, float(np.float32(rows[number][name]))) for epoch, number in enumerate(best)]
        assert found[f"best_{name}"] == values


def test_epochs_of_another_training_are_shown_but_not_the_best(tmp_path: Path) -> None:
    write_curve(tmp_path, "val_loss", [row(2, 0.5)], before=[row(0, 0.1), row(1, 0.2)])
    assert_shows(tmp_path, [row(0, 0.1), row(1, 0.2), row(2, 0.5)])
    assert scalars(tmp_path)["best_val_loss"] == [(2, 0.5)]


def test_an_epoch_that_diverged_is_shown_and_never_the_best(tmp_path: Path) -> None:
    write_curve(tmp_path, "val_loss", [row(0, math.nan), row(1, 0.5), row(2, math.inf)])
    found = scalars(tmp_path)
    assert np.isnan(found["val_loss"][0][1])
    assert found["best_val_loss"] == [(1, 0.5), (2, 0.5)]


def test_a_training_that_starts_again_leaves_no_point_twice(tmp_path: Path) -> None:
    CurveWriter(tmp_path, "val_loss").add(row(0, 0.9))
    again = CurveWriter(tmp_path, "val_loss")
    again.add(row(0, 0.5))
    assert_shows(tmp_path, [row(0, 0.5)])
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("missing", [1, 3, 40])
def test_a_record_that_was_cut_hides_no_earlier_one(tmp_path: Path, missing: int) -> None:
    write_curve(tmp_path, "val_loss", [row(0, 0.5), row(1, 0.4)])
    (file,) = tmp_path.iterdir()
    os.truncate(file, file.stat().st_size - missing)
    assert_shows(tmp_path, [row(0, 0.5)])


def test_a_folder_deleted_while_it_is_written_stops_nothing(tmp_path: Path) -> None:
    curve = CurveWriter(tmp_path / "board", "val_loss")
    curve.add(row(0, 0.5))
    shutil.rmtree(tmp_path / "board")
    curve.add(row(1, 0.4))
    assert_shows(tmp_path / "board", [row(1, 0.4)])


def test_the_space_is_that_of_the_last_call(tiny: str, tmp_path: Path) -> None:
    for settings in (SETTINGS, SETTINGS, replace(SETTINGS, unfreeze=(1,))):
        write_space(tmp_path, settings)
        assert len(list(tmp_path.iterdir())) == 1
    assert has_events(tmp_path)


def test_writing_loads_no_tensorflow(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from toolkit.training.event_files import write_curve, write_space
from toolkit.settings import Settings
assert "tensorboard" not in sys.modules
write_space(Path({str(tmp_path)!r}), Settings())
write_curve(Path({str(tmp_path / "model")!r}), "val_loss", [{row(0, 0.5)!r}], point={{"unfreeze": 1}})
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert_shows(tmp_path / "model", [row(0, 0.5)])


# A search


def test_every_trial_and_the_model_that_was_kept(finished: Run) -> None:
    taken = read_json(finished.path / "model.json")["search"]["taken"]
    assert places(finished) == ["model", "trial_0000", "trial_0001", "trial_0002"]
    for number in range(3):
        assert_shows(finished.path / "tensorboard" / f"trial_000{number}", history(finished, f"000{number}"))
    assert_shows(finished.path / "tensorboard" / "model", history(finished, taken))


def test_a_running_search_can_be_watched(tiny: str, pictures: Path, tmp_path: Path) -> None:
    run, seen = prepare(pictures, tmp_path / "run", replace(SETTINGS, trials=1)), []

    def look(epoch: dict) -> None:
        seen.append(epoch)
        assert_shows(run.path / "tensorboard" / "trial_0000", seen)

    search(run, Listener(on_epoch=look))
    assert len(seen) == 2


def test_trials_that_go_on_stand_behind_those_they_go_on_from(tiny: str, pictures: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, oracle="halving", trials=4, tune_epochs=3, refit=1)
    run = prepare(pictures, tmp_path / "run", settings)
    result = search(run)
    parents = {trial.trial: trial.parent for trial in result.trials}

    def whole(trial: str) -> list[dict]:
        return (whole(parents[trial]) if parents[trial] else []) + history(run, trial)

    assert sum(map(bool, parents.values())) > 2
    for trial in result.trials:
        folder = run.path / "tensorboard" / f"trial_{trial.trial}"
        assert_shows(folder, whole(trial.trial))
        found = scalars(folder)
        assert found["best_val_loss"][-1][1] == np.float32(trial.val_loss)
        assert found["best_val_accuracy"][-1][1] == np.float32(trial.val_accuracy)
        assert found["best_val_loss"][0][0] == history(run, trial.trial)[0]["epoch"]
    kept = read_history(run.path / "history.csv")
    assert kept[-1]["stage"] == "refit"
    assert_shows(run.path / "tensorboard" / "model", kept)


def test_a_search_that_was_cut_goes_on_without_a_point_twice(tiny: str, pictures: Path, tmp_path: Path) -> None:
    run, epochs = prepare(pictures, tmp_path / "run", SETTINGS), []

    def cut(epoch: dict) -> None:
        epochs.append(epoch)
        if len(epochs) == 3:  # the first of the second trial
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(run, Listener(on_epoch=cut))
    assert_shows(run.path / "tensorboard" / "trial_0000", history(run, "0000"))
    assert_shows(run.path / "tensorboard" / "trial_0001", epochs[2:])
    search(run)
    for number in range(3):
        assert_shows(run.path / "tensorboard" / f"trial_000{number}", history(run, f"000{number}"))


def test_what_was_deleted_is_written_again(finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)
    before = {name: scalars(run.path / "tensorboard" / name) for name in places(run)}
    shutil.rmtree(run.path / "tensorboard")
    monkeypatch.setattr("tuning.trial_model.TrialModel.fit", None)
    search(run)
    assert {name: scalars(run.path / "tensorboard" / name) for name in places(run)} == before
    assert has_events(run.path / "tensorboard")


def test_nothing_is_left_of_an_abandoned_training(tiny: str, pictures: Path, tmp_path: Path) -> None:
    run = prepare(pictures, tmp_path / "run", replace(SETTINGS, trials=1))
    for name in ("model", "trial_0007"):
        write_curve(run.path / "tensorboard" / name, "val_loss", [row(0, 0.5)])

    def cut(epoch: dict) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(run, Listener(on_epoch=cut))
    assert places(run) == ["trial_0000"]


# One model


def test_a_training_without_a_search(tiny: str, pictures: Path, tmp_path: Path) -> None:
    run = prepare(pictures, tmp_path / "run", SETTINGS)
    train_run(run)
    train_run(run)
    assert places(run) == ["model"]
    assert_shows(run.path / "tensorboard" / "model", read_history(run.path / "history.csv"))


# TensorBoard itself


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Its address: the command that people type, on a free port."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", "0", "--load_fast", "false"]
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=quiet) as process:
        assert process.stderr is not None
        try:
            lines = iter(process.stderr.readline, "")
            yield next(found.group() for line in lines if (found := re.search(r"http://[\w.]+:\d+/", line)))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def ask(address: str, path: str, value: dict | None = None) -> dict:
    data = None if value is None else json.dumps(value).encode()
    asked = urllib.request.Request(address + path, data, {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked) as answer:
        return json.load(answer)


def test_tensorboard_shows_the_scalars_and_the_hparams_page(finished: Run) -> None:
    with server(finished.path) as address:
        tags = ask(address, "data/plugin/scalars/tags")
        space = ask(address, "data/plugin/hparams/experiment", {"experimentName": ""})
        metrics = [{"metric": info["name"]} for info in space["metricInfos"]]
        statuses = ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING", "STATUS_UNKNOWN"]
        query = {"experimentName": "", "allowedStatuses": statuses, "colParams": metrics, "startIndex": 0}
        groups = ask(address, "data/plugin/hparams/session_groups", query | {"sliceSize": 99})["sessionGroups"]
    best = {"best_val_loss", "best_val_accuracy"}
    assert {name: set(tags[name]) for name in tags} == {
        f"tensorboard/{name}": {*SCALARS, *best} for name in places(finished)
    }
    assert {info["name"]: info["domainDiscrete"] for info in space["hparamInfos"]} == {
        name: list(getattr(SETTINGS, name)) for name in ("head_units", "dropout", "unfreeze")
    }
    assert {info["name"]["tag"] for info in space["metricInfos"]} == best
    assert sorted(group["name"] for group in groups) == ["trial_0000", "trial_0001", "trial_0002"]
    for group in groups:
        record = read_json(finished.path / "search" / group["name"] / "trial.json")
        assert group["hparams"] == record["hyperparameters"]["values"]
        result = read_json(finished.path / "search" / group["name"] / "result.json")["best"]
        found = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
        assert found == {f"best_{name}": pytest.approx(result[name]) for name in ("val_loss", "val_accuracy")}
        assert group["sessions"][0]["status"] == "STATUS_SUCCESS"
