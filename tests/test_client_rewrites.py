"""What is rewritten in files so that every client runs them: their answers stay what they are."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from export.formats.onnx_rewrites import dense_biases, drop_zero_points, split_dense
from export.proof.verify import verify
from export.runtimes.plain_kernels import predict_plainly
from export.runtimes.runners import load
from export.runtimes.tensors import tensors
from export.settings import Conversion, ExportSettings, VerifySettings
from export.write import export
from toolkit.run import Run, load_run

# TFLite


def test_int8_tflite_turns_logits_into_floats_before_the_softmax(
    export_folder: Path, unseen_images: np.ndarray
) -> None:
    """Behind it, a probability could take 256 values only."""
    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(
        str(export_folder / "model_int8.tflite"),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=kernels,
    )
    interpreter.allocate_tensors()
    *_, dense, dequantise, softmax = interpreter._get_ops_details()
    assert [one["op_name"] for one in (dense, dequantise, softmax)] == ["FULLY_CONNECTED", "DEQUANTIZE", "SOFTMAX"]
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    for image in unseen_images:
        interpreter.set_tensor(entry["index"], image[np.newaxis])
        interpreter.invoke()
        logits = interpreter.get_tensor(dequantise["outputs"][0])
        scale, zero = interpreter._get_tensor_details(dense["outputs"][0], 0)["quantization"]
        np.testing.assert_allclose(
            logits, (interpreter.get_tensor(dense["outputs"][0]).astype(float) - zero) * scale, rtol=1e-6
        )
        expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        np.testing.assert_allclose(interpreter.get_tensor(result["index"]), expected, atol=1e-6)


def test_a_file_for_a_gpu_takes_floats_and_answers_as_the_model_does(
    finished: Run, unseen_images: np.ndarray, unseen_answers: np.ndarray, tmp_path: Path
) -> None:
    run = load_run(Path(shutil.copytree(finished.path, tmp_path / "run")))
    export(run, ExportSettings(formats=("tflite",), precisions=("float16_gpu",)))
    path = run.path / "export" / "model_fp16_gpu.tflite"
    interpreter = Interpreter(str(path))
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (entry["dtype"], entry["shape"].tolist(), result["dtype"]) == (np.float32, [1, 32, 32, 3], np.float32)
    operators = {one["op_name"] for one in interpreter._get_ops_details()}
    assert not operators & {"CAST", "QUANTIZE"}, "a GPU delegate takes no integers"
    answer = interpreter.get_signature_runner()(image=unseen_images.astype(np.float32))["probabilities"]
    np.testing.assert_allclose(answer, unseen_answers, atol=0.01)
    np.testing.assert_allclose(load(path).predict(unseen_images), answer, atol=1e-6)
    (parity,) = verify(run, VerifySettings(threads=()), precisions=["float16_gpu"])
    assert parity.flips == ()
    check = [sys.executable, "check.py", "../model_fp16_gpu.tflite"]
    assert subprocess.run(check, cwd=run.path / "export" / "golden", capture_output=True).returncode == 0


def test_the_last_layer_stays_in_float_where_it_is_asked_for(finished: Run, tmp_path: Path) -> None:
    """The file calls its answer otherwise than the converter, which is told what stays."""
    run = load_run(Path(shutil.copytree(finished.path, tmp_path / "run")))
    export(run, ExportSettings(formats=("tflite",), precisions=("int8",), float_layers=("probabilities",)))
    for path, kind in ((run.path, np.float32), (finished.path, np.int8)):
        interpreter = Interpreter(str(path / "export" / "model_int8.tflite"))
        dense = [one for one in interpreter._get_ops_details() if one["op_name"] == "FULLY_CONNECTED"][-1]
        assert interpreter._get_tensor_details(dense["inputs"][1], 0)["dtype"] == kind


@pytest.mark.parametrize("name", ["model.tflite", "model_dynamic.tflite", "model_int8.tflite", "model_int8.onnx"])
def test_plain_kernels_are_those_that_keep_every_tensor(
    name: str, export_folder: Path, unseen_images: np.ndarray
) -> None:
    """Which neither XNNPACK nor onnxruntime's fusions do."""
    alone = [tensors(export_folder / name, image[np.newaxis])[-1].value for image in unseen_images[:4]]
    np.testing.assert_array_equal(predict_plainly(export_folder / name, unseen_images[:4]), np.concatenate(alone))


def test_images_of_another_size_are_refused(export_folder: Path) -> None:
    with pytest.raises(Exception, match="32, 32"):
        load(export_folder / "model_int8.tflite").predict(np.zeros((2, 40, 40, 3), np.uint8))


def test_what_our_own_file_says_of_pixels_wins(finished: Run, unseen_images: np.ndarray, tmp_path: Path) -> None:
    """`--pixels` of `verify --reference` is meant for the reference."""
    run = load_run(Path(shutil.copytree(finished.path, tmp_path / "run")))
    export(run, ExportSettings(formats=("tflite",), precisions=("float16_gpu",)))
    path = run.path / "export" / "model_fp16_gpu.tflite"
    got = load(path, conversion=Conversion(pixels="-1..1")).predict(unseen_images)
    np.testing.assert_array_equal(got, load(path).predict(unseen_images))


# ONNX


def answers(model: onnx.ModelProto, fed: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": fed})[0]


def one_gemm(rows: int, columns: int, bias: int | None, **how: Any) -> onnx.ModelProto:
    """x [N, rows] -> Gemm -> y, with a bias of `bias` numbers; None: without."""
    rng = np.random.default_rng(rows * 100 + columns)
    shape = (columns, rows) if how.get("transB") else (rows, columns)
    constants = [numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), "b")]
    if bias is not None:
        constants.append(numpy_helper.from_array(rng.normal(size=bias).astype(np.float32), "c"))
    node = helper.make_node("Gemm", ["x", *(one.name for one in constants)], ["y"], name="dense", **how)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", n]) for name, n in (("x", rows), ("y", columns))
    ]
    graph = helper.make_graph([node], "graph", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@given(
    rows=st.integers(1, 8),
    columns=st.integers(1, 8),
    bias=st.sampled_from(["each", "one", None]),
    how=st.fixed_dictionaries(
        {}, optional={"alpha": st.sampled_from([1.0, 0.5]), "beta": st.sampled_from([1.0, 2.0]), "transB": st.just(1)}
    ),
)
def test_a_dense_layer_in_two_nodes_answers_as_in_one(
    rows: int, columns: int, bias: str | None, how: dict[str, Any]
) -> None:
    model = one_gemm(rows, columns, {"each": columns, "one": 1, None: None}[bias], **how)
    fed = np.random.default_rng(0).normal(size=(3, rows)).astype(np.float32)
    before = answers(model, fed)
    split_dense(model)
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(answers(model, fed), before, rtol=1e-5, atol=1e-6)
    plain = bias is not None and all(
        how.get(name, one) == one for name, one in (("alpha", 1), ("beta", 1), ("transB", 0))
    )
    assert [node.op_type for node in model.graph.node] == (["MatMul", "Add"] if plain else ["Gemm"])
    assert dense_biases(model) == ({"dense/bias"} if plain else set())


@given(zeros=st.lists(st.integers(-3, 3), min_size=3, max_size=3), same=st.booleans())
def test_zero_points_that_say_nothing_are_left_out(zeros: list[int], same: bool) -> None:
    """`same`: another node reads the same zero points for a value that is computed, and keeps them."""
    numbers = np.arange(6, dtype=np.int8).reshape(2, 3)
    constants = [
        numpy_helper.from_array(numbers, "weights"),
        numpy_helper.from_array(np.float32([0.5, 0.25, 2]), "scales"),
        numpy_helper.from_array(np.int8(zeros), "zeros"),
    ]
    nodes = [helper.make_node("DequantizeLinear", ["weights", "scales", "zeros"], ["w"], axis=1)]
    result = "w"
    if same:
        nodes.append(helper.make_node("QuantizeLinear", ["x", "scales", "zeros"], ["q"], axis=1))
        nodes.append(helper.make_node("DequantizeLinear", ["q", "scales", "zeros"], ["d"], axis=1))
    nodes.append(helper.make_node("Add", ["d" if same else "x", result], ["y"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    fed = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    before = answers(model, fed)
    drop_zero_points(model)
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_array_equal(answers(model, fed), before)
    assert len(model.graph.node[0].input) == (3 if any(zeros) else 2)
    assert ("zeros" in {one.name for one in model.graph.initializer}) == (any(zeros) or same)


@pytest.mark.parametrize("name", ["model.onnx", "model_fp16.onnx", "model_int8.onnx"])
def test_no_file_has_what_some_clients_refuse(name: str, export_folder: Path) -> None:
    graph = onnx.load(export_folder / name).graph
    kinds = {node.op_type for node in graph.node}
    assert not kinds & {"Gemm", "BatchNormalization", "Pad"}, "OpenCV, tract, ncnn"
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    idle = [
        node.name
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in constants
        if len(node.input) == 3 and not constants[node.input[2]].any()
    ]
    assert idle == []


def test_opencv_answers_as_onnxruntime_does(export_folder: Path, unseen_images: np.ndarray) -> None:
    """By its own decoder of ONNX files and its own kernels."""
    cv2 = pytest.importorskip("cv2")
    if int(cv2.__version__.partition(".")[0]) < 5:
        pytest.skip("OpenCV before 5 has another reader of ONNX files, which takes no uint8")
    for name, tolerance in (("model.onnx", 1e-4), ("model_int8.onnx", 0.15)):
        net, found = cv2.dnn.readNetFromONNX(str(export_folder / name)), []
        for image in unseen_images:
            net.setInput(image[np.newaxis], "image")
            found.append(net.forward()[0].copy())
        np.testing.assert_allclose(found, load(export_folder / name).predict(unseen_images), atol=tolerance)
