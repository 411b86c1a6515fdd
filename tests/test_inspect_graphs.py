"""Precision, tensors and metadata read from the bytes of TFLite and ONNX files, against the view of the runtimes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16

from export.formats.tflite import _quiet
from export.formats.tflite_metadata import attach
from export.inspect import onnx_graph, tflite_graph
from tests.calibrate import shake
from tests.elsewhere import Images, classifier, to_onnx, to_tflite

PRECISIONS = {
    "plain.tflite": "float32",
    "half.tflite": "float16",
    "dynamic.tflite": "dynamic",
    "int8.tflite": "int8",
    "float_ends.tflite": "int8",
    "uint8_ends.tflite": "int8",
    "int16x8.tflite": "int16x8",
    "plain.onnx": "float32",
    "half.onnx": "float16",
    "dynamic.onnx": "dynamic",
    "weights_only.onnx": "dynamic",
    "qdq.onnx": "int8",
    "qoperator.onnx": "int8",
    "int16x8.onnx": "int16x8",
}
TFLITE = [name for name in PRECISIONS if name.endswith(".tflite")]


def quantised_tflite(model: keras.Model, images: np.ndarray, activations: str | None, ends: Any = tf.float32) -> bytes:
    """By TensorFlow's converter, from a Keras model. `activations`: None for dynamic range, "int8" or "int16"."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if activations:
        sets = tf.lite.OpsSet
        wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [wide if activations == "int16" else sets.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ([image[None]] for image in images)
        converter.inference_input_type = converter.inference_output_type = ends
    with _quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        return converter.convert()


def with_integer_weights(path: Path, source: Path) -> None:
    """Each kernel of a float ONNX file becomes int8 and a DequantizeLinear."""
    model = onnx.load(source)
    for tensor in [one for one in model.graph.initializer if len(one.dims) == 4]:
        array = onnx.numpy_helper.to_array(tensor)
        scale = np.abs(array).max() / 127
        small = [onnx.numpy_helper.from_array(np.rint(array / scale).astype(np.int8), f"{tensor.name}_int8")]
        small.append(onnx.numpy_helper.from_array(np.float32(scale), f"{tensor.name}_scale"))
        made = onnx.helper.make_node("DequantizeLinear", [one.name for one in small], [tensor.name])
        model.graph.initializer.remove(tensor)
        model.graph.initializer.extend(small)
        model.graph.node.insert(0, made)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (12, 32, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    keras.utils.set_random_seed(5)
    model = shake(classifier(), images)
    for name, kind in {"plain": "float32", "half": "float16", "int8": "int8"}.items():
        to_tflite(model, made / f"{name}.tflite", kind=kind, images=images)
    (made / "dynamic.tflite").write_bytes(quantised_tflite(model, images, None))
    (made / "float_ends.tflite").write_bytes(quantised_tflite(model, images, "int8"))
    (made / "uint8_ends.tflite").write_bytes(quantised_tflite(model, images, "int8", tf.uint8))
    (made / "int16x8.tflite").write_bytes(quantised_tflite(model, images, "int16"))
    plain = to_onnx(model, made / "plain.onnx")
    onnx.save(convert_float_to_float16(onnx.load(plain), keep_io_types=False), made / "half.onnx")
    quantize_dynamic(plain, made / "dynamic.onnx")
    with_integer_weights(made / "weights_only.onnx", plain)
    for name, how in {
        "qdq": {"per_channel": True},
        "qoperator": {"quant_format": QuantFormat.QOperator},
        "int16x8": {"activation_type": QuantType.QInt16, "weight_type": QuantType.QInt8},
    }.items():
        quantize_static(plain, made / f"{name}.onnx", Images(images), **how)
    return made


@pytest.mark.parametrize("name", PRECISIONS)
def test_precision(name: str, folder: Path) -> None:
    path = folder / name
    is_onnx = path.suffix == ".onnx"
    assert (onnx_graph.precision(path) if is_onnx else tflite_graph.precision(path.read_bytes())) == PRECISIONS[name]


@pytest.mark.parametrize("name", TFLITE)
def test_tensors_are_those_of_the_runtime(name: str, folder: Path) -> None:
    file = tflite_graph.read_graph((folder / name).read_bytes())
    runtime = Interpreter(str(folder / name))
    for got, wanted in (
        (file.graphs[0].inputs, runtime.get_input_details()),
        (file.graphs[0].outputs, runtime.get_output_details()),
    ):
        assert len(got) == len(wanted) == 1
        for tensor, details in zip(got, wanted, strict=True):
            assert tensor.name == details["name"]
            assert tensor.dtype == np.dtype(details["dtype"]).name
            assert tensor.shape == tuple(details["shape"])
            assert tensor.signature == tuple(details["shape_signature"])
            assert (tensor.scale or 0.0, tensor.zero_point or 0) == pytest.approx(details["quantization"])
    details = {one["index"]: one for one in runtime.get_tensor_details()}
    constants = [(number, one) for number, one in enumerate(file.graphs[0].tensors) if one.constant]
    assert constants
    for number, tensor in constants:
        assert details[number]["name"] == tensor.name
        assert len(details[number]["quantization_parameters"]["scales"]) == tensor.scales
        assert np.prod(tensor.shape, dtype=int) * np.dtype(details[number]["dtype"]).itemsize == tensor.bytes
    operators = [one["op_name"] for one in runtime._get_ops_details() if one["op_name"] != "DELEGATE"]
    assert [one.name for one in file.graphs[0].operators] == operators


def described(names: list[str]) -> dict[str, Any]:
    """As much of a description as the metadata are made of."""
    return {
        "class_names": names,
        "input": {"name": "photograph", "shape": ["batch", 0, 0, 3], "resize": "bilinear"},
        "output": {"name": "answer"},
        "unfreeze": "1",
        "license": "MIT",
    }


def test_labels_and_normalisation_are_read_from_the_metadata(folder: Path) -> None:
    content = (folder / "plain.tflite").read_bytes()
    assert tflite_graph.input_metadata(content) == (None, None)
    names = ["Katze", "großer Hund 🐕", "a, b"]
    assert tflite_graph.input_metadata(attach(content, described(names))) == (tuple(names), ((0.0,), (1.0,)))
    assert tflite_graph.precision(attach(content, described(names))) == "float32"


def test_a_constant_that_ends_beyond_the_file_is_refused(folder: Path) -> None:
    content = bytearray((folder / "plain.tflite").read_bytes())
    largest = max(tflite_graph.read_graph(bytes(content)).graphs[0].tensors, key=lambda tensor: tensor.bytes)
    assert int.from_bytes(content[largest.start - 4 : largest.start], "little") == largest.bytes
    content[largest.start - 4 : largest.start] = len(content).to_bytes(4, "little")
    with pytest.raises(ValueError, match="ends beyond the file"):
        tflite_graph.read_graph(bytes(content))


def test_a_file_that_was_cut_is_refused_or_read(folder: Path) -> None:
    """At no length does anything but ValueError come."""
    content = attach((folder / "int8.tflite").read_bytes(), described(["a", "b"]))
    refused = 0
    for length in range(0, len(content), 37):
        try:
            tflite_graph.precision(content[:length])
            tflite_graph.input_metadata(content[:length])
        except ValueError:
            refused += 1
    assert refused > len(content) / 37 / 4
