"""SavedModel -> TFLite with built-in operations only, its description and labels inside.

The labels and the metadata are in the form that MediaPipe Tasks and Android Studio read:
`export.formats.tflite_metadata`.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from export.formats.saved_model import SIGNATURE
from export.formats.tflite_metadata import attach
from toolkit.errors import UnfreezeError
from toolkit.process.quiet import hushed
from toolkit.storage.files import atomic


def write_tflite(saved_model: Path, path: Path, description: dict[str, Any], precision: str = "float32") -> None:
    """Write `path`: one signature, `image` [N, S, S, channels] as the SavedModel takes it -> float32 [N, C]
    `probabilities`.

    `precision`: "float32"; "float16", weights only; "dynamic", int8 weights and float activations. An operation that
    TFLite lacks fails here, at conversion, and not on the device: TensorFlow's own are not allowed.
    """
    converter = _converter(saved_model)
    # per channel, a dense layer needs a runtime of 2.17; per tensor, its file is smaller and runs in 2.14 (and answers
    # as well: benchmarks/RESULTS.md)
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    _write(path, converter.convert, description)


def write_tflite_int8(saved_model: Path, path: Path, description: dict[str, Any], images: np.ndarray) -> None:
    """The same in int8 throughout, of a SavedModel that takes float pixels: weights per channel, activations calibrated
    (min-max) on `images`, uint8 [N, S, S, channels].

    Raises UnfreezeError if its uint8 input would not be the pixels as they are.
    """
    converter = _calibrated(saved_model, _whole_range(images).astype(np.float32))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    _write(path, converter.convert, description)
    scale, zero = Interpreter(str(path)).get_input_details()[0]["quantization"]
    if (round(scale, 6), zero) != (1.0, 0):
        raise UnfreezeError(f"its pixels would have to be scaled by {scale} and shifted by {zero}")


def write_tflite_int16x8(saved_model: Path, path: Path, description: dict[str, Any], images: np.ndarray) -> None:
    """Write `path` with int8 weights and 16-bit activations, of a SavedModel that takes uint8, calibrated on `images`,
    uint8 [N, S, S, channels]. The first operations stay in float: TFLite cannot turn uint8 into 16-bit activations."""
    converter = _calibrated(saved_model, images)
    int16x8 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [int16x8, tf.lite.OpsSet.TFLITE_BUILTINS]
    _write(path, converter.convert, description)


def write_tflite_partly_int8(
    saved_model: Path, path: Path, description: dict[str, Any], images: np.ndarray, keep: Sequence[str]
) -> None:
    """Write `path` in int8, of a SavedModel that takes uint8, with some operations in float: those that compute the
    tensors `keep`, named as in the float32 file. Only TensorFlow's QuantizationDebugger can leave operations out."""
    converter = _calibrated(saved_model, images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    answer = description["output"]["name"]  # which the last rewriting gives; the converter has another
    nodes = [_own_output_name(saved_model) if name == answer else name for name in keep]
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=nodes)

    def convert() -> bytes:
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=converter.representative_dataset, debug_options=options
        )
        return debugger.get_nondebug_quantized_model()

    _write(path, convert, description)


def _own_output_name(saved_model: Path) -> str:
    """What the converter calls the output."""
    with _quiet():
        content = _converter(saved_model).convert()
    (result,) = Interpreter(model_content=content).get_output_details()
    return str(result["name"])


def _calibrated(saved_model: Path, images: np.ndarray) -> Any:
    converter = _converter(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ({"image": image[np.newaxis]} for image in images)
    return converter


def _whole_range(images: np.ndarray) -> np.ndarray:
    """The images with a black and a white pixel, so that the input's scale is 1 and pixels are taken as they are."""
    images = images.copy()
    images[0, 0, 0], images[0, 0, 1] = 0, 255
    return images


def _converter(saved_model: Path) -> Any:
    return tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=[SIGNATURE])


def _write(path: Path, convert: Callable[[], bytes], description: dict[str, Any]) -> None:
    with _quiet():
        content = convert()
    with atomic(path) as temporary:
        temporary.write_bytes(attach(content, description))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the converter's messages: it prints its options, and the interpreter that it calibrates with warns that
    it is deprecated."""
    with hushed(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"[\s\S]*tf.lite.Interpreter is deprecated")
        yield
