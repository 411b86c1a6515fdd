"""Models from elsewhere and what others' converters make of them, for the tests."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from onnxruntime.quantization import CalibrationDataReader

from export.formats.tflite import _quiet

SIZE = 32
Call = Callable[[Any], Any]


def classifier(size: int | None = SIZE, width: int | None = None, classes: int = 2) -> keras.Model:
    """Floats of -1 to 1 -> probabilities; flat, and with names of its own. `size`: None for any; `width`: None for a
    square."""
    layers = keras.layers
    x = entry = keras.Input((size, width or size, 3), name="photograph")
    for name, filters in {"first": 8, "second": 12, "third": 16}.items():
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name=name)(x)
        x = layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(entry, layers.Dense(classes, activation="softmax", name="answer")(x), name="elsewhere")


def fit_answer(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> None:
    """The last layer by least squares, so that most answers are right and none is certain."""
    pooled = keras.Model(model.input, model.get_layer("pool").output)(images).numpy()
    rows = np.concatenate([pooled, np.ones((len(pooled), 1))], axis=1)
    kernel = np.linalg.lstsq(rows.T @ rows + 0.01 * np.eye(rows.shape[1]), rows.T @ (2.0 * labels - 1))[0]
    model.get_layer("answer").set_weights([np.outer(kernel[:-1], [-1.5, 1.5]), kernel[-1] * np.array([-1.5, 1.5])])


def copied(model: keras.Model, layer: str, change: Callable[[np.ndarray], np.ndarray]) -> keras.Model:
    """With other weights in one layer."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.get_layer(layer).set_weights([change(array) for array in model.get_layer(layer).get_weights()])
    return copy


def signature(model: keras.Model, count: int | None = None) -> list[tf.TensorSpec]:
    return [tf.TensorSpec((count, *model.input_shape[1:]), tf.float32, name="photograph")]


def to_onnx(
    model: keras.Model,
    path: Path,
    call: Call | None = None,
    channels_first: bool = False,
    count: int | None = None,
) -> Path:
    """By tf2onnx alone."""
    function = tf.function(call or (lambda x: model(x, training=False)))
    first = ["photograph:0"] if channels_first else None
    with _quiet():
        tf2onnx.convert.from_function(
            function, input_signature=signature(model, count), opset=17, inputs_as_nchw=first, output_path=str(path)
        )
    return path


def to_tflite(
    model: keras.Model,
    path: Path,
    call: Call | None = None,
    kind: str = "float32",
    images: Sequence[Any] = (),
    count: int | None = None,
) -> Path:
    """By TensorFlow's converter alone. `kind`: "float32", "float16", "dynamic", or "int8" or "uint8" at both ends."""
    concrete = tf.function(
        call or (lambda x: model(x, training=False)), signature(model, count)
    ).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind in ("int8", "uint8"):
        converter.representative_dataset = lambda: ([image[None]] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(kind)
    with _quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")  # they come from the images
        path.write_bytes(converter.convert())
    return path


class Images(CalibrationDataReader):
    """For onnxruntime's calibration."""

    def __init__(self, images: np.ndarray) -> None:
        self.left = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self.left, None)
        return None if image is None else {"photograph": image[None]}
