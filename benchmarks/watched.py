"""A process, watched from outside by /proc: memory, processor time, threads, open files, of it and of what it starts.

Linux only. Shared by `large_data.py` and `long_run.py`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """One process, or the sum over several, at one moment."""

    resident: float = 0.0  # MB, mapped files too
    anonymous: float = 0.0  # MB that no file backs
    threads: int = 0
    files: int = 0  # open
    cpu: float = 0.0  # seconds of processors so far, those of children that have ended too

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.resident + other.resident,
            self.anonymous + other.anonymous,
            self.threads + other.threads,
            self.files + other.files,
            self.cpu + other.cpu,
        )

    def most(self, other: Usage) -> Usage:
        """The larger of each."""
        return Usage(
            max(self.resident, other.resident),
            max(self.anonymous, other.anonymous),
            max(self.threads, other.threads),
            max(self.files, other.files),
            max(self.cpu, other.cpu),
        )


def usage(pid: int) -> Usage:
    """Of one process; nothing where it has ended."""
    place = Path("/proc") / str(pid)
    try:
        told = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        files = sum(1 for _ in (place / "fd").iterdir())
        resident, anonymous, threads = (int(told[name].split()[0]) for name in ("VmRSS", "RssAnon", "Threads"))
        ticks = (place / "stat").read_text().rpartition(")")[2].split()[11:15]
    except (OSError, KeyError, ValueError):
        return Usage()
    return Usage(resident / 1e3, anonymous / 1e3, threads, files, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"))


def family(pid: int) -> Iterator[int]:
    """A process, and all that it and its children started."""
    yield pid
    with contextlib.suppress(OSError):
        for task in (Path("/proc") / str(pid) / "task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def usage_of_all(pid: int) -> Usage:
    """Of the process and all that it started. Pages of a file that several map count for each."""
    total = Usage()
    for one in family(pid):
        total += usage(one)
    return total
