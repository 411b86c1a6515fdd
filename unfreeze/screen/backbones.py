"""The table of `unfreeze backbones`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from toolkit.models.applications import BACKBONES, Backbone
from toolkit.models.backbones import short_name
from toolkit.models.hub.preset import is_preset
from unfreeze.screen.terminal import print_table

HEAD = ["backbone", "px", "million", "MB", "int8", "depths", "licence", "source of the weights"]


def show_backbones(rows: Sequence[Backbone]) -> None:
    """A line for each backbone; of those from files every cut."""
    print_table(HEAD, [_row(row) for row in rows])
    click.echo("\nmillion parameters at alpha 1; megabytes of the weights alone, in float32 and in int8;")
    click.echo("depth 0 trains the head alone, the deepest one everything")
    if all(row.name in BACKBONES for row in rows):
        click.echo("the licence is that of the ImageNet weights; --json lists the cut layer of each depth")
        return
    for row in rows:
        click.echo(f"\n{short_name(row.name)}, frozen up to and with:")
        for depth, cut in enumerate(row.cuts, 1):
            click.echo(f"  depth {depth:>2}  {cut}")
        click.echo(f"  depth {row.deepest:>2}  nothing")
        if is_preset(row.name):
            click.echo(f"it takes pixels as {row.pixels}{', of one image size only' if row.fixed else ''}")


def _row(row: Backbone) -> list[str]:
    millions = row.parameters / 1e6
    size = str(row.image_size) if row.fixed or row.pixels else "any"
    told = [size, f"{millions:.1f}", f"{4 * millions:.1f}", f"{millions:.1f}", f"0 to {row.deepest}"]
    return [short_name(row.name), *told, row.licence or "not stated", row.source]
