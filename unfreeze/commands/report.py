"""`unfreeze report`: what a run found, as a page and as a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from unfreeze import api
from unfreeze import options as o
from unfreeze.commands.finish import print_result


@click.command(short_help="One page, and a model card, of all that a run found.")
@o.RUN
@o.MOVED
@o.JSON
@click.pass_obj
def report(screen: Any, run: Path, data: Path | None, as_json: bool) -> None:
    """Write RUN/report.html, one self-contained page, and RUN/report.md, a model card, of what RUN holds so far."""
    page, card = api.report(run, data=data)
    told = {"page": str(page), "card": str(card)}
    print_result(screen, as_json, told, lambda: click.echo(f"{page}  the report\n{card}  the model card"))
