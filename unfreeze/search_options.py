"""The options of a search, and those of a single training in their place. Nothing heavy is imported."""

from __future__ import annotations

from export.limits import NO_LIMITS, RUNTIMES
from export.variants import ON_REQUEST, PRECISIONS
from toolkit.data.settings import FEW, FOLDS
from toolkit.settings import DEPTHS, TRIALS, TRIALS_EACH
from toolkit.settings_rules import FINALS, ORACLES
from unfreeze.data_options import option
from unfreeze.option_types import Choice, Duration, LocalPath, Numbers, Several
from unfreeze.options import DEFAULT


def _defaults(values: tuple) -> str:
    return ",".join(f"{value:g}" for value in values)


PROBED = [  # which models a search tries, as far as their files differ in more than weights
    option(
        "--backbones",
        type=Several(str),
        show_default="--backbone",
        help="Several backbones to search over: NAME, NAME:ALPHA, NAME:ALPHA=WEIGHTS, FILE.keras, FILE.keras=PIXELS or "
        "hub:PRESET. "
        "Of what a name leaves out, --alpha, --weights and --pixels say it.",
    ),
    option(
        "--image-sizes",
        type=Several(int),
        show_default="--image-size",
        help="Several image sizes to search over, in pixels.",
    ),
    option(
        "--head-units",
        type=Numbers(int, 64),
        default=_defaults(DEFAULT.space[0]),
        help="Units of the dense layer: a list, or a range FROM:TO[:STEP]. 0: no dense layer.",
    ),
]
SEARCH = [
    *PROBED,
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
        show_default=f"{TRIALS}; {TRIALS_EACH} for each combination of backbone, image size and augmentation, if there "
        "are several",
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
        "after it; what was left out is said, and a call with a higher limit goes on. Where time is left and the best "
        "unfreeze depth is the deepest, halving goes deeper, unless --unfreeze is given.",
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
FILE = [
    option(
        "--runtime",
        type=Choice(RUNTIMES),
        default=NO_LIMITS.runtime,
        help="The format of the file that is held to the limits, and the runtime in which it is measured.",
    ),
    option(
        "--precision",
        type=Choice((*PRECISIONS, *ON_REQUEST)),
        default=NO_LIMITS.precision,
        help="The precision of that file.",
    ),
]
LIMITS = [
    option("--max-size-mb", type=float, show_default="none", help="Largest size of the file, in millions of bytes."),
    option(
        "--max-latency-ms",
        type=float,
        show_default="none",
        help="Longest time that the file may take for one image on one thread of this machine, or on the device that "
        "--latencies tells of, in milliseconds.",
    ),
    option(
        "--latency-scale",
        type=float,
        default=NO_LIMITS.latency_scale,
        help="How many times slower the device is than one thread of this machine.",
    ),
    option(
        "--latencies",
        type=LocalPath(),
        show_default="measured here",
        help="JSON file of what the device took, by a script that `unfreeze probe` writes. Nothing is exported or "
        "measured here then.",
    ),
    option(
        "--max-memory-mb",
        type=float,
        show_default="none",
        help="Most memory that the file may take beside its runtime, in millions of bytes.",
    ),
    *FILE,
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
