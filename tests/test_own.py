"""Parts of one's own in a search: those that do what the usual ones do give the same, bit for bit."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import unfreeze
from tests.tiny import ROW, SETTINGS
from toolkit.errors import UnfreezeError
from toolkit.models.applications import BACKBONES
from toolkit.own.parts import Own, settings_with
from toolkit.progress import Listener
from toolkit.run import Run, load_run, prepare
from toolkit.training.model_file import load_model
from tuning.results import Trial, read_trials
from tuning.search import search
from unfreeze.cli import cli

layers = keras.layers
with patch.dict(BACKBONES, Tiny=ROW):  # a record is checked when it is made
    GRID = replace(SETTINGS, oracle="grid", trials=99)
    SETTINGS_OF_HEAD = replace(SETTINGS, head_units=0, dropout=0.0)
METRICS = ("val_mean_absolute_error", "val_own")


def space(hp: Any) -> None:
    hp.Choice("units", [0, 4])
    hp.Float("rate", 0.0, 0.2, step=0.2)


def head(features: Any, hp: Any) -> Any:
    """The usual head, with hyperparameters of other names."""
    x = layers.Dense(hp["units"], activation="relu")(features) if hp["units"] else features
    return layers.Dropout(hp["rate"])(x)


USUAL = Own(  # what a search does without parts of one's own
    space=space,
    head=head,
    loss=keras.losses.SparseCategoricalCrossentropy(),
    optimizer=lambda hp: keras.optimizers.Adam(),
    metrics=lambda hp: ["mae", keras.metrics.SparseTopKCategoricalAccuracy(1, name="own")],
)


def begun(pictures: Path, path: Path, own: Own, settings: unfreeze.Settings = GRID) -> Run:
    return prepare(pictures, path, settings_with(own, replace(settings, head_units=0, dropout=0.0)), own)


@pytest.fixture(scope="module")
def owned(tiny: str, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = begun(pictures, tmp_path_factory.mktemp("own") / "run", USUAL)
    search(run)
    return run


def trials(run: Run) -> list[Trial]:
    return read_trials(run.path / "trials.csv")


def curve(run: Run, trial: str, without: tuple[str, ...] = ()) -> list[dict[str, str]]:
    with (run.path / "search" / f"trial_{trial}" / "history.csv").open() as file:
        left = ("seconds", *without)
        return [{name: value for name, value in row.items() if name not in left} for row in csv.DictReader(file)]


def same_model(run: Run, other: Run) -> None:
    for one, another in zip(load_model(run).get_weights(), load_model(other).get_weights(), strict=True):
        np.testing.assert_array_equal(one, another)


@pytest.mark.long
def test_parts_that_do_the_usual_give_the_usual(owned: Run, pictures: Path, tmp_path: Path) -> None:
    usual = prepare(pictures, tmp_path / "usual", GRID)
    search(usual)
    wanted = {(t.head_units, t.dropout, t.unfreeze): (curve(usual, t.trial), t.parameters) for t in trials(usual)}
    found = {
        (t.varied["units"], t.varied["rate"], t.unfreeze): (curve(owned, t.trial, METRICS), t.parameters)
        for t in trials(owned)
    }
    assert found == wanted
    assert len(found) == 8
    same_model(owned, usual)


def test_own_metrics_are_columns_that_agree_with_the_answers(owned: Run) -> None:
    for trial in trials(owned):
        rows = curve(owned, trial.trial)
        assert [row["val_own"] for row in rows] == [row["val_accuracy"] for row in rows]
        answers = np.load(owned.path / "search" / f"trial_{trial.trial}" / "val_probabilities.npy")
        labels = owned.images.select("val").labels
        error = np.abs(answers - np.eye(2)[labels]).mean()
        best = rows[trial.best_epoch or 0]
        assert float(best["val_mean_absolute_error"]) == pytest.approx(error, rel=1e-5)


def test_tensorboard_and_mlflow_have_own_metrics_and_hyperparameters(owned: Run) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from unfreeze.tracking.mlflow import trial_runs

    logged = {one.name: one for one in trial_runs(owned.path)}
    for trial in trials(owned):
        events = EventAccumulator(str(owned.path / "tensorboard" / f"trial_{trial.trial}"))
        events.Reload()
        rows = curve(owned, trial.trial)
        for name in METRICS:
            wanted = [(int(row["epoch"]), float(row[name])) for row in rows]
            rounded = [(epoch, float(np.float32(value))) for epoch, value in wanted]
            assert [(one.step, one.value) for one in events.Scalars(name)] == rounded
            told = logged[f"trial_{trial.trial}"]
            assert [(epoch, value) for found, value, epoch in told.metrics if found == name] == wanted
        assert told.params["units"] == str(trial.varied["units"])
        assert told.params["rate"] == str(trial.varied["rate"])
    (file,) = (owned.path / "tensorboard").glob("events.*")
    config = file.read_bytes()
    assert b"units" in config
    assert b"rate" in config


@pytest.mark.long
def test_a_trial_is_the_search_of_its_point_alone(owned: Run, pictures: Path, tmp_path: Path) -> None:
    def fixed(units: int, rate: float) -> Callable[[Any], None]:
        def only(hp: Any) -> None:
            hp.Fixed("units", units)
            hp.Fixed("rate", rate)

        return only

    for trial in trials(owned)[-2:]:
        own = replace(USUAL, space=fixed(trial.varied["units"], trial.varied["rate"]))
        alone = begun(pictures, tmp_path / trial.trial, own, owned.settings.at(trial.values))
        search(alone)
        assert curve(alone, "0000") == curve(owned, trial.trial)


@pytest.mark.long
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(pictures: Path, tiny: str, tmp_path: Path) -> None:
    settings = replace(SETTINGS, oracle="halving", trials=3, head_epochs=1, tune_epochs=3)
    whole, cut = (begun(pictures, tmp_path / name, USUAL, settings) for name in ("whole", "cut"))
    search(whole)
    for stop in (2, 4):
        seen: list[int] = []

        def on_epoch(row: Any, seen: list[int] = seen, stop: int = stop) -> None:
            seen.append(row["epoch"])
            if len(seen) == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            search(cut, Listener(on_epoch=on_epoch))
        cut = begun(pictures, cut.path, USUAL, settings)
    search(cut)
    assert [replace(one, seconds=None) for one in trials(cut)] == [replace(one, seconds=None) for one in trials(whole)]
    for trial in trials(whole):
        assert curve(cut, trial.trial) == curve(whole, trial.trial)
    same_model(cut, whole)


def test_trials_share_activations_and_heads(owned: Run) -> None:
    assert len(list(owned.cache.glob("activations-*/"))) == 1
    assert len(list((owned.path / "search" / "heads").iterdir())) == 4  # of 8 trials: one for each head


@pytest.mark.long
def test_point_identity_has_the_hyperparameters(pictures: Path, tiny: str, tmp_path: Path) -> None:
    own = Own(space=lambda hp: hp.Boolean("deep"), head=lambda features, hp: features)
    for oracle in ("random", "bayesian", "halving"):
        settings = replace(SETTINGS, oracle=oracle, trials=99, unfreeze=(0, 1), tune_epochs=0)
        run = begun(pictures, tmp_path / oracle, own, replace(settings, cache_dir=str(tmp_path / "cache")))
        search(run)
        points = [tuple(trial.values.items()) for trial in trials(run)]
        assert len(points) == len(set(points)) == 4
        assert {trial.varied["deep"] for trial in trials(run)} == {True, False}


@pytest.mark.long
def test_all_but_training_works_from_the_command_line(owned: Run, pictures: Path) -> None:
    def typed(*words: object) -> str:
        result = CliRunner().invoke(cli, list(map(str, words)))
        assert result.exit_code == 0, f"{words}: {result.output} {result.exception}"
        return result.output

    run = owned.path
    typed("evaluate", run)
    typed("export", run, "--formats", "onnx,tflite", "--precisions", "float32")
    CliRunner().invoke(cli, ["verify", str(run), "--no-latency"])
    picture = next(pictures.rglob("*.jpg"))
    assert "jpg" in typed("predict", run, picture)
    typed("report", run)
    page, card = (run / "report.html").read_text(), (run / "report.md").read_text()
    for told in (page, card):
        assert (
            "# from Python, with own=unfreeze.Own(...) of the program that began it: space (space), head (head)" in told
        )
        assert "# unfreeze tune" in told
        assert f"unfreeze evaluate {run.name}" in told
    assert "the head head and unfreeze depth" in page
    assert "- Head: head, of the author's own program" in card
    assert "optimizer (test\\_own" not in card


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (Own(), "it was begun with space (space), head (head), loss (SparseCategoricalCrossentropy), optimizer"),
        (replace(USUAL, augment=lambda image, rng: image), "augment (<lambda>) is new"),
        (replace(USUAL, head=lambda features, hp: features), "head (<lambda>) has changed since"),
        (replace(USUAL, loss=keras.losses.CategoricalFocalCrossentropy()), "loss (CategoricalFocal"),
        (replace(USUAL, metrics=["mse"]), "metrics (mse) has changed since"),
    ],
    ids=["none", "more", "head", "loss", "metrics"],
)
def test_a_run_goes_on_with_the_same_parts_only(owned: Run, pictures: Path, own: Own, said: str) -> None:
    before = (owned.path / "run.json").read_bytes()
    with pytest.raises(UnfreezeError) as told:
        begun(pictures, owned.path, own, owned.settings)
    assert said in str(told.value)
    assert "Go on from Python with the same parts (unfreeze.Own), or give another run folder" in str(told.value)
    assert "\n" not in str(told.value)
    assert (owned.path / "run.json").read_bytes() == before


def test_the_command_line_refuses_to_go_on(owned: Run, pictures: Path) -> None:
    from tests.tiny import OPTIONS

    options = [*OPTIONS, "--oracle", "grid", "--trials", "99", "--head-units", "0", "--dropout", "0"]
    result = CliRunner().invoke(cli, ["tune", str(pictures), str(owned.path), *options])
    assert isinstance(result.exception, UnfreezeError)  # exit code 2
    assert "it was begun with space (space), head (head)" in str(result.exception)


def test_run_json_tells_of_the_parts(owned: Run) -> None:
    told = json.loads((owned.path / "run.json").read_text())["own"]
    assert list(told) == ["space", "head", "loss", "optimizer", "metrics"]
    assert told["head"]["name"] == "head"
    assert told["head"]["of"] == told["space"]["of"] == "source"
    assert load_run(owned.path).own == Own()


def test_a_run_without_parts_has_none_in_its_file(finished: Run) -> None:
    assert "own" not in json.loads((finished.path / "run.json").read_text())


@pytest.mark.long
def test_one_model_is_trained_with_parts(tiny: str, pictures: Path, tmp_path: Path) -> None:
    """The same training, with the usual head and with one that does the same."""
    given = replace(SETTINGS, head_units=4, dropout=0.2, unfreeze=1)
    usual = unfreeze.train(pictures, tmp_path / "usual", settings=given)

    def one(hp: Any) -> None:
        hp.Fixed("units", 4)
        hp.Fixed("rate", 0.2)

    settings = replace(SETTINGS, head_units=0, dropout=0.2, unfreeze=1)
    owned = unfreeze.train(pictures, tmp_path / "own", settings=settings, own=replace(USUAL, space=one))

    def told(rows: list[dict]) -> list[dict]:
        return [{name: value for name, value in row.items() if name not in ("seconds", *METRICS)} for row in rows]

    assert told(owned.rows) == told(usual.rows)
    same_model(load_run(tmp_path / "own"), load_run(tmp_path / "usual"))
    with pytest.raises(UnfreezeError, match="the space of your own has several values of units, rate; give one each"):
        unfreeze.train(pictures, tmp_path / "several", settings=settings, own=USUAL)


@pytest.mark.long
def test_folds_and_a_refit_with_normalisation_in_the_head(tiny: str, pictures: Path, tmp_path: Path) -> None:
    """BatchNormalization of the head is trained, that of the backbone is not."""

    def normalised(features: Any, hp: Any) -> Any:
        x = layers.BatchNormalization()(layers.Dense(8)(features))
        return layers.Dropout(0.5)(layers.GaussianNoise(0.1)(layers.Activation("relu")(x)))

    own = Own(head=normalised, optimizer="sgd", loss="categorical_focal_crossentropy")
    settings = replace(SETTINGS, trials=2, unfreeze=(0, 1))
    folded = begun(pictures, tmp_path / "folded", own, replace(settings, folds=2, final="retrained"))
    search(folded)
    refit = begun(pictures, tmp_path / "refit", own, replace(settings, refit=1))
    search(refit)
    for run in (folded, refit):
        model = load_model(run)
        _, _, mean, variance = model.get_layer("own_batch_normalization_1").get_weights()
        assert np.abs(mean).max() > 0
        assert np.abs(variance - 1).max() > 0
        assert model.get_layer("own_batch_normalization_1").trainable
        assert not any(model.get_layer(f"{name}_bn").trainable for name in ("first", "second", "third"))
        np.testing.assert_array_equal(model.get_layer("third_bn").get_weights()[2], np.zeros(16))


def test_a_fault_shows_before_anything_is_trained(tiny: str, pictures: Path, tmp_path: Path) -> None:
    def wrong(features: Any, hp: Any) -> Any:
        return layers.Dense(hp["width"])(features)

    with pytest.raises(UnfreezeError, match=r"^head \(.*wrong\) raised KeyError: 'width'$") as told:
        unfreeze.tune(pictures, tmp_path / "run", settings=SETTINGS_OF_HEAD, own=Own(head=wrong))
    assert isinstance(told.value.__cause__, KeyError)
    assert not list((tmp_path / "run").glob("search/trial_*"))
    assert not list((tmp_path / "run").glob("cache/activations-*"))
    limits = unfreeze.Limits(max_size_mb=1)
    with pytest.raises(UnfreezeError, match="limits are measured with the usual head"):
        unfreeze.tune(pictures, tmp_path / "limits", settings=SETTINGS_OF_HEAD, own=Own(head=head), limits=limits)


@pytest.mark.long
def test_a_point_at_which_a_function_raises_fails_alone(tiny: str, pictures: Path, tmp_path: Path) -> None:
    """The try-out has every value once, and not every point."""

    def picky(features: Any, hp: Any) -> Any:
        if (hp["units"], hp["rate"]) == (4, 0.0):
            raise ValueError("not these two")
        return head(features, hp)

    def tried_too(hp: Any) -> None:
        """Of these it has the impossible point, after the first one."""
        hp.Choice("units", [0, 4])
        hp.Choice("rate", [0.2, 0.0])

    again = begun(pictures, tmp_path / "again", Own(space=tried_too, head=picky), replace(GRID, unfreeze=0, trials=1))
    assert [one.status for one in search(again).trials] == ["COMPLETED"]
    run = begun(pictures, tmp_path / "run", Own(space=space, head=picky), replace(GRID, unfreeze=0))
    result = search(run)
    failed = [one for one in result.trials if one.status == "FAILED"]
    assert [(one.varied["units"], one.varied["rate"]) for one in failed] == [(4, 0.0)]
    assert "picky) raised ValueError: not these two" in failed[0].message
    assert len(result.trials) == 4
