"""Cuts of functional graphs against their definition, and stages. `test_backbones` compares them with the table."""

from __future__ import annotations

import random

import keras
import pytest
from keras import layers

from toolkit.models.cuts import find_cuts, find_stages


def drawn(rng: random.Random) -> keras.Model:
    """A graph of up to 14 operations, each of which reads one or two of the last tensors."""
    image = keras.Input((8, 8, 3))
    tensors = [layers.Conv2D(4, 1)(image)]
    for _ in range(rng.randint(1, 12)):
        recent = tensors[-rng.randint(1, 4) :]
        if rng.random() < 0.4:
            tensors.append(layers.Add()([rng.choice(recent), rng.choice(recent)]))
        else:
            tensors.append(layers.Conv2D(4, 1)(rng.choice(recent)))
    return keras.Model(image, tensors[-1])


def reaches_without(model: keras.Model, name: str) -> bool:
    """Whether a path goes from the input to the output around the operation `name`."""
    seen, waiting = set(), [model.output]
    while waiting:
        operation = waiting.pop()._keras_history.operation
        if operation.name == name or operation.name in seen:
            continue
        seen.add(operation.name)
        if isinstance(operation, layers.InputLayer):
            return True
        waiting += keras.tree.flatten(operation.input)
    return False


@pytest.mark.parametrize("seed", range(40))
def test_a_cut_is_on_every_path(seed: int) -> None:
    model = drawn(random.Random(seed))
    inner = [one.name for one in model.operations if not isinstance(one, layers.InputLayer)]
    cuts = find_cuts(model)
    assert set(cuts) == {name for name in inner if not reaches_without(model, name)}
    assert cuts[-1] == model.output._keras_history.operation.name


def test_a_layer_that_is_used_twice_is_on_one_side() -> None:
    image = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    model = keras.Model(image, layers.Conv2D(3, 3, name="last")(shared(layers.ReLU(name="relu")(shared(image)))))
    assert find_cuts(model) == ["last"]


def test_stages_of_a_plain_chain_are_its_convolutions() -> None:
    chain = [keras.Input((32, 32, 3)), layers.Rescaling(1 / 255, name="scale")]
    for n in (1, 2, 3):
        chain += [layers.Conv2D(4, 3, name=f"conv{n}"), layers.ReLU(name=f"relu{n}"), layers.MaxPooling2D(name=f"p{n}")]
    assert find_stages(keras.Sequential(chain)) == ("p2", "p1")


def test_stages_of_unnamed_inverted_bottlenecks() -> None:
    """Each is one stage, with and without a residual, gated or not."""
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, padding="same")(image)
    ends = []
    for residual, gated in ((False, False), (True, False), (False, True), (True, True)):
        y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 1)(x)))
        y = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(y)))
        if gated:
            squeezed = layers.GlobalAveragePooling2D(keepdims=True)(y)
            y = layers.Multiply()([y, layers.Conv2D(16, 1, activation="sigmoid")(layers.Conv2D(4, 1)(squeezed))])
        y = layers.BatchNormalization()(layers.Conv2D(8, 1)(y))
        x = layers.Add()([x, y]) if residual else y
        ends.append(x._keras_history.operation.name)
    model = keras.Model(image, layers.ReLU()(layers.Conv2D(32, 1)(x)))
    assert find_stages(model) == tuple(reversed(ends[:-1]))


@pytest.mark.parametrize(("count", "stages"), [(20, 19), (21, 10), (60, 19), (61, 15)])
def test_there_are_at_most_twenty_stages(count: int, stages: int) -> None:
    chain = [keras.Input((8, 8, 3)), *(layers.Conv2D(3, 1, name=f"conv{n}") for n in range(count))]
    assert len(find_stages(keras.Sequential(chain))) == stages
