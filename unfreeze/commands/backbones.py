"""`unfreeze backbones`: the table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from unfreeze import backbone_api
from unfreeze import options as o
from unfreeze.commands.finish import print_result


@click.command(short_help="The backbones: size, licence, stages; and those of a file or preset.")
@click.argument("files", metavar="[FILE.keras|hub:PRESET]...", nargs=-1)
@o.JSON
@click.pass_obj
def backbones(screen: Any, as_json: bool, files: tuple[str, ...]) -> None:
    """The backbones of keras.applications: default image size, parameters, megabytes of their weights, licence of the
    ImageNet weights, and the cut layer of each unfreeze depth. With FILE.keras: those of your own models, where they
    can be cut. With hub:PRESET: those of KerasHub's presets, and the pixels that they take; needs unfreeze[hub].
    """
    from unfreeze.screen.backbones import show_backbones

    rows = backbone_api.backbones(*files)
    print_result(screen, as_json, [asdict(row) for row in rows], lambda: show_backbones(rows))
