"""`unfreeze tune` and `unfreeze train`, and what the screen shows while a model is trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.progress import Listener
from toolkit.settings import Settings
from unfreeze import api, option_records
from unfreeze import options as o
from unfreeze.commands.finish import print_result, require_limits
from unfreeze.search_options import LIMITS, SEARCH, SINGLE
from unfreeze.tracking.mlflow_store import check_store
from unfreeze.wording import left_out_of_device, probe_words, source_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from export.limits import Limits, Probed
    from toolkit.data.image_set import ImageSet
    from unfreeze.finalists import Finalist


@click.command(short_help="Search with KerasTuner; keep the best model.")
@o.DATA
@o.RUN
@o.options(o.MODEL, SEARCH, LIMITS, o.TRAINING)
@o.MLFLOW
@o.STRICT
@o.JSON
@click.pass_obj
def tune(screen: Any, data: Path, run: Path, strict: bool, as_json: bool, mlflow: str | None, **values: Any) -> None:
    """Search head size, dropout and unfreeze depth with KerasTuner, and whatever else is given several values; keep the
    best model. Goes on where it stopped."""
    check_store(mlflow)
    limits, settings = option_records.limits(values), option_records.settings(values)
    result = api.tune(
        data,
        run,
        settings=settings,
        limits=limits,
        strict=strict,
        listener=screen_listener(screen, settings),
    )
    from unfreeze.screen import tables

    print_result(screen, as_json, asdict(result), lambda: tables.show_search(result))
    log_to_mlflow(screen, run, mlflow)
    require_limits(result)
    screen.next(f"unfreeze evaluate {run}")


@click.command(short_help="Train one model, no search.")
@o.DATA
@o.RUN
@o.options(o.MODEL, SINGLE, o.TRAINING)
@o.MLFLOW
@o.STRICT
@o.JSON
@click.pass_obj
def train(screen: Any, data: Path, run: Path, strict: bool, as_json: bool, mlflow: str | None, **values: Any) -> None:
    """Train one model, no search."""
    check_store(mlflow)
    settings = option_records.settings(values)
    history = api.train(
        data,
        run,
        settings=settings,
        strict=strict,
        listener=screen_listener(screen, settings),
    )
    from unfreeze.screen import tables

    told = {"best": history.best, "epochs": history.rows}
    print_result(screen, as_json, told, lambda: tables.show_training(history.best or {}))
    log_to_mlflow(screen, run, mlflow)
    screen.next(f"unfreeze evaluate {run}")


def log_to_mlflow(screen: Any, run: Path, uri: str | None) -> None:
    """Log the finished run to the MLflow store, if one was given."""
    if uri is not None:
        screen.say(f"logged to MLflow as run {api.track(run, uri)}")


def warn(screen: Any, images: ImageSet) -> None:
    """Print the warnings about the images."""
    from unfreeze.screen import tables

    for line in tables.warnings(images):
        screen.say(line)


def show_probes(screen: Any, limits: Limits, probed: Sequence[Probed]) -> None:
    """Print what was measured of the device's file, and what is left out."""
    screen.say(f"as a {limits.runtime} {limits.precision} file, untrained, {source_words(probed)}:")
    width = max(len(one.backbone) for one in probed)
    for one in probed:
        told = limits.broken(one.probe)
        screen.say(
            f"  {one.backbone:<{width}}  {one.image_size:>4} px  {probe_words(one.probe)}{left_out_of_device(told)}"
        )


def show_finalists(screen: Any, limits: Limits, found: Sequence[Finalist]) -> None:
    from unfreeze.screen import front

    front.show_finalists(screen, limits, found)


def screen_listener(screen: Any, settings: Settings) -> Listener:
    """A Listener that shows on the screen: warnings about the images, each epoch, each finished trial."""

    screen.vary(settings)

    def epoch(row: dict[str, Any]) -> None:
        screen.epoch(row, settings.epochs + (settings.refit if row["stage"] == "refit" else 0))

    return Listener(
        screen.progress,
        on_images=lambda images: warn(screen, images),
        on_warning=screen.say,
        on_probes=lambda limits, probed: show_probes(screen, limits, probed),
        on_finalists=lambda limits, found: show_finalists(screen, limits, found),
        on_epoch=epoch,
        on_trials=lambda trials: screen.trials(trials, _plan(settings)),
    )


def _plan(settings: Settings) -> list[tuple[int, int]] | None:
    """(trials, epochs of each) of every rung of the search; None if that is not known."""
    from tuning.oracles.halving import rungs

    count = min(settings.trials, settings.point_count)
    if settings.oracle == "halving":
        planned = rungs(count, settings.head_epochs, settings.epochs)
        return [(trials, end - first) for trials, first, end in planned]
    return None if settings.oracle == "hyperband" else [(count, settings.epochs)]
