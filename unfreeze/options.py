"""The options that several commands share. Nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Callable

import click

from toolkit.data.settings import FEW, FOLDS
from toolkit.models.applications import BACKBONES
from toolkit.pixels.pixel_range import PIXELS
from toolkit.settings import AUGMENTATIONS, COLOURS, DEPTHS, FINALS, OBJECTIVES, ORACLES, SAMPLINGS, Settings
from unfreeze.data_options import FRACTIONS, READING, option
from unfreeze.option_types import Choice, Duration, LocalPath, Numbers

DEFAULT = Settings()


def _defaults(values: tuple) -> str:
    return ",".join(f"{value:g}" for value in values)


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
        default=DEFAULT.backbone,
        help="A backbone of keras.applications, `unfreeze backbones` lists them; or the path of a Keras file, a "
        "functional model from images to features, which holds its weights.",
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
    option("--head-rate", type=float, default=DEFAULT.head_rate, help="Learning rate of the head stage."),
    option("--tune-rate", type=float, default=DEFAULT.tune_rate, help="Peak learning rate of fine-tuning."),
    option("--batch-size", type=int, default=DEFAULT.batch_size, help="Number of images in a training step."),
    option(
        "--patience",
        type=int,
        default=DEFAULT.patience,
        help="Number of epochs without improvement after which a stage ends.",
    ),
    option(
        "--augment",
        type=Choice(AUGMENTATIONS),
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
SEARCH = [
    option(
        "--head-units",
        type=Numbers(int, 64),
        default=_defaults(DEFAULT.space[0]),
        help="Units of the dense layer: a list, or a range FROM:TO[:STEP]. 0: no dense layer.",
    ),
    option(
        "--dropout", type=Numbers(float, 0.1), default="0:0.5", help="Dropout rates: a list, or a range FROM:TO[:STEP]."
    ),
    option(
        "--unfreeze",
        type=Numbers(int, 1),
        show_default=f"{_defaults(DEPTHS)} as far as the backbone goes",
        help="Numbers of backbone stages that are fine-tuned, counted from the output.",
    ),
    option(
        "--views",
        type=int,
        show_default="as many as the longer stage has epochs, at most 8",
        help="Number of augmented views of each image.",
    ),
    option(
        "--cache/--no-cache",
        default=DEFAULT.cache,
        help="Compute the frozen part of the backbone once for all trials, or train whole models.",
    ),
    option(
        "--cache-dtype",
        type=Choice(["float16", "float32"]),
        default=DEFAULT.cache_dtype,
        help="Precision in which activations are stored.",
    ),
    option(
        "--cache-limit",
        type=float,
        default=DEFAULT.cache_limit,
        help="Gigabytes of disk that the stored activations may take.",
    ),
    option(
        "--cache-dir",
        type=LocalPath(),
        envvar="UNFREEZE_CACHE_DIR",
        show_envvar=True,
        show_default="RUN/cache",
        help="Folder for activations and decoded images. Searches on the same data can share one.",
    ),
    option(
        "--oracle",
        type=Choice(ORACLES),
        default=DEFAULT.oracle,
        help="How the next trial is chosen. halving: every configuration trains its head, the better half is "
        "fine-tuned for a third of the epochs, the better quarter to the end. The others are KerasTuner's; all but "
        "hyperband train every trial to the end.",
    ),
    option(
        "--trials",
        type=int,
        default=DEFAULT.trials,
        help="Largest number of configurations that are tried. Under halving, continuing a configuration counts as one "
        "more trial, and the configurations stay fixed from then on. Hyperband ignores this: its schedule follows from "
        "the epochs.",
    ),
    option(
        "--pick",
        type=Choice(["best", "smallest"]),
        default=DEFAULT.pick,
        help="Keep the best trial, or the smallest model among the trials that are statistically tied with it.",
    ),
    option(
        "--time-limit",
        type=Duration(),
        show_default="none",
        help="Time that the call may take, such as 90s, 30m or 1h30m. The search ends early enough for all that comes "
        "after it; what was left out is said, and a call with a higher limit goes on.",
    ),
    option(
        "--folds",
        type=int,
        show_default=f"{FOLDS} for at most {FEW} images, {FOLDS} or more of each class, without a validation part "
        "of their own; else 1",
        help="Judge each trial on all training and validation images, by cross-validation with so many folds. 1: on "
        "the validation images alone.",
    ),
    option(
        "--final",
        type=Choice(FINALS),
        default=DEFAULT.final,
        help="The model that is made of the chosen trial with folds: the mean of the weights of its folds' models, or "
        "one that is trained anew on all of their images.",
    ),
    option(
        "--refit",
        type=int,
        default=DEFAULT.refit,
        help="Number of epochs for which the chosen model is trained on, on augmented views that no trial has seen.",
    ),
]
SINGLE = [
    option("--head-units", type=int, default=0, help="Units of a dense layer before the output. 0: no dense layer."),
    option("--dropout", type=float, default=0.2, help="Dropout rate."),
    option(
        "--unfreeze",
        type=int,
        default=2,
        help="Number of backbone stages that are fine-tuned, counted from the output.",
    ),
]


def options(*groups: list[Callable]) -> Callable:
    """A decorator that adds groups of options to a command, in the order in which `--help` shows them."""

    def decorate(command: Callable) -> Callable:
        for add in reversed([one for group in groups for one in group]):
            command = add(command)
        return command

    return decorate
