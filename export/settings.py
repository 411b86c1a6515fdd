"""The settings of an export and of its verification, with their defaults. Nothing heavy is imported."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from export.limits import NO_LIMITS, Limits
from export.variants import Variant, choose_variants
from toolkit.checks import Number, Rule, as_tuple, at_least, check
from toolkit.data.settings import DataSettings
from toolkit.errors import UnfreezeError
from toolkit.process.cores import cores

MARGIN = 0.5  # points of accuracy that an artefact may lose, where there are images enough to show it
MAX_FLIPS = 10.0  # per cent of its answers that may be others than the model's
TOLERANCE = 1e-4  # largest difference of a float32 artefact's probabilities
CALIBRATION = 200  # training images that set the ranges of int8

MARGIN_RULE = Rule(Number, "points of accuracy, above 0 and at most 100", lambda value: 0 < value <= 100, optional=True)
EXPORT_RULES = {
    "formats": Rule(str, "names of formats, such as ('onnx', 'tflite')", each=True, optional=True),
    "precisions": Rule(str, "names of precisions, such as ('float32', 'int8')", each=True, optional=True),
    "calibration": at_least(1),
    "float_layers": Rule(str, "names of layers, such as ('head',)", each=True),
    "margin": MARGIN_RULE,
    "license": Rule(str, "its name as text, such as 'MIT'", optional=True),
    "reject_below": Rule(
        Number, "a probability from 0 to below 1, such as 0.8; 0: none", lambda value: 0 <= value < 1, optional=True
    ),
    "wanted_accuracy": Rule(
        Number, "a share between 0 and 1, such as 0.99", lambda value: 0 < value < 1, optional=True
    ),
    "within": Rule(Limits, "Limits"),
}
VERIFY_RULES = {
    "margin": MARGIN_RULE,
    "tolerance": Rule(
        Number, "a positive difference of probabilities, such as 0.0001", lambda value: 0 < value < math.inf
    ),
    "threads": Rule(
        int, "numbers of threads, each 1 or more, such as (1, 4)", lambda value: value >= 1, each=True, optional=True
    ),
    "layers": Rule(bool, "True or False"),
    "retrained": Rule(bool, "True or False"),
    "reading": Rule(DataSettings, "a DataSettings", optional=True),
    "evidence": Rule((str, Path), "the path of a folder", optional=True),
    "max_flips": Rule(Number, "per cent of the answers, from 0 to 100", lambda value: 0 <= value <= 100),
}
CONVERSION_RULES = {
    "pixels": Rule(str, "a range such as '0..255', or MEAN/STD", optional=True),
    "image_size": Rule(int, "pixels, 1 or more", lambda value: value >= 1, optional=True),
    "output": Rule(str, "the name of an output", optional=True),
    "labels": Rule((tuple, list, Path), "a list of class names, or the Path of a file of them", optional=True),
}


@dataclass(frozen=True)
class Conversion:
    """How a model from elsewhere takes images, and what its answers mean, as far as its file does not say. Raises
    UnfreezeError if a value has the wrong type."""

    pixels: str | None = None  # a name of `PIXELS`, or MEAN/STD (`toolkit.pixels.pixel_range`); None: as the file says
    image_size: int | None = None  # side in pixels, for a file that takes any size
    output: str | None = None  # name of the output that gives the classes, for a file with several
    labels: Path | Sequence[str] | None = None  # class names in the model's order, or the path of a file of them

    def __post_init__(self) -> None:
        check(self, CONVERSION_RULES)
        if isinstance(self.labels, list):
            object.__setattr__(self, "labels", tuple(self.labels))


@dataclass(frozen=True)
class ExportSettings:
    """Which files an export writes, and how. A single name stands for a tuple of one. Raises UnfreezeError if a value
    has the wrong type or range, or if no file has this format and precision."""

    formats: Sequence[str] | None = None  # names of `export.variants.FORMATS`; None: all
    precisions: Sequence[str] | None = None  # names of `export.variants.PRECISIONS`; None: all
    calibration: int = CALIBRATION  # training images whose activations set the ranges of int8
    float_layers: Sequence[str] = ()  # layers of the model that int8 files keep in float
    margin: float | None = None  # points that an int8 file may lose, else other ways are tried; None: MARGIN
    license: str | None = None  # written into every file; None: not stated, or the licence of the files that stay
    # an image is unsure if its top probability is below it; None: that of earlier files of the same model, else 0
    reject_below: float | None = None
    wanted_accuracy: float | None = None  # in its place: of what is answered; `export.threshold` chooses by it
    # a way to int8 whose file breaks them is kept only if all do; NO_LIMITS: those by which the run's model was taken
    within: Limits = NO_LIMITS

    def __post_init__(self) -> None:
        check(self, EXPORT_RULES)
        choose_variants(self.formats, self.precisions)
        if self.reject_below is not None and self.wanted_accuracy is not None:
            raise UnfreezeError("reject_below and wanted_accuracy both set the threshold: give one of them")

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The files that are asked for."""
        return choose_variants(self.formats, self.precisions)

    def to_json(self) -> dict[str, Any]:
        """As it is stored in the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ExportSettings:
        """What `to_json` gave. Raises TypeError for an unknown field and UnfreezeError for a wrong value."""
        return cls(**values | {"within": Limits(**values.get("within", {}))})


@dataclass(frozen=True)
class VerifySettings:
    """The limits that a file is held to, and what is measured. Raises UnfreezeError if a value has the wrong type or
    range."""

    margin: float | None = None  # points of accuracy that may be lost; None: as many as the images can show
    tolerance: float = TOLERANCE  # largest difference of a float32 file's probabilities
    threads: Sequence[int] | int | None = None  # counts for the timing; None: 1 and all; (): no timing
    layers: bool = False  # compare all files layer by layer, not only those that do not hold
    max_flips: float = MAX_FLIPS  # per cent of the answers that may be others than the model's
    evidence: Path | str | None = None  # a folder of more images, which need no labels
    retrained: bool = False  # the files are other models on purpose: judged by accuracy and flips alone
    reading: DataSettings | None = None  # how a CSV of images is read, where there is no run

    def __post_init__(self) -> None:
        check(self, VERIFY_RULES)

    @property
    def thread_counts(self) -> tuple[int, ...]:
        """The numbers of threads that each runtime is timed with."""
        return tuple(sorted({1, cores()})) if self.threads is None else as_tuple(self.threads)


EXPORT, VERIFY, AS_IN_THE_FILE = ExportSettings(), VerifySettings(), Conversion()
