"""`unfreeze inspect`: what is in a model file from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from unfreeze import artefact_api
from unfreeze import options as o
from unfreeze.commands.finish import print_result


@click.command(short_help="What is in a model file from anywhere.")
@click.argument("file", type=o.LocalPath())
@o.JSON
@click.pass_obj
def inspect(screen: Any, file: Path, as_json: bool) -> None:
    """What is in FILE, without running it: a .tflite, .onnx, .keras or .h5 file from anywhere, a SavedModel folder, or
    a run. Inputs, outputs, labels, precision, operators, weights; what runs it; which --pixels values are plausible,
    and why.

    FILE may come from a stranger: it is parsed in a process of its own, and nothing in it is executed.
    """
    told = artefact_api.inspect(file)
    from unfreeze.screen import model_file_tables

    print_result(screen, as_json, told.to_json(), lambda: model_file_tables.show_inspection(told))
    if told.next:
        screen.next(told.next)
