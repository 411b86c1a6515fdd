"""ONNX files: names and metadata, each repair on the smallest graph that needs it, and the gate."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf

import export.formats.onnx
from export.formats.onnx import write_onnx
from toolkit.errors import UnfreezeError
from toolkit.to_onnx import graph as onnx_graph
from toolkit.to_onnx.canonical import canonical
from toolkit.to_onnx.repairs import convertible, guard_max_pooling

SIZE = 16


def classifier(*layers: keras.Layer) -> keras.Model:
    """uint8 images -> `layers` -> three probabilities that differ from image to image."""
    image = keras.Input((SIZE, SIZE, 3), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    for layer in layers:
        x = layer(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax", dtype="float32")(x))


def images(count: int = 8) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def run(path: Path, batch: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"image": batch})[0]


def expected(model: keras.Model, batch: np.ndarray) -> np.ndarray:
    answer = keras.ops.convert_to_numpy(model(batch, training=False))
    assert answer.std(axis=0).max() > 0.01, "answers that hardly differ prove nothing"
    return answer


@pytest.fixture(autouse=True)
def seed() -> None:
    keras.utils.set_random_seed(1)


def test_ends_batch_and_metadata(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    model = classifier(keras.layers.Conv2D(4, 3, strides=2, activation="relu"))
    write_onnx(model, path, {"labels": "chat\nchien", "Größe": "16"})
    graph = onnx.load(path)
    assert {entry.key: entry.value for entry in graph.metadata_props} == {
        "labels": "chat\nchien",
        "Größe": "16",
    }
    assert [opset.version for opset in graph.opset_import if opset.domain in ("", "ai.onnx")] == [17]
    (image,), (probabilities,) = graph.graph.input, graph.graph.output
    assert shape_of(image) == ["batch", SIZE, SIZE, 3]
    assert shape_of(probabilities) == ["batch", 3]
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    for count in (1, 5):
        batch = images(8)[:count]
        np.testing.assert_allclose(run(path, batch), model(batch), rtol=0, atol=1e-5)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def shape_of(end: onnx.ValueInfoProto) -> list[str | int]:
    assert end.name in ("image", "probabilities")
    return [dim.dim_param or dim.dim_value for dim in end.type.tensor_type.shape.dim]


def adapted_normalization() -> keras.Model:
    normalization = keras.layers.Normalization()
    model = classifier(normalization)
    normalization.set_weights([np.array([0.1, 0.2, -0.3]), np.array([0.5, 2.0, 1.0]), np.array(1)])
    normalization.finalize_state()
    return model


def grouped_convolution_and_gelu() -> keras.Model:
    return classifier(
        keras.layers.Conv2D(6, 3, activation="relu"),
        keras.layers.Conv2D(6, 3, groups=6, padding="same"),
        keras.layers.Activation(lambda_free_gelu),
        keras.Sequential([keras.layers.Conv2D(8, 2, strides=2)]),
    )


@keras.saving.register_keras_serializable()
def lambda_free_gelu(x):
    return keras.activations.gelu(x, approximate=False)


def negatives_into_padded_pooling() -> keras.Model:
    return classifier(
        keras.layers.Conv2D(4, 3, bias_initializer=keras.initializers.Constant(-3.0)),
        keras.layers.ZeroPadding2D(1),
        keras.layers.MaxPooling2D(3, strides=2),
    )


def mixed_precision() -> keras.Model:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return classifier(keras.layers.Conv2D(8, 3, activation="relu"), keras.Sequential([keras.layers.Conv2D(4, 3)]))
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("build", "tolerance"),
    [
        (adapted_normalization, 1e-5),
        (grouped_convolution_and_gelu, 1e-5),
        (negatives_into_padded_pooling, 1e-5),
        (mixed_precision, 1e-2),
    ],
)
def test_repaired_graph_answers_as_the_model(build, tolerance: float, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(export.formats.onnx, "FLOAT32_GATE", tolerance)
    model = build()
    before = model.get_config(), [array.copy() for array in model.get_weights()]
    write_onnx(model, tmp_path / "model.onnx", {})
    batch = images()
    np.testing.assert_allclose(run(tmp_path / "model.onnx", batch), expected(model, batch), rtol=0, atol=tolerance)
    assert model.get_config() == before[0]
    for old, new in zip(before[1], model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


class Keeps(keras.layers.Layer):
    """Keeps what it was given last; in a functional model that is a tensor of a graph."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        self.kept = x * 2.0
        return self.kept


def test_a_layer_that_keeps_a_tensor_is_converted() -> None:
    model = classifier(Keeps())
    np.testing.assert_allclose(convertible(model)(images()), model(images()), atol=1e-6)


def test_one_conversion_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each changes a setting of the process, and puts it back."""
    running, seen = [], []

    def from_function(*_: object, **__: object) -> tuple[None, None]:
        running.append(1)
        time.sleep(0.05)
        seen.append((len(running), tf.config.functions_run_eagerly()))
        running.pop()
        return None, None

    monkeypatch.setattr(onnx_graph.tf2onnx.convert, "from_function", from_function)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: onnx_graph._convert(classifier(), "image", ["probabilities"]), range(4)))
    assert seen == [(1, True)] * 4
    assert not tf.config.functions_run_eagerly()


def pooled_graph(constant: float) -> onnx.ModelProto:
    """Pad with `constant`, then MaxPool: float32 [1, 1, 4, 4] -> [1, 1, 2, 2]."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("Pad", ["x", "pads", "constant"], ["padded"]),
            helper.make_node("MaxPool", ["padded"], ["y"], kernel_shape=[3, 3], strides=[2, 2]),
        ],
        "pooled",
        [helper.make_tensor_value_info("x", kind, [1, 1, 4, 4])],
        [helper.make_tensor_value_info("y", kind, [1, 1, 2, 2])],
        [
            onnx.numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "pads"),
            onnx.numpy_helper.from_array(np.float32(constant), "constant"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_guarded_pooling_is_right_in_every_onnxruntime() -> None:
    """1.31 answers [-1, -2, -5, -6] without the guard; 1.32 is cured, but files travel to older runtimes."""
    x = -np.arange(1, 17, dtype="float32").reshape(1, 1, 4, 4)
    graph = pooled_graph(0.0)
    guard_max_pooling(graph)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": x})[0].ravel(), [0, 0, 0, -6], rtol=0, atol=1e-30)
    assert padding_of_pooling(graph) == [np.finfo("float32").tiny]


def padding_of_pooling(graph: onnx.ModelProto) -> list[float]:
    """The constants with which the inputs of MaxPool are padded."""
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    pads = {node.output[0]: node for node in graph.graph.node if node.op_type == "Pad"}
    pools = [node for node in graph.graph.node if node.op_type == "MaxPool" and node.input[0] in pads]
    return [float(constants[pads[pool.input[0]].input[2]]) for pool in pools]


def test_padded_pooling_of_keras_is_found(tmp_path: Path) -> None:
    write_onnx(negatives_into_padded_pooling(), tmp_path / "model.onnx", {})
    assert padding_of_pooling(onnx.load(tmp_path / "model.onnx")) == [np.finfo("float32").tiny]


def test_gate_stops_extra_inputs(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(onnx_graph, "convertible", lambda model: model)
    with pytest.raises(UnfreezeError, match="ONNX conversion gave no valid graph"):
        write_onnx(adapted_normalization(), tmp_path / "model.onnx", {})
    assert list(tmp_path.iterdir()) == []


def test_gate_stops_unconvertible_operations(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(onnx_graph, "CUSTOM_OPS", {})
    with pytest.raises(UnfreezeError, match="ONNX conversion gave no valid graph") as caught:
        write_onnx(grouped_convolution_and_gelu(), tmp_path / "model.onnx", {})
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", [0.01, float("nan")])
def test_gate_stops_wrong_numbers_and_keeps_the_older_file(fault: float, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("older")

    def spoiled(graph: onnx.ModelProto) -> None:
        """Adds the fault to what the graph answers."""
        softmax = next(node for node in graph.graph.node if "probabilities" in node.output)
        softmax.output[0] = "right"
        graph.graph.initializer.append(onnx.numpy_helper.from_array(np.float32([fault]), "fault"))
        graph.graph.node.append(onnx.helper.make_node("Add", ["right", "fault"], ["probabilities"]))

    monkeypatch.setattr(onnx_graph, "guard_max_pooling", spoiled)
    with pytest.raises(UnfreezeError, match="differ"):
        write_onnx(classifier(), path, {})
    assert path.read_text() == "older"


def test_counters_and_the_order_of_constants_leave_no_trace(tmp_path: Path) -> None:
    """Two graphs as two conversions give them, and a client's answers to either."""

    def graph(count: int, kept: str, order: int) -> onnx.ModelProto:
        one, two = np.array(1, np.float32), np.array([2, 3], np.float32)
        constants = [onnx.numpy_helper.from_array(one, kept), onnx.numpy_helper.from_array(two, f"two__{count + 2}")]
        nodes = [
            onnx.helper.make_node("Add", ["image", kept], [f"layer/add__{count}:0"], name=f"layer/add__{count}"),
            onnx.helper.make_node(
                "Mul", [f"layer/add__{count}:0", f"two__{count + 2}"], ["m:0"], name=f"m__{count + 1}"
            ),
            onnx.helper.make_node("Clip", ["m:0", "", kept], ["answer"], name="clip"),
        ]
        ends = [onnx.helper.make_tensor_value_info(name, 1, ["batch", 2]) for name in ("image", "answer")]
        body = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], constants[::order], doc_string=f"from f_{count}")
        return onnx.helper.make_model(body, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)

    first, second = graph(3, "low__9", 1), graph(400, "other/max__512", -1)
    for one in (first, second):
        canonical(one)
        onnx.checker.check_model(one, full_check=True)
    assert first.SerializeToString() == second.SerializeToString()
    assert [node.name for node in first.graph.node] == ["layer/add", "m", "clip"]
    assert [node.output[0] for node in first.graph.node] == ["layer/add:0", "m:0", "answer"]
    session = onnxruntime.InferenceSession(first.SerializeToString(), providers=["CPUExecutionProvider"])
    batch = np.array([[-3, -5], [-0.75, 4]], np.float32)
    np.testing.assert_array_equal(session.run(None, {"image": batch})[0], np.minimum((batch + 1) * [2, 3], 1))
