"""The search space: head size, dropout and unfreeze depth, each a finite list of values, as KerasTuner's Choices.

So its points can be listed, and no point has to be tried twice. `tuning.oracles` decides which one comes next.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import keras_tuner

from toolkit.models.spec import POINT, ModelSpec
from toolkit.settings import Settings

Values = dict[str, Any]  # a hyperparameter's name -> its value, as KerasTuner stores them with a trial


def hyperparameters(settings: Settings) -> keras_tuner.HyperParameters:
    """The space of a search, each hyperparameter an ordered Choice."""
    space = keras_tuner.HyperParameters()
    for name in POINT:
        space.Choice(name, list(getattr(settings, name)), ordered=True)
    return space


def model_spec(settings: Settings, classes: int, point: keras_tuner.HyperParameters) -> ModelSpec:
    """The architecture of a point."""
    return settings.spec(classes, *(point.get(name) for name in POINT))


def all_points(space: keras_tuner.HyperParameters) -> Iterator[Values]:
    """Every point of a space of Choices once. The first one has the defaults; the last hyperparameter changes
    fastest."""
    columns = [sorted(choice.values, key=lambda value: value != choice.default) for choice in space.space]
    for values in product(*columns):
        yield {choice.name: value for choice, value in zip(space.space, values, strict=True)}


def draw(space: keras_tuner.HyperParameters, rng: random.Random) -> Values:
    """One point at random, all equally likely."""
    return {choice.name: choice.prob_to_value(rng.random()) for choice in space.space}


def coordinates(space: keras_tuner.HyperParameters, values: Values) -> list[float]:
    """The coordinates of a point in the unit cube, float [D]: the values of a Choice are evenly spaced in their order.

    Raises KeyError or ValueError if it is not a point of this space.
    """
    return [float(choice.value_to_prob(values[choice.name])) for choice in space.space]
