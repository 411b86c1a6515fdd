"""The options that say how DATA is read and divided. Nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from toolkit.data.settings import DATA_SETTINGS, LEVEL_OPTIONS, NEAR_DUPLICATES, PROFILE_OPTIONS
from unfreeze.option_types import Choice, LocalPath


def option(*names: str, **attributes: Any) -> Callable:
    """A click option that shows its default in the help text."""
    return click.option(*names, show_default=attributes.pop("show_default", True), **attributes)


COLUMNS = [
    option("--image-column", default="", show_default=False, metavar="NAME", help="Column of a CSV with the paths."),
    option("--label-column", default="", show_default=False, metavar="NAME", help="Column of a CSV with the classes."),
    option(
        "--image-dir",
        type=LocalPath("a local folder"),
        help="Folder that the paths of a CSV are relative to.  [the CSV's own]",
    ),
    option("--suffix", default="", show_default=False, help="Added to each path of a CSV, such as .jpg."),
]
READING = [
    *COLUMNS,
    option(
        "--group-by",
        default="",
        show_default=False,
        metavar="WHAT",
        help="Keep the images of one patient, animal, video or site in one part: column:NAME of a CSV; folder, the one "
        "that a file lies in, or folder:2, the one above it; a regular expression for the path, whose first group or "
        "whole match is the name; or none.",
    ),
    option(
        "--near-duplicates",
        type=Choice(NEAR_DUPLICATES),
        default=DATA_SETTINGS.near_duplicates,
        help="What is done about copies of an image that were resized or encoded anew.",
    ),
    option(
        "--levels",
        type=Choice(LEVEL_OPTIONS),
        default=DATA_SETTINGS.levels,
        help="How 16-bit samples become 8 bits. auto: by the bits that the data use. full: all 16 bits. percentile: "
        "each image by its own range.",
    ),
    option(
        "--profiles",
        type=Choice(PROFILE_OPTIONS),
        default=DATA_SETTINGS.profiles,
        help="srgb: where a file says that its colours are others, they are converted to sRGB, as browsers and phones "
        "do. ignored: they are taken as they are stored, as OpenCV does.",
    ),
]
FRACTIONS = [
    option(
        "--val",
        type=float,
        default=DATA_SETTINGS.val,
        help="Fraction of the images for validation, if DATA has no such part.",
    ),
    option(
        "--test",
        type=float,
        default=DATA_SETTINGS.test,
        help="Fraction of the images for the test, if DATA has no such part.",
    ),
]
SPLIT = [*READING, *FRACTIONS, option("--seed", type=int, default=DATA_SETTINGS.seed, help="Seed of the split.")]
