"""Answers that others are compared with are computed without TF32, which keeps 10 bits of a float32's mantissa.

The CPU has no TF32, so the tests ask for TensorFlow's setting at the moment at which a layer computes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.config import experimental

from export.foreign import adopt
from export.formats.onnx import write_onnx
from export.formats.saved_model import write_saved_model
from export.proof.layers import layer_errors
from export.runtimes.loaders import keras as keras_loader
from export.runtimes.runners import load
from export.runtimes.tensors import Tensor
from toolkit.process.tf32 import without_tf32
from toolkit.settings import Settings
from toolkit.training.answers import probabilities
from toolkit.training.batches import Part, unaugmented
from toolkit.training.fit import fit
from toolkit.training.folds import Turns, as_folds
from tuning.activations.prefix import in_tensorflow

IMAGES = np.zeros((3, 8, 8, 3), np.uint8)


class Asks(keras.layers.Layer):
    """Changes nothing, and writes down TensorFlow's setting each time it computes."""

    seen: ClassVar[list[tuple[bool, bool]]] = []  # (whether it was training, whether TF32 was on)

    def call(self, x, training=False):
        def ask() -> None:
            self.seen.append((bool(training), experimental.tensor_float_32_execution_enabled()))

        tf.py_function(ask, [], [])
        return x


@pytest.fixture
def model() -> keras.Model:
    image = keras.Input((8, 8, 3), dtype="uint8", name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    answer = keras.layers.Dense(2, activation="softmax", name="probabilities")(Asks()(x))
    made = keras.Model(image, answer)
    Asks.seen = []
    return made


@pytest.fixture(autouse=True, params=[True, False], ids=["on before", "off before"])
def before(request: pytest.FixtureRequest) -> Iterator[None]:
    """What was set is set again afterwards, whatever it was."""
    default = experimental.tensor_float_32_execution_enabled()
    experimental.enable_tensor_float_32_execution(request.param)
    yield
    left = experimental.tensor_float_32_execution_enabled()
    experimental.enable_tensor_float_32_execution(default)
    assert left is request.param


def test_probabilities(model: keras.Model) -> None:
    probabilities(model, IMAGES)
    assert Asks.seen == [(False, False)]


def test_the_frozen_prefix(model: keras.Model) -> None:
    in_tensorflow(model)(IMAGES)
    assert Asks.seen == [(False, False)]


def test_training_keeps_what_is_set_and_its_validation_does_not(model: keras.Model) -> None:
    enabled, part = experimental.tensor_float_32_execution_enabled(), unaugmented(Part(IMAGES, np.zeros(3, np.int32)))
    settings = Settings(weights="none", batch_size=3)
    folds = as_folds(part, part)
    fit(model, keras.optimizers.Adam(), folds, settings, epochs=range(1), callbacks=[], turns=Turns(model))
    assert Asks.seen == [(True, enabled), (False, False)]


def test_a_model_from_elsewhere(model: keras.Model) -> None:
    adopt._raw_answers(model, "model", IMAGES.astype(model.inputs[0].dtype), "0..255")
    keras_loader.loaded_model(model, None).call(IMAGES.astype(model.inputs[0].dtype))
    assert set(Asks.seen) == {(False, False)}


def test_the_comparison_of_layers(model: keras.Model) -> None:
    layer_errors(model, IMAGES, [Tensor("probabilities", probabilities(model, IMAGES))])
    assert len(Asks.seen) > 1
    assert set(Asks.seen) == {(False, False)}


def test_the_gate_of_an_onnx_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = keras.Input((8, 8, 3), dtype="uint8", name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    model, seen = keras.Model(image, keras.layers.Dense(2, name="probabilities")(x)), []
    computes = keras.Model.__call__

    def ask(self, inputs, **kwargs):
        if isinstance(inputs, np.ndarray):
            seen.append(experimental.tensor_float_32_execution_enabled())
        return computes(self, inputs, **kwargs)

    monkeypatch.setattr(keras.Model, "__call__", ask)
    write_onnx(model, tmp_path / "model.onnx", {}, IMAGES)
    assert seen == [False]


def test_a_saved_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = keras.Input((8, 8, 3), dtype="uint8", name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, keras.layers.Dense(2, name="probabilities")(x))
    write_saved_model(model, tmp_path / "saved", {"class_names": ["a", "b"]})
    (tmp_path / "saved" / "unfreeze.json").unlink()
    runner, seen, make = load(tmp_path / "saved"), [], tf.constant

    def ask(value):  # the runner makes its input where it calls the signature
        seen.append(experimental.tensor_float_32_execution_enabled())
        return make(value)

    monkeypatch.setattr(tf, "constant", ask)
    runner.predict(IMAGES)
    assert seen == [False]


def test_an_exception_restores_it() -> None:
    enabled = experimental.tensor_float_32_execution_enabled()
    with pytest.raises(ZeroDivisionError), without_tf32():
        raise ZeroDivisionError
    assert experimental.tensor_float_32_execution_enabled() is enabled


def test_blocks_in_two_threads_that_overlap() -> None:
    """Whichever ends first, TF32 stays off in the other one, and the last restores what was set before the first."""
    entered, leave, seen = threading.Event(), threading.Event(), []

    def other() -> None:
        with without_tf32():
            entered.set()
            leave.wait(10)
            seen.append(experimental.tensor_float_32_execution_enabled())

    thread = threading.Thread(target=other)
    with without_tf32():
        thread.start()
        entered.wait(10)
    leave.set()
    thread.join()
    assert seen == [False]
