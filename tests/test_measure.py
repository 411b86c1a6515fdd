"""Interrupted while artefacts are run: it ends at once, with what is still starting up, and no process stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
from pathlib import Path
import numpy as np
from export.runtimes.measure import Task, measure

told = lambda what, done, total: print("going", flush=True)
try:
    paths = [Path(f"{number}.onnx") for number in range(8)]
    for path in paths:
        path.touch()
    np.save("images.npy", np.zeros((4, 8, 8, 3), np.uint8))
    measure([Task(path, (Path("images.npy"),)) for path in paths], progress=told)
except KeyboardInterrupt:
    sys.exit(130)
"""
RUNTIME = """
import os, time
from pathlib import Path
Path(os.environ["MARKS"], str(os.getpid())).touch()
time.sleep(600)
"""


def of_session(leader: int) -> list[int]:
    """ProcessGroup that are still there, without those whose end nobody has asked for yet."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(state[3]) == leader and state[0] != "Z":
            found.append(int(folder.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("to", [os.kill, os.killpg], ids=["alone", "group"])
@pytest.mark.parametrize("begun", [True, False], ids=["in start-ups that never end", "while they are spawned"])
def test_interrupted_it_ends_and_no_process_stays(to, begun: bool, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    (tmp_path / "onnxruntime.py").write_text(RUNTIME)  # in place of the runtime, whose import never ends
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT))), "MARKS": str(marks)}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, script]
    how = {"cwd": tmp_path, "env": environment, "start_new_session": True, "text": True}
    with subprocess.Popen(command, **how, **streams) as caller:
        assert caller.stdout is not None
        caller.stdout.readline()
        while begun and not list(marks.iterdir()):
            time.sleep(0.02)
        to(caller.pid, signal.SIGINT)
        try:
            _, noise = caller.communicate(timeout=60)
        finally:
            if caller.poll() is None:
                os.killpg(caller.pid, signal.SIGKILL)
    assert (caller.returncode, noise) == (130, "")
    for _ in range(100):  # multiprocessing's own tracker ends when it finds that it is alone
        if not of_session(caller.pid):
            break
        time.sleep(0.1)
    assert of_session(caller.pid) == []
    assert len(list(marks.iterdir())) <= len(os.sched_getaffinity(0))


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals are not blocked on Windows")
def test_the_first_process_is_started_with_ctrl_c_blocked() -> None:
    """In a program of its own, whose resource tracker has not been started: its first start unblocks SIGINT."""
    code = """
import signal
from multiprocessing import resource_tracker
from export.runtimes.processes import _interrupts_blocked
with _interrupts_blocked():
    resource_tracker.ensure_running()  # as the start of every process does
    assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
