"""`unfreeze evaluate`: the model's accuracy on its test part, or on another folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toolkit.progress import Listener
from unfreeze import api
from unfreeze import options as o
from unfreeze.commands.finish import print_result


@click.command(short_help="Test accuracy, per-class numbers, pictures.")
@o.RUN
@click.argument("data", type=o.DATA_PATH, required=False)
@o.JSON
@click.pass_obj
def evaluate(screen: Any, run: Path, data: Path | None, as_json: bool) -> None:
    """Test accuracy, per-class numbers and pictures of RUN's model, on its test part.

    With DATA, on another folder: on its test part, or on all its images if it has none.
    """
    evaluation = api.evaluate(run, data, listener=Listener(screen.progress))
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
