"""The search space: head size, dropout and unfreeze depth -> KerasTuner's HyperParameters, and back to a ModelSpec."""

from __future__ import annotations

import keras_tuner

from toolkit.models.spec import POINT, ModelSpec
from toolkit.settings import Settings


def hyperparameters(settings: Settings) -> keras_tuner.HyperParameters:
    """Each of the three as an ordered choice: the space is finite, so points can be counted and never repeat."""
    space = keras_tuner.HyperParameters()
    for name in POINT:
        space.Choice(name, list(getattr(settings, name)), ordered=True)
    return space


def spec_of(settings: Settings, classes: int, point: keras_tuner.HyperParameters) -> ModelSpec:
    """The architecture of one point."""
    return settings.spec(classes, *(point.get(name) for name in POINT))
