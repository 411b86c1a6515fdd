"""A run that is killed and interrupted at random moments ends, typed again, as one that was not, bit for bit.

`benchmarks/interruptions.py` does the same on real photographs, thirty times.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import OPTIONS

ROOT = Path(__file__).parents[1]


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_nothing_is_lost_and_nothing_differs(pictures: Path, tmp_path: Path) -> None:
    script = [sys.executable, ROOT / "benchmarks" / "interruptions.py", pictures, "--program", "tests.tiny"]
    how = ["--signal", "KILL", "--signal", "INT", "--signal", "TERM", "--count", "3", "--folder", tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    few = ["--trials", "2", "--formats", "tflite,onnx", "--precisions", "float32,int8"]  # every stage, some eight times
    done = subprocess.run([*script, *how, "--", *OPTIONS, *few], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "3 signals on " in done.stdout
