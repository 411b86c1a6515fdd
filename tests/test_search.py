from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest

from tests.tiny import OPTIONS, SETTINGS
from toolkit.errors import NoAnswerError
from toolkit.progress import Listener
from toolkit.run import Run, load_run, prepare
from toolkit.storage.files import read_json
from toolkit.training.answers import probabilities
from toolkit.training.batches import load_part
from toolkit.training.history import read_history
from toolkit.training.model_file import load_model
from tuning import search as module
from tuning.device import ANY
from tuning.search import search
from tuning.search_space import hyperparameters
from tuning.trial_curves import TrialCurves
from tuning.trial_model import TrialModel
from tuning.trial_records import failures
from tuning.tuner import RunTuner

ROOT = Path(__file__).parents[1]


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "trials.csv").open(newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def test_a_finished_search(finished: Run) -> None:
    trials = rows(finished.path)
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 3
    assert len({(trial["head_units"], trial["dropout"], trial["unfreeze"]) for trial in trials}) == 3
    best = min(trials, key=lambda trial: float(trial["val_loss"]))
    assert [trial["trial"] for trial in trials if trial["mark"] == "best"] == [best["trial"]]
    assert read_json(finished.path / "model.json")["search"]["taken"] == best["trial"]


def test_the_model_is_the_one_that_the_trial_measured(finished: Run) -> None:
    model = load_model(finished)
    taken = read_json(finished.path / "model.json")["search"]["taken"]
    recorded = np.load(finished.path / "search" / f"trial_{taken}" / "val_probabilities.npy")
    part = load_part(finished, "val")
    np.testing.assert_allclose(probabilities(model, part.images), recorded, atol=1e-3)  # activations in half precision
    loss = -np.log(recorded[np.arange(len(part.labels)), part.labels]).mean()
    assert loss == pytest.approx(
        float(next(t for t in rows(finished.path) if t["trial"] == taken)["val_loss"]), rel=1e-4
    )


@pytest.fixture
def searched(finished: Run, tmp_path: Path) -> Run:
    """A copy of the finished run, which another search goes on from."""
    return replace(finished, path=Path(shutil.copytree(finished.path, tmp_path / "run")))


def test_refit_trains_on_and_never_gets_worse(searched: Run, pictures: Path) -> None:
    run = searched
    before = search(run)
    trial = rows(run.path)
    again = prepare(pictures, run.path, replace(SETTINGS, refit=3))
    epochs: list[dict] = []
    after = search(again, Listener(on_epoch=epochs.append))
    assert [row["stage"] for row in epochs] == ["refit"] * 3
    assert [row["epoch"] for row in epochs] == [2, 3, 4]
    assert rows(run.path) == trial
    assert after.kept["stage"] == "refit"
    assert after.kept["val_loss"] < before.kept["val_loss"]
    model = load_model(again)
    part = load_part(again, "val")
    answers = probabilities(model, part.images)
    loss = -np.log(answers[np.arange(len(part.labels)), part.labels]).mean()
    assert loss == pytest.approx(after.kept["val_loss"], rel=1e-4)
    stamp = (run.path / "model.keras").stat().st_mtime_ns
    assert search(again).kept == after.kept
    assert (run.path / "model.keras").stat().st_mtime_ns == stamp
    assert search(run).kept == before.kept  # --refit 0 again


def test_a_kill_between_the_model_and_its_record_does_not_pass_one_for_the_other(
    searched: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = searched
    before = search(run)
    saved = probabilities(load_model(run), load_part(run, "val").images)

    def killed(*call) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            "toolkit.training.model_file.write_json", killed
        )  # the first thing after model.keras has its name
        with pytest.raises(KeyboardInterrupt):
            search(Run(run.path, run.images, replace(run.settings, refit=2)))
    assert search(run).kept == before.kept
    np.testing.assert_array_equal(probabilities(load_model(run), load_part(run, "val").images), saved)


def test_refit_that_is_no_better_keeps_the_trial(tiny: str, pictures: Path, tmp_path: Path) -> None:
    """At an absurd rate training on only harms."""
    settings = replace(SETTINGS, head_rate=1e-9, tune_rate=1e-9, unfreeze=(0,), head_units=(0,), trials=1)
    run = prepare(pictures, tmp_path / "run", settings)
    before = search(run)
    again = Run(run.path, run.images, replace(settings, refit=2, tune_rate=1e3))
    after = search(again)
    assert after.kept == before.kept
    np.testing.assert_allclose(
        probabilities(load_model(again), load_part(run, "val").images),
        np.load(run.path / "search" / f"trial_{after.taken}" / "val_probabilities.npy"),
        atol=1e-3,  # activations in half precision
    )


def test_refit_sees_views_that_no_trial_has_seen(tiny: str, pictures: Path, tmp_path: Path, monkeypatch) -> None:
    from toolkit.training import batches

    run = prepare(pictures, tmp_path / "run", replace(SETTINGS, views=2))
    search(run)
    seen: set[int] = set()
    real = batches.view
    monkeypatch.setattr(
        batches, "view", lambda part, row, number, *rest: seen.add(number) or real(part, row, number, *rest)
    )
    search(Run(run.path, run.images, replace(run.settings, refit=2)))
    assert len(seen) == 2
    assert seen.isdisjoint({0, 1})


def tuner_of(run: Run) -> RunTuner:
    oracle = module._oracle(run, run.images.select("val").labels, hyperparameters(run.settings), ANY)
    return RunTuner(oracle, TrialModel(run), run=run, curves=TrialCurves(run), on_trial=lambda oracle: None)


def test_tensorboard_gets_a_folder_for_each_trial(tiny: str, pictures: Path, tmp_path: Path) -> None:
    run = prepare(pictures, tmp_path / "run", SETTINGS)
    tuner = tuner_of(run)
    tuner.search(callbacks=[keras.callbacks.TensorBoard(tmp_path / "board")], verbose=0)
    assert not failures(tuner.oracle)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for trial in tuner.oracle.trials.values():
        (folder,) = (tmp_path / "board" / trial.trial_id).glob("execution*/validation")
        events = EventAccumulator(str(folder))
        events.Reload()
        names = events.Tags()["tensors"]
        assert "epoch_loss" in names


def test_keras_tuners_best_model_takes_images(finished: Run) -> None:
    (model,) = tuner_of(finished).get_best_models(1)
    assert model.input_shape == (None, 32, 32, 3)
    images = load_part(finished, "val").images
    np.testing.assert_allclose(probabilities(model, images), probabilities(load_model(finished), images), atol=1e-6)


def test_the_same_call_gives_the_same_trials(finished: Run, pictures: Path, tmp_path: Path) -> None:
    again = prepare(pictures, tmp_path / "again", SETTINGS)
    search(again)
    assert rows(again.path) == rows(finished.path)


def test_a_finished_search_is_not_run_again(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows(finished.path)
    monkeypatch.setattr(TrialModel, "fit", None)
    search(finished)
    assert rows(finished.path) == before


def test_keras_tuner_itself_reads_the_folder(finished: Run, capsys: pytest.CaptureFixture[str]) -> None:
    tuner = keras_tuner.RandomSearch(
        hypermodel=lambda hp: keras.Sequential([keras.Input((1,))]),
        objective=keras_tuner.Objective("val_loss", "min"),
        directory=str(finished.path),
        project_name="search",
        overwrite=False,
    )
    tuner.results_summary()
    best = min(rows(finished.path), key=lambda trial: float(trial["val_loss"]))
    assert str(float(best["val_loss"]))[:6] in capsys.readouterr().out
    point = tuner.get_best_hyperparameters()[0]
    assert [str(point.get(name)) for name in ("head_units", "unfreeze")] == [best["head_units"], best["unfreeze"]]


def test_a_trial_that_raises_is_reported_and_the_search_goes_on(
    tiny: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TrialModel.build

    def build(self, hp):
        if hp.get("unfreeze") == 2:
            raise ValueError("out of luck")
        return real(self, hp)

    monkeypatch.setattr(TrialModel, "build", build)
    run = prepare(pictures, tmp_path / "run", replace(SETTINGS, oracle="grid", head_units=(0,), trials=4))
    result = search(run)
    assert [trial.message for trial in result.trials if trial.status == "FAILED"] == ["ValueError: out of luck"] * 2
    assert result.spec.unfreeze == 0
    assert result.taken == result.best


def test_if_all_trials_fail_the_first_message_is_the_error(
    tiny: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(self, hp):
        raise ValueError(f"no luck with {hp.get('unfreeze')}")

    monkeypatch.setattr(TrialModel, "build", build)
    run = prepare(pictures, tmp_path / "run", replace(SETTINGS, oracle="grid", trials=2))
    with pytest.raises(NoAnswerError, match="every trial failed; the first said: ValueError: no luck with 0"):
        search(run)
    assert not (run.path / "model.keras").exists()


@pytest.mark.parametrize("objective", ["val_loss", "val_accuracy"])
def test_a_trial_that_diverges_is_not_taken(
    objective: str, tiny: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepare(pictures, tmp_path / "run", replace(SETTINGS, head_rate=1e38, trials=1, objective=objective))
    ran: list[object] = []
    real = TrialModel.fit
    monkeypatch.setattr(TrialModel, "fit", lambda self, hp, *a, **k: ran.append(hp) or real(self, hp, *a, **k))
    for _ in range(2):
        with pytest.raises(NoAnswerError, match="diverged"):
            search(run)
    assert len(ran) == 1, "a trial that diverged is done, and not repeated"


def test_the_smallest_of_the_tied_is_taken_when_asked_for(searched: Run) -> None:
    result = search(replace(searched, settings=replace(SETTINGS, pick="smallest")))
    group = [trial for trial in result.trials if trial.mark]
    assert {trial.trial for trial in group} == {result.best, *result.tied}
    assert result.taken == result.recommended
    assert result.trial(result.taken).parameters == min(trial.parameters or 0 for trial in group)


@pytest.mark.parametrize("content", [b"cut", b""])
@pytest.mark.parametrize("name", ["val_probabilities.npy", "result.json", "history.csv", "checkpoint.weights.h5"])
def test_a_trial_whose_files_are_damaged_is_run_again(
    name: str, content: bytes, finished: Run, searched: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load_run(searched.path)
    (run.path / "search" / "trial_0001" / name).write_bytes(content)
    (run.path / "model.keras").unlink()
    ran = []
    real = TrialModel.fit
    monkeypatch.setattr(TrialModel, "fit", lambda self, hp, *a, **k: ran.append(hp) or real(self, hp, *a, **k))
    search(run)
    assert len(ran) == 1
    assert rows(run.path) == rows(finished.path)


@pytest.mark.parametrize(
    ("name", "content"),
    [("model.json", b"[1]"), ("model.json", b"{"), ("model.json", b"{}"), ("history.csv", b""), ("model.keras", None)],
)
def test_a_damaged_model_is_made_again_of_its_trial(
    name: str, content: bytes | None, finished: Run, searched: Run
) -> None:
    run = searched
    path = run.path / name
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + b"00" + whole[middle + 2 :] if content is None else content)
    before = probabilities(load_model(finished), load_part(run, "val").images)
    search(run)
    np.testing.assert_array_equal(probabilities(load_model(run), load_part(run, "val").images), before)
    assert name == "model.keras" or path.read_bytes() == whole


def test_halving_goes_on_with_the_better_half(tiny: str, pictures: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, oracle="halving", trials=4, head_epochs=2, tune_epochs=3, patience=9)
    run = prepare(pictures, tmp_path / "run", settings)
    result = search(run)
    parents = [trial.parent for trial in result.trials]
    assert parents[:4] == [""] * 4
    assert len(set(parents[4:6])) == 2
    assert set(parents[6:]) <= {"0004", "0005"}
    taken = result.trial(result.taken)
    assert taken.parent in {"0004", "0005"}
    curve = read_history(run.path / "history.csv")
    assert [row["epoch"] for row in curve] == [0, 1, 2, 3, 4]
    assert [row["stage"] for row in curve] == ["head"] * 2 + ["tune"] * 3
    assert min(row["val_loss"] for row in curve) == pytest.approx(taken.val_loss)
    model = load_model(run)
    part = load_part(run, "val")
    answers = probabilities(model, part.images)
    loss = -np.log(answers[np.arange(len(part.labels)), part.labels]).mean()
    assert loss == pytest.approx(taken.val_loss, rel=1e-3)


@pytest.mark.parametrize("oracle", ["bayesian", "hyperband"])
def test_the_other_oracles(oracle: str, tiny: str, pictures: Path, tmp_path: Path) -> None:
    run = prepare(pictures, tmp_path / "run", replace(SETTINGS, oracle=oracle, trials=4, tune_epochs=2))
    result = search(run)
    assert all(trial.status == "COMPLETED" for trial in result.trials)
    assert len(result.trials) >= 4
    assert result.trial(result.best).val_loss == min(trial.val_loss for trial in result.trials)  # type: ignore[type-var]


@pytest.mark.long
def test_halving_killed_while_the_better_half_trains(tiny: str, pictures: Path, tmp_path: Path) -> None:
    options = [*OPTIONS[:-1], "halving", "--trials", "4", "--tune-epochs", "3", "--head-epochs", "2"]
    run = tmp_path / "run"
    command = [sys.executable, "-m", "tests.tiny", "tune", str(pictures), str(run), *options]
    kill_when(run / "search" / "trial_0005" / "trial.json", command)
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    settings = replace(SETTINGS, oracle="halving", trials=4, tune_epochs=3, head_epochs=2)
    undisturbed = prepare(pictures, tmp_path / "undisturbed", settings)
    search(undisturbed)
    assert rows(run) == rows(undisturbed.path)


def kill_when(file: Path, command: list[str]) -> None:
    """Run a program and kill -9 it when the file is there."""
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while not file.exists():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


SET_BACK = """
import runpy, time
now, now_ns, local, universal = time.time, time.time_ns, time.localtime, time.gmtime
time.time = lambda: now() - 7 * 365 * 86400
time.time_ns = lambda: now_ns() - 7 * 365 * 86400 * 10**9
time.localtime = lambda seconds=None: local(time.time() if seconds is None else seconds)
time.gmtime = lambda seconds=None: universal(time.time() if seconds is None else seconds)
runpy.run_module("tests.tiny", run_name="__main__", alter_sys=True)
"""


@pytest.mark.long
@pytest.mark.parametrize("program", [["-m", "tests.tiny"], ["-c", SET_BACK]], ids=["", "seven years ago"])
def test_killed_in_the_middle_of_a_trial_and_called_again(
    program: list[str], finished: Run, pictures: Path, tmp_path: Path
) -> None:
    """kill -9 in the second trial; the first is kept as it was, and the end is that of an undisturbed search, whatever
    the clock says."""
    run = tmp_path / "run"
    arguments = ["tune", str(pictures), str(run), *OPTIONS, "--trials", "3"]
    first, second = (run / "search" / f"trial_000{number}" for number in (0, 1))
    kill_when(second / "trial.json", [sys.executable, "-m", "tests.tiny", *arguments])
    assert read_json(second / "trial.json")["status"] == "RUNNING"
    kept = (first / "checkpoint.weights.h5").stat().st_mtime_ns, (first / "result.json").read_bytes()

    ended = subprocess.run(
        [sys.executable, *program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert ((first / "checkpoint.weights.h5").stat().st_mtime_ns, (first / "result.json").read_bytes()) == kept
    assert rows(run) == rows(finished.path)
