"""`Settings`: all that, besides the data, determines what a run trains. One record, named as the options are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any

from toolkit import settings_rules as rules
from toolkit.checks import as_tuple, check
from toolkit.data.settings import POOLED, DataSettings
from toolkit.errors import UnfreezeError
from toolkit.models.backbones import absolute, backbone, deepest, has_weights, is_file, short_name
from toolkit.models.choices import BackboneChoice, choices
from toolkit.models.hub.preset import is_preset
from toolkit.models.spec import NO_FILES, STARTER_MODEL, STARTER_SIZE, ModelSpec, check_spec, check_weights
from toolkit.pixels.pixel_range import PIXELS
from toolkit.settings_rules import FOLLOWED, FollowedFloat, FollowedInt, FollowedStr, FollowedTuple, varied_values
from toolkit.storage.local_path import local_path

ADOPTED = "adopted"  # in place of a backbone, in the run of a model that was trained elsewhere
DEPTHS = (0, 1, 2, 4)  # unfreeze depths that a search tries, as far as the backbone has them
TRIALS = 8  # configurations that are tried; of several combinations of BASE at least
TRIALS_EACH = 3  # of each


@dataclass(frozen=True)
class Settings(DataSettings):
    """What to search and how to train. One value in each of the three tuples makes a plain training run.

    A record is checked when it is made. Raises UnfreezeError if a value has the wrong type or is out of range, or if a
    point of the search space is a model that cannot be built. A single number stands for a tuple of one:
    `Settings(unfreeze=2)`. Alpha, image size and depths that are not given are those of the backbone and the weights.
    `dataclasses.replace(settings, backbone="EfficientNetB1")` computes them anew: an image size that was not given
    becomes 240 px.

    `vary` names further settings of which a search tries several values: `Settings(vary={"image_size": (96, 160)})`.
    The field of such a setting then has the first of them; `at` gives the settings of a point of the search space.
    """

    backbone: str = "MobileNetV2"  # a name in keras.applications; or a Keras file or hub:PRESET, with its own weights
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
    label_smoothing: float = 0.0  # share of an image's label that is spread over all classes (Szegedy et al., 2016)
    class_weights: str = "balanced"  # or "none"
    sampling: str = "natural"  # every image once an epoch; or "balanced", every class equally often
    calibrate: bool = True  # a temperature, fitted on validation images, becomes part of the model's last layer
    objective: str = "val_loss"  # one of OBJECTIVES: what decides which epoch and which trial is the best
    oracle: str = "halving"  # or "random", "bayesian", "hyperband", "grid": chooses the point that is tried next
    trials: int = FollowedInt(TRIALS)  # at most so many points of the search space are tried
    pick: str = "best"  # or "smallest": the smallest model of the trials tied with the best one
    time_limit: float | None = None  # seconds that a call of `tune` or `run` may take
    refit: int = 0  # further epochs for which the model of the trial that is taken is trained
    folds: int | None = None  # of cross-validation, over training and validation images; 1: the validation images
    # judge; None: as `toolkit.data.folds` decides, by the number of images
    final: str = "average"  # or "retrained": the model that is made of a trial with folds
    seed: int = 0  # of the split, the search, training and augmentation
    # names of VARIED -> the values that a search tries; backbones as `toolkit.models.choices` names them
    vary: Mapping[str, Sequence[Any]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("vary", self._several())
        check(self, rules.RULES)
        if self.cache_dir:  # absolute, so that it is found from any working directory
            self._set("cache_dir", str(local_path(self.cache_dir, "a folder on this machine").resolve()))
        if self.epochs < 1:
            raise UnfreezeError("head_epochs and tune_epochs are both 0: nothing would be trained; give at least one")
        if self.fold_count > 1 and self.refit:
            raise UnfreezeError(
                "--refit needs validation images that no model was trained on, and --folds leaves none; give one only"
            )
        self._follow()
        if self.backbone != ADOPTED:
            self._check_space()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # the record is frozen, and __post_init__ fills it in

    def _several(self) -> dict[str, tuple]:
        """`vary`, checked. The field of each setting in it gets its first value."""
        if not isinstance(self.vary, Mapping):
            raise UnfreezeError(f"vary is {self.vary!r:.80}; give a dict, such as {{'image_size': (96, 160)}}")
        made: dict[str, tuple] = {}
        for name, given in self.vary.items():
            values = varied_values(name, given)
            here = getattr(self, name)
            if not isinstance(here, tuple(FOLLOWED.values())) and here not in (*values, getattr(Settings, name)):
                raise UnfreezeError(f"{name} is {here}, and the search varies it; give one of the two")
            if name == "backbone":
                found = self._choices(values)
                values = tuple(one.text for one in found)
            first = found[0].settings() if name == "backbone" else {name: values[0]}
            for own, value in first.items():  # of one value, as if it had been given to the field
                kind = type(getattr(Settings, own))
                self._set(own, FOLLOWED[kind](value) if len(values) > 1 else kind(value))
            if len(values) > 1:
                made[name] = values
        return {name: made[name] for name in rules.VARIED if name in made}

    def _choices(self, texts: Sequence[str]) -> tuple[BackboneChoice, ...]:
        """The backbones of texts that need not be complete: what they leave out is that of the settings."""
        alpha = 0.0 if isinstance(self.alpha, FollowedFloat) else self.alpha
        weights = "" if isinstance(self.weights, FollowedStr) else self.weights
        pixels = PIXELS[0] if isinstance(self.pixels, FollowedStr) else self.pixels
        return choices(texts, alpha=alpha, weights=weights, pixels=pixels)

    def _follow(self) -> None:
        """Fill in weights, alpha, image size, depths and trials that were not given."""
        if "backbone" not in self.vary:
            self._set("backbone", absolute(self.backbone))
        if not self.weights or (isinstance(self.weights, FollowedStr) and "backbone" not in self.vary):
            self._set("weights", FollowedStr(self.backbone if has_weights(self.backbone) else "imagenet"))
        starter = self.weights == "starter"
        if not self.alpha or (isinstance(self.alpha, FollowedFloat) and "backbone" not in self.vary):
            self._set("alpha", FollowedFloat(STARTER_MODEL[1] if starter else 1.0))
        if isinstance(self.trials, FollowedInt):
            self._set("trials", FollowedInt(max(TRIALS, TRIALS_EACH * len(self.bases)) if self.bases[1:] else TRIALS))
        if is_preset(self.backbone):
            self._set("unfreeze", self.unfreeze or FollowedTuple(DEPTHS))
        if is_preset(self.backbone) or self.backbone == ADOPTED:
            return
        if not self.image_size or (isinstance(self.image_size, FollowedInt) and "image_size" not in self.vary):
            self._set("image_size", FollowedInt(STARTER_SIZE if starter else backbone(self.backbone).image_size))
        if not self.unfreeze or isinstance(self.unfreeze, FollowedTuple):
            self._set("unfreeze", FollowedTuple(depth for depth in DEPTHS if depth <= deepest(self.backbone)))

    def _check_space(self) -> None:
        """Raises UnfreezeError if a point of the search space is a model that cannot be built."""
        for name in ("head_units", "dropout"):
            if not getattr(self, name):
                raise UnfreezeError(f"{name} is empty; give one value or more")
        if self.bases[1:]:
            for base in self.bases:
                self.at(base)  # checks itself
            return
        check_weights(self.weights, self.backbone, self.alpha)
        if has_weights(self.backbone) and self.weights != self.backbone:
            raise UnfreezeError(f"the backbone's file holds its weights; leave --weights {self.weights} out")
        for units, rate, depth in product(*self.space) if not is_preset(self.backbone) else ():
            check_spec(self.spec(2, units, rate, depth))

    def at(self, point: Mapping[str, Any]) -> Settings:
        """The settings of a point of the search space, or of a part of it: names of settings -> the value of each. What
        the point does not name stays as it is, but nothing varies. A backbone is named by its label."""
        own = {name: value for name, value in point.items() if name in self.__dataclass_fields__ and name != "backbone"}
        if "backbone" in point and "backbone" in self.vary:
            chosen = next(one for one in self.backbones if one.label == point["backbone"])
            own |= chosen.settings()
            if "unfreeze" not in own and not isinstance(self.unfreeze, FollowedTuple):
                own["unfreeze"] = self.depths(chosen.backbone)
        return replace(self, **own, vary={})

    def depths(self, name: str) -> tuple[int, ...]:
        """The unfreeze depths that are tried with a backbone: of those that were given the ones that it has. Raises
        UnfreezeError if it has none of them."""
        wanted = DEPTHS if isinstance(self.unfreeze, FollowedTuple) else as_tuple(self.unfreeze)
        if is_preset(name):
            return wanted  # as far as it goes, which its file says
        found = tuple(depth for depth in wanted if depth <= deepest(name))
        if not found:
            raise UnfreezeError(f"unfreeze depth of {short_name(name)} goes from 0 to {deepest(name)}, got {wanted[0]}")
        return found

    @property
    def backbones(self) -> tuple[BackboneChoice, ...]:
        """The backbones that the search tries, if there are several; else ()."""
        return choices(tuple(self.vary.get("backbone", ())))

    @property
    def varied(self) -> dict[str, tuple]:
        """`vary` with the labels of the backbones: the values that the points of the search space have."""
        labels = {"backbone": tuple(one.label for one in self.backbones)} if self.backbones else {}
        return {name: labels.get(name, tuple(values)) for name, values in self.vary.items()}

    @property
    def bases(self) -> tuple[dict[str, Any], ...]:
        """The combinations of BASE that the search tries, each as a part of a point."""
        several = {name: values for name, values in self.varied.items() if name in rules.BASE}
        return tuple(dict(zip(several, one, strict=True)) for one in product(*several.values()))

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
        return rules.COLOURS[self.colour]

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
        units, rates, depths = self.space
        others = [len(values) for name, values in self.vary.items() if name != "backbone"]
        depth_count = sum(len(self.depths(one.backbone)) for one in self.backbones) or len(depths)
        return depth_count * len(units) * len(rates) * math.prod(others)

    def spec(self, classes: int, head_units: int, dropout: float, unfreeze: int) -> ModelSpec:
        """The architecture of one point of the search space."""
        point = (head_units, dropout, unfreeze)
        return ModelSpec(self.backbone, self.alpha, self.image_size, classes, *point, self.channels, self.pixels)

    def check_files(self) -> None:
        """Raises UnfreezeError if a weights file does not exist, or if the pixels are those of no file."""
        for label in self.varied.get("backbone", ()):
            self.at({"backbone": label}).check_files()
        if "backbone" in self.vary or is_preset(self.backbone):
            return
        if self.pixels != PIXELS[0] and not is_file(self.backbone):
            known = backbone(self.backbone).pixels
            raise UnfreezeError(f"--pixels is for a backbone from a file; {self.backbone} is known to take {known}")
        if self.weights not in NO_FILES and not local_path(self.weights, "a file").is_file():
            raise UnfreezeError(f"no weights file at {self.weights}; give a file, `imagenet`, `starter` or `none`")

    def to_json(self) -> dict[str, object]:
        """As run.json has it. What follows each of several backbones is left open: no one value holds for all."""
        told = asdict(self)
        if self.backbones:
            left = [name for name in ("image_size", "unfreeze") if name not in self.vary]
            told |= {name: type(told[name])() for name in left if type(told[name]) in (FollowedInt, FollowedTuple)}
        return {name: _plain(value) for name, value in told.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Settings:
        """The settings that `to_json` gave. The backbone may have left the table since then. Raises TypeError if
        `values` has an unknown field, UnfreezeError if a value has the wrong type."""
        stored = cls(**rules.OF_EARLIER | {"folds": 1} | values | {"backbone": ADOPTED, "vary": {}})
        stored._set("backbone", values["backbone"])
        stored._set("vary", {name: tuple(several) for name, several in values.get("vary", {}).items()})
        if stored.backbones:
            stored._set("image_size", values["image_size"] or FollowedInt())
            stored._set("unfreeze", tuple(values["unfreeze"]) or FollowedTuple())
        return stored


def _plain(value: object) -> object:
    """A setting as JSON has it, which no longer says whether it was given."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return {name: list(several) for name, several in value.items()}
    return str(value) if isinstance(value, str) else value
