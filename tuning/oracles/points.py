"""The distinct points of a search space: listed, drawn at random, and as coordinates.

A point holds a value for each active hyperparameter and for no other. Which point comes next is left to
`tuning.oracles.make`; what the names mean, to `tuning.space`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import keras_tuner

Point = dict[str, Any]  # hyperparameter's name -> value


def points(space: keras_tuner.HyperParameters) -> Iterator[Point]:
    """Every point once, the one of the defaults first, the last hyperparameter fastest.

    A continuous range stands with ten values spread evenly: see `continuous`.
    """
    return _extend({}, space.space)


def draw(space: keras_tuner.HyperParameters, rng: random.Random) -> Point:
    """One point, each value drawn from its hyperparameter's own distribution."""
    point: Point = {}
    for parameter in space.space:
        if _active(parameter, point):
            point[parameter.name] = parameter.prob_to_value(rng.random())
    return point


def continuous(space: keras_tuner.HyperParameters) -> bool:
    """Whether there are more points than can be listed."""
    return any(_continuous(parameter) for parameter in space.space)


def coordinates(space: keras_tuner.HyperParameters, point: Point) -> list[float]:
    """`point` in the unit cube, float [D]; an inactive hyperparameter lies at its default.

    Raises KeyError or ValueError where the point is not one of this space.
    """
    return [
        _coordinate(parameter, point[parameter.name] if _active(parameter, point) else parameter.default)
        for parameter in space.space
    ]


def _extend(point: Point, rest: list[Any]) -> Iterator[Point]:
    if not rest:
        yield point
        return
    parameter, *rest = rest
    if not _active(parameter, point):
        yield from _extend(point, rest)
        return
    for value in sorted(_values(parameter), key=lambda value: value != parameter.default):
        yield from _extend({**point, parameter.name: value}, rest)


def _active(parameter: Any, point: Point) -> bool:
    return all(condition.is_active(point) for condition in parameter.conditions)


def _continuous(parameter: Any) -> bool:
    return (
        isinstance(parameter, keras_tuner.engine.hyperparameters.Float)
        and parameter.step is None
        and parameter.min_value < parameter.max_value
    )


def _values(parameter: Any) -> list[Any]:
    if isinstance(parameter, keras_tuner.engine.hyperparameters.Int):
        if parameter.step is None:  # on a logarithmic scale: KerasTuner would list ten of them
            return list(range(parameter.min_value, parameter.max_value + 1))
        return [int(value) for value in parameter.values]  # KerasTuner lists floats on a logarithmic scale
    if isinstance(parameter, keras_tuner.engine.hyperparameters.Float):
        return sorted(set(parameter.values))
    return list(parameter.values)


def _coordinate(parameter: Any, value: Any) -> float:
    stepped = isinstance(parameter, keras_tuner.engine.hyperparameters.Float) and parameter.step is not None
    if stepped and parameter.sampling == "linear":
        value += parameter.step / 2  # KerasTuner floors: 0.5 // 0.1 is 4
    return float(parameter.value_to_prob(value))
