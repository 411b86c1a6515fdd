"""`unfreeze adopt`: a run folder for a model that was trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from export.settings import PIXELS
from toolkit.progress import Listener
from toolkit.settings import Split
from unfreeze import api
from unfreeze import options as o
from unfreeze.commands.finish import answer
from unfreeze.commands.tune_train import warn


@click.command(short_help="Make a run of a Keras model from elsewhere.")
@click.argument("model", type=o.LocalPath())
@o.DATA
@o.RUN
@click.option(
    "--pixels",
    type=o.Choice(PIXELS),
    default="0..255",
    show_default=True,
    help="The range of values that the model takes.",
)
@click.option(
    "--labels",
    type=o.LocalPath(),
    help="A class name a line, in the model's order.  [the folders' names, sorted]",
)
@click.option("--val", type=float, default=o.DEFAULT.val, help="Fraction for validation.", show_default=True)
@click.option("--test", type=float, default=o.DEFAULT.test, help="Fraction for the test.", show_default=True)
@click.option("--seed", type=int, default=o.DEFAULT.seed, help="Of the split.", show_default=True)
@o.STRICT
@o.JSON
@click.pass_obj
def adopt(screen: Any, model: Path, data: Path, run: Path, as_json: bool, **values: Any) -> None:
    """Make RUN of MODEL, a .keras file from elsewhere, and of images of its classes. Then evaluate, export, verify and
    predict work on it: the range of pixels and the step from logits to probabilities are put inside.

    Images that MODEL was trained on test nothing: give DATA a test/ of others.
    """
    split = Split(**{name: values.pop(name) for name in ("val", "test", "seed")})
    listener = Listener(screen.progress, on_images=lambda images: warn(screen, images))
    opened = api.adopt(model, data, run, split=split, listener=listener, **values)
    from toolkit.storage.files import read_json
    from unfreeze.screen import tables

    described = read_json(opened.path / "model.json")
    told = described["adopted"] | {"class_names": opened.images.class_names, "image_size": described["image_size"]}
    answer(screen, as_json, told, lambda: tables.show_adopted(told, opened.images))
    screen.next(f"unfreeze evaluate {run}")
