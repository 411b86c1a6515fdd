"""Hyperparameters of the caller's, as Choices of KerasTuner: each a finite list of values, so that no point is tried
twice."""

from __future__ import annotations

import math
from typing import Any

import keras_tuner

from toolkit.errors import UnfreezeError
from toolkit.models.spec import POINT
from toolkit.own.calls import blamed, named
from toolkit.own.parts import Own
from toolkit.settings import Settings

MOST = 1000  # values of one hyperparameter
KINDS = ("Choice", "Boolean", "Fixed", "Int", "Float")
DIGITS = 12  # of a float that is a sum of steps: 0.1 + 0.2 is 0.3
COLUMNS = (  # of trials.csv, beside the settings
    *("trial", "status", "val_loss", "val_accuracy", "best_epoch", "best_stage", "parameters", "seconds", "message"),
    *("parent", "mark", "score", "fold_spread", "varied", "backbones", "image_sizes"),
)


def own_space(own: Own) -> keras_tuner.HyperParameters:
    """The Choices; none without a `space` of the caller's. Raises PartError if that raises, UnfreezeError if a name is
    taken, or if a hyperparameter has no finite list of values."""
    made = keras_tuner.HyperParameters()
    if own.space is None:
        return made
    asked = keras_tuner.HyperParameters()
    with blamed("space", own.space):
        own.space(asked)
    for one in asked.space:
        _check(one, named("space", own.space))
        values = _values(one, named("space", own.space))
        made.Choice(one.name, values, default=one.default if one.default in values else values[0])
    return made


def values_of(space: keras_tuner.HyperParameters) -> dict[str, tuple]:
    """The values of each hyperparameter."""
    return {one.name: tuple(one.values) for one in space.space}


def _check(one: Any, what: str) -> None:
    taken = {*Settings.__dataclass_fields__, *COLUMNS, *POINT}
    if one.name in taken:
        raise UnfreezeError(f"{what} names a hyperparameter {one.name!r}, which Unfreeze has itself; give another name")
    if not one.name.isidentifier():
        raise UnfreezeError(f"{what} names a hyperparameter {one.name!r}; give letters, digits and _ only")
    if type(one).__name__ not in KINDS:
        raise UnfreezeError(f"{what}: {one.name} is a {type(one).__name__}; give one of {', '.join(KINDS)}")
    if one.conditions:
        raise UnfreezeError(f"{what}: {one.name} depends on another hyperparameter; give it at the top level")


def _values(one: Any, what: str) -> list[Any]:
    kind = type(one).__name__
    if kind in ("Choice", "Fixed", "Boolean"):
        return {"Choice": lambda: list(one.values), "Fixed": lambda: [one.value]}.get(kind, lambda: [False, True])()
    if one.step is None:
        raise UnfreezeError(
            f"{what}: {one.name} is a {kind} without a step, which has no finite list of values; give step=, with "
            "sampling='log' a factor, or a Choice"
        )
    count = _count(one)
    if count > MOST:
        raise UnfreezeError(f"{what}: {one.name} has {count:,} values, at most {MOST:,}; give a larger step")
    exact = [_at(one, number) for number in range(count)]
    return [int(value) if kind == "Int" else float(f"{value:.{DIGITS}g}") for value in exact]


def _count(one: Any) -> int:
    """KerasTuner's own count leaves out the last value where the steps do not add up exactly: 1 // 0.2 is 4."""
    if one.sampling == "linear":
        return math.floor((one.max_value - one.min_value) / one.step + 1e-8) + 1
    return math.floor(math.log(one.max_value / one.min_value, one.step) + 1e-8) + 1


def _at(one: Any, number: int) -> float:
    """The value with this number, as KerasTuner defines it."""
    if one.sampling == "linear":
        return float(one.min_value + number * one.step)
    value = one.min_value * one.step**number
    return float(value if one.sampling == "log" else one.max_value + one.min_value - value)
