"""Every part of the caller's is tried out before anything is trained, so that a fault of one shows at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from toolkit.errors import UnfreezeError
from toolkit.models.build import build_model
from toolkit.models.spec import ModelSpec
from toolkit.own.augmentation import check_augment
from toolkit.own.calls import PartError, blamed
from toolkit.own.head import check_head
from toolkit.own.parts import Own
from toolkit.own.space import own_space, values_of
from toolkit.run import Run
from toolkit.training.recipe import recipe

POINTS = 16  # that are tried
IMAGES = 8  # made-up answers, on which loss and metrics are tried
FILES = 8  # points whose head is written to a file and read again


@contextmanager
def refused() -> Iterator[None]:
    """Turn a PartError into an UnfreezeError, which ends the command. The cause stays that of the part's error."""
    try:
        yield
    except PartError as error:
        raise UnfreezeError(str(error)) from (error.__cause__ or error)


def try_out(run: Run, spec: ModelSpec, features: int, values: Mapping[str, Any], own: Mapping[str, Sequence]) -> None:
    """Raises UnfreezeError if a part fails. Every value of each hyperparameter is tried once, so many points as the
    longest list has, but not more than POINTS; others are tried by their trials alone. Beyond the first point a
    function may raise: not every combination need be possible, and a trial at such a point fails alone.

    `features`: channels of the pooled features. `values`: a point. `own`: the caller's hyperparameters, with all their
    values.
    """
    with refused():
        check_augment(run.own.augment, (spec.image_size, spec.image_size, spec.channels))
        for number in range(min(POINTS, max(map(len, own.values()), default=1))):
            point = dict(values) | {name: several[number % len(several)] for name, several in own.items()}
            try:
                check_head(run.own, spec, features, point, run.path if number < FILES else None)
                _try_recipe(run, spec.classes, point)
            except PartError as error:
                if number == 0 or isinstance(error.__cause__, (UnfreezeError, type(None))):  # it gave something wrong
                    raise


def try_out_single(run: Run, spec: ModelSpec) -> dict[str, Any]:
    """The same for a single training. Returns the caller's hyperparameters, which have one value each. Raises
    UnfreezeError if one has more."""
    own = single_values(run.own)
    features = build_model(spec).get_layer("pool").output.shape[-1] if run.own.head else 1  # which only a head sees
    try_out(run, spec, features, asdict(spec.point), {name: (value,) for name, value in own.items()})
    return own


def single_values(own: Own) -> dict[str, Any]:
    """The value of each of the caller's hyperparameters. Raises UnfreezeError if one has several."""
    with refused():
        values = values_of(own_space(own))
    several = [name for name, its in values.items() if len(its) > 1]
    if several:
        raise UnfreezeError(
            f"train makes one model, and the space of your own has several values of {', '.join(several)}; give one "
            "each, as hp.Fixed does, or search with tune"
        )
    return {name: its[0] for name, its in values.items()}


def _try_recipe(run: Run, classes: int, point: Mapping[str, Any]) -> None:
    """Loss and metrics on made-up answers, one step of the optimizer."""
    how, rng = recipe(run.settings.at(point), run.own, point), np.random.default_rng(0)
    labels = np.arange(IMAGES, dtype=np.int32) % classes
    answers = rng.dirichlet(np.ones(classes), IMAGES).astype(np.float32)
    how.losses(tf.constant(labels), tf.constant(answers))
    how.metrics(labels, answers)
    if run.own.optimizer is None:
        return
    for rate in (run.settings.head_rate, keras.optimizers.schedules.CosineDecay(run.settings.tune_rate, 10)):
        optimizer, variable = how.optimizer(rate), keras.Variable(np.ones((2, 2), np.float32))
        with blamed("optimizer", run.own.optimizer):
            optimizer.build([variable])
            optimizer.apply([tf.ones((2, 2))], [variable])
