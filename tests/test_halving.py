"""Successive halving: how many go on and for how long, who they are, and what a failure or an interruption changes."""

from __future__ import annotations

import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

import keras_tuner
import pytest

from tests.scripted import Ours, Script, cut_after, grid, ours, plain, search
from tuning import memory
from tuning.oracles.halving import rungs
from tuning.search_space import all_points
from tuning.trial_records import completed, failures

# keras_tuner.synchronized calls names that Python has renamed
pytestmark = pytest.mark.filterwarnings(r"ignore:(currentThread|getName)\(\) is deprecated:DeprecationWarning")
EPOCHS = {"head_epochs": 5, "max_epochs": 10}


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to free after a scripted trial, and no power cut to come."""
    monkeypatch.setattr(memory, "free_graphs", lambda keep: None)
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def halving(folder: Path, script: Script, space: keras_tuner.HyperParameters, **changes: Any) -> Ours:
    return ours(folder, script, "halving", space, **(EPOCHS | changes))


def uncertain(folder: Path, error: float, script: Script, space: keras_tuner.HyperParameters, **changes: Any) -> Ours:
    """With `error` as the standard error of the difference of any two trials' objectives."""
    return halving(folder, script, space, error=lambda one, other: error, **changes)


def rung(tuner: Any, number: int) -> list[Any]:
    return [t for t in tuner.oracle.trials.values() if t.hyperparameters.values.get("tuner/rung") == number]


def sizes(tuner: Any) -> list[int]:
    return [len(rung(tuner, number)) for number in range(3)]


def parents(tuner: Any, number: int) -> list[str]:
    return [trial.hyperparameters.values["tuner/trial_id"] for trial in rung(tuner, number)]


def chosen(tuner: Any, number: int, name: str) -> list[Any]:
    """The values of a hyperparameter in a rung, in order."""
    return sorted(trial.hyperparameters.values[name] for trial in rung(tuner, number))


def by_a(point: dict[str, Any]) -> float:
    return float(point["a"])


# The structure


@pytest.mark.parametrize(
    ("count", "head", "end", "expected"),
    [
        (12, 5, 10, [(12, 0, 5), (6, 5, 7), (3, 7, 10)]),
        (8, 5, 9, [(8, 0, 5), (4, 5, 7), (2, 7, 9)]),
        (7, 1, 3, [(7, 0, 1), (4, 1, 2), (2, 2, 3)]),
        (5, 5, 10, [(5, 0, 5), (3, 5, 7), (2, 7, 10)]),
        (4, 5, 10, [(4, 0, 5), (2, 5, 7), (2, 7, 10)]),
        (3, 5, 10, [(3, 0, 5), (2, 5, 7), (1, 7, 10)]),
        (2, 5, 10, [(2, 0, 5), (1, 5, 7), (1, 7, 10)]),
        (1, 5, 10, [(1, 0, 5), (1, 5, 7), (1, 7, 10)]),
        (12, 5, 6, [(12, 0, 5), (6, 5, 6)]),
        (4, 5, 6, [(4, 0, 5), (2, 5, 6)]),
        (12, 5, 5, [(12, 0, 5)]),
        (12, 0, 10, [(12, 0, 3), (6, 3, 5), (3, 5, 10)]),
        (12, 0, 4, [(12, 0, 1), (6, 1, 2), (3, 2, 4)]),
        (12, 0, 2, [(12, 0, 1), (6, 1, 2)]),
        (12, 0, 1, [(12, 0, 1)]),
    ],
)
def test_rungs(count: int, head: int, end: int, expected: list[tuple[int, int, int]]) -> None:
    assert rungs(count, head, end) == expected


@pytest.mark.parametrize("head", range(4))
@pytest.mark.parametrize("tune", range(1, 9))
def test_rungs_follow_each_other_to_the_end(head: int, tune: int) -> None:
    for count in range(1, 20):
        made = rungs(count, head, head + tune)
        assert [first for _, first, _ in made] == [0, *(end for _, _, end in made[:-1])]
        assert all(first < end for _, first, end in made)
        assert made[0][0] == count
        assert made[-1][2] == head + tune
        assert [size for size, _, _ in made] == sorted((size for size, _, _ in made), reverse=True)
        assert made[-1][0] >= (2 if count >= 4 else 1)


@pytest.mark.parametrize(("head", "end"), [(5, 10), (5, 6), (0, 10), (0, 1)])
def test_a_search_runs_the_rungs(tmp_path: Path, head: int, end: int) -> None:
    tuner = search(halving(tmp_path, by_a, grid(a=12), head_epochs=head, max_epochs=end))
    names = ("tuner/rung", "tuner/initial_epoch", "tuner/epochs")
    ran = Counter(tuple(t.hyperparameters.values[name] for name in names) for t in tuner.oracle.trials.values())
    expected = rungs(12, head, end)
    assert ran == {(number, first, last): size for number, (size, first, last) in enumerate(expected)}


def test_the_first_rung_holds_different_points_as_many_as_asked(tmp_path: Path) -> None:
    tuner = search(halving(tmp_path, lambda point: 1.0 + point["a"] + 10 * point["b"], grid(a=5, b=5), max_trials=20))
    drawn = [tuple(plain(trial).values()) for trial in rung(tuner, 0)]
    assert len(drawn) == len(set(drawn)) == 20


@pytest.mark.parametrize(("count", "expected"), [(1, [1, 1, 1]), (2, [2, 1, 1]), (3, [3, 2, 1]), (4, [4, 2, 2])])
def test_a_small_space_is_exhausted_and_halved(tmp_path: Path, count: int, expected: list[int]) -> None:
    tuner = search(halving(tmp_path, by_a, grid(a=count)))
    assert sizes(tuner) == expected
    assert chosen(tuner, 0, "a") == list(range(count))
    assert chosen(tuner, 2, "a") == list(range(expected[2]))
    assert len(completed(tuner.oracle)) == len(tuner.ran) == sum(expected)


def test_where_the_deepest_is_the_best_the_search_goes_deeper_as_long_as_that_helps(tmp_path: Path) -> None:
    """The loss is least at a depth of 16; beyond it the first is worse, and ends it."""

    def loss(point: dict[str, Any]) -> float:
        return abs(16 - point["unfreeze"]) + (0.0 if point["tuner/rung"] else 50.0)

    asked: list[int] = []

    def deeper(values: dict[str, Any]) -> int:
        asked.append(values["unfreeze"])
        return 2 * values["unfreeze"]

    tuner = halving(tmp_path, loss, grid(unfreeze=5), max_trials=5)
    tuner.oracle.deeper = deeper
    search(tuner)
    assert asked == [4, 8, 16]
    first, second, third = rung(tuner, 3)
    assert [trial.hyperparameters.values["unfreeze"] for trial in (first, second, third)] == [8, 16, 32]
    assert all("tuner/trial_id" not in trial.hyperparameters.values for trial in (first, second, third))
    assert sizes(tuner) == [5, 3, 2]
    again = halving(tmp_path, loss, grid(unfreeze=5), max_trials=5)
    again.oracle.deeper = deeper
    assert not search(again).ran
    assert asked == [4, 8, 16]


def test_where_the_deepest_is_not_the_best_it_does_not_go_deeper(tmp_path: Path) -> None:
    def loss(point: dict[str, Any]) -> float:
        return abs(2 - point["unfreeze"]) + (0.0 if point["tuner/rung"] else 50.0)

    tuner = halving(tmp_path, loss, grid(unfreeze=5), max_trials=5)
    tuner.oracle.deeper = lambda values: pytest.fail("it was asked for a deeper one")
    search(tuner)
    assert not rung(tuner, 3)


# Who goes on


@pytest.mark.parametrize(("objective", "best"), [("val_loss", [0, 1, 2, 3]), ("val_accuracy", [4, 5, 6, 7])])
def test_the_better_half_and_the_better_quarter_go_on(tmp_path: Path, objective: str, best: list[int]) -> None:
    tuner = search(halving(tmp_path, lambda point: point["a"] / 10, grid(a=8), objective=objective))
    assert chosen(tuner, 1, "a") == best
    assert chosen(tuner, 2, "a") == (best[:2] if objective == "val_loss" else best[2:])


def test_a_promoted_trial_is_its_parents_point(tmp_path: Path) -> None:
    tuner = search(halving(tmp_path, by_a, grid(a=8)))
    for number in (1, 2):
        assert (
            parents(tuner, number)
            == [t.trial_id for t in sorted(rung(tuner, number - 1), key=score)][: sizes(tuner)[number]]
        )
        for trial in rung(tuner, number):
            parent = tuner.oracle.trials[trial.hyperparameters.values["tuner/trial_id"]]
            assert plain(trial) == plain(parent)
            assert trial.hyperparameters.values["tuner/initial_epoch"] == parent.hyperparameters.values["tuner/epochs"]


def score(trial: Any) -> float:
    return float(trial.score)


def test_the_last_rung_is_decided_by_the_second(tmp_path: Path) -> None:
    """What is best after the head stage falls back while it is fine-tuned."""

    def script(point: dict[str, Any]) -> float:
        return by_a(point) if point["tuner/rung"] == 0 else 8 - by_a(point)

    tuner = search(halving(tmp_path, script, grid(a=8)))
    assert chosen(tuner, 1, "a") == [0, 1, 2, 3]
    assert chosen(tuner, 2, "a") == [2, 3]


def test_the_best_point_is_found_where_early_scores_tell_of_late_ones(tmp_path: Path) -> None:
    """Fine-tuning gains more the deeper it goes; the head stage only knows the head, with some noise."""

    def script(point: dict[str, Any]) -> float:
        head = 0.1 * (point["head"] - 4) ** 2 + 0.02 * math.sin(7 * point["head"])
        tuned = (point["tuner/epochs"] - 5) / 5
        return 2 + head - tuned * (1 - 0.3 * (point["unfreeze"] - 2) ** 2)

    space = grid(head=8, unfreeze=4)
    tuner = search(halving(tmp_path, script, space))
    best = min(all_points(space), key=lambda point: script({**point, "tuner/epochs": 10}))
    assert plain(completed(tuner.oracle)[0]) == best != {"head": 0, "unfreeze": 0}
    epochs = sum(t["tuner/epochs"] - t["tuner/initial_epoch"] for t in values(tuner) if t["tuner/rung"])
    assert epochs <= 1.5 * (16 * 3 + 8 * 2) < 32 * 5


def values(tuner: Any) -> list[dict[str, Any]]:
    return [trial.hyperparameters.values for trial in tuner.oracle.trials.values()]


# Ties


@pytest.mark.parametrize("seed", range(5))
def test_of_equal_scores_every_depth_goes_on(tmp_path: Path, seed: int) -> None:
    """Depth plays no role in the head stage: two heads of four depths; the better head is the first four to go on."""
    tuner = search(halving(tmp_path, lambda point: float(point["head"]), grid(head=2, unfreeze=4), seed=seed))
    assert chosen(tuner, 1, "head") == [0] * 4
    assert chosen(tuner, 1, "unfreeze") == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_depths_are_balanced_where_the_cut_falls_among_equals(tmp_path: Path, seed: int) -> None:
    """All of 16 are equal; in whatever order they were drawn, of the first eight two have each depth."""
    tuner = search(halving(tmp_path, lambda point: 1.0, grid(head=4, unfreeze=4), seed=seed))
    first = rung(tuner, 1)[:8]
    assert Counter(trial.hyperparameters.values["unfreeze"] for trial in first) == dict.fromkeys(range(4), 2)
    drawn = rung(tuner, 0)[:8]
    if seed == 0:
        assert set(Counter(t.hyperparameters.values["unfreeze"] for t in drawn).values()) != {2}, "no test otherwise"


def test_a_depth_that_the_better_ones_have_comes_last(tmp_path: Path) -> None:
    """(0, depth 0) is best, the others are equal: first another depth, then depth 0 again."""
    tuner = search(
        halving(tmp_path, lambda point: float(point != {**point, "head": 0, "unfreeze": 0}), grid(head=2, unfreeze=2))
    )
    assert [plain(trial)["unfreeze"] for trial in rung(tuner, 1)[:2]] == [0, 1]
    assert plain(rung(tuner, 1)[0])["head"] == 0


def test_without_a_depth_the_earlier_of_equals_goes_on(tmp_path: Path) -> None:
    tuner = search(halving(tmp_path, lambda point: 1.0, grid(a=8)))
    assert parents(tuner, 1) == [f"000{number}" for number in range(4)]


# The standard error


@pytest.mark.parametrize(
    ("head", "error", "expected"),
    [
        *[
            (0, 0.0, [12, 6, 3]),
            (0, 0.9, [12, 6, 3]),
            (0, 1.5, [12, 7, 4]),
            (0, 2.5, [12, 8, 4]),
            (0, 99.0, [12, 9, 4]),
        ],
        *[(5, 0.0, [12, 6, 3]), (5, 0.9, [12, 6, 3]), (5, 1.5, [12, 6, 4]), (5, 99.0, [12, 6, 4])],
    ],
)
def test_those_within_a_standard_error_go_on_too(tmp_path: Path, head: int, error: float, expected: list[int]) -> None:
    """Scores lie 1 apart; never more than one and a half times as many as planned, 6 and 3; as planned after a head
    stage, which does not know the depths."""
    tuner = search(uncertain(tmp_path, error, by_a, grid(a=12), head_epochs=head))
    assert sizes(tuner) == expected
    assert [chosen(tuner, number, "a") for number in (1, 2)] == [list(range(size)) for size in expected[1:]]


def test_the_error_of_an_accuracy(tmp_path: Path) -> None:
    script = {"script": lambda point: point["a"] / 10, "space": grid(a=8), "objective": "val_accuracy"}
    tuner = search(uncertain(tmp_path, 0.15, head_epochs=0, **script))
    assert chosen(tuner, 1, "a") == [3, 4, 5, 6, 7]


def test_who_cannot_be_told_from_the_last_goes_on_before_the_next_best(tmp_path: Path) -> None:
    """Of 0, 1, ..., 7, four are planned; 6 cannot be told from 3, 4 and 5 can."""
    error = {"error": lambda one, other: 9.0 if plain(other)["a"] == 6 else 0.5}
    tuner = search(halving(tmp_path, by_a, grid(a=8), head_epochs=0, **error))
    assert chosen(tuner, 1, "a") == [0, 1, 2, 3, 6]


def test_an_error_that_is_not_finite_counts_as_none(tmp_path: Path) -> None:
    tuner = search(uncertain(tmp_path, math.nan, by_a, grid(a=12)))
    assert sizes(tuner) == [12, 6, 3]
    assert failures(tuner.oracle) == []


# Trials that fail or diverge


def failing(bad: set[tuple[int, int]], value: float | None) -> Script:
    """The loss is `a`; the trials with (rung, a) in `bad` raise, or give `value`."""

    def script(point: dict[str, Any]) -> float:
        if (point["tuner/rung"], point["a"]) not in bad:
            return by_a(point)
        if value is None:
            raise ValueError("no")
        return value

    return script


@pytest.mark.parametrize("value", [None, math.nan, -math.inf])
@pytest.mark.parametrize(
    ("bad", "second", "third"),
    [
        ({(0, 0)}, [1, 2, 3, 4], [1, 2]),
        ({(0, a) for a in range(7)}, [7], [7]),
        ({(1, 0)}, [0, 1, 2, 3, 4], [1, 2]),
        ({(1, a) for a in range(7)}, [0, 1, 2, 3, 4, 5, 6, 7], [7]),
        ({(2, 0), (2, 1)}, [0, 1, 2, 3], [0, 1, 2, 3]),
    ],
    ids=["first", "all but one", "on its way", "all but one on their way", "at the end"],
)
def test_a_failed_trial_is_replaced(
    tmp_path: Path, bad: set[tuple[int, int]], second: list[int], third: list[int], value: float | None
) -> None:
    tuner = search(halving(tmp_path, failing(bad, value), grid(a=8)))
    assert chosen(tuner, 1, "a") == second
    assert chosen(tuner, 2, "a") == third
    lost = {name for name, _ in failures(tuner.oracle)}
    assert len(lost) == len(bad)
    assert lost.isdisjoint([*parents(tuner, 1), *parents(tuner, 2)])


@pytest.mark.parametrize("value", [None, math.nan])
@pytest.mark.parametrize("number", range(3))
def test_a_rung_in_which_all_fail_ends_the_search(tmp_path: Path, number: int, value: float | None) -> None:
    tuner = search(halving(tmp_path, failing({(number, a) for a in range(8)}, value), grid(a=8)))
    assert sizes(tuner) == [[8, 0, 0], [8, 8, 0], [8, 4, 4]][number]


# Interrupted


def states(tuner: Any) -> list[dict[str, Any]]:
    """All that is kept of each trial, but for the traceback, in which the cut shows."""
    kept = [trial.get_state() for trial in tuner.oracle.trials.values()]
    return [state | {"message": (state["message"] or "").partition("\n")[0]} for state in kept]


@pytest.mark.parametrize("seed", range(3))
def test_a_search_cut_in_every_trial_is_the_search_that_was_not(tmp_path: Path, seed: int) -> None:
    """With ties, a standard error, failures and divergence."""
    space = grid(a=6, unfreeze=2)
    settings: dict[str, Any] = {"max_trials": 10, "seed": seed}
    script = failing({(0, 5), (1, 1)}, None)
    whole = search(uncertain(tmp_path / "whole", 1.0, script, space, **settings))
    for _ in whole.ran:  # each process finishes one trial, and is cut in the next
        cut = search(uncertain(tmp_path / "cut", 1.0, cut_after(1, script), space, **settings))
        assert len(cut.ran) <= 2
    assert len(failures(whole.oracle)) >= 2
    assert states(cut) == states(whole)
    assert search(uncertain(tmp_path / "cut", 1.0, script, space, **settings)).ran == []


def test_more_configurations_are_drawn_until_the_second_rung_begins(tmp_path: Path) -> None:
    search(halving(tmp_path / "cut", cut_after(4, by_a), grid(a=30), max_trials=5))
    more = search(halving(tmp_path / "cut", by_a, grid(a=30), max_trials=12))
    assert sizes(more) == [12, 6, 3]
    assert states(more) == states(search(halving(tmp_path / "whole", by_a, grid(a=30), max_trials=12)))


def test_fewer_configurations_than_were_begun_change_nothing(tmp_path: Path) -> None:
    search(halving(tmp_path, cut_after(8, by_a), grid(a=30), max_trials=12))
    fewer = search(halving(tmp_path, by_a, grid(a=30), max_trials=4))
    assert sizes(fewer) == [9, 5, 3]


@pytest.mark.parametrize("changed", [2, 30])
@pytest.mark.parametrize("done", [12, 15, 20, 21])
def test_a_bracket_begun_stays_as_it_is(tmp_path: Path, done: int, changed: int) -> None:
    """12 + 6 + 3 trials; the search is cut in the first trial of the second rung, or later."""
    search(halving(tmp_path / "cut", cut_after(done, by_a), grid(a=30), max_trials=12))
    again = search(halving(tmp_path / "cut", by_a, grid(a=30), max_trials=changed))
    assert states(again) == states(search(halving(tmp_path / "whole", by_a, grid(a=30), max_trials=12)))


def test_a_promoted_trial_that_was_lost_leaves_no_one_out(tmp_path: Path) -> None:
    """The record of the second rung's second trial is gone: its parent goes on again, nobody goes on twice."""
    search(halving(tmp_path, cut_after(11, by_a), grid(a=8)))
    (tmp_path / "search/oracle.json").unlink()
    (tmp_path / "search/trial_0009/trial.json").unlink()
    again = search(halving(tmp_path, by_a, grid(a=8)))
    assert failures(again.oracle) == [("0009", "its record was lost")]
    assert chosen(again, 1, "a") == [0, 1, 2, 3]
    assert chosen(again, 2, "a") == [0, 1]


# Several workers


def test_idle_only_while_another_worker_is_at_a_trial(tmp_path: Path) -> None:
    made = halving(tmp_path, by_a, grid(a=2)).oracle
    first, second = made.create_trial("one"), made.create_trial("two")
    for trial in (first, second):
        assert made.create_trial("three").status == "IDLE"  # one score is not enough to compare
        made.update_trial(trial.trial_id, {"val_loss": 1.0})
        trial.status = "COMPLETED"
        made.end_trial(trial)
    assert made.create_trial("one").hyperparameters.values["tuner/rung"] == 1
    assert made.create_trial("two").status == "IDLE"


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_one_worker_never_waits(tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tuner = halving(tmp_path, failing({(0, 1), (1, 0)}, None), grid(a=count))
    answered = []
    populate = tuner.oracle.populate_space

    def watched(trial_id: str) -> dict[str, Any]:
        answered.append(populate(trial_id))
        return answered[-1]

    monkeypatch.setattr(tuner.oracle, "populate_space", watched)
    search(tuner)
    assert Counter(answer["status"] for answer in answered) == {"RUNNING": len(tuner.ran), "STOPPED": 1}


# What the device makes of it


@pytest.mark.parametrize("seed", range(6))
def test_the_best_of_each_base_that_is_cheaper_than_all_better_ones_goes_on(tmp_path: Path, seed: int) -> None:
    """The larger the image, the better. Without costs only the two largest sizes would go on."""

    def script(point: dict[str, Any]) -> float:
        return 10.0 - point["image_size"] + point["a"] / 10 + (point["tuner/rung"] == 0)

    def cost(trial: Any) -> float:
        return float(trial.hyperparameters.values["image_size"])

    space = grid(image_size=4, a=3)
    without = halving(tmp_path / "without", script, space, max_trials=12, seed=seed)
    without.search(verbose=0)
    assert chosen(without, 1, "image_size") == [2, 2, 2, 3, 3, 3]
    tuner = halving(tmp_path / "with", script, space, max_trials=12, seed=seed, cost=cost)
    tuner.search(verbose=0)
    assert sizes(without) == [12, 6, 3]
    assert sizes(tuner) == [12, 6, 4]  # who made room is as good as the last that was planned, itself
    assert chosen(tuner, 1, "image_size") == [0, 1, 2, 3, 3, 3]
    assert [point["a"] for point in points(tuner, 1) if point["image_size"] < 2] == [0, 0]  # the best of its size
    assert 3 in chosen(tuner, 2, "image_size")
    assert len(set(chosen(tuner, 2, "image_size"))) > 1


def points(tuner: Any, number: int) -> list[dict[str, Any]]:
    return [trial.hyperparameters.values for trial in rung(tuner, number)]


def test_who_made_room_for_the_front_goes_on_before_worse_ones_that_are_as_close(tmp_path: Path) -> None:
    """Of twelve, six are planned: those of the large images. The best of the small ones takes the place of the worst of
    them, which goes on all the same, because it cannot be told from itself."""
    tuner = uncertain(
        tmp_path,
        3.5,
        lambda point: float(point["a"]) if point["image_size"] == 1 else 20.0 + point["a"],
        grid(image_size=2, a=6),
        max_trials=12,
        head_epochs=0,
        cost=lambda trial: float(plain(trial)["image_size"]),
    )
    tuner.search(verbose=0)
    second = {(point["image_size"], point["a"]) for point in points(tuner, 1)}
    assert {(1, a) for a in range(6)} | {(0, 0)} <= second


def test_a_base_that_is_worse_and_dearer_is_no_part_of_the_front(tmp_path: Path) -> None:
    def script(point: dict[str, Any]) -> float:
        return float(point["image_size"]) + point["a"] / 10  # the smaller, the better

    tuner = halving(
        tmp_path,
        script,
        grid(image_size=4, a=3),
        max_trials=12,
        cost=lambda trial: float(trial.hyperparameters.values["image_size"]),
    )
    tuner.search(verbose=0)
    assert chosen(tuner, 1, "image_size") == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("cut", range(3, 20, 4))
def test_a_search_with_costs_that_is_cut_goes_on_as_if_it_had_not_been(tmp_path: Path, cut: int) -> None:
    def script(point: dict[str, Any]) -> float:
        return 10.0 - point["image_size"] + point["a"] / 10

    how: dict[str, Any] = {"max_trials": 12, "cost": lambda trial: float(plain(trial)["image_size"])}
    whole = search(halving(tmp_path / "whole", script, grid(image_size=4, a=3), **how))
    search(halving(tmp_path / "cut", cut_after(cut, script), grid(image_size=4, a=3), **how))
    again = search(halving(tmp_path / "cut", script, grid(image_size=4, a=3), **how))
    assert states(again) == states(whole)
