"""The examples run as they are typed, and say what they should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def ran(example: str, *arguments: object) -> str:
    """What it prints."""
    command = [sys.executable, ROOT / "examples" / example, *map(str, arguments)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.long
def test_five_lines(pictures: Path, tmp_path: Path) -> None:
    """It has no `if __name__ == "__main__"`: the processes of `verify` must not run it again."""
    out = ran("five_lines.py", pictures, tmp_path / "run")
    assert [f"{name} holds" in out for name in ("saved_model", "model.tflite", "model.onnx")] == [True] * 3
    assert out.count("test accuracy") == 1
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.long
def test_own_model(pictures: Path, tmp_path: Path) -> None:
    out = ran("own_model.py", pictures, tmp_path / "run", 2)
    assert [f"{name} holds" in out for name in ("saved_model", "model.tflite", "model.onnx")] == [True] * 3
    assert "Prediction(path=" in out


@pytest.mark.long
def test_own_parts(pictures: Path, tmp_path: Path) -> None:
    """Every part is used, and all that comes after the search works without them."""
    run = tmp_path / "run"
    out = ran("own_parts.py", pictures, run, 2)
    assert [f"{name} holds" in out for name in ("saved_model", "model.tflite", "model.onnx")] == [True] * 3
    assert all(f"'{name}': " in out for name in ("units", "activation", "rate", "gamma", "unfreeze"))
    told = json.loads((run / "run.json").read_text())["own"]
    assert {part: one["name"] for part, one in told.items()} == {
        **{name: name for name in ("space", "head", "loss", "optimizer")},
        "metrics": "F1Score",
        "augment": "erase",
    }
    picture = next(pictures.rglob("*.jpg"))
    for words in (["evaluate", run], ["predict", run, picture], ["report", run]):
        command = [sys.executable, "-m", "unfreeze", *map(str, words)]
        subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_every_example_says_how_it_is_called(example: str) -> None:
    assert f"python examples/{example} " in (ROOT / "examples" / example).read_text().split('"""')[1]
