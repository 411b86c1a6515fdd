"""What the product makes in the temporary folder goes again; `test_determinism.py` looks after two whole runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import ordinary
from toolkit.run import Run

ROOT = Path(__file__).parents[1]
LEAVES = """
import os, subprocess, sys, tempfile
from toolkit.process.interrupt import leave, own_temporary_folder

own_temporary_folder()
tempfile.mkdtemp()  # as a library that removes it when Python ends in its own way, or a block that a signal cut short
subprocess.run([sys.executable, "-c", "import tempfile; tempfile.mkdtemp()"], check=True)
print(*os.listdir(os.environ["MINE"]))
leave(0)
"""
SAVES = """
import sys
from pathlib import Path
import keras
from export.formats.saved_model import write_float_saved_model, write_saved_model

model = keras.models.load_model(sys.argv[1], compile=False)
write_saved_model(model, Path(sys.argv[2], "saved"), {"class_names": ["dots", "stripes"]})
write_float_saved_model(model, Path(sys.argv[2], "float"))
assert not sys.dont_write_bytecode
"""


def test_a_saved_model_is_written_without_a_temporary_file(finished: Run, tmp_path: Path) -> None:
    """In a program that ends in its own way, which removes what AutoGraph wrote and not what Python compiled of it. It
    is a program of its own, as AutoGraph writes nothing for a function that it knows from an earlier test."""
    environment = ordinary.environment(tmp_path) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SAVES, str(finished.path / "model.keras"), str(tmp_path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "saved" / "saved_model.pb").is_file()
    assert list((tmp_path / "temporary").rglob("*")) == []


def test_the_program_leaves_no_temporary_file_of_a_library(tmp_path: Path) -> None:
    environment = ordinary.environment(tmp_path)
    environment |= {"MINE": environment["TMPDIR"], "PYTHONPATH": str(ROOT)}
    told = subprocess.check_output([sys.executable, "-c", LEAVES], env=environment, text=True)
    assert told.startswith("unfreeze-")
    assert len(told.split()) == 1  # all lay in the folder of this process
    assert list((tmp_path / "temporary").iterdir()) == []
