"""How many processors: affinity and control groups, read from files that a test writes."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

import toolkit
from toolkit.process import cores as module
from toolkit.process.cores import cores

ROOT = Path(toolkit.__file__).parents[1]


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of control groups, on a machine of 16 processors."""
    monkeypatch.setattr(module, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(module, "OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    return tmp_path / "cgroup"


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("cpu_", "cpu.", 1)).write_text(text + "\n")


def test_without_control_groups_it_is_the_affinity(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cores() == 16
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert cores() == 1


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000", 16),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("9900000 100000", 16),
        ("garbage", 16),
        ("100000 0", 16),
    ],
)
def test_version_2(limit: str, expected: int, groups: Path) -> None:
    (groups.parent / "own").write_text("0::/user/one\n")
    write(groups / "user" / "one", cpu_max=limit)
    assert cores() == expected


def test_the_limit_of_a_group_above_holds_too(groups: Path) -> None:
    (groups.parent / "own").write_text("0::/user/one\n")
    write(groups / "user" / "one", cpu_max="800000 100000")
    write(groups / "user", cpu_max="300000 100000")
    assert cores() == 3


@pytest.mark.parametrize(("quota", "expected"), [("-1", 16), ("250000", 3), ("1000", 1)])
@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize("inner", ["docker/abc", ""])  # a container sees only the root of the host's path
def test_version_1(quota: str, expected: int, folder: str, inner: str, groups: Path) -> None:
    (groups.parent / "own").write_text("9:cpuset:/\n4:cpu,cpuacct:/docker/abc\n0::/\n")
    write(groups / folder / inner, cpu_cfs_quota_us=quota, cpu_cfs_period_us="100000")
    assert cores() == expected


def test_nobody_else_counts_processors() -> None:
    """`os.cpu_count()` ignores affinity and quota."""
    found = [
        path.relative_to(ROOT).as_posix()
        for package in ("toolkit", "tuning", "export", "unfreeze")
        for path in sorted((ROOT / package).rglob("*.py"))
        if not {"checkers", "device_scripts"} & {*path.parts}  # scripts that travel with an export or to a device
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in ("cpu_count", "process_cpu_count"))
        or (isinstance(node, ast.alias) and node.name in ("cpu_count", "process_cpu_count"))
    ]
    assert found == ["toolkit/process/cores.py"]
