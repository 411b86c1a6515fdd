"""Nothing is reported to anybody: onnxruntime would, from 1.29 on, unless it is told before it is imported.

MLflow would, too: `test_mlflow.py`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import ordinary
from toolkit.run import Run


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return ordinary.environment(tmp_path)


def test_no_trace_of_a_report_is_left(
    finished: Run, pictures: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """In the folders where onnxruntime keeps what it is to send, and who it is that sends it."""
    file, image = finished.path / "export" / "model.onnx", next((pictures / "dots").iterdir())
    command = [sys.executable, "-m", "unfreeze", "predict", str(file), str(image)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    left = [path for name in ("home", "temporary") for path in (tmp_path / name).rglob("*")]
    assert not [path for path in left if "onnxruntime" in str(path) or path.name == ".ses"]


def test_a_person_may_want_it(environment: dict[str, str]) -> None:
    code = "import os, toolkit; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for said, told in ((None, "1"), ("0", "0")):
        more = {} if said is None else {"ORT_DISABLE_TELEMETRY": said}
        got = subprocess.check_output([sys.executable, "-c", code], env=environment | more, text=True)
        assert got.strip() == told
