"""What each trial of a search leaves in its process and on the disk; `benchmarks/long_run.py` does so for 200."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

TRIALS, WARM = 12, 6  # by trial WARM the runtimes have the threads that they keep
SEARCH = """
import json, os, sys
from contextlib import suppress
from dataclasses import replace
from tests import tiny
tiny.register()
import unfreeze

def open_files():
    names = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the listing itself was one
            names.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(names)

def told(trials):
    print(json.dumps([open_files(), len(os.listdir("/proc/self/task")), os.listdir(os.environ["TMPDIR"])]))

data, run, trials, cache = sys.argv[1:]
settings = replace(tiny.SETTINGS, trials=int(trials), cache=cache == "cache", head_units=(0, 2, 4, 6))
unfreeze.tune(data, run, settings=settings, listener=unfreeze.Listener(on_trials=told))
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="it looks into /proc")
@pytest.mark.parametrize("cache", ["cache", "no cache"])
def test_a_trial_leaves_no_open_file_thread_or_temporary_file(cache: str, pictures: Path, tmp_path: Path) -> None:
    """In a process of its own: in this one other tests have left theirs."""
    (tmp_path / "tmp").mkdir()
    run = tmp_path / "run"
    ran = subprocess.run(
        [sys.executable, "-c", SEARCH, str(pictures), str(run), str(TRIALS), cache],
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    seen = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(seen) == TRIALS + 1  # the first call is before the first trial
    files, threads, temporary = zip(*seen[WARM:], strict=True)
    assert {len(names) for names in files} == {len(files[0])}, files[-1]
    assert max(threads) <= threads[0]
    assert temporary[-1] == []
    assert not any((run / "search").rglob("*.tmp*"))


def test_what_a_trial_keeps_is_its_weights_and_a_few_small_files(finished: object) -> None:
    """A checkpoint with Adam's two moments would be three times as large, for each trial."""
    trials = sorted((finished.path / "search").glob("trial_*"))  # type: ignore[attr-defined]
    assert trials
    for trial in trials:
        with h5py.File(trial / "checkpoint.weights.h5") as file:
            assert "layers" in file
            assert "optimizer" not in file
        others = [path for path in trial.iterdir() if path.name != "checkpoint.weights.h5"]
        assert len(others) < 8
        assert sum(path.stat().st_size for path in others) < 20_000
