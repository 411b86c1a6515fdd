"""The options that several commands share. Nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Callable

import click

from toolkit.models.applications import BACKBONES
from toolkit.pixels.pixel_range import PIXELS
from toolkit.settings import Settings
from toolkit.settings_rules import AUGMENTATIONS, COLOURS, OBJECTIVES, SAMPLINGS
from unfreeze.data_options import FRACTIONS, READING, option
from unfreeze.option_types import Choice, LocalPath, Numbers, Several

DEFAULT = Settings()


DATA_PATH = LocalPath("a local folder or CSV")
DATA = click.argument("data", type=DATA_PATH)
RUN = click.argument("run", type=LocalPath())
MOVED = click.option("--data", type=DATA_PATH, help="Where the images are now, if they were moved since the run.")
CONVERSION = [
    click.option(
        "--pixels",
        metavar="RANGE",
        help=f"Values that the model takes for pixels: {', '.join(PIXELS)}, or MEAN/STD such as 127.5/127.5. "
        "[what the file says; a file of uint8 without a scale needs none]",
    ),
    click.option(
        "--labels",
        type=LocalPath(),
        help="Text file, one class name a line, in the model's order.  [those in the file]",
    ),
    click.option(
        "--image-size", type=click.IntRange(1), help="Side of the images in pixels, for a model that takes any size."
    ),
    click.option("--output", metavar="NAME", help="Output that gives the classes, for a model with several."),
]
THREADS = click.option(
    "--threads",
    type=Numbers(int, 1),
    help="Numbers of threads that each runtime is timed with, separated by commas.  [1 and all]",
)
JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON on standard output, and nothing else there."
)
MLFLOW = click.option(
    "--mlflow",
    metavar="URI",
    help="Log the run to an MLflow store: sqlite:///mlflow.db, or a server's address. Needs unfreeze[mlflow].",
)
STRICT = click.option(
    "--strict",
    is_flag=True,
    help="Treat a file that would be left out, and a group or a picture that DATA puts into two parts, as an error.",
)

MODEL = [
    option(
        "--backbone",
        show_default=DEFAULT.backbone,
        help="A backbone of keras.applications, `unfreeze backbones` lists them; or the path of a Keras file, a "
        "functional model from images to features, which holds its weights; or hub:PRESET, of KerasHub, with "
        "unfreeze[hub]: the name of a preset, which is downloaded, or ./FOLDER.",
    ),
    option(
        "--pixels",
        default=DEFAULT.pixels,
        help=f"Values that a backbone from a file takes for pixels: {', '.join(PIXELS)}, or MEAN/STD such as "
        "127.5/127.5.",
    ),
    option(
        "--alpha",
        type=click.FloatRange(0, min_open=True),
        show_default="1; 0.35 with the starter",
        help="Width multiplier of a MobileNet.",
    ),
    option(
        "--weights",
        show_default="imagenet; of a backbone from a file, its own",
        help="Weights of the backbone: imagenet (Keras downloads them once), starter (MobileNetV2 alpha 0.35, "
        "comes with Unfreeze, for trying out only), none, or the path of an "
        "include_top=False weights file.",
    ),
    option(
        "--image-size",
        type=click.IntRange(1),
        show_default=f"the backbone's own (MobileNetV2: {BACKBONES['MobileNetV2'].image_size}), 224 of a file that "
        "takes any; 96 with the starter",
        help="Width and height of the input in pixels.",
    ),
    option(
        "--colour",
        type=Choice(COLOURS),
        default=DEFAULT.colour,
        help="What the model takes: rgb, or grey, one channel, for digits, X-rays, spectrograms and mono cameras.",
    ),
]
TRAINING = [
    option("--head-epochs", type=int, default=DEFAULT.head_epochs, help="Number of epochs with the backbone frozen."),
    option(
        "--tune-epochs", type=int, default=DEFAULT.tune_epochs, help="Number of epochs with the last stages unfrozen."
    ),
    option("--head-rate", type=Several(float), default=DEFAULT.head_rate, help="Learning rate of the head stage."),
    option("--tune-rate", type=Several(float), default=DEFAULT.tune_rate, help="Peak learning rate of fine-tuning."),
    option(
        "--batch-size",
        type=Several(int),
        default=DEFAULT.batch_size,
        help="Number of images in a training step.",
    ),
    option(
        "--label-smoothing",
        type=Several(float),
        default=DEFAULT.label_smoothing,
        help="Share of an image's label that is spread over all classes in training.",
    ),
    option(
        "--patience",
        type=int,
        default=DEFAULT.patience,
        help="Number of epochs without improvement after which a stage ends.",
    ),
    option(
        "--augment",
        type=Several(Choice(AUGMENTATIONS)),
        default=DEFAULT.augment,
        help="Strength of the augmentation.",
    ),
    option(
        "--flip/--no-flip",
        default=DEFAULT.flip,
        help="Mirror augmented images at random. Use --no-flip for letters, digits and signs.",
    ),
    option(
        "--class-weights",
        type=Choice(["balanced", "none"]),
        default=DEFAULT.class_weights,
        help="balanced: every class has the same weight in training, however many images it has.",
    ),
    option(
        "--sampling",
        type=Choice(SAMPLINGS),
        default=DEFAULT.sampling,
        help="natural: an epoch shows every image once. balanced: it shows as many images, every class equally often; "
        "--class-weights then changes nothing.",
    ),
    option(
        "--calibrate/--no-calibrate",
        default=DEFAULT.calibrate,
        help="Fit a temperature on validation images, so that the model and every file are as sure as they are right.",
    ),
    *READING,
    *FRACTIONS,
    option(
        "--objective",
        type=Choice(OBJECTIVES),
        default=DEFAULT.objective,
        help="Measure by which epochs and trials are compared.",
    ),
    option("--seed", type=int, default=DEFAULT.seed, help="Seed of the split, the search, training and augmentation."),
]


def options(*groups: list[Callable]) -> Callable:
    """A decorator that adds groups of options to a command, in the order in which `--help` shows them."""

    def decorate(command: Callable) -> Callable:
        for add in reversed([one for group in groups for one in group]):
            command = add(command)
        return command

    return decorate
