"""`Settings`: all that, besides the data, determines what a run trains. One record, named as the options are."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from toolkit.errors import UnfreezeError
from toolkit.models.applications import backbone, deepest
from toolkit.models.spec import STARTER, STARTER_SIZE, ModelSpec, check_spec, check_weights
from toolkit.storage.local_path import local_path

AUGMENTATIONS = ("none", "light", "strong")
OBJECTIVES = ("val_loss", "val_accuracy")
ORACLES = ("halving", "random", "bayesian", "hyperband", "grid")
ADOPTED = "adopted"  # in place of a backbone, in the run of a model that was trained elsewhere
SEARCH_ONLY = {  # settings of which a single training has no option
    *("views", "cache", "cache_dtype", "cache_limit", "cache_dir", "oracle", "trials", "pick", "refit")
}
DEPTHS = (0, 1, 2, 4)  # stages that a search unfreezes, as far as the backbone goes


@dataclass(frozen=True)
class Settings:
    """What to search and how to train. One value in each of the three tuples makes a plain training run.

    What follows from backbone and weights is filled in where it is not given: `Settings(backbone="EfficientNetB1")` has
    images of 240 px. UnfreezeError where the table does not know the backbone.
    """

    backbone: str = "MobileNetV2"
    alpha: float = 0.0  # width of a MobileNet; 0: 1, or that of the starter weights
    weights: str = "imagenet"  # "imagenet", "starter", "none" or the path of an include_top=False weights file
    image_size: int = 0  # pixels; 0: the backbone's own, or that of the starter weights
    head_units: tuple[int, ...] = (0, 64, 256)  # 0: no dense layer
    dropout: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # rates
    unfreeze: tuple[int, ...] = ()  # stages; (): DEPTHS, as far as the backbone goes
    head_epochs: int = 5
    tune_epochs: int = 5
    head_rate: float = 1e-3  # Adam's learning rate while the backbone is frozen
    tune_rate: float = 1e-4  # its peak while the unfrozen stages train
    batch_size: int = 32
    patience: int = 3  # epochs without improvement that end a stage
    augment: str = "light"
    flip: bool = True  # half of the augmented views are mirrored left to right
    views: int | None = None  # augmented views of an image; None: as many as the longer stage has epochs, at most 8
    cache: bool = True  # trials train on shared prefix activations, not on images
    cache_dtype: str = "float16"  # or "float32"
    cache_limit: float = 50.0  # GB that the activations may take
    cache_dir: str = ""  # of decoded images and activations; "": the run's own
    class_weights: str = "balanced"  # or "none"
    val: float = 0.2  # fraction, where the data gives no validation part
    test: float = 0.2
    objective: str = "val_loss"
    oracle: str = "halving"
    trials: int = 8
    pick: str = "best"  # or "smallest": of the trials tied with the best
    refit: int = 0  # epochs for which the trial that is taken trains on
    seed: int = 0

    def __post_init__(self) -> None:
        starter = self.weights == "starter"
        if not self.alpha:
            self._fill("alpha", STARTER[1] if starter else 1.0)
        if not self.image_size:
            self._fill("image_size", STARTER_SIZE if starter else backbone(self.backbone).image_size)
        if not self.unfreeze and self.backbone != ADOPTED:
            self._fill("unfreeze", tuple(depth for depth in DEPTHS if depth <= deepest(self.backbone)))
        if self.cache_dir:  # found from wherever the run is used
            self._fill("cache_dir", str(local_path(self.cache_dir, "a folder on this machine").resolve()))

    def _fill(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # before anybody has seen the record

    @property
    def epochs(self) -> int:
        return self.head_epochs + self.tune_epochs

    @property
    def view_count(self) -> int:
        """Views of each image: epoch e shows view e modulo this."""
        if self.augment == "none":
            return 1
        wanted = self.views or min(8, max(self.head_epochs, self.tune_epochs))
        return max(1, min(wanted, self.epochs))

    @property
    def points(self) -> int:
        """Distinct points of the search space."""
        return len(self.head_units) * len(self.dropout) * len(self.unfreeze)

    def spec(self, classes: int, head_units: int, dropout: float, unfreeze: int) -> ModelSpec:
        """The architecture of one point of the search space."""
        return ModelSpec(self.backbone, self.alpha, self.image_size, classes, head_units, dropout, unfreeze)

    def check(self, classes: int = 2) -> None:
        """Every point of the space is a model that can be built, every number is in its range; else UnfreezeError."""
        check_weights(self.weights, self.backbone, self.alpha)
        for units, rate, depth in product(self.head_units, self.dropout, self.unfreeze):
            check_spec(self.spec(classes, units, rate, depth))
        for name, least in {
            "head_epochs": 0,
            "tune_epochs": 0,
            "batch_size": 1,
            "trials": 1,
            "patience": 1,
            "refit": 0,
        }.items():
            if getattr(self, name) < least:
                raise UnfreezeError(f"{name} is {getattr(self, name)}; give {least} or more")
        if self.epochs < 1:
            raise UnfreezeError(
                "head_epochs and tune_epochs are both 0: nothing would be trained; give at least one epoch"
            )
        if self.views is not None and self.views < 1:
            raise UnfreezeError(f"views is {self.views}; give 1 or more")
        if not 0 <= self.seed < 2**32:
            raise UnfreezeError(f"seed is {self.seed}; give a number from 0 to {2**32 - 1}")
        for name, example in {"head_rate": "0.001", "tune_rate": "0.0001", "cache_limit": "50"}.items():
            if not 0 < getattr(self, name) < math.inf:
                raise UnfreezeError(f"{name} is {getattr(self, name)}; give a positive number, such as {example}")
        for name in ("head_units", "dropout"):
            if not getattr(self, name) and self.backbone != ADOPTED:
                raise UnfreezeError(f"{name} is empty; give one value or more")
        for name in ("val", "test"):
            if not 0 < getattr(self, name) < 1:
                raise UnfreezeError(f"{name} is {getattr(self, name)}; give a fraction between 0 and 1, such as 0.2")
        if self.weights not in ("imagenet", "starter", "none") and not local_path(self.weights, "a file").is_file():
            raise UnfreezeError(f"no weights file at {self.weights}; give a file, `imagenet`, `starter` or `none`")

    def to_json(self) -> dict[str, object]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Settings:
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        restored: dict[str, Any] = values | lists
        return cls(**restored)
