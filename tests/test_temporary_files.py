"""What the product makes in the temporary folder goes again; `test_determinism.py` looks after two whole runs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import ordinary
from toolkit.run import Run

ROOT = Path(__file__).parents[1]
LEAVES = """
import os, subprocess, sys, tempfile
from toolkit.interrupt import leave, own_temporary_folder

own_temporary_folder()
tempfile.mkdtemp()  # as a library that removes it when Python ends in its own way, or a block that a signal cut short
subprocess.run([sys.executable, "-c", "import tempfile; tempfile.mkdtemp()"], check=True)
print(*os.listdir(os.environ["MINE"]))
leave(0)
"""


def test_a_saved_model_is_written_without_a_temporary_file(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a program that goes on, with Python compiling what it imports, as it does unless it is told not to."""
    from export.saved_model import write_float_saved_model, write_saved_model
    from toolkit.train import load_model

    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    model = load_model(finished)
    write_saved_model(model, tmp_path / "saved", {"class_names": ["dots", "stripes"]})
    write_float_saved_model(model, tmp_path / "float")
    assert list(temporary.rglob("*")) == []
    assert not sys.dont_write_bytecode


def test_the_program_leaves_no_temporary_file_of_a_library(tmp_path: Path) -> None:
    environment = ordinary.environment(tmp_path)
    environment |= {"MINE": environment["TMPDIR"], "PYTHONPATH": str(ROOT)}
    told = subprocess.check_output([sys.executable, "-c", LEAVES], env=environment, text=True)
    assert told.startswith("unfreeze-")
    assert len(told.split()) == 1  # all lay in the folder of this process
    assert list((tmp_path / "temporary").iterdir()) == []
