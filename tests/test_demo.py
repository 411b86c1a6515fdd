"""`unfreeze demo` from one end to the other, as it is typed: the README's first command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NO_NETWORK = """
import os, socket
def refuse(self, address, *rest):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        open(os.environ["CALLS"], "a").write(f"{address}\\n")
        raise OSError("there is no network")
    return connect(self, address, *rest)
connect, socket.socket.connect = socket.socket.connect, refuse
"""


@pytest.mark.long
def test_the_demo_needs_nothing_and_reaches_97_percent(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    calls = tmp_path / "calls"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "CALLS": str(calls)}
    command = [sys.executable, "-m", "unfreeze", "demo", "mine", "--json"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert not calls.exists(), calls.read_text()
    told = json.loads(ended.stdout)
    assert told["test"]["accuracy"] >= 0.97
    assert len(told["artefacts"]) == 8
    for artefact in told["artefacts"]:
        assert artefact["verdict"] in ("holds", "undecided"), artefact
        assert artefact["verdict"] == "holds" or artefact["artefact"]["precision"] != "float32"
    assert {"report.html", "report.md", "parity.json"} <= {path.name for path in (tmp_path / "mine").iterdir()}
    assert len(list((tmp_path / "mine-images").glob("*/*.png"))) == 1797
    network = subprocess.run(
        [sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 1)"],
        env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert network.returncode != 0
    assert calls.exists()  # the watch works
