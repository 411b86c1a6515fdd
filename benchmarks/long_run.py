"""A long search of a tiny model: what each trial leaves behind in the process and on the disk.

    python benchmarks/long_run.py [--trials 200] [--warm 20] [--oracle random] [--folder DIR] [--plot FILE.png] \
        [-- OPTIONS OF TUNE]

`unfreeze tune` in a process of its own, on 60 generated images, is looked at from outside whenever it has told of a
trial (it then writes trials.csv): resident and anonymous memory, threads, open files; files and bytes in the run
folder and in TMPDIR, which is the run's own; what is mapped of /dev/shm; the time since the trial before, and that of
processors. A line is fitted to each by Theil and Sen's medians, so that single outliers do not move it, over the trials
after --warm.

Exits with 1 where a slope is beyond its bound in `BOUNDS`.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from large_data import generate
from scipy.stats import theilslopes
from watched import Usage, usage

TUNE = (
    *("--weights", "starter", "--views", "1", "--seed", "0", "--batch-size", "16"),
    *("--head-units", "0:64:8", "--dropout", "0:0.5:0.05", "--unfreeze", "1,2,4"),
    *("--head-epochs", "1", "--tune-epochs", "1"),
)
BOUNDS = {  # the most that a trial may add
    "resident MB": 0.1,
    "anonymous MB": 0.1,
    "threads": 0.0,
    "open files": 0.0,
    "files in TMPDIR": 0.0,
    "maps of /dev/shm": 0.0,
    "KB of records": 0.05,  # by which a later trial leaves more than an earlier one
    "CPU ms of a trial": 2.0,
}


@dataclass(frozen=True)
class Sample:
    """What there is when a trial has ended."""

    trial: int
    resident: float  # MB
    anonymous: float  # MB that no file backs
    threads: int
    open: int  # files
    files: int  # in the run folder
    kilobytes: float  # of it
    weights: float  # KB of the trial's checkpoint
    records: float  # KB of what else there is in its folders
    temporary: int  # files in TMPDIR
    shared: int  # mappings of /dev/shm
    seconds: float  # since the trial before
    cpu: float  # seconds of processors since the trial before


def files_of(folder: Path) -> list[int]:
    """The bytes of each file, of those that stay as long as it takes to ask."""
    sizes = []
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(os.stat(os.path.join(where, name)).st_size)
            except FileNotFoundError:
                continue
    return sizes


def watch(command: Sequence[str], run: Path, temporary: Path, log: Path) -> list[Sample]:
    """A sample of each trial, taken at its end. SystemExit with what the command said where it fails."""
    samples: list[Sample] = []
    with log.open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=os.environ | {"TMPDIR": str(temporary)})
        before, spent = time.perf_counter(), 0.0
        while process.poll() is None:
            rows = trials_of(run)
            if len(rows) > len(samples):
                now, used = time.perf_counter(), usage(process.pid)
                samples.append(sample(process.pid, run, temporary, rows[-1], now - before, used, spent))
                before, spent = now, used.cpu
                if len(samples) % 20 == 0:
                    print(samples[-1], flush=True)
            time.sleep(0.01)
    if process.returncode:
        sys.exit("\n".join(log.read_text().splitlines()[-40:]))
    return samples


def trials_of(run: Path) -> list[dict[str, str]]:
    try:
        with (run / "trials.csv").open(newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []


def mapped(pid: int, below: str) -> int:
    """How many of a process' mappings are of files below a folder."""
    try:
        return Path(f"/proc/{pid}/maps").read_text().count(below)
    except OSError:
        return 0


def sample(
    pid: int, run: Path, temporary: Path, row: dict[str, str], seconds: float, used: Usage, spent: float
) -> Sample:
    """`used` at its moment, `spent` the processors' seconds at that of the sample before."""
    sizes, name = files_of(run), f"trial_{row['trial']}"
    own = sum(size for part in ("search", "tensorboard") for size in files_of(run / part / name)) / 1e3
    weights = (run / "search" / name / "checkpoint.weights.h5").stat().st_size / 1e3
    return Sample(
        trial=int(row["trial"]),
        resident=used.resident,
        anonymous=used.anonymous,
        threads=used.threads,
        open=used.files,
        files=len(sizes),
        kilobytes=sum(sizes) / 1e3,
        weights=weights,
        records=own - weights,
        temporary=len(files_of(temporary)),
        shared=mapped(pid, "/dev/shm/"),
        seconds=seconds,
        cpu=used.cpu - spent,
    )


VALUES: dict[str, Callable[[Sample], float]] = {
    "resident MB": lambda one: one.resident,
    "anonymous MB": lambda one: one.anonymous,
    "threads": lambda one: one.threads,
    "open files": lambda one: one.open,
    "files in TMPDIR": lambda one: one.temporary,
    "maps of /dev/shm": lambda one: one.shared,
    "KB of records": lambda one: one.records,
    "KB of weights": lambda one: one.weights,
    "CPU ms of a trial": lambda one: 1e3 * one.cpu,
    "ms of a trial": lambda one: 1e3 * one.seconds,
    "files in the run": lambda one: one.files,
    "KB in the run": lambda one: one.kilobytes,
}


def slope(late: Sequence[Sample], value: Callable[[Sample], float]) -> tuple[float, float, float]:
    """What a trial adds, and its 95 % interval."""
    found = theilslopes([value(one) for one in late], [one.trial for one in late])
    return float(found.slope), float(found.low_slope), float(found.high_slope)


def table(late: Sequence[Sample]) -> list[str]:
    """Prints what a trial adds of each; the names of those that are beyond their bounds, surely."""
    beyond = []
    print(f"{'':20} {'trial ' + str(late[0].trial):>12} {'trial ' + str(late[-1].trial):>12}  a trial adds (95 %)")
    for name, value in VALUES.items():
        each, low, high = slope(late, value)
        bound = BOUNDS.get(name)
        if bound is not None and each > bound:
            beyond.append(name)
        told = "" if bound is None else f"  at most {bound:g}: {'NO' if name in beyond else 'yes'}"
        print(f"{name:20} {value(late[0]):12.2f} {value(late[-1]):12.2f}  {each:8.4f} ({low:.4f} to {high:.4f}){told}")
    return beyond


def draw(samples: Sequence[Sample], late: Sequence[Sample], path: Path, title: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    panels = ("anonymous MB", "resident MB", "open files", "threads", "KB in the run", "CPU ms of a trial")
    for axes, name in zip(figure.subplots(2, 3).flat, panels, strict=True):
        values = [VALUES[name](one) for one in samples]
        axes.plot([one.trial for one in samples], values, ".", ms=3, color="#1f6fb4")
        top = 1.2 * max(float(np.percentile(values, 98)), 1)
        axes.set(title=f"{name}: {slope(late, VALUES[name])[0]:+.4f} a trial", xlabel="trial", ylim=(0, top))
        axes.axvline(late[0].trial, color="black", lw=0.8, ls=":")
        axes.grid(alpha=0.25)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)


@click.command()
@click.option("--trials", default=200)
@click.option("--warm", default=20, help="The first trial by which the runtimes have what they keep.")
@click.option("--oracle", default="random")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the images and the run go for the time being.")
@click.option("--plot", type=click.Path(path_type=Path))
@click.option("--results", type=click.Path(path_type=Path), help="JSON of all samples.")
@click.argument("options", nargs=-1)
def main(
    trials: int,
    warm: int,
    oracle: str,
    folder: Path | None,
    plot: Path | None,
    results: Path | None,
    options: tuple[str, ...],
) -> None:
    """What each trial of a long search leaves behind."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        where = Path(place)
        generate(where / "data", 60, 2)
        (where / "tmp").mkdir()
        command = [sys.executable, "-m", "unfreeze", "tune", str(where / "data"), str(where / "run"), *TUNE]
        size = [] if "--image-sizes" in options else ["--image-size", "32"]
        command += ["--trials", str(trials), "--oracle", oracle, *size, *options]
        samples = watch(command, where / "run", where / "tmp", where / "log")
        print(f"{len(samples)} samples; left in TMPDIR when it had ended: {len(files_of(where / 'tmp'))} files")
    if results:
        results.write_text(json.dumps([asdict(one) for one in samples]))
    late = [one for one in samples if one.trial >= warm]
    beyond = table(late)
    if plot:
        draw(samples, late, plot, " ".join(("unfreeze tune --oracle", oracle, *options)))
    sys.exit(f"grows: {', '.join(beyond)}" if beyond else 0)


if __name__ == "__main__":
    main()
