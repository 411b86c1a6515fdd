"""A search within limits chooses by the exported files of its finalists; `pick` takes another of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import unfreeze
from export import finalists as finalist_module
from export.finalists import above_rounding
from export.limits import Limits, Probe, Probed
from export.runtimes.runners import load
from tests.tiny import SETTINGS
from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.run import load_run
from toolkit.stats.metrics import log_losses
from toolkit.training.batches import load_part
from tuning.results import read_trials
from tuning.selection import Candidate
from unfreeze import file_judge as module
from unfreeze.cli import cli
from unfreeze.commands.finish import require_limits
from unfreeze.device_limits import MOST
from unfreeze.file_judge import FileJudge, finalists_among
from unfreeze.finalists import FINALISTS, Finalist, as_json, read_finalists
from unfreeze.front_points import FrontPoint, _marked
from unfreeze.picking import limits_like

LIMITS = Limits(max_size_mb=1)


@pytest.fixture(scope="module")
def searched(tiny: str, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("searched") / "run"
    varied = replace(SETTINGS, image_size=0, vary={"image_size": (32, 40)}, unfreeze=(0, 1), trials=4)
    unfreeze.tune(pictures, run, settings=varied, limits=LIMITS)
    return run


@pytest.fixture
def run(searched: Path, tmp_path: Path) -> Path:
    return shutil.copytree(searched, tmp_path / "run")


# -- the choice, against a second implementation


def made(rng: np.random.Generator, count: int) -> tuple[list[Candidate], dict[str, Finalist], dict[str, np.ndarray]]:
    """Candidates, what was measured of their files, and the files' answers."""
    answers = [rng.dirichlet((1, 1), 40).astype(np.float32) for _ in range(count)]
    candidates = [
        Candidate(
            f"{number:04d}",
            float(number),
            100,
            1,
            answers[number],
            int(rng.choice([32, 64])),
            {"backbone": str(rng.choice(["one", "other"])), "head_units": int(rng.choice([0, 64]))},
        )
        for number in range(count)
    ]
    files = {one.trial: rng.dirichlet((1, 1), 40).astype(np.float32) for one in candidates}
    found = {}
    for one in candidates:
        probe = Probe(float(rng.integers(1, 4)) + one.values["head_units"] / 100, float(rng.integers(1, 4)), 10.0)
        found[one.trial] = Finalist(one.trial, "", "model_int8.tflite", "", 8, 0.5, probe)
    return candidates, found, files


def judged(
    given: tuple[list[Candidate], dict[str, Finalist], dict[str, np.ndarray]],
    limits: Limits,
    labels: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    **how: Any,
) -> Any:
    candidates, found, files = given
    images = SimpleNamespace(select=lambda *parts: SimpleNamespace(labels=labels), class_names=("a", "b"))
    opened: Any = SimpleNamespace(
        images=images, settings=replace(unfreeze.Settings(), **how), path=Path("run"), own=unfreeze.Own()
    )
    monkeypatch.setattr(module, "measured", lambda run, some, *rest: {one.trial: found[one.trial] for one in some})
    monkeypatch.setattr(module, "answers_of", lambda run, one: files[one.trial])
    return FileJudge(opened, limits, unfreeze.Listener())(candidates, lambda trial: None)  # type: ignore[arg-type, return-value]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_the_best_file_within_the_limits_comes_first(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 40).astype(np.int32)
    _, found, files = given_ = made(rng, count)
    limits = Limits(max_size_mb=3.0, max_latency_ms=2.5)
    with pytest.MonkeyPatch.context() as monkeypatch:
        got = judged(given_, limits, labels, monkeypatch, objective="val_loss", class_weights="none")
    over = {name: worst(one.probe, limits) for name, one in found.items()}
    loss = {name: float(log_losses(files[name], labels).mean()) for name in found}
    order = [one.trial for one in got.candidates]
    if any(over[name] <= 1 for name in got.broken):
        assert all(over[name] <= 1 for name in order)
        assert order == sorted(order, key=lambda name: loss[name])
        assert not [name for name in order if got.broken[name]]
        for one in got.candidates:
            np.testing.assert_array_equal(one.answers, files[one.trial])
            assert one.size == round(1e6 * (found[one.trial].probe.size_mb or 0.0))
    else:
        (nearest,) = order
        assert got.broken[nearest]


def worst(probe: Probe, limits: Limits) -> float:
    """How many times a limit a file is, at most: above 1 it breaks one."""
    pairs = ((probe.size_mb, limits.max_size_mb), (probe.latency_ms, limits.max_latency_ms))
    return max((value or 0) / limit for value, limit in pairs if limit)


@given(st.lists(st.tuples(st.floats(3.1, 9), st.floats(0.1, 9)), min_size=1, max_size=6))
def test_where_all_break_a_limit_the_one_that_is_least_over_is_taken(sizes: list[tuple[float, float]]) -> None:
    labels, answers = np.zeros(40, np.int32), np.tile(np.float32([0.9, 0.1]), (40, 1))
    point = {"head_units": 0}
    candidates = [Candidate(f"000{n}", 0.1, 9, 1, answers, 32 + n, point) for n in range(len(sizes))]
    found = {f"000{n}": Finalist(f"000{n}", "", "", "", 8, 0.5, Probe(*both)) for n, both in enumerate(sizes)}
    limits = Limits(max_size_mb=3, max_latency_ms=4)
    with pytest.MonkeyPatch.context() as monkeypatch:
        got = judged((candidates, found, dict.fromkeys(found, answers)), limits, labels, monkeypatch)
    ratios = {name: worst(one.probe, limits) for name, one in found.items()}
    assert ratios[got.candidates[0].trial] == min(ratios.values())


@pytest.mark.parametrize("folds", [1, 5])
def test_with_folds_files_are_held_to_the_limits_and_not_compared(folds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 40).astype(np.int32)
    candidates, found, files = made(rng, 8)
    got = judged((candidates, found, files), Limits(max_size_mb=99), labels, monkeypatch, folds=folds)
    own = {one.trial: one for one in candidates}
    same = [np.array_equal(one.answers, own[one.trial].answers) for one in got.candidates]
    assert same == [folds > 1] * len(same)
    scores = [one.score for one in got.candidates]
    assert scores == sorted(scores)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_times_are_those_of_a_slower_device(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, answers = np.zeros(40, np.int32), np.tile(np.float32([0.9, 0.1]), (40, 1))
    one = Candidate("0000", 0.1, 9, 1, answers, 96, {"head_units": 0, "image_size": 96})
    found = {"0000": Finalist("0000", "", "model_int8.tflite", "", 8, 0.5, Probe(1, 2))}
    limits = Limits(max_latency_ms=5, latency_scale=scale)
    got = judged(([one], found, {"0000": answers}), limits, labels, monkeypatch)
    assert got.broken == {"0000": "" if scale == 1 else "6.0 ms over --max-latency-ms 5"}


def test_a_file_that_failed_leaves_out_its_trial_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, answers = np.zeros(40, np.int32), np.tile(np.float32([0.9, 0.1]), (40, 1))
    candidates = [Candidate(f"000{n}", 0.1 + n, 9, 1, answers, 96, {"head_units": 0}) for n in range(2)]
    probes = (Probe(trouble="it does not run"), Probe(3.1, 1))
    found = {f"000{n}": Finalist(f"000{n}", "", "", "", 8, 0.5, probe) for n, probe in enumerate(probes)}
    files = dict.fromkeys(found, answers)
    got = judged((candidates, found, files), Limits(max_size_mb=9), labels, monkeypatch)
    assert [one.trial for one in got.candidates] == ["0001"]
    got = judged((candidates, found, files), Limits(max_size_mb=3), labels, monkeypatch)
    assert got.broken["0001"].startswith("3.10 MB over")  # and not the one that does not run
    with pytest.raises(UnfreezeError, match="it does not run"):
        judged((candidates[:1], found, files), Limits(max_size_mb=3), labels, monkeypatch)


def test_of_equally_good_files_the_smallest_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros(40, np.int32)
    candidates, found, files = made(np.random.default_rng(0), 6)
    same = np.tile(np.float32([0.8, 0.2]), (40, 1))
    candidates = [replace(one, answers=same) for one in candidates]
    got = judged((candidates, found, dict.fromkeys(files, same)), Limits(max_size_mb=99), labels, monkeypatch)
    sizes = [found[one.trial].probe.size_mb for one in got.candidates]
    assert len(sizes) == 6
    assert sizes == sorted(sizes)  # type: ignore[type-var]


def test_every_backbone_and_size_has_its_best_among_the_finalists() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 40).astype(np.int32)
    images = SimpleNamespace(select=lambda *parts: SimpleNamespace(labels=labels))
    opened: Any = SimpleNamespace(images=images, settings=unfreeze.Settings(objective="val_loss"))
    for _ in range(30):
        candidates, _, _ = made(rng, int(rng.integers(1, 40)))
        chosen = finalists_among(opened, candidates)
        pairs = {(one.values["backbone"], one.image_size) for one in candidates}
        firsts = [
            next(one for one in candidates if (one.values["backbone"], one.image_size) == pair).trial for pair in pairs
        ]
        assert set(firsts) <= {one.trial for one in chosen}
        assert chosen == [one for one in candidates if one in chosen]
        assert len(chosen) <= MOST


def test_a_smaller_head_is_tried_where_a_file_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best trial's file is too large. The second of its backbone and size, with a smaller head, is not."""
    labels = np.zeros(40, np.int32)
    right, worse = (np.tile(np.float32([p, 1 - p]), (40, 1)) for p in (0.9, 0.6))
    point = {"backbone": "one"}
    candidates = [
        Candidate("0000", 0.1, 9, 1, right, 32, point | {"head_units": 64}),
        Candidate("0001", 0.2, 9, 1, worse, 32, point | {"head_units": 64}),
        Candidate("0002", 0.5, 9, 1, worse, 32, point | {"head_units": 0}),
    ]
    found = {
        one.trial: Finalist(one.trial, "", "model_int8.tflite", "", 1000, 0.5, Probe(3.05 if number < 2 else 2.9, 1.0))
        for number, one in enumerate(candidates)
    }
    files = {one.trial: one.answers for one in candidates}
    got = judged((candidates, found, files), Limits(max_size_mb=3), labels, monkeypatch)
    assert [one.trial for one in got.candidates] == ["0002"]
    got = judged((candidates[:2], found, files), Limits(max_size_mb=3), labels, monkeypatch)
    assert got.broken["0000"].startswith("3.05 MB over --max-size-mb 3; with --head-units 8 its file has about 2.99")


def test_latencies_of_a_device_take_the_place_of_those_here(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros(40, np.int32)
    answers = np.tile(np.float32([0.9, 0.1]), (40, 1))
    candidates = [Candidate(f"000{n}", 0.1, 9, 1, answers, size, {"head_units": 0}) for n, size in enumerate((96, 160))]
    candidates = [replace(one, values={"head_units": 0, "image_size": one.image_size}) for one in candidates]
    found = {one.trial: Finalist(one.trial, "", "model_int8.tflite", "", 8, 0.5, Probe(1, 1)) for one in candidates}
    limits = Limits(max_latency_ms=5, latencies="device.json")
    files = dict.fromkeys(found, answers)
    for probe in (Probe(1, 9.0), Probe(trouble="no such operator")):
        told = [Probed("MobileNetV2", 96, 8, Probe(1, 3.0)), Probed("MobileNetV2", 160, 8, probe)]
        monkeypatch.setattr(module, "measured_elsewhere", lambda run, limits, told=told: told)
        got = judged((candidates, found, files), limits, labels, monkeypatch)
        assert [one.trial for one in got.candidates] == ["0000"]
        assert got.broken == {"0000": "", "0001": probe.trouble or "9.0 ms over --max-latency-ms 5"}


def test_a_probability_that_was_rounded_to_0_is_half_a_step() -> None:
    exact = np.random.default_rng(0).dirichlet((0.05, 0.05, 1), 200).astype(np.float32)
    rounded = np.round(exact * 256) / 256
    raised = above_rounding(rounded)
    assert raised is not None
    assert raised.min() >= 0.4 / 256
    np.testing.assert_allclose(raised.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(raised.argmax(1), rounded.argmax(1))
    assert above_rounding(exact) is exact
    assert above_rounding(None) is None


# -- whole searches


@pytest.mark.long
def test_what_is_measured_is_what_the_file_answers(run: Path) -> None:
    """The trial's file, exported anew by another path, gives the same answers."""
    found = read_finalists(run)
    trials = {trial.trial: trial for trial in read_trials(run / "trials.csv")}
    assert {trials[one.trial].varied["image_size"] for one in found} == {32, 40}
    taken = json.loads((run / "model.json").read_text())["search"]
    assert taken["file"] == "model_int8.tflite"
    assert not taken["broken"]
    (own,) = (one for one in found if one.trial == taken["taken"])
    unfreeze.export(run, unfreeze.ExportSettings("tflite", "int8"))
    opened = load_run(run)
    size = trials[own.trial].varied["image_size"]
    part = load_part(opened, "val", image_size=size)
    answers = load(run / "export" / "model_int8.tflite").predict(part.images)
    stored = np.load(run / "search" / f"trial_{own.trial}" / "model_int8.tflite.npy")
    assert (stored.argmax(1) == answers.argmax(1)).mean() > 0.95  # the exported one has a temperature
    assert own.accuracy == (stored.argmax(1) == part.labels).mean()
    assert own.probe.size_mb == pytest.approx((run / "export" / "model_int8.tflite").stat().st_size / 1e6, abs=0.003)


@pytest.mark.long
def test_nothing_is_measured_twice_and_what_is_lost_is(
    run: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, written = read_finalists(run), []
    write = finalist_module._write
    monkeypatch.setattr(finalist_module, "_write", lambda one, *rest: written.append(one.trial) or write(one, *rest))
    varied = replace(SETTINGS, image_size=0, vary={"image_size": (32, 40)}, unfreeze=(0, 1), trials=4)
    unfreeze.tune(pictures, run, settings=varied, limits=LIMITS)
    assert not written
    lost = run / "search" / f"trial_{before[0].trial}" / "model_int8.tflite.npy"
    lost.write_bytes(b"cut short")
    unfreeze.tune(pictures, run, settings=varied, limits=LIMITS)
    assert written == [before[0].trial]
    np.load(lost)
    (run / FINALISTS).write_text('[{"trial": 3}]')
    with pytest.raises(UnfreezeError, match=r"finalists.json is damaged; remove it"):
        unfreeze.tune(pictures, run, settings=varied, limits=LIMITS)


@pytest.mark.long
def test_where_no_file_keeps_the_limits_the_nearest_is_taken_and_the_exit_code_says_so(
    run: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The untrained file kept the limit, and the trained one does not."""
    records = json.loads((run / FINALISTS).read_text())
    for number, one in enumerate(records):
        one["probe"]["size_mb"] = 1.5 + number
    (run / FINALISTS).write_text(json.dumps(records))
    varied = replace(SETTINGS, image_size=0, vary={"image_size": (32, 40)}, unfreeze=(0, 1), trials=4)
    result = unfreeze.tune(pictures, run, settings=varied, limits=LIMITS)
    assert result.taken == records[0]["trial"]
    assert result.broken.startswith("1.50 MB over --max-size-mb 1")
    assert json.loads((run / "model.json").read_text())["search"]["broken"] == result.broken
    assert "No trial keeps the limits of the device as model_int8.tflite" in unfreeze.report(run)[0].read_text()
    with pytest.raises(NoAnswerError, match=r"keeps the limits as model_int8.tflite; the nearest was taken: 1.50 MB"):
        require_limits(result)
    again = unfreeze.pick(run, Limits(max_size_mb=2))  # the same trial: what is told of it is not the same
    assert again.search.taken == result.taken
    assert json.loads((run / "model.json").read_text())["search"]["broken"] == ""
    assert "No trial keeps the limits" not in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("decided", "limits", "kept"),
    [
        (False, Limits(max_size_mb=3.5), True),  # made under these
        (True, Limits(max_size_mb=3.5), True),
        (False, Limits(max_size_mb=9), True),  # the file keeps it, and no limit decided
        (False, Limits(max_latency_ms=10, latency_scale=3), False),  # another way was fast enough
        (False, Limits(max_size_mb=2.5), False),  # or small enough
        (False, Limits(max_size_mb=1.9), True),  # none was
        (False, Limits(max_size_mb=2.5, max_latency_ms=1), True),
        (True, Limits(max_size_mb=9), False),  # a better way may keep it
        (True, Limits(max_size_mb=2), False),
    ],
)
def test_a_file_is_made_anew_where_other_limits_may_decide_for_another_way(
    decided: bool, limits: Limits, kept: bool
) -> None:
    told = as_json(Limits(max_size_mb=3.5)), Probe(2.0, 3.0), decided
    one = Finalist("0000", "", "model_int8.tflite", "", 8, 0.5, Probe(3.0, 4.0), *told)
    assert one.is_kept_within(limits) == kept
    assert replace(one, least=None).is_kept_within(limits)  # no int8: there is one way
    assert not replace(one, least=None, within="?").is_kept_within(limits)  # of an earlier version


@pytest.mark.long
def test_a_search_that_fails_leaves_what_was_picked(run: Path, pictures: Path) -> None:
    (other,) = [int(one.trial) for one in read_trials(run / "trials.csv") if one.mark != "best"][:1]
    unfreeze.pick(run, trial=other)
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    varied = replace(SETTINGS, image_size=0, vary={"image_size": (32, 40)}, unfreeze=(0, 1), trials=4)
    with pytest.raises(UnfreezeError, match="other limits"):
        unfreeze.tune(pictures, run, settings=varied, limits=Limits(max_size_mb=2))
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    unfreeze.tune(pictures, run, settings=varied, limits=LIMITS)
    assert not (run / "pick.json").exists()
    export = unfreeze.ExportSettings(formats="onnx", precisions="float32")
    assert unfreeze.export(run, export).calls[-1].within == LIMITS  # by which its model was taken


@pytest.mark.long
def test_pick_takes_another_trial_and_proves_it(run: Path, pictures: Path) -> None:
    taken = json.loads((run / "model.json").read_text())["search"]["taken"]
    trials = {trial.trial: trial for trial in read_trials(run / "trials.csv")}
    other = next(one.trial for one in read_finalists(run) if one.trial != taken)
    unfreeze.export(run, unfreeze.ExportSettings("onnx", "float32"))
    ran: list[Any] = []
    listener = unfreeze.Listener(on_epoch=ran.append)
    finished = unfreeze.pick(run, trial=int(other), listener=listener)
    assert not ran
    assert finished.search.taken == other
    assert [parity.artefact.name for parity in finished.parities] == ["model.onnx"]  # as the last export was
    size = trials[other].varied["image_size"]
    assert finished.manifest.image_size == size
    assert finished.evaluation.accuracy == finished.parities[0].reference_accuracy
    assert f"unfreeze pick run --trial {int(other)}" in (run / "report.md").read_text()
    rows = {trial.trial: trial.mark for trial in read_trials(run / "trials.csv")}
    assert rows[other] != "best"
    back = unfreeze.pick(run, Limits(max_latency_ms=1000))
    assert back.search.taken == taken
    assert back.search.file == "model_int8.tflite"
    assert {"model.onnx", "model_int8.tflite"} <= {parity.artefact.name for parity in back.parities}
    assert "unfreeze pick run --max-latency-ms 1000" in (run / "report.html").read_text()
    varied = replace(SETTINGS, image_size=0, vary={"image_size": (32, 40)}, unfreeze=(0, 1), trials=4)
    assert unfreeze.tune(pictures, run, settings=varied, limits=LIMITS).taken == taken  # its own limits
    assert "unfreeze pick run" not in unfreeze.report(run)[1].read_text()


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.long
def test_pick_that_is_interrupted_goes_on(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = json.loads((run / "model.json").read_text())["search"]["taken"]
    other = int(next(one.trial for one in read_finalists(run) if one.trial != taken))
    unfreeze.export(run, unfreeze.ExportSettings("onnx", "float32", license="MIT"))
    for what in ("toolkit.training.model_file.write_held_out", "export.write.write_variant"):
        with monkeypatch.context() as patch:
            patch.setattr(what, interrupted)
            with pytest.raises(KeyboardInterrupt):
                unfreeze.pick(run, trial=other)
    finished = unfreeze.pick(run, trial=other)
    assert [artefact.name for artefact in finished.manifest.artefacts] == ["model.onnx"]
    assert finished.manifest.description["license"] == "MIT"


@pytest.mark.long
def test_pick_where_the_images_were_moved(tiny: str, pictures: Path, tmp_path: Path) -> None:
    here = shutil.copytree(pictures, tmp_path / "pictures")
    varied = replace(SETTINGS, image_size=0, vary={"image_size": (32, 40)}, unfreeze=0, head_units=0, dropout=0.0)
    result = unfreeze.tune(here, tmp_path / "run", settings=varied)
    moved = here.rename(tmp_path / "moved")
    other = next(trial.number for trial in result.trials if trial.trial != result.taken)
    unfreeze.export(tmp_path / "run", unfreeze.ExportSettings("onnx", "float32"), data=moved)
    finished = unfreeze.pick(tmp_path / "run", trial=other, data=moved)
    assert finished.search.taken == f"{other:04d}"
    assert finished.page


@pytest.mark.long
def test_pick_takes_format_and_device_from_the_search(run: Path) -> None:
    told = json.loads((run / "probes.json").read_text())
    told["limits"] |= {"runtime": "onnx", "latency_scale": 6.5}
    (run / "probes.json").write_text(json.dumps(told))
    assert limits_like(run, max_latency_ms=4) == Limits(max_latency_ms=4, runtime="onnx", latency_scale=6.5)
    assert limits_like(run, max_latency_ms=4, runtime="tflite") == Limits(max_latency_ms=4)
    (run / "probes.json").unlink()
    assert limits_like(run, max_size_mb=4) == Limits(max_size_mb=4)
    for words in (["--trial", "0", "--runtime", "onnx"], ["--runtime", "onnx"]):
        ended = CliRunner().invoke(cli, ["pick", str(run), *words])
        assert "--runtime belongs to --max-...; give limits, or --trial alone" in str(ended.exception)


@pytest.mark.long
def test_pick_measures_in_another_format(run: Path) -> None:
    finished = unfreeze.pick(run, Limits(max_size_mb=5, runtime="onnx", precision="float32"))
    assert finished.search.file == "model.onnx"
    assert {one.file for one in read_finalists(run)} == {"model_int8.tflite", "model.onnx"}
    points = unfreeze.front(run)
    files = {one.file for one in points}
    assert {"model_int8.tflite", "model.onnx", "saved_model"} <= files
    for one in finished.parities:  # the accuracy on the validation images, counted anew
        (point,) = (point for point in points if point.file == one.artefact.name and point.taken)
        opened = load_run(run)
        part = load_part(opened, "val", image_size=finished.manifest.image_size)
        answers = load(run / "export" / one.artefact.name).predict(part.images)
        assert point.accuracy == pytest.approx((answers.argmax(1) == part.labels).mean())


@pytest.mark.long
def test_pick_says_what_it_cannot_take(run: Path, finished: Any, tmp_path: Path) -> None:
    before = (run / "model.keras").read_bytes()
    with pytest.raises(UnfreezeError, match="give limits or the number of a trial"):
        unfreeze.pick(run)
    with pytest.raises(UnfreezeError, match="give limits or the number of a trial"):
        unfreeze.pick(run, LIMITS, trial=1)
    with pytest.raises(UnfreezeError, match=r"no trial 99 to take.*there are 0, 1"):
        unfreeze.pick(run, trial=99)
    with pytest.raises(UnfreezeError, match=r"no trial of .* keeps the limits as a tflite int8 file; the nearest is"):
        unfreeze.pick(run, Limits(max_size_mb=0.0001))
    assert (run / "model.keras").read_bytes() == before
    with pytest.raises(UnfreezeError, match="is not a run folder"):
        unfreeze.pick(tmp_path, LIMITS)


@pytest.mark.long
def test_the_console_shows_what_can_be_had(run: Path) -> None:
    result = CliRunner().invoke(cli, ["pick", str(run)])
    assert result.exit_code == 0, result.output
    assert "model_int8.tflite" in result.output
    assert "image size 40" in result.output
    told = CliRunner().invoke(cli, ["pick", str(run), "--json"])
    values = json.loads(told.stdout)
    assert sum(one["taken"] for one in values) == 1
    assert {one["file"] for one in values} == {"model_int8.tflite"}


NUMBER = st.integers(1, 4)


@given(st.lists(st.tuples(NUMBER, NUMBER, NUMBER, st.sampled_from(["onnx", "tflite"])), max_size=12))
def test_the_front_is_what_nothing_beats(rows: Sequence[tuple[int, int, int, str]]) -> None:
    points = [
        FrontPoint(number, "", "file", kind, a / 4, float(b), float(c), None)
        for number, (a, b, c, kind) in enumerate(rows)
    ]
    for one in _marked(points):
        better = [
            other
            for other in points
            if other.format == one.format
            and (other.accuracy, -other.size_mb, -other.latency_ms) != (one.accuracy, -one.size_mb, -one.latency_ms)  # type: ignore[operator]
            and other.accuracy >= one.accuracy
            and other.size_mb <= one.size_mb
            and other.latency_ms <= one.latency_ms  # type: ignore[operator]
        ]
        assert one.best == (not better)


@pytest.mark.long
def test_the_report_shows_what_can_be_had(run: Path) -> None:
    page = unfreeze.report(run)[0].read_text()
    points = unfreeze.front(run)
    assert [one.file for one in points] == ["model_int8.tflite"] * len(read_finalists(run))
    for one in points:
        assert page.count(f"<title>trial {one.trial} as {one.file}: {one.accuracy:.2%}, {one.size_mb:.2f} MB") == 2
        assert f"<td>{one.model}</td>" in page
    assert "Chosen by what the model_int8.tflite of each answers to the validation images" in page


@pytest.mark.long
def test_pick_needs_the_parts_with_which_the_search_was_begun(tiny: str, pictures: Path, tmp_path: Path) -> None:
    def space(hp: Any) -> None:
        hp.Choice("noise", [0.0, 0.1])

    def head(features: Any, hp: Any) -> Any:
        import keras

        return keras.layers.GaussianNoise(hp["noise"])(features)

    own = unfreeze.Own(space=space, head=head)
    settings_ = replace(SETTINGS, head_units=0, dropout=0.0, unfreeze=0, trials=2)
    result = unfreeze.tune(pictures, tmp_path / "run", settings=settings_, own=own)
    other = next(trial.number for trial in result.trials if trial.trial != result.taken)
    with pytest.raises(UnfreezeError, match=r"begun with space \(.*Go on from Python with the same parts"):
        unfreeze.pick(tmp_path / "run", trial=other)
    assert unfreeze.pick(tmp_path / "run", trial=other, own=own).search.taken == f"{other:04d}"
    assert "noise" in unfreeze.front(tmp_path / "run")[0].model
