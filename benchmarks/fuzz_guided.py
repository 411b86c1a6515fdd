"""What `fuzz.py` asks, guided by coverage: an input that reaches new lines of the decoder or the scanner is varied on.

    pip install atheris        # Linux and macOS
    PYTHONPATH=. python benchmarks/fuzz_guided.py FOLDER [--what pictures|lists] [--seconds 300] [--seed 1]

`pictures`: bytes for the decoder. `lists`: bytes of a CSV, with images, a pipe and a folder beside it. FOLDER keeps
what was found, to be gone on from. An input that is judged wrongly, crashes, takes 20 s or 4 GB is written there, and
ends it with an exit code that is not 0.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import atheris
import click

PILLOW = ("Image", "ImageFile", *(f"{name}ImagePlugin" for name in ("Bmp", "Gif", "Jpeg", "Png", "WebP")))
OURS = ("images", "containers", "reading", "folder", "layout", "errors")
with atheris.instrument_imports(include=[f"PIL.{name}" for name in PILLOW] + [f"toolkit.{name}" for name in OURS]):
    from tests import hostile

LISTS = 200  # of them to begin with


def pictures(folder: Path) -> tuple[Callable[[bytes], object], list[bytes]]:
    """What judges an input, and the inputs to begin with."""
    return lambda data: hostile.judged("", data), [data for _, data in hostile.seeds().values()]


def lists(folder: Path) -> tuple[Callable[[bytes], object], list[bytes]]:
    path = hostile.write_csv_folder(Path(tempfile.mkdtemp(dir=folder)) / "data", Random(0))

    def judge(data: bytes) -> None:
        path.write_bytes(data)
        hostile.judged_scan(path)

    return judge, [hostile.csv_bytes(Random(number)) for number in range(LISTS)]


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--what", type=click.Choice(["pictures", "lists"]), default="pictures", show_default=True)
@click.option("--seconds", default=300, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(folder: Path, what: str, seconds: int, seed: int) -> None:
    corpus = folder / what
    corpus.mkdir(parents=True, exist_ok=True)
    judge, seeds = {"pictures": pictures, "lists": lists}[what](folder)
    for number, data in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(data)
    limits = [f"-max_total_time={seconds}", f"-seed={seed}", "-timeout=20", "-rss_limit_mb=4096"]
    where = [f"-artifact_prefix={folder}/", "-print_final_stats=1", str(corpus)]
    atheris.Setup([sys.argv[0], *limits, *where], judge)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
