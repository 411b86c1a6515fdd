"""ONNX and TFLite files where TensorFlow is not installed: they are inspected, asked and verified all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.elsewhere import to_onnx, to_tflite
from tests.elsewhere_kinds import CLASSES, Families, families, write_scaled
from tests.ordinary import environment

pytestmark = pytest.mark.long
ABSENT = ("tensorflow", "keras", "tf2onnx", "keras_tuner")
SITE = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(scope="module")
def folder(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Families = families(pictures)
    folder, model = tmp_path_factory.mktemp("files"), made.models["colour"]
    to_onnx(model, folder / "a.onnx")
    to_onnx(model, folder / "b.onnx", channels_first=True)
    to_tflite(model, folder / "c.tflite")
    to_tflite(model, folder / "d.tflite", kind="int8", images=made.images)
    model.save(folder / "e.keras")
    write_scaled(folder, made)
    (folder / "labels.txt").write_text("\n".join(CLASSES))
    return folder


@pytest.fixture
def without(tmp_path: Path) -> dict[str, str]:
    """The environment of a user without TensorFlow, for processes and what they spawn."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    made = environment(tmp_path / "user")
    return made | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *filter(None, [made.get("PYTHONPATH")])])}


def typed(folder: Path, without: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unfreeze", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=without, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ABSENT)
def test_it_is_absent(name: str, folder: Path, without: dict[str, str]) -> None:
    process = "multiprocessing.get_context('spawn').Process(target=__import__, args=sys.argv[1:])"
    command = [sys.executable, "-c", f"import multiprocessing, sys; {process}.start()", name]
    ended = subprocess.run(command, cwd=folder, env=without, capture_output=True, text=True, check=False)
    assert f"ModuleNotFoundError: No module named '{name}'" in ended.stderr


def test_files_are_verified(folder: Path, pictures: Path, without: dict[str, str]) -> None:
    which = [part for name in ("b.onnx", "c.tflite", "d.tflite", "bad/bad.onnx") for part in ("--artefact", name)]
    given = ["--reference", "a.onnx", *which, "--data", pictures, "--pixels", "-1..1", "--margin", 10]
    ended = typed(folder, without, "verify", *given, "--out", "evidence", "--threads", 1, "--json")
    assert ended.returncode == 1, ended.stderr
    entries = json.loads(ended.stdout)
    assert [entry["verdict"] for entry in entries] == ["holds", "holds", "holds", "fails"]
    assert all(entry["timings"] for entry in entries)
    assert "second" in entries[-1]["divergence"]["layer"]
    assert ended.stderr.endswith("error: bad.onnx does not hold\n")
    assert (folder / "evidence" / "layers_bad.onnx.png").is_file()


@pytest.mark.parametrize("name", ["a.onnx", "d.tflite"])
def test_files_are_asked_and_inspected(name: str, folder: Path, pictures: Path, without: dict[str, str]) -> None:
    given = [pictures / "dots" / "000.jpg", "--pixels", "-1..1", "--labels", "labels.txt"]
    ended = typed(folder, without, "predict", name, *given)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "000.jpg  dots  0." in ended.stdout
    ended = typed(folder, without, "inspect", name)
    assert ended.returncode == 0
    assert ended.stderr.startswith(f"\nnext: unfreeze predict {name} IMAGE")


def test_what_needs_tensorflow_says_so(folder: Path, pictures: Path, without: dict[str, str]) -> None:
    image, pixels = pictures / "dots" / "000.jpg", ["--pixels", "-1..1"]
    for arguments in (
        ["predict", "e.keras", image, *pixels, "--labels", "labels.txt"],
        ["verify", "--reference", "e.keras", "--artefact", "a.onnx", "--data", pictures, *pixels],
    ):
        ended = typed(folder, without, *arguments)
        assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
        said = "e.keras needs tensorflow, which is not installed: `pip install tensorflow`, or choose other files"
        assert ended.stderr.splitlines()[-1].startswith(f"error: {said}")


@pytest.mark.slow
def test_it_was_never_installed(folder: Path, pictures: Path, tmp_path: Path) -> None:
    """The last commit's wheel in an environment of its own; needs a package index."""
    script = Path(__file__).parents[1] / "scripts" / "without_tensorflow.py"
    given = ["--reference", "a.onnx", "--artefact", "b.onnx", "--data", str(pictures), "--pixels", "-1..1", "--json"]
    command = [sys.executable, str(script), str(tmp_path / "made"), *given]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    (entry,) = json.loads(ended.stdout)
    assert entry["verdict"] == "holds"
