"""The prefix in onnxruntime against Keras, and what happens where it cannot be used."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

from toolkit.models.build import build_model, cut_tensor
from toolkit.models.spec import ModelSpec
from toolkit.to_onnx import graph as onnx_graph
from tuning.activations import prefix as module
from tuning.activations.prefix import MIN_IMAGES, prefix

DEPTHS = (0, 1, 2)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def cuts(tiny: str) -> tuple[keras.Model, list[keras.KerasTensor]]:
    spec = ModelSpec(tiny, 1.0, 32, 2, 0, 0.0, 0)
    model = build_model(spec)
    return model, [cut_tensor(model, spec, depth) for depth in DEPTHS]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images TensorFlow is given, call by call."""
    seen: list[int] = []
    real = module.in_tensorflow

    def watched(part: keras.Model) -> module.Forward:
        forward = real(part)
        return lambda images: seen.append(len(images)) or forward(images)

    monkeypatch.setattr(module, "in_tensorflow", watched)
    return seen


def expected(cuts: tuple[keras.Model, list[keras.KerasTensor]], images: np.ndarray) -> list[np.ndarray]:
    model, tensors = cuts
    return [keras.Model(model.input, tensor).predict(images, verbose=0) for tensor in tensors]


def check(forward: module.Forward, cuts: tuple[keras.Model, list[keras.KerasTensor]], images: np.ndarray) -> None:
    for count in (5, 2):
        for got, wanted in zip(forward(images[:count]), expected(cuts, images[:count]), strict=True):
            assert got.dtype == np.float32
            assert np.ptp(wanted) > 0.1, "activations that are all alike prove nothing"
            np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_a_long_pass_runs_in_onnxruntime(cuts, images: np.ndarray, runs: list[int]) -> None:
    forward = prefix(*cuts, MIN_IMAGES, images[:3])
    check(forward, cuts, images)
    assert runs == [3]  # the sample on which the two were compared


def test_a_short_pass_runs_in_tensorflow(cuts, images: np.ndarray, runs: list[int]) -> None:
    check(prefix(*cuts, MIN_IMAGES - 1, images[:3]), cuts, images)
    assert runs == [5, 2]


def test_on_a_gpu_it_is_tensorflow(cuts, images: np.ndarray, runs: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
        forward = prefix(*cuts, MIN_IMAGES, images[:3])
    check(forward, cuts, images)
    assert runs == [5, 2]


def test_a_graph_that_answers_otherwise_is_not_used(
    cuts, images: np.ndarray, runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = onnx_graph._convert

    def spoiled(*call) -> onnx.ModelProto:
        graph = real(*call)
        for constant in graph.graph.initializer:
            if constant.data_type == onnx.TensorProto.FLOAT and len(constant.dims) == 4:
                values = onnx.numpy_helper.to_array(constant) * 1.01
                constant.CopyFrom(onnx.numpy_helper.from_array(values.astype("float32"), constant.name))
        return graph

    monkeypatch.setattr(onnx_graph, "_convert", spoiled)
    check(prefix(*cuts, MIN_IMAGES, images[:3]), cuts, images)
    assert runs == [3, 5, 2]


def test_what_cannot_be_converted_runs_in_tensorflow(
    cuts, images: np.ndarray, runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*call) -> None:
        raise ValueError("no handler")

    monkeypatch.setattr(onnx_graph, "_convert", refused)
    check(prefix(*cuts, MIN_IMAGES, images[:3]), cuts, images)
    assert runs == [5, 2]
