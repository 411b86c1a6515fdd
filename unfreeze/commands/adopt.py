"""`unfreeze adopt`: a run folder for a model that was trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toolkit.pixels.pixel_range import PIXELS
from toolkit.progress import Listener
from unfreeze import api, option_records
from unfreeze import options as o
from unfreeze.commands.finish import print_result
from unfreeze.commands.tune_train import warn
from unfreeze.data_options import SPLIT


@click.command(short_help="Make a run of a Keras model from elsewhere.")
@click.argument("model", type=o.LocalPath())
@o.DATA
@o.RUN
@click.option(
    "--pixels",
    metavar="RANGE",
    default="0..255",
    show_default=True,
    help=f"Values that the model takes for pixels: {', '.join(PIXELS)}, or MEAN/STD such as 127.5/127.5.",
)
@click.option(
    "--labels",
    type=o.LocalPath(),
    help="Text file, one class name a line, in the model's order.  [the folders' names, sorted]",
)
@o.options(SPLIT)
@o.STRICT
@o.JSON
@click.pass_obj
def adopt(screen: Any, model: Path, data: Path, run: Path, as_json: bool, **values: Any) -> None:
    """Make a run folder RUN for MODEL, a Keras file that was trained elsewhere, and for DATA, images of its classes.
    evaluate, export, verify and predict then work on RUN. The conversion of pixel values, and of the model's answers to
    probabilities, becomes part of the model.

    MODEL is a whole model, .keras or .h5, of Keras 3 or Keras 2, such as Teachable Machine's keras_model.h5.

    Images that MODEL was trained on do not test it: give DATA a test/ folder with other images. Without a train/ folder
    nothing can be calibrated, and export leaves the int8 files out.
    """
    reading = option_records.data_settings(values)
    listener = Listener(screen.progress, on_images=lambda images: warn(screen, images))
    opened = api.adopt(model, data, run, reading=reading, listener=listener, **values)
    from toolkit.storage.files import read_json
    from unfreeze.screen import tables

    described = read_json(opened.path / "model.json")
    told = described["adopted"] | {"class_names": opened.images.class_names, "image_size": described["image_size"]}
    print_result(screen, as_json, told, lambda: tables.show_adopted(told, opened.images))
    screen.next(f"unfreeze evaluate {run}")
