"""`unfreeze backbones`: the table."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from unfreeze import api
from unfreeze import options as o
from unfreeze.commands.finish import print_result


@click.command(short_help="The backbones: size, licence, stages; and those of a Keras file.")
@click.argument("files", metavar="[FILE.keras]...", nargs=-1, type=o.LocalPath())
@o.JSON
@click.pass_obj
def backbones(screen: Any, as_json: bool, files: tuple[Path, ...]) -> None:
    """The backbones of keras.applications: default image size, parameters, megabytes of their weights, licence of the
    ImageNet weights, and the cut layer of each unfreeze depth. With FILE.keras: those of your own models, where they
    can be cut.
    """
    from unfreeze.screen.backbones import show_backbones

    rows = api.backbones(*files)
    print_result(screen, as_json, [asdict(row) for row in rows], lambda: show_backbones(rows))
