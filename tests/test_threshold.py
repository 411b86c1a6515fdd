"""The threshold below which an image is unsure: chosen, written into every file, and honoured by what reads one."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image

from export.artefacts import Artefact, Manifest, Reference, read_manifest, read_reference
from export.description import read_description, reject_below
from export.formats.tflite_metadata import description_in
from export.predict import predict
from export.proof.compare import compare
from export.runtimes.measure import Measurement
from export.settings import ExportSettings, VerifySettings
from export.targets.snippets import WAYS, snippets
from export.threshold import threshold
from toolkit.errors import UnfreezeError
from toolkit.run import Run
from toolkit.storage.files import read_json, write_json
from toolkit.training.held_out import HeldOut, write_held_out
from unfreeze.cli import cli
from unfreeze.pages.page import render_page
from unfreeze.pages.reproduce import commands
from unfreeze.pages.run_facts import read_run_facts

FLOAT = ExportSettings(precisions=("float32",))
NAMES = ("saved_model", "model.tflite", "model.onnx")
EMPTY = Reference((), np.empty(0, np.int32), np.empty((0, 2), np.float32))


@pytest.fixture(scope="module")
def limited(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run with float32 files that are unsure about half of the test images."""
    from export.write import export

    path = tmp_path_factory.mktemp("limited") / "run"
    shutil.copytree(finished.path, path, ignore=shutil.ignore_patterns("export", "cache", "search"))
    run = Run(path, finished.images, finished.settings)
    top = np.sort(read_reference(read_manifest(finished.path / "export")).only("test").probabilities.max(1))
    middle = len(top) // 2
    export(run, replace(FLOAT, reject_below=round(float(top[middle - 1] + top[middle]) / 2, 6)))
    return run


def manifest_of(run: Run) -> Manifest:
    return read_manifest(run.path / "export")


def limit_of(run: Run) -> float:
    return reject_below(manifest_of(run).description)


def unsure_images(run: Run) -> list[bool]:
    test = read_reference(manifest_of(run)).only("test")
    return [max(row) < limit_of(run) for row in test.probabilities.tolist()]


# In every file


def test_every_file_carries_it(limited: Run) -> None:
    folder = limited.path / "export"
    (entry,) = (one for one in onnx.load(folder / "model.onnx").metadata_props if one.key == "unfreeze")
    texts = [
        entry.value,
        description_in((folder / "model.tflite").read_bytes()),
        (folder / "saved_model" / "unfreeze.json").read_text(encoding="utf-8"),
    ]
    assert 0 < limit_of(limited) < 1
    assert [reject_below(read_description(text)) for text in texts] == [limit_of(limited)] * 3


def test_a_file_without_one_always_answers(finished: Run) -> None:
    description = manifest_of(finished).description
    assert "reject_below" not in description["output"]
    assert reject_below(description) == reject_below(None) == reject_below({}) == 0


@pytest.mark.parametrize("wrong", [-0.1, 1.5, "0.5", True, None, float("nan"), [0.5]])
def test_a_strangers_threshold_is_checked(wrong: object, finished: Run) -> None:
    description = manifest_of(finished).description
    text = json.dumps(description | {"output": description["output"] | {"reject_below": wrong}})
    with pytest.raises(ValueError, match="which is no probability"):
        read_description(text)


def test_files_that_stay_keep_it_and_another_is_refused(limited: Run, tmp_path: Path) -> None:
    from export.write import export, finished

    shutil.copytree(limited.path, tmp_path / "run")
    run = replace(limited, path=tmp_path / "run")
    assert finished(run, FLOAT) is not None
    assert finished(run, replace(FLOAT, reject_below=limit_of(limited))) is not None
    assert finished(run, replace(FLOAT, reject_below=0.0)) is None
    one = ExportSettings(("onnx",), ("float32",))
    assert reject_below(export(run, one).description) == limit_of(limited)
    with pytest.raises(UnfreezeError, match="exported with another --license, --reject-below or version"):
        export(run, replace(one, reject_below=0.0))


# Chosen by a wanted accuracy


@pytest.fixture
def judged(finished: Run, tmp_path: Path) -> Run:
    """A run with 500 stored answers: those below 0.8 are wrong in a fifth of the cases, the others right."""
    top = np.linspace(0.5, 0.9999, 500).astype(np.float32)
    labels = np.where((top < 0.8) & (np.arange(500) % 5 == 0), 1, 0).astype(np.int32)
    write_held_out(tmp_path, HeldOut(np.stack([top, 1 - top], 1), labels))
    write_json(tmp_path / "model.json", {"held_out": 500})
    return replace(finished, path=tmp_path)


def test_it_is_chosen_on_the_answers_that_were_stored_with_the_model(judged: Run) -> None:
    chosen = threshold(judged, ExportSettings(wanted_accuracy=0.98), None, EMPTY)
    assert 0.7 < chosen < 0.81  # 200 right answers show 98.5 % by themselves
    assert threshold(judged, ExportSettings(wanted_accuracy=0.5), None, EMPTY) == 0


def test_what_cannot_be_reached_is_said_with_what_can(judged: Run) -> None:
    with pytest.raises(UnfreezeError) as error:
        threshold(judged, ExportSettings(wanted_accuracy=0.99), None, EMPTY)
    told = str(error.value)
    assert told.startswith("--wanted-accuracy is 0.99, which no threshold is shown to reach on 500 held-out images; ")
    most = float(re.findall(r"that can be shown is (0\.\d+)", told)[0])
    assert threshold(judged, ExportSettings(wanted_accuracy=most), None, EMPTY) > 0
    assert "\n" not in told


def test_the_validation_part_stands_for_answers_that_an_earlier_version_did_not_store(judged: Run) -> None:
    write_json(judged.path / "model.json", {})
    with pytest.raises(UnfreezeError, match="needs validation images, and the run has none; give --reject-below"):
        threshold(judged, ExportSettings(wanted_accuracy=0.5), None, EMPTY)
    sure = np.tile(np.float32([0.9, 0.1]), (100, 1))
    val = Reference(tuple(map(str, range(100))), np.zeros(100, np.int32), sure)
    assert threshold(judged, ExportSettings(wanted_accuracy=0.9), None, val) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--reject-below", "1"], "--reject-below is 1.0; give a probability from 0 to below 1"),
        (["--reject-below", "nan"], "--reject-below is nan; give a probability"),
        (["--wanted-accuracy", "99"], "--wanted-accuracy is 99.0; give a share between 0 and 1, such as 0.99"),
        (["--wanted-accuracy", "0.9", "--reject-below", "0.9"], "--reject-below and --wanted-accuracy both set"),
    ],
)
@pytest.mark.parametrize("command", [["export", "RUN"], ["run", "DATA", "RUN"]])
def test_a_value_that_is_none_is_said(command: list[str], options: list[str], said: str) -> None:
    ended = CliRunner().invoke(cli, [*command, *options])
    assert isinstance(ended.exception, UnfreezeError)
    assert str(ended.exception).startswith(said)


# What reads a file


@pytest.mark.parametrize("name", [*NAMES, ""])
def test_predict_says_unsure_and_still_gives_the_answer(name: str, limited: Run) -> None:
    test = limited.images.select("test")
    found = list(predict(limited.path / "export" / name if name else limited.path, [test.root / p for p in test.paths]))
    assert [one.unsure for one in found] == unsure_images(limited)
    assert len({one.unsure for one in found}) == 2
    assert all(one.answer and one.probability for one in found)


def test_predict_on_the_command_line(limited: Run, tmp_path: Path) -> None:
    test = limited.images.select("test")
    files = [str(test.root / path) for path in test.paths]
    model = str(limited.path / "export" / "model.onnx")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    told = CliRunner().invoke(cli, ["predict", model, *files]).stdout.splitlines()
    assert ["  unsure: " in line for line in told] == unsure_images(limited)
    assert all(re.search(r"  (unsure: )?(dots|stripes)  0\.\d{4}$", line) for line in told)
    ended = CliRunner().invoke(cli, ["predict", model, *files, str(tmp_path / "broken.jpg"), "--json"])
    assert [one["unsure"] for one in json.loads(ended.stdout)] == [*unsure_images(limited), None]


def test_the_golden_pack_shows_it(limited: Run) -> None:
    golden = limited.path / "export" / "golden"
    pack = read_json(golden / "expected.json")
    assert pack["reject_below"] == limit_of(limited)
    ended = subprocess.run([sys.executable, "check.py"], cwd=golden, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    doubted = [max(row) < limit_of(limited) for row in pack["artefacts"]["model.onnx"]["probabilities"]]
    assert [line.endswith(" unsure") for line in ended.stdout.splitlines()[:-1]] == doubted
    assert len(set(doubted)) == 2
    assert 'optDouble("reject_below", 0.0)' in (golden / "Check.kt").read_text(encoding="utf-8")


def test_the_golden_pack_shows_it_in_a_browser(limited: Run, tmp_path: Path) -> None:
    from tests.test_golden import browser, told_by

    shutil.copytree(limited.path / "export" / "golden", tmp_path / "golden")
    pack = read_json(tmp_path / "golden" / "expected.json")
    answers = np.array(pack["artefacts"]["model.onnx"]["probabilities"])
    doubted = [
        image["file"] for image, row in zip(pack["images"], answers, strict=True) if row.max() < limit_of(limited)
    ]
    assert told_by(browser(tmp_path / "golden", answers))["unsure"] == doubted


def with_limit(form: str, limit: float) -> list[Any]:
    name = {"saved_model": "saved_model", "keras": "model.keras"}.get(form, f"model.{form}")
    described = {"output": {"name": "probabilities"} | ({"reject_below": limit} if limit else {})}
    return list(snippets(name, form, image_size=32, class_names=("dots", "stripes"), description=described))


@pytest.mark.parametrize("form", WAYS)
def test_the_code_to_paste_has_it_only_where_it_is_set(form: str) -> None:
    for limited, plain in zip(with_limit(form, 0.875), with_limit(form, 0), strict=True):
        assert "nsure" in limited.code
        assert re.search(r"\b0\.875f?\b", limited.code)
        assert "nsure" not in plain.code
        more, usual = (list(filter(None, one.code.splitlines())) for one in (limited, plain))
        assert [line for line in more if line in usual] == usual
        assert "$unsure" not in limited.code + plain.code


@pytest.mark.parametrize("limit", [0.0001, 0.9999])
def test_python_to_paste_says_unsure(limit: float, limited: Run, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "photo.png")
    monkeypatch.chdir(limited.path / "export")
    (python,) = (one for one in with_limit("onnx", limit) if one.language == "python")
    exec(compile(python.code.replace("photo.jpg", str(tmp_path / "photo.png")), "snippet", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert max(ast.literal_eval(lines[0]).values()) < limit or limit < 0.5
    assert lines[1:] == (["unsure: answer nothing"] if limit > 0.5 else [])


def test_javascript_to_paste_says_unsure(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on PATH")
    for number, one in enumerate(one for one in with_limit("onnx", 0.875) if one.language == "javascript"):
        function = one.code[one.code.index("export const isUnsure") :]
        cases = [[{"probability": 0.9}, {"probability": 0.1}], [{"probability": 0.6}, {"probability": 0.4}]]
        (tmp_path / f"{number}.mjs").write_text(f"{function}\nconsole.log({json.dumps(cases)}.map(isUnsure).join());")
        (tmp_path / f"whole{number}.mjs").write_text(one.code)
        for arguments in ([f"{number}.mjs"], ["--check", f"whole{number}.mjs"]):
            ended = subprocess.run([node, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
            assert ended.returncode == 0, ended.stderr
            assert ended.stdout in ("", "false,true\n")


# What proves a file, and the report


@pytest.mark.parametrize("limit", [0.0, 0.7])
def test_images_that_are_unsure_otherwise_are_counted_and_judged_by_nothing(limit: float) -> None:
    expected = np.float32([[0.75, 0.25], [0.65, 0.35], [0.9, 0.1], [0.6, 0.4]])
    got = np.float32([[0.65, 0.35], [0.75, 0.25], [0.9, 0.1], [0.6, 0.4]])
    artefact = Artefact("model_int8.onnx", "onnx", "int8", 1, "")
    reference = Reference(tuple("abcd"), np.zeros(4, np.int32), expected, reject_below=limit)
    found, other = (
        compare(artefact, one, Measurement(got), ("x", "y"), VerifySettings(threads=()))
        for one in (reference, replace(reference, reject_below=0.0))
    )
    assert found.unsure_otherwise == (2 if limit else None)
    assert found.reject_below == (limit or None)
    assert replace(found, unsure_otherwise=None, reject_below=None) == other


def test_verify_and_the_report_show_it(limited: Run) -> None:
    from export.proof.verify import verify

    parities = verify(limited, VerifySettings(threads=()))
    assert [parity.unsure_otherwise for parity in parities] == [0, 0, 0]  # float32 files answer as the model does
    facts = read_run_facts(limited)
    page = render_page(facts)
    answered = unsure_images(limited).count(False)
    assert f"below {limit_of(limited):g}. Of {len(unsure_images(limited))} test images, {answered} (" in page
    assert '<tr class="chosen"><th scope="row" class="r">' in page
    assert "model.onnx 0" in page
    assert any(f"--reject-below {limit_of(limited)}" in line for line in commands(facts))


def test_the_report_of_a_run_without_one_says_how_to_get_one(finished: Run) -> None:
    facts = read_run_facts(finished)
    page = render_page(facts)
    assert "--wanted-accuracy 0.99" in page
    assert "is unsure if its top probability is below" not in page
    assert '<tr class="chosen"><th' not in page
    assert facts.evaluation is not None
    assert facts.evaluation.coverage == read_run_facts(finished).evaluation.coverage  # type: ignore[union-attr]
    stored = read_json(finished.path / "metrics.json")["coverage"]
    assert [row["threshold"] for row in stored] == [row.threshold for row in facts.evaluation.coverage]
    assert stored[0] == {
        "threshold": 0.0,
        "answered": facts.evaluation.images,
        "wrong": int(facts.evaluation.images - np.trace(facts.evaluation.confusion)),
        "coverage": 1.0,
        "accuracy": pytest.approx(facts.evaluation.accuracy),
    }
