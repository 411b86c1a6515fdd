"""What the terminal shows: bars with the time left where there is one, plain lines where there is none."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from unfreeze.screen.time_left import seconds_left

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ended:
    trial: str
    seconds: float | None
    parent: str = ""


HEADS = [Ended(str(number), 1.0) for number in range(4)]
PLAN = [(4, 5), (2, 2), (1, 4)]  # (trials, epochs) of each rung


@pytest.mark.parametrize(
    ("trials", "left"),
    [
        ([], None),
        (HEADS[:2], None),  # heads tell nothing of fine-tuning
        (HEADS, None),
        ([*HEADS, Ended("4", 10.0, "0")], 10 + 4 * 5),  # 5 s an epoch
        ([*HEADS, Ended("4", 10.0, "0"), Ended("5", 20.0, "1")], 4 * 7.5),
        ([*HEADS, Ended("4", 10.0, "0"), Ended("5", 20.0, "1"), Ended("6", 1.0, "4")], 0),
        ([*HEADS, Ended("4", None, "0")], None),
    ],
)
def test_the_time_that_a_halving_search_will_take(trials: list[Ended], left: float | None) -> None:
    assert seconds_left(trials, PLAN) == left


def test_the_time_that_any_other_search_will_take() -> None:
    assert seconds_left([], [(3, 9)]) is None
    assert seconds_left([Ended("0", 2.0), Ended("1", 4.0)], [(5, 9)]) == pytest.approx(9)


def in_terminal(code: str, **environment: str) -> str:
    """What a program shows on a terminal of 120 columns."""
    master, slave = pty.openpty()
    told = {"TERM": "xterm-256color", "COLUMNS": "120", "PYTHONPATH": str(ROOT)} | environment
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CI")}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, env={**kept, **told}, stderr=slave, stdout=slave) as program:
        os.close(slave)
        shown = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(master)
    assert program.returncode == 0, shown
    return shown.decode()


CODE = """
import time
from unfreeze.screen.terminal import Screen
with Screen(quiet={quiet}) as screen:
    for done in range(4):
        screen.progress("decoding train", done * 10, 40)
        time.sleep(0.15)
    screen.progress("decoding train", 40, 40)
"""


def test_bars_on_a_terminal() -> None:
    shown = in_terminal(CODE.format(quiet=False))
    assert "━" in shown
    assert "30/40" in shown
    assert " left" in shown
    assert "\x1b[38;5" in shown or "\x1b[3" in shown
    assert "decoding train: 40 in" in shown


def test_no_colour_where_that_is_asked_for() -> None:
    shown = in_terminal(CODE.format(quiet=False), NO_COLOR="1")
    assert "30/40" in shown
    assert "\x1b[3" not in shown


def test_quiet_is_silent() -> None:
    assert in_terminal(CODE.format(quiet=True)) == ""


def test_plain_lines_without_a_terminal() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CODE.format(quiet=False)],
        cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert lines[0] == "decoding train ..."
    assert lines[1].startswith("decoding train: 40 in ")
    assert len(lines) == 2
