"""The options that commands share, by the same names everywhere, and the Settings they make. Only click is imported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import click

from export.settings import ExportSettings, VerifySettings
from toolkit.errors import UnfreezeError
from toolkit.settings import AUGMENTATIONS, DEPTHS, OBJECTIVES, ORACLES, Settings
from unfreeze.option_types import Choice, LocalPath, Names, Numbers

DEFAULT = Settings()
COMPOUND = [field.name for field in fields(Settings) if "_" in field.name]  # in no other sentence than about them


def _option(*names: str, **attributes: Any) -> Callable:
    return click.option(*names, show_default=attributes.pop("show_default", True), **attributes)


def _defaults(values: tuple) -> str:
    return ",".join(f"{value:g}" for value in values)


DATA_PATH = LocalPath("a local folder or CSV")
DATA = click.argument("data", type=DATA_PATH)
RUN = click.argument("run", type=LocalPath())
MOVED = click.option("--data", type=DATA_PATH, help="Where the images are now, if they were moved since the run.")
FORMATS = click.option(
    "--formats", type=Names(), metavar="LIST", help="saved_model, tflite, onnx: some of them, by commas.  [all]"
)
PRECISIONS = click.option(
    "--precisions",
    type=Names(),
    metavar="LIST",
    help="float32, float16, dynamic, int8: some of them, by commas.  [all]",
)
MARGIN = click.option(
    "--margin",
    type=click.FloatRange(0, 100, min_open=True),
    default=ExportSettings.margin,
    show_default=True,
    help="Points of accuracy that an artefact may lose.",
)
EXPORT = [
    FORMATS,
    PRECISIONS,
    click.option(
        "--calibration",
        type=click.IntRange(1),
        default=ExportSettings.calibration,
        show_default=True,
        help="Training images that set the ranges of int8.",
    ),
    click.option(
        "--float-layers",
        type=Names(),
        default=(),
        metavar="LIST",
        help="Layers of the model, by commas, that int8 files keep in float.",
    ),
    click.option("--license", help="Of the model; every artefact carries it.  [not stated]"),
    MARGIN,
]
THREADS = click.option(
    "--threads",
    type=Numbers(int, 1),
    help="How many threads each runtime is timed with, by commas.  [1 and all]",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else, on stdout.")
MLFLOW = click.option(
    "--mlflow",
    metavar="URI",
    help="Tell an MLflow store of the run: sqlite:///mlflow.db, or a server's address. Needs unfreeze[mlflow].",
)
STRICT = click.option("--strict", is_flag=True, help="A file that has to be left out is an error.")

MODEL = [
    _option(
        "--backbone",
        default=DEFAULT.backbone,
        help="Constructor in keras.applications; see `unfreeze backbones`.",
    ),
    _option(
        "--alpha",
        type=click.FloatRange(0, min_open=True),
        show_default="1; 0.35 with the starter",
        help="Width of a MobileNet.",
    ),
    _option(
        "--weights",
        default=DEFAULT.weights,
        help="imagenet (Keras downloads them once), starter (MobileNetV2 alpha 0.35, in the package: for trying out), "
        "none, or the path of an include_top=False weights file.",
    ),
    _option(
        "--image-size",
        type=click.IntRange(1),
        show_default="the backbone's own; 96 with the starter",
        help="Side of the square input in pixels.",
    ),
]
TRAINING = [
    _option("--head-epochs", type=int, default=DEFAULT.head_epochs, help="Epochs with the backbone frozen."),
    _option("--tune-epochs", type=int, default=DEFAULT.tune_epochs, help="Epochs with the last stages unfrozen."),
    _option("--head-rate", type=float, default=DEFAULT.head_rate, help="Learning rate of the head stage."),
    _option("--tune-rate", type=float, default=DEFAULT.tune_rate, help="Peak learning rate of fine-tuning."),
    _option("--batch-size", type=int, default=DEFAULT.batch_size, help="Images in a step."),
    _option("--patience", type=int, default=DEFAULT.patience, help="Epochs without improvement that end a stage."),
    _option(
        "--augment",
        type=Choice(AUGMENTATIONS),
        default=DEFAULT.augment,
        help="Strength of augmentation.",
    ),
    _option(
        "--flip/--no-flip",
        default=DEFAULT.flip,
        help="Augmented views are mirrored at random. Not for letters, digits and signs.",
    ),
    _option(
        "--class-weights",
        type=Choice(["balanced", "none"]),
        default=DEFAULT.class_weights,
        help="balanced: each class counts alike, however many images it has.",
    ),
    _option("--val", type=float, default=DEFAULT.val, help="Fraction for validation, where DATA has no such part."),
    _option("--test", type=float, default=DEFAULT.test, help="Fraction for the test, where DATA has no such part."),
    _option(
        "--objective",
        type=Choice(OBJECTIVES),
        default=DEFAULT.objective,
        help="What the best epoch is best in.",
    ),
    _option("--seed", type=int, default=DEFAULT.seed, help="Of the split, the search, training and augmentation."),
]
SEARCH = [
    _option(
        "--head-units",
        type=Numbers(int, 64),
        default=_defaults(DEFAULT.head_units),
        help="List or range FROM:TO[:STEP]. 0: no dense layer.",
    ),
    _option("--dropout", type=Numbers(float, 0.1), default="0:0.5", help="Rates: list or range FROM:TO[:STEP]."),
    _option(
        "--unfreeze",
        type=Numbers(int, 1),
        show_default=f"{_defaults(DEPTHS)} as far as the backbone goes",
        help="Stages of the backbone to train, counted from the output.",
    ),
    _option(
        "--views", type=int, show_default="as many as the longer stage has epochs, at most 8", help="Augmented views."
    ),
    _option(
        "--cache/--no-cache",
        default=DEFAULT.cache,
        help="Compute the frozen prefix once for all trials, or train whole models.",
    ),
    _option(
        "--cache-dtype",
        type=Choice(["float16", "float32"]),
        default=DEFAULT.cache_dtype,
        help="Precision of the stored activations.",
    ),
    _option(
        "--cache-limit", type=float, default=DEFAULT.cache_limit, help="Gigabytes that the stored activations may take."
    ),
    _option(
        "--cache-dir",
        type=LocalPath(),
        envvar="UNFREEZE_CACHE_DIR",
        show_envvar=True,
        show_default="RUN/cache",
        help="Folder for activations and decoded images. Searches on the same data that share it share what is in it.",
    ),
    _option(
        "--oracle",
        type=Choice(ORACLES),
        default=DEFAULT.oracle,
        help="What is tried next. halving: every head is trained, the better half fine-tunes, the better quarter to "
        "the end. The others are KerasTuner's; all but hyperband train every trial to the end.",
    ),
    _option(
        "--trials",
        type=int,
        default=DEFAULT.trials,
        help="At most so many points of the space; a smaller space is tried whole. Under halving, going on with one is "
        "a trial more, and from then on the points stay as they are. Hyperband runs a schedule that follows from the "
        "epochs.",
    ),
    _option(
        "--pick",
        type=Choice(["best", "smallest"]),
        default=DEFAULT.pick,
        help="The best trial, or the smallest of those that the validation images cannot tell from it.",
    ),
    _option(
        "--refit",
        type=int,
        default=DEFAULT.refit,
        help="Train the trial that is taken on for so many epochs, on augmented views that no trial has seen.",
    ),
]
SINGLE = [
    _option("--head-units", type=int, default=0, help="Units of a dense layer before the output; 0: none."),
    _option("--dropout", type=float, default=0.2, help="Dropout rate."),
    _option("--unfreeze", type=int, default=2, help="Stages of the backbone to train, counted from the output."),
]


def options(*groups: list[Callable]) -> Callable:
    """Decorate a command with groups of options, in the order in which `--help` shows them."""

    def decorate(command: Callable) -> Callable:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


def settings(values: dict[str, Any]) -> Settings:
    """The Settings that a command's options say; what was left out follows the backbone."""
    given = {name: value for name, value in values.items() if value is not None}
    if "cache_dir" in given:
        given["cache_dir"] = str(given["cache_dir"])
    with _as_typed():
        made = Settings(**given)
        made.check_files()
    return made


def export_settings(values: dict[str, Any]) -> ExportSettings:
    """The ExportSettings that the options of EXPORT say; they are taken out of `values`."""
    with _as_typed():
        return ExportSettings(**{field.name: values.pop(field.name) for field in fields(ExportSettings)})


def verify_settings(values: dict[str, Any]) -> VerifySettings:
    """The VerifySettings that the options of `verify` say."""
    threads = values["threads"] if values["times"] else ()
    with _as_typed():
        return VerifySettings(values["margin"], values["tolerance"], threads, values["layers"])


@contextmanager
def _as_typed() -> Iterator[None]:
    """Name the options where an error names the fields of a record."""
    try:
        yield
    except UnfreezeError as error:
        told = re.sub(rf"\b({'|'.join(COMPOUND)})\b", lambda name: f"--{name[0].replace('_', '-')}", str(error))
        raise UnfreezeError(told) from None
