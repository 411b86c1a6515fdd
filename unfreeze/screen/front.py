"""The finalists of a search as files, and the front of a run, as tables on standard output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from unfreeze.screen.terminal import print_table
from unfreeze.wording import left_out_of_device, probe_words

if TYPE_CHECKING:
    from export.limits import Limits
    from unfreeze.finalists import Finalist
    from unfreeze.front_points import FrontPoint

HEAD = ["file", "", "model", "trial", "accuracy", "MB", "ms", "memory MB"]


def show_finalists(screen: Any, limits: Limits, found: Sequence[Finalist]) -> None:
    """Print what is known of the trained files on the device, and which of them break a limit."""
    where = "latencies of the device" if limits.latencies else "one image on one thread"
    screen.say(f"finalists as {limits.variant.name}, accuracy where trials are judged, {where}:")
    for one in sorted(found, key=lambda one: -one.accuracy):
        told = left_out_of_device(limits.broken(one.probe))
        screen.say(f"  trial {int(one.trial):>3}  {one.accuracy:7.2%}  {probe_words(one.probe)}{told}")


def show_front(points: Sequence[FrontPoint]) -> None:
    """Print every file that was measured of a run's trials."""
    print_table(HEAD, [_row(one) for one in points], left=3)
    click.echo("\naccuracy: on the images that judge trials; ms: of one image on one thread of this machine")
    click.echo("*: on the front, no other file of its format is as good in everything and better in something")
    click.echo("taken: the trial that RUN/model.keras is")


def _row(one: FrontPoint) -> list[str]:
    costs = [
        "–" if value is None else f"{value:.{digits}f}" for value, digits in ((one.latency_ms, 2), (one.memory_mb, 0))
    ]
    mark = " ".join(filter(None, ("*" if one.best else "", "taken" if one.taken else "")))
    return [one.file, mark, one.model, str(one.trial), f"{one.accuracy:.2%}", f"{one.size_mb:.2f}", *costs]
