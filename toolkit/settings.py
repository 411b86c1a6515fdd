"""`Settings`: all that, besides the data, determines what a run trains. One record, named as the options are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from toolkit.checks import Number, Rule, as_tuple, at_least, check, one_of
from toolkit.data.settings import POOLED, DataSettings
from toolkit.errors import UnfreezeError
from toolkit.models.backbones import backbone, deepest, is_file
from toolkit.models.spec import STARTER_MODEL, STARTER_SIZE, ModelSpec, check_spec, check_weights
from toolkit.pixels.pixel_range import PIXELS
from toolkit.storage.local_path import local_path

SAMPLINGS = ("natural", "balanced")  # how the images of an epoch are chosen: `toolkit.training.sampling`
AUGMENTATIONS = ("none", "light", "strong")
COLOURS = {"rgb": 3, "grey": 1}  # name -> channels of the images that a model takes
OBJECTIVES = ("val_loss", "val_accuracy", "val_balanced_accuracy", "val_f1", "val_auc")  # toolkit.stats.scores
ORACLES = ("halving", "random", "bayesian", "hyperband", "grid")
FINALS = ("average", "retrained")
ADOPTED = "adopted"  # in place of a backbone, in the run of a model that was trained elsewhere
SEARCH_ONLY = {  # settings that only a search uses: `unfreeze train` has no option for them
    *("views", "cache", "cache_dtype", "cache_limit", "cache_dir"),
    *("oracle", "trials", "pick", "refit", "folds", "final", "time_limit"),
}
# settings of which earlier versions knew nothing, where the default is another
OF_EARLIER: dict[str, Any] = {"calibrate": False, "profiles": "ignored"}
DEPTHS = (0, 1, 2, 4)  # unfreeze depths that a search tries, as far as the backbone has them


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


@dataclass(frozen=True)
class Settings(DataSettings):
    """What to search and how to train. One value in each of the three tuples makes a plain training run.

    A record is checked when it is made. Raises UnfreezeError if a value has the wrong type or is out of range, or if a
    point of the search space is a model that cannot be built. A single number stands for a tuple of one:
    `Settings(unfreeze=2)`. Alpha, image size and depths that are not given are those of the backbone and the weights.
    `dataclasses.replace(settings, backbone="EfficientNetB1")` computes them anew: an image size that was not given
    becomes 240 px.
    """

    backbone: str = "MobileNetV2"  # its name in keras.applications, or the path of a Keras file, weights inside
    alpha: float = 0.0  # width of a MobileNet; 0: 1, or that of the starter weights
    pixels: str = PIXELS[0]  # the range that a backbone from a file takes, as `toolkit.pixels.pixel_range` names it
    weights: str = ""  # "imagenet", "starter", "none" or the path of an include_top=False weights file; "": imagenet,
    # or those in the backbone's own file
    image_size: int = 0  # pixels; 0: the backbone's own, or that of the starter weights
    colour: str = "rgb"  # or "grey": the model takes one channel, the luma
    head_units: Sequence[int] | int = (0, 64, 256)  # 0: no dense layer
    dropout: Sequence[float] | float = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # rates
    unfreeze: Sequence[int] | int = ()  # stages; (): DEPTHS, as far as the backbone goes
    head_epochs: int = 5  # with the backbone frozen
    tune_epochs: int = 5  # with the last stages unfrozen
    head_rate: float = 1e-3  # Adam's learning rate while the backbone is frozen
    tune_rate: float = 1e-4  # its highest value while the unfrozen stages are trained
    batch_size: int = 32  # images in a step
    patience: int = 3  # epochs without improvement that end a stage
    augment: str = "light"  # or "none", "strong": strength of augmentation
    flip: bool = True  # half of the augmented views are mirrored left to right
    views: int | None = None  # augmented views of an image; None: as many as the longer stage has epochs, at most 8
    cache: bool = True  # trials train on shared prefix activations, not on images
    cache_dtype: str = "float16"  # or "float32"
    cache_limit: float = 50.0  # GB that the activations may take
    cache_dir: str = ""  # of decoded images and activations; "": the run's own
    class_weights: str = "balanced"  # or "none"
    sampling: str = "natural"  # every image once an epoch; or "balanced", every class equally often
    calibrate: bool = True  # a temperature, fitted on validation images, becomes part of the model's last layer
    objective: str = "val_loss"  # one of OBJECTIVES: what decides which epoch and which trial is the best
    oracle: str = "halving"  # or "random", "bayesian", "hyperband", "grid": chooses the point that is tried next
    trials: int = 8  # at most so many points of the search space are tried
    pick: str = "best"  # or "smallest": the smallest model of the trials tied with the best one
    time_limit: float | None = None  # seconds that a call of `tune` or `run` may take
    refit: int = 0  # further epochs for which the model of the trial that is taken is trained
    folds: int | None = None  # of cross-validation, over training and validation images; 1: the validation images
    # judge; None: as `toolkit.data.folds` decides, by the number of images
    final: str = "average"  # or "retrained": the model that is made of a trial with folds
    seed: int = 0  # of the split, the search, training and augmentation

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, RULES)
        if self.cache_dir:  # absolute, so that it is found from any working directory
            self._set("cache_dir", str(local_path(self.cache_dir, "a folder on this machine").resolve()))
        if self.epochs < 1:
            raise UnfreezeError(
                "head_epochs and tune_epochs are both 0: nothing would be trained; give at least one epoch"
            )
        if self.fold_count > 1 and self.refit:
            raise UnfreezeError(
                "--refit needs validation images that no model was trained on, and --folds leaves none; give one only"
            )
        self._follow()
        if self.backbone != ADOPTED:
            self._check_space()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # the record is frozen, and __post_init__ fills it in

    def _follow(self) -> None:
        """Fill in weights, alpha, image size and depths that were not given."""
        if is_file(self.backbone):
            self._set("backbone", str(local_path(self.backbone, "a file on this machine").resolve()))
        if not self.weights or isinstance(self.weights, FollowedStr):
            self._set("weights", FollowedStr(self.backbone if is_file(self.backbone) else "imagenet"))
        starter = self.weights == "starter"
        if not self.alpha or isinstance(self.alpha, FollowedFloat):
            self._set("alpha", FollowedFloat(STARTER_MODEL[1] if starter else 1.0))
        if self.backbone == ADOPTED:
            return
        if not self.image_size or isinstance(self.image_size, FollowedInt):
            self._set("image_size", FollowedInt(STARTER_SIZE if starter else backbone(self.backbone).image_size))
        if not self.unfreeze or isinstance(self.unfreeze, FollowedTuple):
            self._set("unfreeze", FollowedTuple(depth for depth in DEPTHS if depth <= deepest(self.backbone)))

    def _check_space(self) -> None:
        """Raises UnfreezeError if a point of the search space is a model that cannot be built."""
        check_weights(self.weights, self.backbone, self.alpha)
        if is_file(self.backbone) and self.weights != self.backbone:
            raise UnfreezeError(f"the backbone's file holds its weights; leave --weights {self.weights} out")
        for name in ("head_units", "dropout"):
            if not getattr(self, name):
                raise UnfreezeError(f"{name} is empty; give one value or more")
        for units, rate, depth in product(*self.space):
            check_spec(self.spec(2, units, rate, depth))

    @property
    def space(self) -> tuple[tuple[int, ...], tuple[float, ...], tuple[int, ...]]:
        """The values of the search space: head units, dropout rates and unfreeze depths. After `__post_init__` the
        fields hold the same tuples; their types also allow what may be given."""
        return as_tuple(self.head_units), as_tuple(self.dropout), as_tuple(self.unfreeze)

    @property
    def fold_count(self) -> int:
        """The folds; 1 where it is not decided yet."""
        return self.folds or 1

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The parts of the data whose images the trials are trained on."""
        return POOLED if self.fold_count > 1 else ("train",)

    @property
    def judged_on(self) -> tuple[str, ...]:
        """The parts whose images judge the trials: with folds all that they are trained on, each out of its fold."""
        return POOLED if self.fold_count > 1 else ("val",)

    @property
    def channels(self) -> int:
        """Channels of the images that the model takes: 3, or 1 in grey."""
        return COLOURS[self.colour]

    @property
    def epochs(self) -> int:
        """The epochs of both stages."""
        return self.head_epochs + self.tune_epochs

    @property
    def balanced(self) -> bool:
        """Whether classes count alike in training, and so in the validation loss, however many images they have."""
        return "balanced" in (self.class_weights, self.sampling)

    @property
    def view_count(self) -> int:
        """Views of each image: epoch e shows view e modulo this."""
        if self.augment == "none":
            return 1
        wanted = self.views or min(8, max(self.head_epochs, self.tune_epochs))
        return max(1, min(wanted, self.epochs))

    @property
    def point_count(self) -> int:
        """Distinct points of the search space."""
        return math.prod(map(len, self.space))

    def spec(self, classes: int, head_units: int, dropout: float, unfreeze: int) -> ModelSpec:
        """The architecture of one point of the search space."""
        point = (head_units, dropout, unfreeze)
        return ModelSpec(self.backbone, self.alpha, self.image_size, classes, *point, self.channels, self.pixels)

    def check_files(self) -> None:
        """Raises UnfreezeError if the weights file does not exist, or if the pixels are those of no file."""
        if self.pixels != PIXELS[0] and not is_file(self.backbone):
            known = backbone(self.backbone).pixels
            raise UnfreezeError(f"--pixels is for a backbone from a file; {self.backbone} is known to take {known}")
        if self.weights not in ("imagenet", "starter", "none") and not local_path(self.weights, "a file").is_file():
            raise UnfreezeError(f"no weights file at {self.weights}; give a file, `imagenet`, `starter` or `none`")

    def to_json(self) -> dict[str, object]:
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Settings:
        """The settings that `to_json` gave. The backbone may have left the table since then. Raises TypeError if
        `values` has an unknown field, UnfreezeError if a value has the wrong type."""
        stored = cls(**OF_EARLIER | {"folds": 1} | values | {"backbone": ADOPTED})
        stored._set("backbone", values["backbone"])
        return stored


def _plain(value: object) -> object:
    """A setting as JSON has it, which no longer says whether it was given."""
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, str) else value
