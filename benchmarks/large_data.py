"""`unfreeze tune` on 5,000 to 20,000 generated photographs: seconds and resident memory, which should grow linearly and
hardly.

    python benchmarks/large_data.py WEIGHTS [--counts 5000,10000,20000] [--folder DIR] [-- OPTIONS OF TUNE]

Each count is a fresh set of JPEG files and a process of its own. Resident memory is the kernel's peak (ru_maxrss),
which counts mapped files too; beside it the peak of what is not backed by a file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from PIL import Image

SIDE = 200  # pixels


def photograph(label: int, number: int) -> Image.Image:
    """Soft random blobs; those of class 1 are redder than green."""
    rng = np.random.default_rng([label, number])
    coarse = rng.integers(0, 256, (6, 6, 3))
    coarse[..., 0] = np.clip(coarse[..., 1] + (40 if label else -40) + rng.normal(0, 40, (6, 6)), 0, 255)
    return Image.fromarray(coarse.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def generate(folder: Path, count: int) -> None:
    for label, name in enumerate(("cool", "warm")):
        (folder / name).mkdir(parents=True)
        for number in range(count // 2):
            photograph(label, number).save(folder / name / f"{number:06}.jpg", quality=85)


def measured(command: list[str]) -> tuple[float, float, float]:
    """Seconds, peak resident GB, peak GB of it that no file backs."""
    started, anonymous = time.perf_counter(), 0.0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            anonymous = max(anonymous, resident(process.pid))
            time.sleep(0.25)
        if status:
            said.seek(0)
            sys.exit(said.read().decode())
    return time.perf_counter() - started, usage.ru_maxrss / 1e6, anonymous


def resident(pid: int) -> float:
    try:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(lines["RssAnon"].split()[0]) / 1e6
    except (OSError, KeyError):
        return 0.0


@click.command()
@click.argument("weights", type=click.Path(exists=True))
@click.option("--counts", default="5000,10000,20000")
@click.argument("options", nargs=-1)
@click.option("--folder", type=click.Path(path_type=Path), help="Where the images and runs go for the time being.")
def main(weights: str, counts: str, options: tuple[str, ...], folder: Path | None) -> None:
    """Time and memory of the search at each count."""
    print("images  seconds  ms an image  resident GB  without mapped files")
    for count in map(int, counts.split(",")):
        with tempfile.TemporaryDirectory(dir=folder) as where:
            generate(Path(where) / "data", count)
            command = [sys.executable, "-m", "toolkit", "tune", f"{where}/data", f"{where}/run", "--weights", weights]
            seconds, peak, anonymous = measured([*command, "--trials", "4", "--seed", "0", *options])
        row = f"{count:6}  {seconds:7.0f}  {1000 * seconds / count:11.1f}  {peak:11.2f}  {anonymous:20.2f}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
