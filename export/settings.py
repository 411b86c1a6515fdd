"""What an export and its proof are asked for, with the defaults of both. Nothing heavy is imported."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from export.variants import Variant, choose_variants
from toolkit.checks import Number, Rule, as_tuple, at_least, check

MARGIN = 0.5  # points of accuracy that an artefact may lose
TOLERANCE = 1e-4  # largest difference of a float32 artefact's probabilities
CALIBRATION = 200  # training images that set the ranges of int8
PIXELS = ("0..255", "0..1", "-1..1", "imagenet", "caffe")  # ranges of values that models from elsewhere take

MARGIN_RULE = Rule(Number, "points of accuracy, above 0 and at most 100", lambda value: 0 < value <= 100)
EXPORT_RULES = {
    "formats": Rule(str, "names of formats, such as ('onnx', 'tflite')", each=True),
    "precisions": Rule(str, "names of precisions, such as ('float32', 'int8')", each=True),
    "calibration": at_least(1),
    "float_layers": Rule(str, "names of layers, such as ('head',)", each=True),
    "margin": MARGIN_RULE,
    "license": Rule((str, type(None)), "its name as text, such as 'MIT'"),
}
OPTIONAL = ("formats", "precisions", "threads")  # fields that may be None
VERIFY_RULES = {
    "margin": MARGIN_RULE,
    "tolerance": Rule(
        Number, "a positive difference of probabilities, such as 0.0001", lambda value: 0 < value < math.inf
    ),
    "threads": Rule(int, "numbers of threads, each 1 or more, such as (1, 4)", lambda value: value >= 1, each=True),
    "layers": Rule(bool, "True or False"),
}


@dataclass(frozen=True)
class ExportSettings:
    """Which files an export writes, and how. A single name stands for a tuple of one. UnfreezeError where a value is
    not of its kind or range, or where there is no such file."""

    formats: tuple[str, ...] | None = None  # names of `export.variants.FORMATS`; None: all
    precisions: tuple[str, ...] | None = None  # names of `export.variants.PRECISIONS`; None: all
    calibration: int = CALIBRATION  # training images whose activations set the ranges of int8
    float_layers: tuple[str, ...] = ()  # layers of the model that int8 files keep in float
    margin: float = MARGIN  # points of accuracy that an int8 file may lose before it is made in another way
    license: str | None = None  # every file carries it; None: not stated, or that of the files that stay

    def __post_init__(self) -> None:
        _check(self, EXPORT_RULES)
        choose_variants(self.formats, self.precisions)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The files that are asked for."""
        return choose_variants(self.formats, self.precisions)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ExportSettings:
        """What `to_json` gave. TypeError where there is another field, UnfreezeError where a value is wrong."""
        return cls(**values)


@dataclass(frozen=True)
class VerifySettings:
    """What a file has to hold, and what is measured of it. UnfreezeError where a value is not of its kind or range."""

    margin: float = MARGIN  # points of accuracy that may be lost
    tolerance: float = TOLERANCE  # largest difference of a float32 file's probabilities
    threads: tuple[int, ...] | None = None  # how many each runtime is timed with; None: 1 and all; (): no times
    layers: bool = False  # compare all files layer by layer, not only those that do not hold

    def __post_init__(self) -> None:
        _check(self, VERIFY_RULES)


def _check(record: object, rules: dict[str, Rule]) -> None:
    """Make tuples of lists and of single values, then check all but what is None and may be."""
    checked = {name: rule for name, rule in rules.items() if name not in OPTIONAL or getattr(record, name) is not None}
    for name, rule in checked.items():
        if rule.each:
            object.__setattr__(record, name, as_tuple(getattr(record, name)))  # before anybody has seen the record
    check(record, checked)


EXPORT, VERIFY = ExportSettings(), VerifySettings()
