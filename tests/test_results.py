"""Records of a run's results: written and read in one place each, and refused in one line where they are damaged."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.artefacts import Artefact, Reference
from export.proof.compare import compare, could_not_run
from export.proof.parity import Divergence, Parity, read_parities, to_json, write_parities
from export.proof.pixel_sensitivity import read_sensitivity
from export.runtimes.measure import Measurement, Timing
from export.settings import VERIFY, VerifySettings
from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.models.spec import ModelSpec, Point
from toolkit.run import Run, load_run
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED
from tuning.results import Trial, ancestors, read_trials, write_trials
from unfreeze import api
from unfreeze.commands.finish import require_proof
from unfreeze.screen.time_left import rungs_of
from unfreeze.tracking.mlflow import trial_runs
from unfreeze.wording import deeper_words, verdict_words

# trials.csv

TRIALS = (
    Trial("0000", "COMPLETED", 4, 0.1, 2, 0.25, 0.5, 0, "head", 9, 1.5, "", "", "tied"),
    Trial("0001", "COMPLETED", 0, 0.0, 1, 0.125, 0.75, 3, "tune", 7, 2.5, "", "0000", "best"),
    Trial("0002", "FAILED", 0, 0.3, 1, None, None, None, "", None, None, 'ValueError: "no", said\x1b it', "0001"),
    Trial("0003", "FAILED", None, None, None, None, None, None, "", None, None, "its record was lost"),
)


def test_trials_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_trials(tmp_path / "trials.csv", TRIALS)
    assert read_trials(tmp_path / "trials.csv") == list(TRIALS)
    assert read_trials(tmp_path / "no.csv") == []
    assert [trial.point for trial in TRIALS[1:]] == [Point(0, 0.0, 1), Point(0, 0.3, 1), None]
    assert [TRIALS[1].value(name) for name in ("val_loss", "val_accuracy")] == [0.125, 0.75]
    assert TRIALS[1].number == 1


CYCLES: dict[str, tuple[str, str]] = {  # trial -> its parent in the damaged file
    "itself": ("0001", "0001"),
    "of two": ("0000", "0001"),
    "of three": ("0000", "0002"),
    "a parent that is missing": ("0001", "0009"),
}


def cyclic(path: Path, name: str) -> Path:
    """A trials.csv whose chain of parents does not end."""
    trial, parent = CYCLES[name]
    write_trials(path, [replace(one, parent=parent) if one.trial == trial else one for one in TRIALS])
    return path


@pytest.mark.parametrize("name", CYCLES)
def test_a_cycle_of_parents_is_refused_by_whatever_follows_them(name: str, tmp_path: Path) -> None:
    path = cyclic(tmp_path / "trials.csv", name)
    for follow in (read_trials, lambda path: trial_runs(path.parent)):
        with pytest.raises(UnfreezeError, match=re.escape(str(path)) + " is damaged") as raised:
            follow(path)
        assert "\n" not in str(raised.value)
    trial, parent = CYCLES[name]
    broken = [replace(one, parent=parent) if one.trial == trial else one for one in TRIALS]
    with pytest.raises(UnfreezeError, match="is damaged"):
        rungs_of(broken)


@pytest.mark.parametrize("name", CYCLES)
def test_a_report_and_a_plot_of_a_cycle_are_refused(name: str, finished: Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("cache", "plots")))
    cyclic(copy / "trials.csv", name)
    with pytest.raises(UnfreezeError, match=r"trials\.csv is damaged"):
        api.report(copy)
    from tuning.trial_plot import plot_trials

    with pytest.raises(UnfreezeError, match=r"trials\.csv is damaged"):
        plot_trials(load_run(copy))


def test_a_search_whose_records_have_a_cycle_is_refused(finished: Run, tmp_path: Path) -> None:
    """The curves of a search that is taken up again, and that of the trial that is taken."""
    from types import SimpleNamespace

    from tuning.results import SearchResult
    from tuning.save_taken import _whole_history
    from tuning.trial_curves import TrialCurves

    def trial(name: str, parent: str) -> Any:
        return SimpleNamespace(trial_id=name, hyperparameters=SimpleNamespace(values={"tuner/trial_id": parent}))

    oracle = SimpleNamespace(trials={"0000": trial("0000", "0001"), "0001": trial("0001", "0000")})
    with pytest.raises(UnfreezeError, match="goes on from itself"):
        TrialCurves(finished)._before(oracle, oracle.trials["0000"])
    looped = tuple(replace(one, parent="0001") for one in TRIALS[:2])
    result = SearchResult("0000", "0000", (), "0000", finished.settings.spec(2, 0, 0.0, 0), looped, 0)
    with pytest.raises(UnfreezeError, match="goes on from itself"):
        _whole_history(finished, result)


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["", *"abcdefg"]), min_size=1))
def test_a_chain_of_ancestors_ends_or_is_refused(parents: dict[str, str]) -> None:
    """Against a walk of as many steps as there are trials."""
    for name in parents:
        walk, at = [], parents[name]
        while at in parents and len(walk) < len(parents):
            walk.append(at)
            at = parents[at]
        if at == "":
            assert ancestors(name, parents, Path("trials.csv")) == walk[::-1]
        else:
            with pytest.raises(UnfreezeError, match=r"trials\.csv"):
                ancestors(name, parents, Path("trials.csv"))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("0.125", "much"),
        lambda text: text.replace("val_loss", "loss"),
        lambda text: text.replace("0001,COMP", "0000,COMP"),
        lambda text: text.replace("0001,COMP", "-1,COMP"),
        lambda text: "\n".join(text.splitlines()[:2])[:-8],
        lambda text: text + "\0",
        lambda text: text.replace("0003", "x" * 200_000),
    ],
    ids=["text for a number", "no column", "twice", "below 0", "cut", "NUL", "a field of 200 kB"],
)
def test_damaged_trials_are_one_line(change: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"
    write_trials(path, TRIALS)
    path.write_text(change(path.read_text()))
    with pytest.raises(UnfreezeError, match=r"trials\.csv is damaged") as raised:
        read_trials(path)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_an_evaluation_draws_the_trials(finished: Run, tmp_path: Path) -> None:
    from PIL import Image

    copy = Path(shutil.copytree(finished.path, tmp_path / "run"))
    api.evaluate(copy)
    with Image.open(copy / "plots" / "trials.png") as picture:
        assert picture.width > 400
    (copy / "plots" / "trials.png").unlink()
    (copy / "trials.csv").unlink()
    api.evaluate(copy)
    assert not (copy / "plots" / "trials.png").exists()


# parity.json

ARTEFACT = Artefact("model.onnx", "onnx", "float32", 12, "0" * 64)
INT8 = replace(ARTEFACT, precision="int8", calibration=("a.jpg",), attempts=({"step": "x"},), float_layers=("b",))


def verdicts() -> list[Parity]:
    """One of each kind, with flips, times and a layer that differs."""
    rng = np.random.default_rng(0)
    sure = rng.dirichlet((1, 1), 40).astype(np.float32)
    reference = Reference(tuple(map(str, range(40))), sure.argmax(1).astype(np.int32), sure)
    timings = (Timing(1, 2.0, 3.0, 4.0, 5.0, 6.0), Timing(2, 2.0, 3.0, 4.0, 5.0, 6.0))
    good, bad = Measurement(sure, timings, memory_mb=3.0), Measurement(sure[:, ::-1].copy(), timings)
    divergence = Divergence("a", ("a", "b"), 0.5, 0.1, 9, (("a", 0.5), ("b", 0.1)), "leave it in float")
    return [
        compare(ARTEFACT, reference, good, ("cat", "dog"), VerifySettings(margin=50.0)),
        replace(compare(INT8, reference, bad, ("cat", "dog"), VERIFY), divergence=divergence),
        compare(INT8, reference, good, ("cat", "dog"), VERIFY),
        could_not_run(replace(ARTEFACT, name="x"), "it crashed"),
    ]


def test_verdicts_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = verdicts()
    assert [parity.verdict for parity in found] == [HOLDS, FAILS, UNDECIDED, FAILS]
    write_parities(tmp_path / "parity.json", found)
    assert read_parities(tmp_path / "parity.json") == found
    assert read_parities(tmp_path / "no.json") == []
    assert {entry["verdict"] for entry in json.loads((tmp_path / "parity.json").read_text())} == {
        *("holds", "fails", "undecided")
    }


def test_verdicts_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    words = ["holds", "does not hold", "too few images to tell", "could not run"]
    entries = [to_json(parity) for parity in verdicts()]
    for entry, verdict in zip(entries, words, strict=True):
        entry.pop("ran")
        entry |= {"holds": verdict == "holds", "verdict": verdict}
    (tmp_path / "parity.json").write_text(json.dumps(entries))
    found = read_parities(tmp_path / "parity.json")
    assert found == verdicts()
    assert [verdict_words(parity.verdict, parity.ran) for parity in found] == words


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.update(verdict="perhaps"),
        lambda entry: entry.update(verdict=["holds"]),
        lambda entry: entry.update(accuracy="0.9"),
        lambda entry: entry.update(accuracy_interval=None),
        lambda entry: entry.update(accuracy_interval=[1]),
        lambda entry: entry.update(lost=None),
        lambda entry: entry.update(images=True),
        lambda entry: entry.update(artefact=None),
        lambda entry: entry["artefact"].pop("sha256"),
        lambda entry: entry.update(flips=5),
        lambda entry: entry.update(flips=[{"path": "a"}]),
        lambda entry: entry["timings"][0].update(median="<b>"),
        lambda entry: entry.pop("verdict"),
        lambda entry: entry.update(divergence=[1]),
    ],
)
def test_damaged_verdicts_are_one_line(change: Callable[[dict[str, Any]], Any], tmp_path: Path) -> None:
    entries = [to_json(parity) for parity in verdicts()]
    change(entries[0])
    path = tmp_path / "parity.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(UnfreezeError, match=r"parity\.json is damaged .*`unfreeze verify") as raised:
        read_parities(path)
    assert "\n" not in str(raised.value)


def test_what_apps_do_is_read_in_the_words_of_either_version(tmp_path: Path) -> None:
    row = {"client": "BGR", "accuracy": 0.5, "flips": 3, "lost": 0.1, "lost_at_most": 0.2}
    for words in (("holds", "does not hold", "too few images to tell"), ("holds", "fails", "undecided")):
        rows = [row | {"verdict": verdict} for verdict in words]
        (tmp_path / "resize.json").write_text(json.dumps({"artefact": "model.onnx", "clients": rows}))
        found = read_sensitivity(tmp_path)
        assert found is not None
        assert [one.verdict for one in found.rows] == [HOLDS, FAILS, UNDECIDED]
        assert asdict(found.rows[0]) == rows[0]
    (tmp_path / "resize.json").write_text(json.dumps({"artefact": "model.onnx", "clients": [{"client": "<b>"}]}))
    with pytest.raises(UnfreezeError, match=r"resize\.json is damaged"):
        read_sensitivity(tmp_path)


JQ = re.compile(r"jq -r '([^']*)'")
IN_PYTHON: dict[str, Callable[[dict[str, Any]], bool]] = {  # the expressions of the page, as Python has them
    '.[] | select(.verdict == "fails") | .artefact.name': lambda entry: entry["verdict"] == "fails",
    '.[] | select(.verdict != "holds") | .artefact.name': lambda entry: entry["verdict"] != "holds",
}


def exit_code(parities: list[Parity], strict: bool) -> int:
    try:
        require_proof(parities, strict)
    except NoAnswerError:
        return 1
    return 0


@pytest.mark.parametrize("strict", [False, True])
def test_the_documented_jq_line_names_what_gives_exit_1(strict: bool, tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "recipes" / "ci.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if JQ.search(line)]
    (line,) = [line for line in lines if ("--strict" in line) == strict]
    expression = JQ.findall(line)[0]
    for shown in ([0], [0, 2], [0, 1, 2], [3], [2]):
        parities = [verdicts()[number] for number in shown]
        named = [one.artefact.name for one in parities if IN_PYTHON[expression](to_json(one))]
        assert bool(named) == bool(exit_code(parities, strict))
        if shutil.which("jq"):
            told = json.dumps(list(map(to_json, parities)))
            ended = subprocess.run(["jq", "-r", expression], input=told, capture_output=True, text=True, check=True)
            assert ended.stdout.split() == named


@pytest.mark.parametrize(
    ("name", "depth", "stage", "tried", "words"),
    [
        ("MobileNetV2", 4, "tune", (0, 1, 2, 4), "--unfreeze 4,8 in another run folder"),
        ("MobileNetV2", 16, "refit", (16,), "--unfreeze 16,17 in"),
        ("MobileNetV2", 17, "tune", (17,), ""),
        ("MobileNetV2", 2, "tune", (2, 4), ""),
        ("MobileNetV2", 4, "head", (4,), ""),
        ("MobileNetV2", 0, "tune", (0,), ""),
        ("/own/body.keras", 3, "tune", (3,), "--unfreeze 3,6 in"),
    ],
)
def test_the_deepest_depth_is_said(name: str, depth: int, stage: str, tried: tuple, words: str) -> None:
    told = deeper_words(ModelSpec(name, 1.0, 96, 2, 0, 0.0, depth), stage, tried)
    assert (words in told) if words else told == ""
