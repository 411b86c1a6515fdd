"""A fault that is planted in one layer is found there, whatever the converter has made of the names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest

from export.formats.onnx import write_onnx
from export.formats.saved_model import write_float_saved_model, write_saved_model
from export.formats.tflite import write_tflite, write_tflite_int8
from export.proof.layer_error import LayerError, first_divergent, threshold
from export.proof.layers import layer_errors, mentions
from export.runtimes.tensors import tensors
from tests.calibrate import calibrate_normalization, shake

SIZE = 24
DESCRIPTION = {
    "class_names": ["a", "b", "c"],
    "input": {"name": "image", "shape": ["batch", SIZE, SIZE, 3], "resize": "none"},
    "output": {"name": "probabilities"},
    "unfreeze": "0",
    "license": "none",
}
WEIGHTED = ("first", "deep", "narrow", "wide", "probabilities")


def images(count: int = 4) -> np.ndarray:
    """Coarse patches: the answers differ, and no layer sees noise alone."""
    rng = np.random.default_rng(5)
    return np.kron(rng.integers(0, 256, (count, 6, 6, 3)), np.ones((1, 4, 4, 1))).astype(np.uint8)


def classifier() -> keras.Model:
    """A convolution, a residual block with a depthwise one, and a head, with BatchNormalization behind each."""
    layers = keras.layers
    keras.utils.set_random_seed(2)
    entry = keras.Input((SIZE, SIZE, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 127.5, -1.0, name="normalise")(entry)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="first")(x)
    x = kept = layers.ReLU(6.0, name="first_relu")(layers.BatchNormalization(name="first_bn")(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="deep")(x)
    x = layers.ReLU(6.0, name="deep_relu")(layers.BatchNormalization(name="deep_bn")(x))
    x = layers.Conv2D(8, 1, use_bias=False, name="narrow")(x)
    x = layers.Add(name="add")([kept, layers.BatchNormalization(name="narrow_bn")(x)])
    x = layers.Conv2D(16, 1, use_bias=False, name="wide")(x)
    x = layers.ReLU(6.0, name="wide_relu")(layers.BatchNormalization(name="wide_bn")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(entry, layers.Dense(3, activation="softmax", name="probabilities")(x), name="small")
    calibrate_normalization(model, images(16))
    return shake(model, images(16))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return classifier()


def written(model: keras.Model, kind: str, folder: Path) -> Path:
    path = folder / f"model.{kind}"
    if kind == "onnx":
        write_onnx(model, path, {})
    else:
        write_saved_model(model, folder / "saved_model", DESCRIPTION)
        write_tflite(folder / "saved_model", path, DESCRIPTION)
    return path


def errors_of(model: keras.Model, path: Path) -> list[LayerError]:
    return layer_errors(model, images(), tensors(path, images()))


def scaled(model: keras.Model, layer: str) -> keras.Model:
    """A copy in which the kernel of one layer is 1.3 times what it was."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    kernel, *rest = copy.get_layer(layer).get_weights()
    copy.get_layer(layer).set_weights([kernel * 1.3, *rest])
    return copy


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_no_layer_of_a_good_file_stands_out(kind: str, model: keras.Model, tmp_path: Path) -> None:
    errors = errors_of(model, written(model, kind, tmp_path))
    assert first_divergent(errors, "float32") is None
    assert max(error.own for error in errors) < 1e-4
    named = [name for error in errors for name in error.layers]
    assert named == [name for name in named if name in {layer.name for layer in model.layers}]
    assert {"first", "deep", "narrow", "wide", "probabilities"} <= set(named)
    assert errors[-1].layers[-1] == "probabilities"


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
@pytest.mark.parametrize("layer", WEIGHTED)
def test_a_scaled_layer_is_named(layer: str, kind: str, model: keras.Model, tmp_path: Path) -> None:
    found = first_divergent(errors_of(model, written(scaled(model, layer), kind, tmp_path)), "float32")
    assert found is not None
    assert found.name == layer


@pytest.mark.parametrize("layer", ["narrow", "wide"])
def test_it_is_found_among_the_rounding_of_int8(layer: str, model: keras.Model, tmp_path: Path) -> None:
    write_float_saved_model(scaled(model, layer), tmp_path / "saved_model")
    path = tmp_path / "model.tflite"
    write_tflite_int8(tmp_path / "saved_model", path, DESCRIPTION, images(32))
    found = first_divergent(errors_of(model, path), "int8")
    assert found is not None
    assert found.name == layer


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_another_normalisation_is_found_at_the_entrance(kind: str, model: keras.Model, tmp_path: Path) -> None:
    layers = keras.layers
    entry = keras.Input((SIZE, SIZE, 3), dtype="uint8", name="image")
    other = layers.Rescaling(1 / 255, name="normalise")(entry)
    body = keras.Model(model.get_layer("normalise").output, model.output)
    found = first_divergent(errors_of(model, written(keras.Model(entry, body(other)), kind, tmp_path)), "float32")
    assert found is not None
    assert found.layers[0] == "normalise"


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_channels_in_the_other_order_are_found_at_the_entrance(kind: str, model: keras.Model, tmp_path: Path) -> None:
    entry = keras.Input((SIZE, SIZE, 3), dtype="uint8", name="image")
    reverse = keras.Model(entry, model(entry[..., ::-1]))
    found = first_divergent(errors_of(model, written(reverse, kind, tmp_path)), "float32")
    assert found is not None
    assert found.layers[0] == "normalise"


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_classes_in_the_other_order_are_found_at_the_end(kind: str, model: keras.Model, tmp_path: Path) -> None:
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.get_layer("probabilities").set_weights(
        [weights[..., [1, 2, 0]] for weights in copy.get_layer("probabilities").get_weights()]
    )
    found = first_divergent(errors_of(model, written(copy, kind, tmp_path)), "float32")
    assert found is not None
    assert found.name == "probabilities"


def test_without_any_names_the_values_tell(model: keras.Model, tmp_path: Path) -> None:
    path = written(scaled(model, "wide"), "onnx", tmp_path)
    graph = onnx.load(path)
    ends = {end.name for end in (*graph.graph.input, *graph.graph.output)}
    names: dict[str, str] = {}
    for node in graph.graph.node:
        node.name = ""
        for field in (node.input, node.output):
            for place, name in enumerate(field):
                field[place] = name if name in ends else names.setdefault(name, f"t{len(names)}")
    for weights in graph.graph.initializer:
        weights.name = names.get(weights.name, weights.name)
    del graph.graph.value_info[:]
    onnx.save(graph, path)
    found = first_divergent(errors_of(model, path), "float32")
    assert found is not None
    assert "wide" in found.layers


def test_a_nested_model_is_opened(model: keras.Model, tmp_path: Path) -> None:
    entry = keras.Input((SIZE, SIZE, 3), dtype="uint8", name="image")
    outer = keras.Sequential([entry, model])
    path = written(scaled(model, "deep"), "onnx", tmp_path)
    found = first_divergent(errors_of(outer, path), "float32")
    assert found is not None
    assert found.name == "deep"


@pytest.mark.parametrize(
    ("tensor", "layer", "says"),
    [
        ("small_1/first_1/convolution:0", "first", True),
        ("small/first/convolution", "first", True),
        ("small_1/first_relu_1/Relu6;small_1/first_bn_1/add", "first_relu", True),
        ("small_1/first_relu_1/Relu6;small_1/first_bn_1/add", "first_bn", False),
        ("small_1/first_relu_1/Relu6", "first", False),
        ("Conv__12:0", "Conv", False),
    ],
)
def test_whose_tensor_a_name_says_it_is(tensor: str, layer: str, says: bool) -> None:
    assert mentions(tensor, layer) == says


def test_what_stands_out_depends_on_the_precision() -> None:
    def error(own: float, gain: float = 1.0) -> LayerError:
        return LayerError(("layer",), ("layer",), "t", own, own, gain)

    noisy: Callable[[], list[LayerError]] = lambda: [error(0.01)] * 9  # noqa: E731
    assert threshold(noisy(), "float32") == 1e-3
    assert first_divergent([*noisy(), error(0.09)], "int8") is None
    assert first_divergent([*noisy(), error(0.3)], "int8") is not None
    assert first_divergent([*noisy(), error(0.08, gain=1.08)], "int8") is not None
    assert first_divergent([error(0.04)] * 9 + [error(0.15)], "int8") is None  # a network that is hard to round
    assert first_divergent([error(float("nan"))], "int8") is not None


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_what_a_scaling_layer_takes_is_not_what_it_gives(kind: str, tmp_path: Path) -> None:
    """They point the same way: a cosine alone would pair the pixels with the scaled pixels."""
    layers = keras.layers
    entry = keras.Input((SIZE, SIZE, 3), dtype="uint8", name="image")
    x = layers.Conv2D(8, 3, activation="relu", name="first")(layers.Rescaling(1 / 255, name="scale")(entry))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(entry, layers.Dense(3, activation="softmax", name="probabilities")(x), name="small")
    errors = errors_of(model, written(model, kind, tmp_path))
    assert first_divergent(errors, "float32") is None
    assert "scale" in {name for error in errors for name in error.layers}
