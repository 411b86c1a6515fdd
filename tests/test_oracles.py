"""Which points are tried: none twice, none for ever, whatever fails, diverges or is cut in between."""

from __future__ import annotations

import ast
import json
import math
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
import pytest
from scipy.stats import chisquare

from tests.scripted import STOCK, cut_after, grid, oracle, ours, plain, search, stock
from toolkit.errors import UnfreezeError
from tuning import keras_tuner_private, memory
from tuning.oracles.bayesian import CANDIDATES
from tuning.oracles.make import make_oracle
from tuning.search_space import all_points, coordinates, draw
from tuning.trial_records import completed, failures, trial_seed

pytestmark = [
    # keras_tuner.synchronized calls names that Python has renamed
    pytest.mark.filterwarnings(r"ignore:(currentThread|getName)\(\) is deprecated:DeprecationWarning"),
]
KINDS = ["random", "bayesian", "grid", "hyperband"]


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to free after a scripted trial, and no power cut to come."""
    monkeypatch.setattr(memory, "free_graphs", lambda keep: None)
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def bowl(point: dict[str, Any]) -> float:
    """A smooth loss with its minimum 0 at (3, 1)."""
    return float((point["a"] - 3) ** 2 + (point["b"] - 1) ** 2)


def tried(tuner: Any) -> Counter[str]:
    """How often each point was proposed; a promoted trial is not a proposal."""
    new = [t for t in tuner.oracle.trials.values() if "tuner/trial_id" not in t.hyperparameters.values]
    return Counter(json.dumps(plain(trial), sort_keys=True) for trial in new)


# The points of a space


def test_points_are_those_that_kerastuner_grid_walks_through(tmp_path: Path) -> None:
    space = keras_tuner.HyperParameters()
    space.Choice("a", [0, 1, 2], default=1)
    space.Choice("b", [0.0, 0.1])
    space.Choice("c", ["x", "y", "z"])
    walked = search(stock(tmp_path, lambda point: 1.0, "grid", space)).ran
    listed = list(all_points(space))
    assert len(listed) == 3 * 2 * 3
    assert sorted(map(str, listed)) == sorted(str(point) for _, point in walked)
    assert listed[0] == walked[0][1] == {"a": 1, "b": 0.0, "c": "x"}


def test_each_point_has_its_own_place_in_the_cube() -> None:
    space = keras_tuner.HyperParameters()
    space.Choice("a", [7])
    space.Choice("dropout", [0.0, 0.1, 0.2, 0.25, 0.5], ordered=True)
    space.Choice("units", [0, 64, 256], ordered=True)
    cube = np.array([coordinates(space, point) for point in all_points(space)])
    assert cube.shape == (15, 3)
    assert len(np.unique(cube, axis=0)) == len(cube)
    assert 0 <= cube.min() < cube.max() <= 1
    np.testing.assert_allclose(np.diff(np.unique(cube[:, 1])), 1 / 5)
    assert (np.diff([coordinates(space, {"a": 7, "dropout": 0.0, "units": n})[2] for n in (0, 64, 256)]) > 0).all()


@pytest.mark.parametrize("values", [{"a": 1}, {"a": 9, "b": 0}])
def test_what_is_no_point_has_no_place(values: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        coordinates(grid(a=3, b=3), values)


def test_every_point_is_drawn_equally_often() -> None:
    space, rng = grid(a=4, b=3), random.Random(0)
    drawn = Counter(str(draw(space, rng)) for _ in range(12_000))
    assert set(drawn) == set(map(str, all_points(space)))
    assert chisquare(list(drawn.values())).pvalue > 0.01


# No point twice, none left out


@pytest.mark.parametrize("kind", ["random", "bayesian", "grid"])
@pytest.mark.parametrize("space", [grid(a=1), grid(a=3), grid(a=4, b=4)], ids=["1", "3", "16"])
def test_a_small_space_is_exhausted(tmp_path: Path, kind: str, space: keras_tuner.HyperParameters) -> None:
    tuner = search(ours(tmp_path, lambda point: float(point.get("a", 0)), kind, space))
    assert set(tried(tuner).values()) == {1}
    assert len(tuner.oracle.trials) == len(list(all_points(space)))
    assert len(completed(tuner.oracle)) == len(tuner.oracle.trials)


def test_stock_bayesian_repeats_points(tmp_path: Path) -> None:
    repeated = tried(search(stock(tmp_path, lambda point: float(point["a"]), "bayesian", grid(a=3), max_trials=5)))
    assert max(repeated.values()) > 1


def test_stock_random_gives_up_early(tmp_path: Path) -> None:
    tuner = search(stock(tmp_path, lambda point: 1.0, "random", grid(a=4, b=8), max_trials=100))
    assert len(tuner.oracle.trials) < 32


@pytest.mark.parametrize("kind", ["random", "bayesian", "grid"])
def test_max_trials_is_kept_and_may_be_raised(tmp_path: Path, kind: str) -> None:
    first = search(ours(tmp_path, bowl, kind, grid(a=5, b=3), max_trials=9))
    more = search(ours(tmp_path, bowl, kind, grid(a=5, b=3), max_trials=11))
    assert [name for name, _ in first.ran + more.ran] == [f"{number:04d}" for number in range(11)]
    assert set(tried(more).values()) == {1}
    assert more.remaining_trials == 0


def test_stock_ids_change_width_with_max_trials(tmp_path: Path) -> None:
    search(stock(tmp_path, bowl, "random", grid(a=5, b=3), max_trials=2))
    more = search(stock(tmp_path, bowl, "random", grid(a=5, b=3), max_trials=11))
    assert {"0", "02"} <= set(more.oracle.trials)


def test_bayesian_finds_the_minimum(tmp_path: Path) -> None:
    tuner = search(ours(tmp_path, bowl, "bayesian", grid(a=12, b=12), max_trials=20))
    assert completed(tuner.oracle)[0].score == 0.0


def test_bayesian_searches_a_space_that_is_too_large_to_list(tmp_path: Path) -> None:
    space = grid(a=100, b=100)
    assert len(list(all_points(space))) > CANDIDATES
    tuner = search(ours(tmp_path, bowl, "bayesian", space, max_trials=20))
    assert completed(tuner.oracle)[0].score < 100  # of 18,820: one point in a hundred is as good
    assert set(tried(tuner).values()) == {1}


# Seeds


@pytest.mark.parametrize("kind", ["random", "bayesian", "hyperband", "halving"])
def test_zero_is_a_seed(tmp_path: Path, kind: str) -> None:
    runs = [
        search(ours(tmp_path / str(run), bowl, kind, grid(a=9, b=9), seed=seed, max_trials=9)).ran
        for run, seed in enumerate([0, 0, 1])
    ]
    assert runs[0] == runs[1] != runs[2]


def test_stock_takes_zero_for_no_seed() -> None:
    assert 0 not in {STOCK["random"](seed=0).seed for _ in range(3)}


def test_trial_seeds_differ_and_do_not_depend_on_the_ids_width() -> None:
    seeds = {trial_seed(seed, f"{number:04d}") for seed in range(20) for number in range(50)}
    assert len(seeds) == 20 * 50
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert trial_seed(7, "3") == trial_seed(7, "0003")


# Trials that diverge


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("objective", ["val_loss", "val_accuracy"])
@pytest.mark.parametrize("kind", ["random", "bayesian", "grid"])
def test_a_diverged_trial_is_the_worst(tmp_path: Path, kind: str, objective: str, value: float) -> None:
    good = {0: 40.0, 2: 20.0} if objective == "val_loss" else {0: 0.3, 2: 0.7}
    tuner = search(ours(tmp_path, lambda point: good.get(point["a"], value), kind, grid(a=4), objective=objective))
    bad = [trial for trial in tuner.oracle.trials.values() if trial.hyperparameters.values["a"] in (1, 3)]
    assert {trial.status for trial in bad} == {"COMPLETED"}
    assert all(math.isfinite(trial.score) and str(value) in trial.message for trial in bad)
    assert [trial.hyperparameters.values["a"] for trial in completed(tuner.oracle)] == [2, 0]
    assert [name for name, _ in failures(tuner.oracle)] == sorted(trial.trial_id for trial in bad)
    assert tuner.oracle.get_best_trials(4) == completed(tuner.oracle)
    worse = max if objective == "val_loss" else min
    before = [t.score for t in tuner.oracle.trials.values() if t.trial_id < bad[-1].trial_id]
    assert bad[-1].score == worse([*before, bad[-1].score])
    json.loads((tmp_path / "search/oracle.json").read_text(), parse_constant=pytest.fail)  # no NaN in the file


def cliff(point: dict[str, Any]) -> float:
    """A loss that falls towards the edge behind which training diverges."""
    return math.inf if point["a"] > 5 else 2.0 - 0.2 * point["a"]


def beyond(tuner: Any) -> int:
    """How many of the five trials after the random start were sent behind the edge, where half of the points are."""
    return sum(point["a"] > 5 for _, point in tuner.ran[6:])


def test_bayesian_does_not_seek_divergence(tmp_path: Path) -> None:
    space = grid(a=12, b=8)
    good = search(ours(tmp_path / "ours", cliff, "bayesian", space, max_trials=11, seed=4))
    bad = search(stock(tmp_path / "stock", cliff, "bayesian", space, max_trials=11, seed=4))
    assert beyond(good) <= 2
    assert beyond(bad) >= 4


# Trials that raise


def breaking(point: dict[str, Any]) -> float:
    if point["a"] != 4:
        raise ValueError(f"no room\n for {point['a']}")
    return 1.0


@pytest.mark.parametrize("kind", ["random", "bayesian", "grid"])
def test_a_failed_trial_does_not_end_the_search(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    tuner = search(ours(tmp_path, breaking, kind, grid(a=6)))
    assert [plain(trial) for trial in tuner.oracle.get_best_trials(6)] == [{"a": 4}]
    failed = failures(tuner.oracle)
    assert len(failed) == 5
    for name, line in failed:
        stored = json.loads((tmp_path / f"search/trial_{name}/trial.json").read_text())
        assert stored["status"] == "FAILED"
        assert line == f"ValueError: no room for {stored['hyperparameters']['values']['a']}"
        assert "in breaking" in stored["message"], "the traceback is kept"
    assert capfd.readouterr() == ("", "")


def test_where_all_fail_there_is_no_best_trial(tmp_path: Path) -> None:
    tuner = search(ours(tmp_path, lambda point: 1 / 0, "random", grid(a=2)))
    assert completed(tuner.oracle) == tuner.get_best_hyperparameters() == []
    assert failures(tuner.oracle) == [(f"000{n}", "ZeroDivisionError: division by zero") for n in range(2)]


def test_stock_ends_after_three_failures_and_hands_out_a_failed_trial(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="consecutive failures"):
        search(stock(tmp_path / "six", lambda point: 1 / 0, "grid", grid(a=6)))
    two = search(stock(tmp_path / "two", lambda point: 1 / 0, "grid", grid(a=2)))
    assert two.oracle.get_best_trials()[0].status == "FAILED"


# Cut and resumed


@pytest.mark.parametrize("kind", [*KINDS, "halving"])
def test_a_search_cut_in_every_trial_is_the_search_that_was_not(tmp_path: Path, kind: str) -> None:
    space = grid(a=5, b=3)
    whole = search(ours(tmp_path / "whole", bowl, kind, space, max_trials=13))
    for _ in whole.ran:  # each process finishes one trial, and is cut in the next
        cut = search(ours(tmp_path / "cut", cut_after(1, bowl), kind, space, max_trials=13))
        assert len(cut.ran) <= 2
    assert len(whole.ran) >= 13
    assert [t.get_state() for t in cut.oracle.trials.values()] == [t.get_state() for t in whole.oracle.trials.values()]
    assert search(ours(tmp_path / "cut", bowl, kind, space, max_trials=13)).ran == []


def test_stock_grid_is_lost_when_cut(tmp_path: Path) -> None:
    search(stock(tmp_path, cut_after(2), "grid", grid(a=6)))
    with pytest.raises(KeyError):
        search(stock(tmp_path, lambda point: 1.0, "grid", grid(a=6)))


# Hyperband


def rounds(tuner: Any) -> Counter[tuple[int, ...]]:
    """How many completed trials there are for each (bracket, round, initial epoch, epochs)."""
    keys = ("tuner/bracket", "tuner/round", "tuner/initial_epoch", "tuner/epochs")
    done = [t.hyperparameters.values for t in tuner.oracle.trials.values() if t.status == "COMPLETED"]
    return Counter(tuple(values[key] for key in keys) for values in done)


@pytest.mark.parametrize("max_epochs", [3, 9, 10])
def test_hyperband_keeps_to_kerastuners_schedule(tmp_path: Path, max_epochs: int) -> None:
    space = grid(a=10, b=10)
    good = search(ours(tmp_path / "ours", bowl, "hyperband", space, max_epochs=max_epochs))
    same = search(stock(tmp_path / "stock", bowl, "hyperband", space, max_epochs=max_epochs))
    assert rounds(good) == rounds(same)
    assert set(tried(good).values()) == {1}


def test_hyperband_promotes_the_best(tmp_path: Path) -> None:
    tuner = search(ours(tmp_path, bowl, "hyperband", grid(a=10, b=10)))
    trials = list(tuner.oracle.trials.values())
    first = [t for t in trials if t.hyperparameters.values["tuner/bracket"] == 2][:9]
    promoted = [t.hyperparameters.values["tuner/trial_id"] for t in trials[9:12]]
    assert promoted == [t.trial_id for t in sorted(first, key=lambda t: t.score)[:3]]


def test_hyperband_refuses_a_small_space(tmp_path: Path) -> None:
    with pytest.raises(UnfreezeError, match=r"9 epochs starts with 9 .* has 8: use --oracle random or widen"):
        oracle("hyperband", grid(a=8))
    oracle("hyperband", grid(a=9))
    short = search(stock(tmp_path, lambda point: 1.0, "hyperband", grid(a=8), max_epochs=9))
    assert {t.hyperparameters.values["tuner/epochs"] for t in short.oracle.trials.values()} == {1}


def test_hyperband_makes_do_with_the_points_there_are(tmp_path: Path) -> None:
    """17 points are proposed where there are that many; of 12, three are left for the second bracket."""
    tuner = search(ours(tmp_path, lambda point: float(point["a"]), "hyperband", grid(a=12)))
    assert set(tried(tuner).values()) == {1}
    assert len(tried(tuner)) == 12
    assert {key[0] for key in rounds(tuner) if key[3] == 9} == {2, 1}


def failing(bad: set[int], value: float | None) -> Any:
    """The trials numbered in `bad`, of those of the first round, raise, or give `value`."""
    number = iter(range(1000))

    def script(point: dict[str, Any]) -> float:
        if next(number) not in bad:
            return bowl(point)
        if value is None:
            raise ValueError("no")
        return value

    return script


@pytest.mark.parametrize("value", [None, math.nan])
@pytest.mark.parametrize("bad", [{0}, {8}, set(range(8)), {0, 1, 2, 9}], ids=["first", "last", "all but one", "some"])
def test_a_failed_trial_does_not_starve_its_bracket(tmp_path: Path, bad: set[int], value: float | None) -> None:
    tuner = search(ours(tmp_path, failing(bad, value), "hyperband", grid(a=10, b=10)))
    assert rounds(tuner)[2, 2, 3, 9] == 1
    lost = {name for name, _ in failures(tuner.oracle)}
    assert lost.isdisjoint(t.hyperparameters.values.get("tuner/trial_id") for t in tuner.oracle.trials.values())


def test_stock_starves_a_bracket_with_a_failed_trial(tmp_path: Path) -> None:
    tuner = search(stock(tmp_path, failing({0}, None), "hyperband", grid(a=10, b=10), max_epochs=9))
    assert rounds(tuner)[2, 2, 3, 9] == 0


# The edges


@pytest.mark.parametrize("change", [{"kind": "best"}, {"objective": "loss"}])
def test_unknown_names_are_refused(change: dict[str, str]) -> None:
    settings = {"kind": "grid", "objective": "val_loss", "space": grid(a=2)} | change
    with pytest.raises(UnfreezeError, match=r"give one of .*(hyperband|val_accuracy)"):
        make_oracle(settings.pop("kind"), **settings, max_trials=1, max_epochs=1, seed=0)


def test_the_callers_space_is_not_touched(tmp_path: Path) -> None:
    space = grid(a=3)
    before = space.get_config()
    search(ours(tmp_path, lambda point: 1.0, "random", space))
    assert space.get_config() == before


def private_names(module: Path) -> set[str]:
    tree = list(ast.walk(ast.parse(module.read_text())))
    used = {node.attr for node in tree if isinstance(node, ast.Attribute)}
    used |= {node.name for node in tree if isinstance(node, ast.FunctionDef)}
    return {name for name in used if name.startswith("_") and not name.endswith("__")}


def test_every_private_name_is_told_with_its_reason(tmp_path: Path) -> None:
    folder = Path(keras_tuner_private.__file__).parent
    told = keras_tuner_private.ORACLE | keras_tuner_private.HYPERBAND | keras_tuner_private.TUNER
    known: set[str] = set()
    for kind, space in zip(KINDS, [grid(a=9)] * 4, strict=True):
        plainly = stock(tmp_path / kind, bowl, kind, space)
        known |= {*dir(plainly), *dir(plainly.oracle)}
    files = {*folder.rglob("*.py")} - {Path(keras_tuner_private.__file__)}
    used = set().union(*map(private_names, files))
    assert used & known == set(told)


def test_a_kerastuner_without_one_of_them_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnfreezeError, match=r"has _gone.*pip install"):
        keras_tuner_private.check(oracle("random", grid(a=2)), {"_gone": "no reason"})
