"""The options that say which files are exported, and what is asked of them. Nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Callable

import click

from export.settings import ExportSettings
from export.variants import ON_REQUEST
from export.variants import PRECISIONS as WRITTEN
from unfreeze.option_types import Names

FORMATS = click.option(
    "--formats", type=Names(), metavar="LIST", help="Formats, separated by commas: saved_model, tflite, onnx.  [all]"
)


def _precisions(more: str) -> Callable:
    return click.option(
        "--precisions",
        type=Names(),
        metavar="LIST",
        help=f"Precisions, separated by commas: {', '.join((*WRITTEN, *ON_REQUEST))}{more}",
    )


PRECISIONS = _precisions(".  [all that were exported]")
MARGIN = click.option(
    "--margin",
    type=click.FloatRange(0, 100, min_open=True),
    help="Percentage points of accuracy that a file may lose against the model.  [0.5; what fewer than 598 images can "
    "show, at most 2]",
)
EXPORT = [
    FORMATS,
    _precisions(
        ". The last two are TFLite: with 16-bit activations, and with float32 pixels, for a phone's GPU.  "
        f"[all but {', '.join(ON_REQUEST)}]"
    ),
    click.option(
        "--calibration",
        type=click.IntRange(1),
        default=ExportSettings.calibration,
        show_default=True,
        help="Number of training images that int8 files are calibrated on.",
    ),
    click.option(
        "--float-layers",
        type=Names(),
        default=(),
        metavar="LIST",
        help="Names of the model's layers, separated by commas, that int8 files keep in float.",
    ),
    click.option("--license", help="Licence of the model. It is written into every file.  [not stated]"),
    click.option(
        "--reject-below",
        type=float,
        help="Top probability below which an image is unsure. It is written into every file; 0 removes it.  [none]",
    ),
    click.option(
        "--wanted-accuracy",
        type=float,
        help="In place of --reject-below: the lowest at which this share of what is answered, such as 0.99, is right, "
        "with 95 % confidence on the images that judged the trials.  [none]",
    ),
    MARGIN,
]
