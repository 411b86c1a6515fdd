"""How many processors this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")  # lines such as 0::/path (version 2) and 4:cpu,cpuacct:/path (version 1)


def cores() -> int:
    """The number of processors that this process may use, at least 1: the processors of its affinity, but not more than
    its control groups' quota of processor time (`docker run --cpus 1.5`), rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *map(math.ceil, _quotas())]))


def _quotas() -> Iterator[float]:
    """The quota of each control group that this process is in, as a number of processors. Groups without a quota are
    left out.

    The files' format: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max) and
    https://docs.kernel.org/scheduler/sched-bwc.html (cpu.cfs_quota_us, -1 for no limit).
    """
    for folder in _folders():
        try:
            if (file := folder / "cpu.max").exists():
                quota, period = file.read_text().split()
            else:
                quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if quota != "max" and float(quota) > 0:
                yield float(quota) / float(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue  # this system has no such file, or not in this format


def _folders() -> Iterator[Path]:
    """The folders of this process' control groups and of the groups above them, whose limits hold too. In a container
    the path may be that of the host, of which only the root exists."""
    try:
        lines = OWN_CGROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            tops = [CGROUPS, CGROUPS / "unified"]
        elif "cpu" in controllers.split(","):
            tops = [CGROUPS / "cpu", CGROUPS / controllers]
        else:
            continue
        own = PurePosixPath(path.lstrip("/"))
        yield from (top / folder for top in tops for folder in (own, *own.parents))
