"""Every row of the table against the graph that Keras builds: cuts, splits, normalisation, ONNX and TFLite.

The weights are random. They are calibrated, so that activations keep their scale and answers differ from
image to image: without that, probabilities are all alike and any two graphs agree.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from export.formats.onnx import write_onnx
from export.formats.saved_model import write_saved_model
from export.formats.tflite import write_tflite
from export.runtimes.runners import Runner, load
from tests.calibrate import calibrate_normalization, distance, shake
from toolkit.models.applications import BACKBONES
from toolkit.models.backbones import backbone, deepest
from toolkit.models.build import (
    backbone_weights,
    build_model,
    cut_tensor,
    prefix_and_suffix,
)
from toolkit.models.cuts import find_cuts, find_stages
from toolkit.models.layer_weights import set_named_weights
from toolkit.models.spec import ModelSpec
from tuning.activations import prefix

CLASSES = 5
# Whose stages the table has otherwise than they are found: DenseNet's thin blocks in fours, the stems of Inception and
# Xception as part of the first stage, NASNet's stem as a stage.
BY_HAND = {"DenseNet121", "DenseNet169", "InceptionV3", "InceptionResNetV2", "Xception", "NASNetMobile"}


def rows(*fast: str) -> list[object]:
    """Every backbone; all but `fast` are marked slow."""
    return [pytest.param(name, marks=() if name in fast else pytest.mark.slow) for name in BACKBONES]


@pytest.fixture(scope="module", params=rows("MobileNetV2", "MobileNetV3Small", "EfficientNetB0"))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def spec(name: str) -> ModelSpec:
    return ModelSpec(name, 1.0, max(64, backbone(name).smallest), CLASSES, 0, 0.3, 0)


@pytest.fixture(scope="module")
def images(spec: ModelSpec) -> np.ndarray:
    """uint8 [16, S, S, 3]: noise, and noise that is smooth as a photograph is."""
    size, rng = spec.image_size, np.random.default_rng(1)
    noise = rng.integers(0, 256, (8, size, size, 3)).astype("uint8")
    coarse = rng.integers(0, 256, (8, 4, 4, 3)).astype("float32")
    return np.concatenate([noise, np.rint(tf.image.resize(coarse, (size, size))).astype("uint8")])


@pytest.fixture(scope="module")
def model(spec: ModelSpec, images: np.ndarray) -> Iterator[keras.Model]:
    keras.utils.set_random_seed(0)
    model = build_model(spec)
    calibrate_normalization(model, images)
    spread_answers(model, spec, images)
    yield model
    del model
    keras.backend.clear_session()
    gc.collect()  # a backbone and its traces are hundreds of megabytes


def spread_answers(model: keras.Model, spec: ModelSpec, images: np.ndarray) -> None:
    """Shift and scale the last layer so that the logits have mean 0 and deviation 2 over these images."""
    features = prefix_and_suffix(model, spec, 0)[0](images).numpy()  # [N, C]
    kernel = np.random.default_rng(2).normal(size=(features.shape[1], CLASSES))
    kernel *= 2 / (features @ kernel).std(axis=0)
    model.get_layer("probabilities").set_weights([kernel, -(features @ kernel).mean(axis=0)])


def test_every_cut_carries_everything(model: keras.Model, name: str) -> None:
    possible = find_cuts(model)
    cuts = [possible.index(cut) for cut in (*reversed(backbone(name).cuts), "pool")]  # each is among them
    assert cuts == sorted(cuts)


def test_the_finder_agrees_with_the_table(model: keras.Model, name: str) -> None:
    graph = keras.Model(model.input, model.get_layer("pool").input)
    if name not in BY_HAND:
        assert find_stages(graph, most=100) == backbone(name).cuts


def test_every_stage_has_something_to_train(model: keras.Model, name: str) -> None:
    order = [operation.name for operation in model.operations]
    ends = [0, *(order.index(cut) for cut in (*reversed(backbone(name).cuts), "pool"))]
    for start, end in pairwise(ends):
        stage = {type(operation) for operation in model.operations[start + 1 : end + 1]}
        assert stage & {keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D}


def test_suffix_of_prefix_is_the_model(model: keras.Model, spec: ModelSpec, images: np.ndarray) -> None:
    expected = model(images).numpy()
    assert expected.std(axis=0).max() > 0.1, "answers that hardly differ prove nothing"
    last = deepest(spec.backbone)
    for depth in sorted({0, 1, last // 2, last - 1, last}):
        prefix, suffix = prefix_and_suffix(model, spec, depth)
        np.testing.assert_array_equal(suffix(prefix(images)).numpy(), expected)


def test_batch_normalization_is_frozen(model: keras.Model, name: str) -> None:
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert not any(layer.trainable for layer in layers)
    assert layers or name.startswith(("VGG", "ConvNeXt"))  # which have none


def preprocessed(name: str, images: np.ndarray) -> np.ndarray:
    module = sys.modules[getattr(keras.applications, name).__module__]
    return module.preprocess_input(images.astype("float32"))


def test_normalisation_is_keras_own(model: keras.Model, name: str, images: np.ndarray) -> None:
    """What the backbone is given; those that normalise inside are given the pixels and start by doing so."""
    expected = preprocessed(name, images)
    ours = [layer for layer in model.layers if layer.name == "normalise"]
    if not ours:
        np.testing.assert_array_equal(expected, images)
        assert type(model.layers[1]) in (keras.layers.Rescaling, keras.layers.Normalization)
        return
    consumer = ours[0]._outbound_nodes[0].operation
    end = consumer if type(consumer).__name__ == "GetItem" else ours[0]
    actual = keras.Model(model.input, end.output)(images).numpy()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * max(1, abs(expected).max()))


@pytest.mark.parametrize("name", rows("MobileNetV3Small"), indirect=True, scope="module")
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_weights_of_a_file_go_where_they_belong(spec: ModelSpec, images: np.ndarray, tmp_path: Path) -> None:
    """The pooled features are those of Keras' own model, given what its own preprocessing makes of the images."""
    shape = (spec.image_size, spec.image_size, 3)
    constructor = getattr(keras.applications, spec.backbone)
    oracle = constructor(include_top=False, weights=None, input_shape=shape)
    shake(oracle, preprocessed(spec.backbone, images))
    oracle.save_weights(tmp_path / "oracle.weights.h5")
    expected = oracle(preprocessed(spec.backbone, images)).numpy().mean(axis=(1, 2))
    prefix, _ = prefix_and_suffix(build_model(spec, str(tmp_path / "oracle.weights.h5")), spec, 0)
    assert distance(prefix(images).numpy(), expected) < 1e-2


# Keras 3.15 writes tensors with np.array(tensor, copy=False), for which numpy 2 wants more of TensorFlow.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_saved_model_comes_back(model: keras.Model, images: np.ndarray, tmp_path: Path) -> None:
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images), model(images))


def write_and_load_onnx(model: keras.Model, folder: Path) -> Runner:
    write_onnx(model, folder / "model.onnx", {})
    return load(folder / "model.onnx")


def write_and_load_tflite(model: keras.Model, folder: Path) -> Runner:
    ends = {
        "input": {"name": "image", "shape": [None, *model.input_shape[1:]], "resize": ""},
        "output": {"name": "probabilities"},
        "unfreeze": "",
        "license": "",
    }
    description = {"class_names": ["a", "b", "c", "d", "e"], **ends}
    write_saved_model(model, folder / "saved", description)
    write_tflite(folder / "saved", folder / "model.tflite", description)
    return load(folder / "model.tflite")


@pytest.mark.parametrize("name", rows("MobileNetV2"), indirect=True, scope="module")
@pytest.mark.parametrize("write", [write_and_load_onnx, write_and_load_tflite], ids=["onnx", "tflite"])
def test_export_answers_as_the_model_does(write, model: keras.Model, images: np.ndarray, tmp_path: Path) -> None:
    difference = abs(write(model, tmp_path).predict(images) - model(images).numpy()).max()
    print(f"largest difference {difference:.1e}")
    assert difference <= 1e-3


@pytest.mark.parametrize("name", rows("MobileNetV2"), indirect=True, scope="module")
def test_a_grey_model_answers_as_the_rgb_model_does(
    model: keras.Model, spec: ModelSpec, images: np.ndarray, tmp_path: Path
) -> None:
    """In Keras to the bit, on images that are grey; and so do its files."""
    grey = build_model(replace(spec, channels=1))
    set_named_weights(grey, backbone_weights(model))
    grey.get_layer("probabilities").set_weights(model.get_layer("probabilities").get_weights())
    one = images[..., :1]
    expected = model(np.repeat(one, 3, axis=-1)).numpy()
    np.testing.assert_array_equal(grey(one).numpy(), expected)
    for write in (write_and_load_onnx, write_and_load_tflite):
        assert abs(write(grey, tmp_path).predict(one) - expected).max() <= 1e-3


@pytest.mark.parametrize("name", rows("MobileNetV2"), indirect=True, scope="module")
def test_the_prefix_runs_in_onnxruntime(model: keras.Model, spec: ModelSpec, images: np.ndarray) -> None:
    last = deepest(spec.backbone)
    tensors = [cut_tensor(model, spec, depth) for depth in sorted({0, 1, last // 2, last - 1})]
    converted = prefix.in_onnxruntime(keras.Model(model.input, tensors))
    assert converted is not None
    for got, tensor in zip(converted(images), tensors, strict=True):
        wanted = keras.Model(model.input, tensor)(images).numpy()
        difference = abs(got - wanted).max() / abs(wanted).max()
        print(f"largest difference {difference:.1e} of the largest activation")
        assert difference <= prefix.RUNTIME_TOLERANCE
