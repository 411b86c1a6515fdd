"""Signals: the first one ends a command in order, the second one at once, and neither waits for a library."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolkit.process.interrupt import GRACE, Interrupted

ROOT = Path(__file__).parents[1]
COMMAND = """
import ctypes, os, sys, time
from toolkit.process import interrupt

def tell(ended):
    print(f"left: {ended}", flush=True)
    print("type the same command", file=sys.stderr, flush=True)

def busy():
    if sys.argv[1] == "a library":  # as a conversion in C++: it does not come back to Python, whatever signal comes
        library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(128)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # its chatter is held back
        library.pthread_mutex_lock(mutex)
        library.pthread_mutex_lock(mutex)
    time.sleep(60)

interrupt.listen(tell)
try:
    print("begun", flush=True)
    try:
        busy()
    finally:
        if sys.argv[1] == "an end that takes long":
            time.sleep(60)
except interrupt.Interrupted as ended:
    print(f"in order: {ended}", flush=True)
    interrupt.leave(ended.code)
"""


def begin(what: str, **how: object) -> subprocess.Popen:
    """The command above, which is busy with `what`. What ran the tests may have had signals ignored."""

    def as_from_a_terminal() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    command = [sys.executable, "-c", COMMAND, what]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    how = {"preexec_fn": as_from_a_terminal} | how
    process = subprocess.Popen(command, env=environment, text=True, **streams, **how)
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.3)  # until it is busy
    return process


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "in order: interrupted\n"),
        (signal.SIGTERM, 143, "in order: ended by SIGTERM\n"),
        (signal.SIGHUP, 129, "in order: ended by SIGHUP\n"),
    ],
)
def test_a_signal_ends_it_in_order(number: signal.Signals, code: int, said: str) -> None:
    process = begin("Python")
    process.send_signal(number)
    assert (process.communicate(timeout=30)[0], process.returncode) == (said, code)


@pytest.mark.skipif(sys.platform != "linux", reason="what makes a mutex differs")
@pytest.mark.parametrize("what", ["a library", "an end that takes long"])
def test_it_does_not_wait_for_what_does_not_come_back(what: str) -> None:
    process = begin(what)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=GRACE + 30)
    assert (said, process.returncode) == (("left: ended by SIGTERM\n", "type the same command\n"), 143)


def test_the_second_signal_does_not_wait_at_all() -> None:
    process = begin("an end that takes long")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # two that are pending at once are one to the system
    process.send_signal(signal.SIGINT)
    assert (process.communicate(timeout=30)[0], process.returncode) == ("left: interrupted\n", 130)


def test_a_signal_that_the_caller_had_ignored_stays_so() -> None:
    process = begin("Python", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "in order: ended by SIGTERM\n"


def test_it_is_a_keyboard_interrupt_with_the_code_that_shells_give() -> None:
    assert isinstance(Interrupted(signal.SIGTERM), KeyboardInterrupt)
    assert [Interrupted(number).code for number in (signal.SIGINT, signal.SIGTERM)] == [130, 143]
