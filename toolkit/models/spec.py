"""`ModelSpec`: all that determines an architecture.

The unfreeze depth is counted in stages from the output: 0 trains the head alone, d also trains the last d stages of the
backbone. A stage ends where the rest of the graph depends on a single tensor, so that the graph can be cut at every
depth. `toolkit.models.backbones` knows the stages of each backbone; `toolkit.models.build` builds the model.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from toolkit.errors import UnfreezeError
from toolkit.models.backbones import backbone, cut_layer, short_name
from toolkit.pixels.pixel_range import PIXELS, pixel_range

STARTER_MODEL = ("MobileNetV2", 0.35)  # backbone and alpha of the starter weights, which are part of the package
NO_FILES = ("imagenet", "starter", "none")  # weights that are no file of the user's
STARTER_SIZE = 96  # pixels, of the pictures that the starter weights were trained on


@dataclass(frozen=True)
class Point:
    """A point of the search space: what differs between the trials of a search."""

    head_units: int  # 0: no dense layer between pooling and the output
    dropout: float  # rate
    unfreeze: int  # stages


POINT = tuple(field.name for field in fields(Point))  # the names of a point's settings


@dataclass(frozen=True)
class ModelSpec:
    """All that determines the architecture: equal specs build equal graphs."""

    backbone: str  # its name in keras.applications, or the path of its file
    alpha: float
    image_size: int  # pixels
    classes: int
    head_units: int  # 0: no dense layer between pooling and the output
    dropout: float  # rate
    unfreeze: int  # stages, 0 to `deepest(backbone)`
    channels: int = 3  # of the images: 3 for RGB, 1 for grey
    pixels: str = PIXELS[0]  # the range that a backbone from a file takes; the others' are known

    @property
    def point(self) -> Point:
        return Point(self.head_units, self.dropout, self.unfreeze)


def check_weights(weights: str, name: str, alpha: float) -> None:
    """Raises UnfreezeError if `weights` is "starter" and backbone or alpha are not those of the starter weights."""
    if weights == "starter" and (name, alpha) != STARTER_MODEL:
        there, its_alpha = STARTER_MODEL
        raise UnfreezeError(
            f"the starter weights are those of {there}, alpha {its_alpha:g}; got {name}, alpha {alpha:g}"
        )


def check_spec(spec: ModelSpec) -> None:
    """Raises UnfreezeError, which says what is possible, for the first value with which no model can be built."""
    row = backbone(spec.backbone)
    if spec.alpha not in row.alphas:
        there_are = ", ".join(f"{alpha:g}" for alpha in row.alphas)
        raise UnfreezeError(f"{short_name(row.name)} has alpha {there_are}; got {spec.alpha:g}")
    if spec.image_size < row.smallest:
        raise UnfreezeError(f"{row.name} needs images of at least {row.smallest} px, got {spec.image_size}")
    if row.fixed and spec.image_size != row.image_size:
        raise UnfreezeError(f"{row.name} takes images of {row.image_size} px only, got {spec.image_size}")
    if spec.channels not in (1, 3):
        raise UnfreezeError(f"a model takes images of 3 channels (RGB) or 1 (grey), got {spec.channels}")
    if row.channels == 1 and spec.channels != 1:
        raise UnfreezeError(f"{row.name} takes grey images; give --colour grey")
    fits_grey = pixel_range(spec.pixels).fits_grey
    if row.channels == 1 and not fits_grey:
        raise UnfreezeError(f"a grey backbone has no pixel range of three channels; give another than {spec.pixels}")
    if spec.classes < 2:
        raise UnfreezeError(f"a classifier needs at least 2 classes, got {spec.classes}")
    if spec.head_units < 0:
        raise UnfreezeError(f"head units are 0 (no dense layer) or more, got {spec.head_units}")
    if not 0 <= spec.dropout < 1:
        raise UnfreezeError(f"the dropout rate is at least 0 and below 1, got {spec.dropout:g}")
    cut_layer(spec.backbone, spec.unfreeze)
