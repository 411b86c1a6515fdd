"""`unfreeze run`: all in one go; `unfreeze demo`: the same on data that is always there."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from unfreeze import api, digits_demo, option_records
from unfreeze import options as o
from unfreeze.commands.finish import print_result, require_limits, require_proof
from unfreeze.commands.tune_train import log_to_mlflow, screen_listener
from unfreeze.export_options import EXPORT
from unfreeze.search_options import LIMITS, SEARCH
from unfreeze.tracking.mlflow_store import check_store


@click.command(short_help="Search, evaluate, export, verify and report in one go.")
@o.DATA
@o.RUN
@o.options(o.MODEL, SEARCH, LIMITS, o.TRAINING, EXPORT)
@o.MLFLOW
@o.STRICT
@o.JSON
@click.pass_obj
def run(screen: Any, data: Path, run: Path, strict: bool, as_json: bool, mlflow: str | None, **values: Any) -> None:
    """Search, evaluate, export, verify and report in one go. The same command again continues after an interruption."""
    check_store(mlflow)
    export, limits = option_records.export_settings(values), option_records.limits(values)
    settings = option_records.settings(values)
    listener = screen_listener(screen, settings)
    finished = api.run(data, run, settings=settings, limits=limits, export=export, strict=strict, listener=listener)
    tell(screen, run, finished, as_json, mlflow)


@click.command(short_help="The same on digits that are always there: no data, no network.")
@click.argument("run", type=o.LocalPath(), default=Path("runs/demo"))
@click.option(
    "--seed",
    type=int,
    default=digits_demo.DEMO.seed,
    show_default=True,
    help="Seed of everything that is drawn at random.",
)
@o.JSON
@click.pass_obj
def demo(screen: Any, run: Path, seed: int, as_json: bool) -> None:
    """Search, evaluate, export, verify and report on 1,797 handwritten digits, from the starter weights: nothing to
    bring, no network, some minutes. RUN is runs/demo if it is not given; the images go beside it, into RUN-images.
    """
    settings = replace(digits_demo.DEMO, seed=seed)
    finished = digits_demo.demo(run, settings=settings, listener=screen_listener(screen, settings))
    tell(screen, run, finished, as_json)


def tell(screen: Any, run: Path, finished: api.Finished, as_json: bool, mlflow: str | None = None) -> None:
    """Print what was made; exit 1 if a file does not hold, or breaks a limit of the device."""
    from export.predict import default_artefact
    from export.proof.parity import to_json
    from unfreeze.screen import export_tables, tables
    from unfreeze.screen.threshold import threshold_words

    def summary() -> None:
        click.echo()
        tables.show_search(finished.search)
        tables.show_evaluation(finished.evaluation)
        click.echo()
        export_tables.show_attempts(finished.manifest)
        if words := threshold_words(finished.manifest):
            click.echo(f"{words}\n")
        export_tables.show_parity(finished.parities)
        click.echo()
        tables.show_places(run)

    artefacts = [to_json(parity) for parity in finished.parities]
    told = {"search": asdict(finished.search), "test": finished.evaluation.to_json(), "artefacts": artefacts}
    print_result(screen, as_json, told, summary)
    log_to_mlflow(screen, run, mlflow)
    if finished.trouble:
        raise finished.trouble
    require_proof(finished.parities)
    require_limits(finished.search)
    first = default_artefact([parity.artefact.name for parity in finished.parities])
    screen.next(f"unfreeze predict {run / 'export' / first} IMAGE...")
