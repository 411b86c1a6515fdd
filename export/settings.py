"""What an export and its proof are asked for, with the defaults of both. Nothing heavy is imported."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from export.variants import Variant, choose
from toolkit.errors import UnfreezeError

MARGIN = 0.5  # points of accuracy that an artefact may lose
TOLERANCE = 1e-4  # largest difference of a float32 artefact's probabilities
CALIBRATION = 200  # training images that set the ranges of int8
PIXELS = ("0..255", "0..1", "-1..1", "imagenet", "caffe")  # ranges of values that models from elsewhere take


@dataclass(frozen=True)
class ExportSettings:
    """Which files an export writes, and how. UnfreezeError where a value is not of its kind or range."""

    formats: Sequence[str] | None = None  # names of `export.variants.FORMATS`; None: all
    precisions: Sequence[str] | None = None  # names of `export.variants.PRECISIONS`; None: all
    calibration: int = CALIBRATION  # training images whose activations set the ranges of int8
    float_layers: Sequence[str] = ()  # layers of the model that int8 files keep in float
    margin: float = MARGIN  # points of accuracy that an int8 file may lose before it is made in another way
    license: str | None = None  # every file carries it; None: not stated, or that of the files that stay

    def __post_init__(self) -> None:
        for name in ("formats", "precisions", "float_layers"):
            _as_names(self, name)
        choose(self.formats, self.precisions)
        if not isinstance(self.calibration, int) or self.calibration < 1:
            raise UnfreezeError(
                f"calibration is {self.calibration!r}; give the number of images that set the ranges, 1 or more"
            )
        if self.license is not None and not isinstance(self.license, str):
            raise UnfreezeError(f"license is {self.license!r}; give its name as text, such as 'MIT'")
        check_margin(self.margin)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The files that are asked for."""
        return choose(self.formats, self.precisions)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ExportSettings:
        """KeyError, TypeError, ValueError or UnfreezeError where the values are not those of a record."""
        layers, margin = tuple(map(str, values["float_layers"])), float(values["margin"])
        names = {name: values[name] for name in ("formats", "precisions")}
        return cls(**names, calibration=values["calibration"], float_layers=layers, margin=margin)


@dataclass(frozen=True)
class VerifySettings:
    """What a file has to hold, and what is measured of it. UnfreezeError where a value is not in its range."""

    margin: float = MARGIN  # points of accuracy that may be lost
    tolerance: float = TOLERANCE  # largest difference of a float32 file's probabilities
    threads: Sequence[int] | None = None  # how many each runtime is timed with; None: 1 and all; (): no times
    layers: bool = False  # compare all files layer by layer, not only those that do not hold

    def __post_init__(self) -> None:
        check_margin(self.margin)
        if not _is_number(self.tolerance) or not 0 < self.tolerance < math.inf:
            raise UnfreezeError(
                f"tolerance is {self.tolerance!r}; give a positive difference of probabilities, such as 0.0001"
            )
        if self.threads is not None:
            if isinstance(self.threads, (str, int)) or not all(isinstance(one, int) for one in self.threads):
                raise UnfreezeError(f"threads is {self.threads!r}; give numbers of threads, such as (1, 4)")
            object.__setattr__(self, "threads", tuple(self.threads))
            if min(self.threads or (1,)) < 1:
                raise UnfreezeError(f"threads has {min(self.threads)}; a runtime needs one at least")


def check_margin(margin: float) -> None:
    """UnfreezeError where `margin` is no number of points of accuracy."""
    if not _is_number(margin) or not 0 < margin <= 100:
        raise UnfreezeError(f"margin is {margin!r}; give points of accuracy, above 0 and at most 100")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _as_names(record: ExportSettings, name: str) -> None:
    """A list of names as a tuple, before anybody has seen the record."""
    names = getattr(record, name)
    if names is None:
        return
    if isinstance(names, str) or not all(isinstance(one, str) for one in names):
        raise UnfreezeError(f"{name} is {names!r}; give names, as a list such as {[str(names)]}")
    object.__setattr__(record, name, tuple(names))


EXPORT, VERIFY = ExportSettings(), VerifySettings()
