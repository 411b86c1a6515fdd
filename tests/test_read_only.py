"""A run on a disk that cannot be written: what only reads works, the rest is one line and exit 2."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_full_disk import may_mount
from toolkit.run import Run

ROOT = Path(__file__).parents[1]


READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
pytestmark = pytest.mark.skipif(not may_mount(), reason="no mount namespaces here")


def typed_beside(read_only: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`unfreeze` where this folder cannot be written, not even by root."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    program = [sys.executable, "-m", "unfreeze", *arguments]
    command = ["unshare", "--mount", *user, "sh", "-c", READ_ONLY, str(read_only), *program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "DATA", "RUN"], 2, "cannot write to"),
        (["run", "DATA", "DISK/new"], 2, "cannot write to"),
        (["evaluate", "RUN"], 2, "cannot write to"),
        (["export", "RUN"], 2, "cannot write to"),
        (["verify", "RUN"], 2, "cannot write to"),
        (["report", "RUN"], 2, "Read-only file system"),
        (["predict", "RUN", "DATA/dots/000.jpg"], 0, ""),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_read_only_disk(
    arguments: list[str], code: int, said: str, finished: Run, pictures: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    shutil.copytree(finished.path, disk / "run")
    words = {"DATA": str(pictures), "RUN": str(disk / "run"), "DISK": str(disk)}
    for old, new in words.items():
        arguments = [argument.replace(old, new) if argument.startswith(old) else argument for argument in arguments]
    ended = typed_beside(disk, *arguments)
    assert ended.returncode == code, ended.stderr
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error")]
    assert len(errors) == (code != 0)
    assert said in "".join(errors)


def test_shared_memory_that_cannot_be_written_is_not_needed(finished: Run, pictures: Path) -> None:
    """As in some containers, where Python's semaphores and all that needs them end in a fault that names no file."""
    file, image = finished.path / "export" / "model.onnx", pictures / "dots" / "000.jpg"
    ended = typed_beside(Path("/dev/shm"), "predict", str(file), str(image))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(str(image))
