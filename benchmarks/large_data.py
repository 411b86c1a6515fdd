"""The commands on 10,000 to 100,000 generated photographs: time and memory of each stage, which should grow linearly
and hardly.

    python benchmarks/large_data.py [--counts 10000,30000,100000] [--classes 2] [--folder DIR] [--commands scan,...]
        [--plot FILE.png] [-- OPTIONS OF TUNE]

Each count is a fresh set of JPEG files, each command a process of its own. What `tune` does is told apart by the lines
that it prints: decoding, the pass of the views, the trials. Memory is that of the process and of those that it starts
(`watched.py`): resident memory counts mapped files too; beside it what is not backed by a file. Seconds tell how busy
the machine was as well; the time of processors (CPU) hardly.

Exits with 1 where an image costs more than `SLOWER` times as much CPU at one count as at the one before (what grew with
the square would cost 3 times as much), or where memory that no file backs grows by more than `BYTES` for each image.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
from PIL import Image
from watched import Usage, usage_of_all

from toolkit.process.cores import cores

SIDE = 200  # pixels
COMMANDS = ("scan", "tune", "evaluate", "export", "verify", "report")
TUNE = (
    *("--weights", "starter", "--views", "1", "--trials", "1", "--oracle", "random", "--seed", "0"),
    *("--head-units", "32", "--dropout", "0.2", "--unfreeze", "2", "--head-epochs", "1", "--tune-epochs", "1"),
    *("--image-size", "32", "--augment", "none"),
)
EXPORT = ("--formats", "tflite,onnx", "--precisions", "float32")  # what else there is costs the same at any count
ENDED = re.compile(r"^(scanning|decoding|views)\b.*: (?:\d+ in )?[\d.]+ (?:s|min|h)\b")
SLOWER, BYTES = 1.5, 1500


@dataclass(frozen=True)
class Stage:
    """What one stage of one command took."""

    images: int  # of the whole data set
    name: str
    seconds: float
    cpu: float  # seconds of processors
    resident: float  # MB at its peak
    anonymous: float


def photograph(label: int, number: int, classes: int) -> Image.Image:
    """Soft random blobs, whose mean colour tells the class."""
    rng = np.random.default_rng([label, number])
    tint = np.random.default_rng([label, classes]).integers(-60, 60, 3) if classes > 2 else (40 * (2 * label - 1), 0, 0)
    coarse = np.clip(rng.integers(0, 256, (6, 6, 3)) * 0.6 + 50 + tint, 0, 255)
    return Image.fromarray(coarse.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def write_class(folder: Path, label: int, numbers: range, classes: int) -> None:
    for number in numbers:
        photograph(label, number, classes).save(folder / f"class{label:04}" / f"{number:06}.jpg", quality=85)


def generate(folder: Path, count: int, classes: int) -> None:
    """Written by as many processes as there are cores."""
    jobs = []
    for label in range(classes):
        (folder / f"class{label:04}").mkdir(parents=True)
        each = range(count // classes)
        jobs += [(folder, label, each[start : start + 1000], classes) for start in range(0, len(each), 1000)]
    with multiprocessing.Pool(cores()) as pool:
        pool.starmap(write_class, jobs, chunksize=1)


def stages(images: int, command: str, arguments: Sequence[str]) -> list[Stage]:
    """Run a command and watch it; what it prints ends stages. SystemExit with what it said where it fails."""
    process = subprocess.Popen(
        [sys.executable, "-m", "unfreeze", command, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    peak, began, spent, told, said = Usage(), time.perf_counter(), 0.0, [], []

    def end(name: str, cpu: float) -> None:
        nonlocal peak, began, spent
        now = time.perf_counter()
        told.append(Stage(images, f"{command}: {name}", now - began, cpu - spent, peak.resident, peak.anonymous))
        peak, began, spent = Usage(), now, cpu

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if command == "tune" and (found := ENDED.match(line)):
                end(found[1], usage_of_all(process.pid).cpu)

    before = processor_seconds()
    listener = threading.Thread(target=listen)
    listener.start()
    while process.poll() is None:
        peak = peak.most(usage_of_all(process.pid))
        time.sleep(0.2)
    listener.join()
    if process.returncode not in (0, 1 if command == "verify" else 0):  # a verdict is no failure here
        sys.exit("".join(said[-40:]))
    end("trials" if command == "tune" else "", processor_seconds() - before)
    return merged(told)


def processor_seconds() -> float:
    """Of the children of this process that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def merged(told: Sequence[Stage]) -> list[Stage]:
    """Those of one name as one: their seconds, the largest of their peaks."""
    found: dict[str, Stage] = {}
    for one in told:
        one = replace(one, name=one.name.removesuffix(": "))
        if before := found.get(one.name):
            one = replace(
                one,
                seconds=before.seconds + one.seconds,
                cpu=before.cpu + one.cpu,
                resident=max(before.resident, one.resident),
                anonymous=max(before.anonymous, one.anonymous),
            )
        found[one.name] = one
    return list(found.values())


def measured(count: int, data: str, run: str, commands: Sequence[str], options: Sequence[str]) -> Iterator[Stage]:
    """Stage after stage, told when its command has ended."""
    of = {"scan": [data], "tune": [data, run, *TUNE, *options], "export": [run, *EXPORT]}
    for command in commands:
        for stage in stages(count, command, of.get(command, [run])):
            print(
                f"{count:7}  {stage.name:20} {stage.seconds:8.1f} {stage.cpu:8.1f} {1e3 * stage.cpu / count:9.2f} "
                f"{stage.resident:9.0f} {stage.anonymous:9.0f}",
                flush=True,
            )
            yield stage
    for name in ("run.json", "metrics.json", "parity.json", "report.html", "report.md"):
        if (path := Path(run) / name).exists():
            print(f"{count:7}  {name}: {path.stat().st_size / 1e6:.2f} MB", flush=True)


def further(found: Sequence[Stage], name: str, value: str) -> list[tuple[int, float]]:
    """(images, what each further image adds to a stage's `value`), from one count to the next."""
    own = sorted((stage.images, getattr(stage, value)) for stage in found if stage.name == name)
    return [(many, (high - low) / (many - few)) for (few, low), (many, high) in pairwise(own)]


def verdicts(found: Sequence[Stage]) -> list[str]:
    """What grows faster than it may."""
    wrong = []
    for name in dict.fromkeys(stage.name for stage in found):
        own = sorted((stage.images, stage.cpu / stage.images) for stage in found if stage.name == name)
        memory = further(found, name, "anonymous")
        if any(after > SLOWER * before for (_, before), (_, after) in pairwise(own)):
            costs = ", ".join(f"{1e3 * each:.2f} ms at {count}" for count, each in own)
            wrong.append(f"{name}: an image costs {costs}")
        if memory and 1e6 * memory[-1][1] > BYTES:
            wrong.append(f"{name}: a further image takes {1e6 * memory[-1][1]:.0f} bytes of memory")
    return wrong


def draw(found: Sequence[Stage], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, name in enumerate(dict.fromkeys(stage.name for stage in found)):
        own = sorted((stage for stage in found if stage.name == name), key=lambda stage: stage.images)
        how = {"color": f"C{number}", "marker": "os^vDP*Xh<>p"[number % 12], "label": name, "ms": 5, "lw": 1.4}
        counts = [stage.images for stage in own]
        left.plot(counts, [1e3 * stage.cpu / stage.images for stage in own], **how)
        right.plot(counts, [stage.anonymous for stage in own], **how)
    left.set(title="Processor time, start-up included", ylabel="ms an image", yscale="log")
    right.set(title="Peak memory, all processes", ylabel="MB that no file backs", ylim=(0, None))
    for axes in (left, right):
        axes.set(xlabel="images in the data set", xscale="log")
        axes.set_xticks(sorted({stage.images for stage in found}), minor=False)
        axes.set_xticks([], minor=True)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.grid(alpha=0.25, which="both")
    figure.legend(*left.get_legend_handles_labels(), loc="outside right center", frameon=False)
    figure.savefig(path, dpi=130)


@click.command()
@click.option("--counts", default="10000,30000,100000")
@click.option("--classes", default=2)
@click.option("--commands", default=",".join(COMMANDS))
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where images go, and stay, and runs for the time being."
)
@click.option("--plot", type=click.Path(path_type=Path))
@click.option("--results", type=click.Path(path_type=Path), help="JSON of all stages; what it has is added to.")
@click.argument("options", nargs=-1)
def main(
    counts: str,
    classes: int,
    commands: str,
    options: tuple[str, ...],
    folder: Path | None,
    plot: Path | None,
    results: Path | None,
) -> None:
    """Time and memory of each stage at each count."""
    found = [Stage(**one) for one in json.loads(results.read_text())] if results and results.exists() else []
    print(" images  stage                 seconds      CPU  CPU ms/image  resident  without mapped files (MB)")
    for count in map(int, counts.split(",")):
        with tempfile.TemporaryDirectory(dir=folder) as where:
            data = Path(folder or where) / f"images-{count}-{classes}"
            if not data.exists():
                generate(data, count, classes)
            for stage in measured(count, str(data), f"{where}/run", commands.split(","), options):
                found.append(stage)
                if results:
                    results.write_text(json.dumps([asdict(one) for one in found], indent=1))
    if plot:
        draw(found, plot)
    wrong = verdicts(found)
    print("\n".join(wrong) or "nothing grows faster than the data")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
