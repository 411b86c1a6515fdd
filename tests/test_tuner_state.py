"""What survives a crash, a kill and a damaged file; and real trials: their seeds, their memory, their weights."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow

import tuning.oracles.base
import tuning.tuner
from tests.scripted import Cut, cut_after, grid, oracle, ours, plain, search, stock
from toolkit.process import interrupt
from tuning import memory
from tuning.trial_records import DEATHS, completed, count_starts, failures, starts
from tuning.tuner import ResumableTuner

# keras_tuner.synchronized calls names that Python has renamed
pytestmark = pytest.mark.filterwarnings(r"ignore:(currentThread|getName)\(\) is deprecated:DeprecationWarning")
SPACE = {"a": 3, "b": 2}  # values of each: six points


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to free after a scripted trial, and no power cut to come."""
    monkeypatch.setattr(memory, "free_graphs", lambda keep: None)
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def loss(point: dict[str, Any]) -> float:
    return 1.0 + point["a"] + 10 * point["b"]


def results(tuner: Any) -> dict[str, tuple[Any, ...]]:
    return {t.trial_id: (t.status, t.score, plain(t)) for t in tuner.oracle.trials.values()}


# Damaged files


def empty(path: Path) -> None:
    path.write_text("")


def cut(path: Path) -> None:
    path.write_text(path.read_text()[: path.stat().st_size // 2])


def foreign(path: Path) -> None:
    path.write_text("[1, 2]")


def other(path: Path) -> None:
    path.write_text('{"trials": 5, "trial_id": 9, "hyperparameters": []}')


def others(path: Path) -> None:
    path.write_text('{"trials": {"0000": null, "x": {"trial_id": "../x"}}, "trial_id": "9"}')


FILES = ["oracle.json", "tuner0.json", "trial_0001/trial.json", "trial_0002/trial.json"]


def deep(path: Path) -> None:
    path.write_text("[" * 200_000)


DAMAGES = [deep, empty, cut, foreign, other, others, Path.unlink]


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", ["random", "grid"])
def test_a_damaged_file_costs_nothing(tmp_path: Path, kind: str, file: str, damage: Callable[[Path], None]) -> None:
    """Two trials are finished, the third one is cut, and then a file is lost."""
    whole = results(search(ours(tmp_path / "whole", loss, kind, grid(**SPACE))))
    search(ours(tmp_path, cut_after(2, loss), kind, grid(**SPACE)))
    damage(tmp_path / "search" / file)
    again = search(ours(tmp_path, loss, kind, grid(**SPACE)))
    assert [name for name, _ in again.ran] == ["0002", "0003", "0004", "0005"]
    assert results(again) == whole
    search(stock(tmp_path, loss, kind, grid(**SPACE), max_trials=6))  # every file is whole again


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["oracle.json", "tuner0.json", "trial_1/trial.json"])
def test_stock_fails_or_starts_over(tmp_path: Path, file: str, damage: Callable[[Path], None]) -> None:
    search(stock(tmp_path, cut_after(2, loss), "random", grid(**SPACE), max_trials=6))
    damage(tmp_path / "search" / file)
    try:
        again = search(stock(tmp_path, loss, "random", grid(**SPACE), max_trials=6))
    except Exception:
        return
    harmless = file == "tuner0.json" and damage in (foreign, other, others)
    kept = [name for name, _ in again.ran] == ["2", "3", "4", "5"]
    assert kept == harmless


@pytest.mark.usefixtures("no_training")
def test_a_trial_lost_twice_leaves_a_hole_and_no_more(tmp_path: Path) -> None:
    search(ours(tmp_path, cut_after(3, loss), "grid", grid(**SPACE)))
    shutil.rmtree(tmp_path / "search/trial_0001")
    (tmp_path / "search/oracle.json").unlink()
    again = search(ours(tmp_path, loss, "grid", grid(**SPACE)))
    assert failures(again.oracle) == [("0001", "its record was lost")]
    assert list(again.oracle.trials) == [f"{number:04d}" for number in range(7)]
    assert sorted(trial.score for trial in completed(again.oracle)) == [1, 2, 3, 11, 12, 13]


# Crashes


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("kind", ["random", "grid", "hyperband", "halving"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, after: bool) -> None:
    """The process is gone before, or right after, the first write; the second; and so on through a whole search."""
    space = grid(**SPACE)
    settings: dict[str, Any] = {"max_trials": 3, "max_epochs": 3}
    whole = search(ours(tmp_path / "whole", loss, kind, space, **settings))

    def crashing(write: Callable[[Path, Any], None]) -> Callable[[Path, Any], None]:
        def crash(path: Path, content: Any) -> None:
            nonlocal left
            left -= 1
            if left != 0 or after:
                write(path, content)
            if left == 0:
                raise Cut

        return crash

    for module, name in (
        (tuning.oracles.base, "write_json"),
        (tuning.oracles.base, "write_text"),
        (tuning.tuner, "write_json"),
    ):
        monkeypatch.setattr(module, name, crashing(getattr(module, name)))
    crashes = 0
    while True:
        folder, left = tmp_path / str(crashes), crashes + 1
        first = search(ours(folder, loss, kind, space, **settings))
        if left > 0:
            break
        done = {name for name, trial in first.oracle.trials.items() if finished(folder, name)}
        second = search(ours(folder, loss, kind, space, **settings))
        assert results(second) == results(whole)
        assert done.isdisjoint(name for name, _ in second.ran)
        crashes += 1
    assert crashes >= 2 + 3 * 6


def finished(folder: Path, name: str) -> bool:
    path = folder / f"search/trial_{name}/trial.json"
    return path.exists() and json.loads(path.read_text())["status"] == "COMPLETED"


@pytest.mark.usefixtures("no_training")
def test_stock_trains_a_finished_trial_again_and_loses_one_that_was_begun(tmp_path: Path) -> None:
    class Crashing(keras_tuner.oracles.RandomSearchOracle):
        saves = 0

        def save(self) -> None:
            super().save()
            self.saves += 1
            if self.saves == 4:  # `end_trial` has just saved the second trial
                raise Cut

    made = Crashing(objective=keras_tuner.Objective("val_loss", "min"), hyperparameters=grid(**SPACE), max_trials=3)
    tuner = stock(tmp_path, loss, "random", grid(**SPACE))
    tuner.oracle = made
    made._set_project_dir(tmp_path, "search")
    search(tuner)
    again = search(stock(tmp_path, loss, "random", grid(**SPACE), max_trials=3))
    assert finished(tmp_path, "1")
    assert "1" in [name for name, _ in again.ran]


@pytest.mark.usefixtures("no_training")
def test_stock_starts_over_when_cut_in_its_first_trial(tmp_path: Path) -> None:
    assert search(ours(tmp_path, cut_after(0), "random", grid(a=9))).oracle.trials
    good = ours(tmp_path, loss, "random", grid(a=9))
    assert list(good.oracle.trials) == ["0000"]
    search(stock(tmp_path / "stock", cut_after(0), "random", grid(a=9)))
    assert list(stock(tmp_path / "stock", loss, "random", grid(a=9)).oracle.trials) == []


@pytest.mark.usefixtures("no_training")
def test_an_interrupt_passes_and_the_trial_runs_again(tmp_path: Path) -> None:
    def interrupted(point: dict[str, Any]) -> float:
        raise KeyboardInterrupt

    first = ours(tmp_path, interrupted, "random", grid(**SPACE))
    with pytest.raises(KeyboardInterrupt):
        first.search()
    again = search(ours(tmp_path, loss, "random", grid(**SPACE)))
    assert again.ran[0] == first.ran[0]
    assert len(completed(again.oracle)) == len(again.ran) == 6


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.scripted import grid, ours
ours(Path(sys.argv[1]), lambda point: os.kill(os.getpid(), signal.SIGKILL), "random", grid(a=3, b=2)).search()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_kill_9_in_the_first_trial(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(tuning.tuner.__file__).parents[1])}
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], env=environment, stderr=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "search/trial_0000/trial.json").exists()
    assert starts(tmp_path / "search/trial_0000") == 1
    cut = search(ours(tmp_path, cut_after(2, loss), "random", grid(**SPACE)))
    last = search(ours(tmp_path, loss, "random", grid(**SPACE)))
    whole = search(ours(tmp_path / "whole", loss, "random", grid(**SPACE)))
    assert cut.ran[:2] + last.ran == whole.ran
    assert results(last) == results(whole)
    assert list(tmp_path.rglob("starts")) == []


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(("deaths", "fails"), [(DEATHS - 1, False), (DEATHS, True)])
def test_a_trial_that_kills_its_process_again_and_again_is_given_up(deaths: int, fails: bool, tmp_path: Path) -> None:
    search(ours(tmp_path, cut_after(2, loss), "grid", grid(**SPACE)))
    (tmp_path / "search/trial_0002/starts").write_text(str(deaths))
    again = search(ours(tmp_path, loss, "grid", grid(**SPACE)))
    said = [("0002", f"its process was killed {DEATHS} times while it ran; did memory run out?")]
    assert failures(again.oracle) == (said if fails else [])
    assert len(completed(again.oracle)) == (5 if fails else 6)


def test_a_second_ctrl_c_is_no_death(tmp_path: Path) -> None:
    before = list(interrupt.AT_LEAVING)
    """Whatever runs no `finally`: what has to be done is done when the process is left."""
    with count_starts(tmp_path):
        assert starts(tmp_path) == 1
        for last in interrupt.AT_LEAVING:
            last()
        assert starts(tmp_path) == 0
    assert before == interrupt.AT_LEAVING


OUT_OF_MEMORY = [MemoryError("1 TB"), tensorflow.errors.ResourceExhaustedError(None, None, "OOM when allocating")]


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("error", [*OUT_OF_MEMORY, RuntimeError("a\nb")], ids=lambda error: type(error).__name__)
def test_a_trial_that_raises_is_told_and_the_search_goes_on(error: Exception, tmp_path: Path) -> None:
    def script(point: dict[str, Any]) -> float:
        if point == {"a": 1, "b": 0}:
            raise error
        return loss(point)

    made = search(ours(tmp_path, script, "grid", grid(**SPACE)))
    ((_, said),) = failures(made.oracle)
    assert said.startswith(type(error).__name__)
    assert len(completed(made.oracle)) == 5
    assert search(ours(tmp_path, loss, "grid", grid(**SPACE))).ran == []


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    tensorflow.errors.ResourceExhaustedError(None, None, "build_config.json; No space left on device"),
]


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_a_full_disk_is_no_fault_of_the_trial(error: Exception, tmp_path: Path) -> None:
    def full(point: dict[str, Any]) -> float:
        raise error

    with pytest.raises(type(error), match="No space"):
        ours(tmp_path, full, "grid", grid(**SPACE)).search()
    again = search(ours(tmp_path, loss, "grid", grid(**SPACE)))
    assert failures(again.oracle) == []
    assert len(again.ran) == len(completed(again.oracle)) == 6


# KerasTuner itself reads the folder


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("kind", ["random", "bayesian", "grid", "hyperband"])
def test_stock_kerastuner_reads_the_folder(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    def script(point: dict[str, Any]) -> float:
        if point["a"] == 2:
            raise ValueError("no")
        return loss(point) if point["a"] else float("nan")

    good = search(ours(tmp_path, script, kind, grid(a=4, b=4)))
    limit = {} if kind == "hyperband" else {"max_trials": len(good.ran)}
    same = stock(tmp_path, loss, kind, grid(a=4, b=4), **limit)
    assert results(same) == results(good)
    assert plain(same.oracle.get_best_trials()[0]) == plain(good.oracle.get_best_trials()[0])
    assert same.get_best_hyperparameters()[0].values["a"] == 1
    same.results_summary()
    assert f"Score: {completed(good.oracle)[0].score}" in capsys.readouterr().out
    assert search(same).ran == []


# Trials that train

X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")  # [N, 4]
Y = (X.sum(axis=1) > 0).astype("int32")  # [N]


class Small(keras_tuner.HyperModel):
    """A layer with dropout; keeps the weights with which each fit begins, by trial."""

    def __init__(self) -> None:
        super().__init__()
        self.built = 0
        self.begun: list[np.ndarray] = []
        self.epochs: list[tuple[int, int]] = []
        self.registered: list[int] = []

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        self.built += 1
        image = keras.Input((4,))
        hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(4 + hp.get("a"), activation="relu")(image))
        model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(hidden))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *, epochs: int = 1, initial_epoch: int = 0, **kw: Any
    ) -> keras.callbacks.History:
        self.begun.append(model.get_weights()[0])
        self.epochs.append((initial_epoch, epochs))
        history = model.fit(X, Y, validation_data=(X, Y), epochs=epochs, initial_epoch=initial_epoch, **kw)
        self.registered.append(len(memory.custom_gradients()))
        return history


def training(folder: Path, kind: str, **changes: Any) -> tuple[ResumableTuner, Small]:
    model = Small()
    return ResumableTuner(oracle(kind, grid(a=9), **changes), model, directory=folder, project_name="search"), model


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[ResumableTuner, Small, int]:
    """A search of three trials, without tensorboard, and how many models its constructor built."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorboard", None)
        patch.setitem(sys.modules, "tensorboard.plugins.hparams", None)
        tuner, model = training(tmp_path_factory.mktemp("trained"), "random", max_trials=3)
        built = model.built
        tuner.search(verbose=0)
    return tuner, model, built


def test_the_constructor_builds_no_model(trained: tuple[ResumableTuner, Small, int]) -> None:
    tuner, model, built = trained
    assert built == 0
    assert model.built == len(completed(tuner.oracle)) == 3


def test_no_tensorboard_is_needed(trained: tuple[ResumableTuner, Small, int]) -> None:
    assert failures(trained[0].oracle) == []


def test_stock_imports_tensorboard_and_builds_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.plugins.hparams", None)
    model = Small()
    tuner = keras_tuner.RandomSearch(
        model, "val_loss", max_trials=1, hyperparameters=grid(a=9), directory=tmp_path, project_name="search"
    )
    assert model.built == 1
    tuner.search(verbose=0)
    assert "tensorboard" in tuner.oracle.trials["0"].message


def test_memory_is_freed_between_trials(trained: tuple[ResumableTuner, Small, int]) -> None:
    """Each training leaves its entries in TensorFlow's registry; if none does, `tuning.memory` is not needed now."""
    first, *others = trained[1].registered
    assert first > 0
    assert others == [first] * 2


def test_stock_registry_grows(tmp_path: Path) -> None:
    model = Small()
    made = keras_tuner.oracles.RandomSearchOracle(
        keras_tuner.Objective("val_loss", "min"), max_trials=2, hyperparameters=grid(a=9)
    )
    keras_tuner.Tuner(made, model, directory=tmp_path, project_name="search").search(verbose=0)
    assert model.registered[1] > model.registered[0]


def test_what_was_registered_before_the_search_is_kept() -> None:
    import tensorflow as tf

    @tf.function
    def cube(x: tf.Tensor) -> tf.Tensor:
        return tf.custom_gradient(lambda y: (y**3, lambda upstream: upstream * 3 * y**2))(x)

    cube.get_concrete_function(tf.constant(2.0))
    memory.free_graphs(keep=memory.custom_gradients())
    with tf.GradientTape() as tape:
        x = tf.constant(2.0)
        tape.watch(x)
        y = cube(x)
    assert tape.gradient(y, x) == 12.0


def test_a_trial_repeats_exactly_after_an_interruption(
    tmp_path: Path, trained: tuple[ResumableTuner, Small, int]
) -> None:
    """The third trial, run without the two before it, begins and ends as it did after them."""
    shutil.copytree(Path(trained[0].project_dir), tmp_path / "search")
    record = tmp_path / "search/trial_0002/trial.json"
    record.write_text(record.read_text().replace('"COMPLETED"', '"RUNNING"'))
    tuner, model = training(tmp_path, "random", max_trials=3)
    tuner.search(verbose=0)
    np.testing.assert_array_equal(model.begun[0], trained[1].begun[2])
    assert results(tuner) == results(trained[0])
    assert len(model.begun) == 1


@pytest.mark.long
@pytest.mark.parametrize(("kind", "expected"), [("hyperband", 1), ("halving", 2)])
def test_a_promoted_trial_starts_from_its_parents_best_weights(tmp_path: Path, kind: str, expected: int) -> None:
    tuner, model = training(tmp_path, kind, max_epochs=3, max_trials=2)
    tuner.search(verbose=0)
    assert failures(tuner.oracle) == []
    promoted = 0
    for number, trial in enumerate(tuner.oracle.trials.values()):
        values = trial.hyperparameters.values
        assert model.epochs[number] == (values["tuner/initial_epoch"], values["tuner/epochs"])
        if "tuner/trial_id" in values:
            parent = tuner.load_model(tuner.oracle.trials[values["tuner/trial_id"]])
            np.testing.assert_array_equal(model.begun[number], parent.get_weights()[0])
            promoted += 1
    assert promoted == expected
