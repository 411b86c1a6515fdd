"""`unfreeze probe`: untrained model files to measure on a device, before a search with `--latencies`."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.errors import NoAnswerError, one_line
from toolkit.progress import Listener
from unfreeze import backbone_api, option_records
from unfreeze import options as o
from unfreeze.commands.finish import print_result
from unfreeze.search_options import FILE, PROBED

if TYPE_CHECKING:
    from export.latencies import ProbedFile


@click.command(short_help="Untrained files and scripts that measure them on a device.")
@click.argument("folder", metavar="DIR", type=o.LocalPath("a local folder"))
@o.options(o.MODEL, PROBED, FILE)
@click.option(
    "--classes",
    type=click.IntRange(2),
    default=2,
    show_default=True,
    help="Classes of the head. They hardly matter: neither for the latency, nor for the size, which a search corrects.",
)
@o.JSON
@click.pass_obj
def probe(screen: Any, folder: Path, runtime: str, precision: str, classes: int, as_json: bool, **values: Any) -> None:
    """Write a model file for each backbone and image size of a search into DIR, untrained, with its smallest head; with
    scripts that measure them on an Android phone, on any machine with Python and in a browser, and a README.md that
    says how. Each script writes latencies.json, which `--latencies` of a search reads. No images are needed, and no
    weights are loaded. Earlier files of DIR are replaced.
    """
    limits = option_records.limits_of_file(runtime, precision)
    written = backbone_api.probe(
        folder,
        settings=option_records.settings(values),
        limits=limits,
        classes=classes,
        listener=Listener(screen.progress),
    )
    told = {"runtime": limits.runtime, "precision": limits.precision, "files": [asdict(one) for one in written]}
    print_result(screen, as_json, told, lambda: _show(written))
    if all(one.trouble for one in written):
        raise NoAnswerError("no file could be written")
    screen.say(f"{folder / 'README.md'} says how to measure them on a device")
    screen.next(f"python {shlex.quote(str(folder / 'measure.py'))}")


def _show(written: tuple[ProbedFile, ...]) -> None:
    width = max(len(one.backbone) for one in written)
    for one in written:
        told = f"{one.size_mb:6.2f} MB  {one.file}" if one.file else f"left out: {one.trouble}"
        click.echo(one_line(f"{one.backbone:<{width}}  {one.image_size:>4} px  {told}"))
