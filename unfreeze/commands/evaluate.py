"""`unfreeze evaluate`: the model's accuracy on its test part, or on another folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toolkit.errors import UnfreezeError
from toolkit.progress import Listener
from unfreeze import api, option_records
from unfreeze import options as o
from unfreeze.commands.finish import print_result
from unfreeze.data_options import COLUMNS


@click.command(short_help="Test accuracy, per-class numbers, pictures.")
@o.RUN
@click.argument("data", type=o.DATA_PATH, required=False)
@o.options(COLUMNS)
@o.JSON
@click.pass_obj
def evaluate(screen: Any, run: Path, data: Path | None, as_json: bool, **values: Any) -> None:
    """Test accuracy, per-class numbers and pictures of RUN's model, on its test part.

    With DATA, on another folder or CSV: on its test part, or on all its images if it has none. A CSV is read as that of
    the run was, but for the options that are given.
    """
    _refuse_without_data(data, values)
    reading = option_records.columns(values)
    evaluation = api.evaluate(run, data, reading=reading, listener=Listener(screen.progress))
    from unfreeze.screen import tables

    if evaluation.trained_on:
        screen.say(
            f"the model was trained or selected on {evaluation.trained_on} of these {evaluation.images} images, "
            "so this does not test it"
        )
    what = ["test accuracy"] if data is None else [f"accuracy on {data}"]
    print_result(screen, as_json, evaluation.to_json(), lambda: tables.show_evaluation(evaluation, *what))
    if data is None:
        screen.next(f"look at {run / 'plots'}, then: unfreeze export {run}")


def _refuse_without_data(data: Path | None, values: dict[str, Any]) -> None:
    typed = [f"--{name.replace('_', '-')}" for name, value in values.items() if value]
    if typed and data is None:
        raise UnfreezeError(f"{typed[0]} goes with DATA: give the CSV, too")
