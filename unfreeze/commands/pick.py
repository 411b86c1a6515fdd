"""`unfreeze pick`: another trial of a finished search."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from export.limits import NO_LIMITS
from toolkit.errors import UnfreezeError
from toolkit.progress import Listener
from unfreeze import option_records, picking
from unfreeze import options as o
from unfreeze.commands.finish import print_result
from unfreeze.commands.run import tell
from unfreeze.commands.tune_train import show_finalists
from unfreeze.search_options import LIMITS


@click.command(short_help="Take another trial of a search: a smaller or a faster file, without a new search.")
@o.RUN
@click.option("--trial", type=int, help="The number of the trial to take.")
@o.options(LIMITS)
@o.MOVED
@o.JSON
@click.pass_context
def pick(ctx: click.Context, run: Path, trial: int | None, data: Path | None, as_json: bool, **values: Any) -> None:
    """Take another trial of RUN's search: the one whose file is the best within the limits, or the one of a number. It
    becomes RUN's model, and is evaluated, exported, verified and reported; no trial is run. Format, precision and
    device are those of the search, unless one of them is given. Without limits and number: print what can be had.
    """
    from unfreeze.screen.front import show_front

    screen = ctx.obj
    given = {
        name: value for name, value in values.items() if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    if given and (trial is not None or not any(name.startswith("max_") for name in given)):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UnfreezeError(
            f"{names} belong{'s' if len(given) == 1 else ''} to --max-...; give limits, or --trial alone"
        )
    if not given and trial is None:
        points = picking.front(run)
        print_result(screen, as_json, [asdict(one) for one in points], lambda: show_front(points))
        screen.next(f"unfreeze pick {run} --max-latency-ms MS, or --max-size-mb MB, or --trial N")
        return
    listener = Listener(screen.progress, on_finalists=lambda *told: show_finalists(screen, *told))
    limits = option_records.limits_like(run, given) if given else NO_LIMITS
    finished = picking.pick(run, limits, trial=trial, data=data, listener=listener)
    tell(screen, run, finished, as_json)
