"""A time limit: what still fits is run, what does not is said. The clock is a script's; nobody sleeps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from tests.scripted import Ours, grid, ours
from tests.tiny import SETTINGS as TINY
from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.run import MAY_CHANGE
from toolkit.settings import Settings
from tuning import memory
from tuning.activations.cache import PASS
from tuning.left_out import duration
from tuning.oracles.halving import rungs
from tuning.results import SearchResult, read_left_out, write_left_out
from tuning.time_limit import TimeLimit, TimeOverError
from tuning.trial_costs import HEAD, TrialCosts, Work
from unfreeze.after_search import After, leaves_no_time_for_latencies, without_latencies
from unfreeze.option_types import Duration

pytestmark = pytest.mark.filterwarnings(r"ignore:(currentThread|getName)\(\) is deprecated:DeprecationWarning")
EPOCHS = {"head_epochs": 5, "max_epochs": 11}
SETTINGS = Settings(head_epochs=5, tune_epochs=6, trials=12)


class Clock:
    """Seconds that pass only when somebody says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_graphs", lambda keep: None)
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limited(
    folder: Path,
    clock: Clock,
    seconds: float,
    cost: Callable[[dict[str, Any]], float],
    *,
    kind: str = "halving",
    after: float = 0.0,
    settings: Settings = SETTINGS,
) -> tuple[Ours, TimeLimit]:
    """A search over twelve points whose trials take `cost(point)` seconds. Its result is what it was told; it ends as
    `tuning.search` lets it end."""

    def script(point: dict[str, Any]) -> float:
        clock.passes(cost(point))
        return float(point["a"])

    tuner = ours(folder, script, kind, grid(a=12), max_trials=settings.trials, **EPOCHS)
    limit = tuner.limit = TimeLimit(seconds, clock=clock)
    limit.costs = TrialCosts(Work(settings, saving=after))
    limit.resume(tuner.oracle, dict.fromkeys(tuner.oracle.trials, None))
    with limit.ending(tuner.oracle):
        tuner.search(verbose=0)
    return tuner, limit


def by_epochs(head: float, tune: float) -> Callable[[dict[str, Any]], float]:
    """Seconds of a trial under halving, from seconds an epoch."""

    def cost(point: dict[str, Any]) -> float:
        epochs = point["tuner/epochs"] - point["tuner/initial_epoch"]
        return epochs * (head if point["tuner/rung"] == 0 else tune)

    return cost


def sizes(tuner: Any) -> list[int]:
    ended = [trial for trial in tuner.oracle.trials.values() if trial.status == "COMPLETED"]
    return [sum(trial.hyperparameters.values["tuner/rung"] == number for trial in ended) for number in range(3)]


def test_without_a_limit_nothing_is_left_out(tmp_path: Path, clock: Clock) -> None:
    tuner = ours(tmp_path, lambda point: float(point["a"]), "halving", grid(a=12), max_trials=12, **EPOCHS)
    tuner.search(verbose=0)
    assert sizes(tuner) == [12, 6, 3]
    assert tuner.limit.left_out(tuner.oracle) == ""


def test_time_that_is_enough_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    tuner, limit = limited(tmp_path, clock, 1000, by_epochs(1, 5))
    assert (sizes(tuner), limit.stopped, limit.left_out(tuner.oracle)) == ([12, 6, 3], False, "")


@pytest.mark.parametrize("seconds", [60, 100, 150, 200, 250])
@pytest.mark.parametrize("after", [0.0, 30.0])
def test_halving_begins_with_as_many_as_leave_time_for_the_later_rungs(
    tmp_path: Path, clock: Clock, seconds: float, after: float
) -> None:
    """Heads take 5 seconds; the images and the pass make expect that an epoch of fine-tuning takes 4, as it does."""
    settings, epoch = SETTINGS, 4.0
    work = Work(settings, train=1000, per_image=epoch / (1000 * 0.7), saving=after)

    def script(point: dict[str, Any]) -> float:
        clock.passes(by_epochs(1, epoch)(point))
        return float(point["a"])

    tuner = ours(tmp_path, script, "halving", grid(a=12), max_trials=12, **EPOCHS)
    limit = tuner.limit = TimeLimit(seconds, clock=clock)
    limit.costs = TrialCosts(work)
    limit.resume(tuner.oracle, {})
    with limit.ending(tuner.oracle):
        tuner.search(verbose=0)
    count = sizes(tuner)[0]
    assert clock.now - 100 <= seconds - after
    assert [size for size, *_ in rungs(count, 5, 11)] == sizes(tuner)  # the later rungs are whole
    assert count == 12 or limit.left_out(tuner.oracle).startswith(
        f"time limit {duration(seconds)}: {count} of 12 heads"
    )
    _, again = limited(tmp_path, clock, 100_000, by_epochs(1, epoch))
    told = f"{count} of 12 heads; the fine-tunings began without the others"
    assert again.left_out(tuner.oracle) == ("" if count == 12 else told)
    whole = sum(size * (end - first) * (1 if first == 0 else epoch) for size, first, end in rungs(count + 1, 5, 11))
    assert count == 12 or whole + 3 * sum(sizes(tuner)[1:]) + 6 > seconds - after  # one more would not have fitted


def test_a_fine_tuning_that_does_not_fit_is_not_begun_and_runs_in_a_call_with_more_time(
    tmp_path: Path, clock: Clock
) -> None:
    """Nothing makes expect that fine-tuning is slow, so all heads are trained."""
    tuner, limit = limited(tmp_path, clock, 150, by_epochs(1, 20))
    heads, later, last = sizes(tuner)
    assert (heads, last) == (12, 0)
    assert later == 2  # 60 seconds for the heads, 40 for each of these: a third ends at 180
    assert clock.now - 100 == 140
    assert limit.left_out(tuner.oracle) == "time limit 2m30s: 12 of 12 heads, 2 of 9 fine-tunings"
    before = {name: trial.get_state() for name, trial in tuner.oracle.trials.items() if trial.status == "COMPLETED"}
    tuner, limit = limited(tmp_path, clock, 1000, by_epochs(1, 20))
    assert sizes(tuner) == [12, 6, 3]
    assert limit.left_out(tuner.oracle) == ""
    assert {name: tuner.oracle.trials[name].get_state() for name in before} == before
    assert [name for name, _ in tuner.ran] == [name for name in tuner.oracle.trials if name not in before]


@pytest.mark.parametrize("kind", ["random", "grid", "bayesian", "hyperband"])
def test_other_oracles_end_before_the_trial_that_does_not_fit(tmp_path: Path, clock: Clock, kind: str) -> None:
    def cost(point: dict[str, Any]) -> float:
        return 10.0 * (point["tuner/epochs"] - point["tuner/initial_epoch"]) if kind == "hyperband" else 30.0

    settings = Settings(trials=12, oracle=kind)
    tuner, limit = limited(tmp_path, clock, 100, cost, kind=kind, settings=settings)
    ended = [trial for trial in tuner.oracle.trials.values() if trial.status == "COMPLETED"]
    assert clock.now - 100 <= 100
    if kind == "hyperband":
        assert f"hyperband's schedule ended after {len(ended)} trials" in limit.left_out(tuner.oracle)
    else:
        assert limit.left_out(tuner.oracle) == "time limit 1m40s: 3 of 12 trials"
        assert len(ended) == 3


def test_what_an_earlier_call_took_tells_whether_the_first_trial_of_this_one_fits(tmp_path: Path, clock: Clock) -> None:
    settings = Settings(trials=12, oracle="random")
    tuner, _ = limited(tmp_path, clock, 100, lambda point: 30.0, kind="random", settings=settings)
    limit = TimeLimit(20, clock=clock)
    limit.costs = TrialCosts(Work(settings))
    limit.resume(tuner.oracle, {"0000": 30.0})
    trial = next(trial for trial in tuner.oracle.trials.values() if trial.status != "COMPLETED")
    with pytest.raises(TimeOverError):
        limit.begin(tuner.oracle, trial)


def test_a_first_trial_always_begins_and_is_cut_where_it_takes_longer_than_the_limit(
    tmp_path: Path, clock: Clock
) -> None:
    begun: list[TimeLimit] = []

    def script(point: dict[str, Any]) -> float:
        for _ in range(10):
            clock.passes(30)
            begun[0].epoch()
        return 1.0

    tuner = ours(tmp_path, script, "random", grid(a=3), max_trials=3)
    limit = tuner.limit = TimeLimit(60, clock=clock)
    limit.costs = TrialCosts(Work(Settings(trials=3, oracle="random", head_epochs=5, tune_epochs=5), saving=20))
    begun.append(limit)
    said = "--time-limit 1m is too short for the first trial: about 6m would do, 20s of them for what comes after"
    with pytest.raises(NoAnswerError, match=said) as told, limit.ending(tuner.oracle):
        tuner.search(verbose=0)
    assert "\n" not in str(told.value)
    assert clock.now - 100 == 60  # 40 are left to the search, and 3 of slack
    again = ours(tmp_path, lambda point: 1.0, "random", grid(a=3), max_trials=3)
    again.search(verbose=0)
    assert [name for name, _ in again.ran] == ["0000", "0001", "0002"]  # the one that was cut is the first


def test_a_later_trial_that_takes_too_long_is_cut_and_what_was_complete_is_kept(tmp_path: Path, clock: Clock) -> None:
    epochs: list[int] = [2, 50]
    begun: list[TimeLimit] = []

    def script(point: dict[str, Any]) -> float:
        for _ in range(epochs.pop(0)):
            clock.passes(10)
            begun[0].epoch()
        return 1.0

    tuner = ours(tmp_path, script, "random", grid(a=3), max_trials=3)
    limit = tuner.limit = TimeLimit(100, clock=clock)
    limit.costs = TrialCosts(Work(Settings(trials=3, oracle="random")))
    begun.append(limit)
    with limit.ending(tuner.oracle):
        tuner.search(verbose=0)
    assert clock.now - 100 == 110
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED", "RUNNING"]
    assert limit.left_out(tuner.oracle) == "time limit 1m40s: 1 of 3 trials"


@pytest.mark.parametrize(("rate", "fits"), [(100.0, True), (10.0, False)])
def test_a_pass_over_the_prefix_that_does_not_fit_ends_before_it_is_over(clock: Clock, rate: float, fits: bool) -> None:
    """1,000 images in 10 or 100 seconds, of 60."""
    told: list[tuple[str, int, int]] = []
    limit = TimeLimit(60, clock=clock)
    limit.costs = TrialCosts(Work(SETTINGS))
    progress = limit.watched(lambda *what: told.append(what))

    def run() -> None:
        progress("decoding train", 0, 1000)
        for done in (0, *range(0, 1001, 20)):
            progress(f"{PASS}, 0.1 GB", done, 1000)
            clock.passes(20 / rate if done else 4)  # a runtime takes long to start, which says nothing of its speed

    if fits:
        run()
        assert told[-1] == (f"{PASS}, 0.1 GB", 1000, 1000)
    else:
        with pytest.raises(TimeOverError, match="about 2m would do"):
            run()
        assert clock.now - 100 < 16
    assert limit.stopped != fits


def test_each_base_has_a_pass_that_is_timed_by_itself(clock: Clock, tmp_path: Path) -> None:
    """Each trial is the first of its base: 11 s of a pass, then 5 s of its own."""

    limit = TimeLimit(300, clock=clock)
    progress = limit.watched(lambda *what: None)

    def script(point: dict[str, Any]) -> float:
        for done in range(0, 1001, 100):
            progress(f"{PASS}, 0.1 GB", done, 1000)
            clock.passes(1.0)
        clock.passes(4.0)  # with the second after the pass
        return float(point["a"])

    tuner = ours(tmp_path, script, "random", grid(a=12), max_trials=12, **EPOCHS)
    tuner.limit, limit.costs = limit, TrialCosts(Work(SETTINGS))
    with limit.ending(tuner.oracle):
        tuner.search(verbose=0)
    assert {(trial.status, trial.message) for trial in tuner.oracle.trials.values()} == {("COMPLETED", None)}
    assert not limit.stopped
    for rates in limit.costs.rates.values():
        assert all(5.0 <= rate * SETTINGS.epochs <= 6.1 for rate in rates)


def test_a_pass_that_is_still_to_come_counts(clock: Clock) -> None:
    """Heads take 5 s, a pass over the prefix 100 s. The third base has no pass yet, the fourth trial needs none."""
    settings = Settings(vary={"image_size": (32, 64, 96)}, head_epochs=5, tune_epochs=1)
    limit = TimeLimit(200, clock=clock)
    limit.costs = costs = TrialCosts(Work(settings, settings.bases))
    small, middle = ((("image_size", size),) for size in (32, 64))
    costs.rates = {(small, HEAD): [1.0], (middle, HEAD): [1.0], (small, 1): [1.0]}
    assert limit.fits(3)
    costs.passes = {small: 100.0, middle: 90.0}
    assert limit.fits(3)
    clock.passes(95)
    assert not limit.fits(3)
    assert limit.fits(4)


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1H5m10s", 3910), ("0.5h", 1800)],
)
def test_a_time_as_it_is_typed(typed: str, seconds: float) -> None:
    assert Duration().convert(typed, None, None) == seconds


@pytest.mark.parametrize("typed", ["", "0", "0s", "-5", "1h30", "30 min", "m", "nan", "inf", "1e3", "30m1h", "9" * 400])
def test_what_is_no_time_is_refused_with_what_to_type(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time; give seconds, or a time such as 90s, 30m, 2h or 1h30m"):
        Duration().convert(typed, None, None)


@pytest.mark.parametrize("seconds", [1, 59, 60, 61, 90, 119, 120, 121, 1799, 3600, 3601, 5400, 86400])
def test_a_time_that_is_told_can_be_typed(seconds: float) -> None:
    again = Duration().convert(duration(seconds), None, None)
    assert again == seconds


def test_the_setting(tmp_path: Path) -> None:
    assert Settings().time_limit is None
    assert Settings.from_json(Settings(time_limit=90).to_json()).time_limit == 90
    assert "time_limit" in MAY_CHANGE
    for wrong in (0, -1, float("inf"), float("nan"), "30m"):
        with pytest.raises(UnfreezeError, match="time_limit is"):
            Settings(time_limit=wrong)  # type: ignore[arg-type]


def test_what_was_left_out_is_kept_until_a_call_leaves_nothing_out(tmp_path: Path) -> None:
    assert read_left_out(tmp_path) == ""
    write_left_out(tmp_path, "time limit 90s: 1 of 3 trials")
    assert read_left_out(tmp_path) == "time limit 90s: 1 of 3 trials"
    write_left_out(tmp_path, "")
    assert read_left_out(tmp_path) == ""
    assert not list((tmp_path / "search").iterdir())


def test_the_estimate_of_what_comes_after_the_search_covers_what_was_measured() -> None:
    """benchmarks/RESULTS.md: the main job took 4 min 36 s, of which 30 s and 57 s up to the end of the search; the demo
    29 s for the export and 19 s for the verification."""
    assert 160 <= After(8, 1783 + 280)((0.9, 0.0045, 2_260_000), 9, 1) <= 230
    assert 48 <= After(8, 719 + 216)((0.8, 0.001, 420_000), 9, 1) <= 90
    assert After(8, 935)((2.4, 0.003, 0), 9, 1) == pytest.approx(3 * After(8, 935)((0.8, 0.001, 0), 9, 1))  # it is busy
    assert After(0, 935)((0.8, 0.001, 420_000), 9, 1) == 0


def test_the_estimate_of_finalists_follows_what_was_tried() -> None:
    """One of each combination, three more, twelve at most; and no more than there are points."""
    slow = (1.5, 0.02, 4_000_000)
    one = After(0, judged=280)(slow, 1, 1)
    assert 10 < one < 20
    times = {(3, 3): 3, (9, 3): 6, (4, 3): 4, (30, 20): 12, (0, 0): 0}
    assert {tried: round(After(0, judged=280)(slow, *tried) / one, 6) for tried in times} == times
    assert After(1, 2063, 280)(slow, 9, 3) == pytest.approx(After(1, 2063)(slow, 9, 3) + 6 * one)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("", "time limit 5m: no latencies of the files"),
        ("time limit 5m: 2 of 8 trials", "time limit 5m: 2 of 8 trials, no latencies of the files"),
    ],
)
def test_where_the_rest_takes_longer_than_expected_the_latencies_are_left_out_and_it_is_said(
    tmp_path: Path, before: str, said: str
) -> None:
    result = SearchResult("0000", "0000", (), "0000", TINY.spec(2, 0, 0.0, 0), (), 0, left_out=before)
    assert without_latencies(result, tmp_path, 300.0).left_out == read_left_out(tmp_path) == said
    assert [leaves_no_time_for_latencies(300.0, spent, 50.0) for spent in (239, 240, 241)] == [False, False, True]
    assert not leaves_no_time_for_latencies(None, 1e9, 1e9)


@pytest.mark.long
def test_it_goes_deeper_by_itself_where_time_is_left(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.pictures import write_pictures
    from toolkit.run import prepare
    from tuning.base_model import BaseModel
    from tuning.search import search
    from tuning.trial_records import completed

    data = write_pictures(tmp_path / "data", per_class=12)
    monkeypatch.setattr("toolkit.settings.DEPTHS", (1,))
    deepest_first = lambda oracle: sorted(completed(oracle), key=depth, reverse=True)  # noqa: E731
    monkeypatch.setattr("tuning.oracles.halving.completed", deepest_first)
    settings = replace(TINY, unfreeze=(), oracle="halving", tune_epochs=2, time_limit=900.0)
    run = prepare(data, tmp_path / "run", settings)
    depths = [trial.unfreeze for trial in search(run, limit=TimeLimit(900.0)).trials if trial.status == "COMPLETED"]
    assert depths[-2:] == [2, 3]
    again = search(run, limit=TimeLimit(1e6))
    assert [trial.unfreeze for trial in again.trials] == depths
    no_room = prepare(data, tmp_path / "full", settings)
    real_activations = BaseModel.activations

    def activations(self: BaseModel, wanted: int) -> Any:
        if wanted > 1:
            raise UnfreezeError("the disk has no room")
        return real_activations(self, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(BaseModel, "activations", activations)
        assert {trial.unfreeze for trial in search(no_room, limit=TimeLimit(900.0)).trials} == {1}
    clock = Clock()
    run = prepare(data, tmp_path / "short", settings)
    real = TimeLimit.epoch
    monkeypatch.setattr(TimeLimit, "epoch", lambda self: (clock.passes(10), real(self))[1])
    short = search(run, limit=TimeLimit(100.0, clock=clock))
    assert {trial.unfreeze for trial in short.trials} == {1}
    assert short.left_out == ""


def depth(trial: Any) -> tuple[int, int]:
    return trial.hyperparameters.values["unfreeze"], trial.hyperparameters.values["tuner/rung"]


def test_a_search_that_is_cut_short_gives_a_model_says_so_and_goes_on(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With real trials: every epoch is said to take ten seconds."""

    from tests.pictures import write_pictures
    from toolkit.run import prepare
    from tuning.search import search

    data = write_pictures(tmp_path / "data", per_class=12)
    clock = Clock()
    settings = replace(TINY, time_limit=45.0)
    run = prepare(data, tmp_path / "run", settings)
    real = TimeLimit.epoch
    monkeypatch.setattr(TimeLimit, "epoch", lambda self: (clock.passes(10), real(self))[1])
    result = search(run, limit=TimeLimit(45.0, clock=clock))
    assert result.left_out == "time limit 45s: 2 of 3 trials"
    assert read_left_out(run.path) == result.left_out
    assert "left_out" not in json.dumps(json.loads((run.path / "model.json").read_text()))
    assert (run.path / "model.keras").is_file()
    run = prepare(data, tmp_path / "run", replace(settings, time_limit=900.0))
    whole = search(run, limit=TimeLimit(900.0, clock=clock))
    assert (len(whole.trials), whole.left_out, read_left_out(run.path)) == (3, "", "")
    first = {trial.trial: (trial.val_loss, trial.seconds) for trial in result.trials}
    assert {trial.trial: (trial.val_loss, trial.seconds) for trial in whole.trials if trial.trial in first} == first
