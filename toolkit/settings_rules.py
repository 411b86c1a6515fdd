"""What is known of settings: the words of those that are chosen from a few, a rule for each field, which of them a
search may vary, and types that say that nobody gave a value."""

from __future__ import annotations

import math
from typing import Any

from toolkit.checks import Number, Rule, as_tuple, at_least, check_value, one_of
from toolkit.errors import UnfreezeError

SAMPLINGS = ("natural", "balanced")  # how the images of an epoch are chosen: `toolkit.training.sampling`
AUGMENTATIONS = ("none", "light", "strong")
COLOURS = {"rgb": 3, "grey": 1}  # name -> channels of the images that a model takes
OBJECTIVES = ("val_loss", "val_accuracy", "val_balanced_accuracy", "val_f1", "val_auc")  # toolkit.stats.scores
ORACLES = ("halving", "random", "bayesian", "hyperband", "grid")
FINALS = ("average", "retrained")
BASE = ("backbone", "image_size", "augment")  # what activations depend on: each combination has its own
VARIED = (*BASE, "batch_size", "head_rate", "tune_rate", "label_smoothing")  # settings that a search may vary, too
SEARCH_ONLY = {  # settings that only a search uses: `unfreeze train` has no option for them
    *("views", "cache", "cache_dtype", "cache_limit", "cache_dir"),
    *("oracle", "trials", "pick", "refit", "folds", "final", "time_limit"),
}
# settings of which earlier versions knew nothing, where the default is another
OF_EARLIER: dict[str, Any] = {"calibrate": False, "profiles": "ignored"}


def _positive(example: str) -> Rule:
    return Rule(Number, f"a positive number, such as {example}", lambda value: 0 < value < math.inf)


RULES = {
    "backbone": Rule(str, "the name of a backbone, `unfreeze backbones` lists them, or the path of a Keras file"),
    "pixels": Rule(str, "a range of pixel values, such as 0..1"),
    "alpha": Rule(Number, "a width such as 0.35, or 0 for the backbone's own"),
    "weights": Rule(str, "imagenet, starter, none, or the path of a weights file as text"),
    "image_size": Rule(int, "a number of pixels, or 0 for the backbone's own"),
    "head_units": Rule(int, "numbers of units, such as (0, 64)", each=True),
    "dropout": Rule(Number, "rates, such as (0.0, 0.2)", each=True),
    "unfreeze": Rule(int, "numbers of stages, such as (0, 2)", each=True),
    "flip": Rule(bool, "True or False"),
    **dict.fromkeys(("cache", "calibrate"), Rule(bool, "True or False")),
    "cache_dir": Rule(str, "the path of a folder as text"),
    **dict.fromkeys(("head_epochs", "tune_epochs", "refit"), at_least(0)),
    **dict.fromkeys(("batch_size", "trials", "patience"), at_least(1)),
    **dict.fromkeys(("views", "folds"), at_least(1, optional=True)),
    "head_rate": _positive("0.001"),
    "tune_rate": _positive("0.0001"),
    "label_smoothing": Rule(Number, "a share of at least 0 and below 1, such as 0.1", lambda value: 0 <= value < 1),
    "cache_limit": _positive("50"),
    "time_limit": Rule(Number, "a number of seconds above 0", lambda value: 0 < value < math.inf, optional=True),
    "colour": one_of(tuple(COLOURS)),
    "augment": one_of(AUGMENTATIONS),
    "class_weights": one_of(("balanced", "none")),
    "sampling": one_of(SAMPLINGS),
    "cache_dtype": one_of(("float16", "float32")),
    "objective": one_of(OBJECTIVES),
    "oracle": one_of(ORACLES),
    "pick": one_of(("best", "smallest")),
    "final": one_of(FINALS),
}


class FollowedInt(int):
    """An int that `Settings` filled in because the caller gave none. `dataclasses.replace` with another backbone
    computes it anew; a plain int, which the caller gave, stays."""


class FollowedFloat(float):
    """The same for a float: alpha."""


class FollowedStr(str):
    """The same for a text: the weights."""

    __slots__ = ()


class FollowedTuple(tuple):
    """The same for a tuple: the unfreeze depths."""

    __slots__ = ()


FOLLOWED: dict[type, type] = {int: FollowedInt, float: FollowedFloat, str: FollowedStr}


def varied_values(name: str, given: Any) -> tuple:
    """The distinct values of a setting that a search varies. Raises UnfreezeError if a search cannot vary it, or if one
    of them is out of range."""
    if name not in VARIED or not as_tuple(given):
        raise UnfreezeError(f"vary[{name!r}] is {given!r:.80}; give values of one of {', '.join(VARIED)}")
    for value in as_tuple(given):
        check_value(name, value, RULES[name])
    kind = {"head_rate": float, "tune_rate": float, "label_smoothing": float}.get(name)  # 0 among them is 0.0
    values = tuple(dict.fromkeys(kind(value) if kind else value for value in as_tuple(given)))
    if name == "image_size" and min(values) < 1:
        raise UnfreezeError(f"image_size is {min(values)}; give numbers of pixels")
    return values
