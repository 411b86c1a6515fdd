"""`unfreeze backbones`: the table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from unfreeze import api
from unfreeze import options as o
from unfreeze.commands.finish import print_result


@click.command(short_help="The table of backbones and their cut layers.")
@o.JSON
@click.pass_obj
def backbones(screen: Any, as_json: bool) -> None:
    """The backbones, their default image size, and the cut layer of each unfreeze depth."""
    from unfreeze.screen import tables

    print_result(screen, as_json, [asdict(row) for row in api.backbones()], tables.show_backbones)
