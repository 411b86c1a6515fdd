"""What is rewritten in an ONNX graph so that every client runs it, and none slower; its answers stay what they are.

Tried with onnxruntime, OpenCV's DNN module, OpenVINO, ncnn (by pnnx) and tract: `docs/clients.md`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from toolkit.process.quiet import hushed


def folded(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with BatchNormalization and padding folded into the convolutions, and dense layers as MatMul and Add.

    Unfolded, a depthwise convolution's normalisation is quantised apart, which changed a third of an int8 model's
    answers, and ncnn loads no such file.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, hushed():
        source, path = Path(folder) / "source.onnx", Path(folder) / "folded.onnx"
        onnx.save(graph, source)
        quant_pre_process(str(source), str(path), skip_symbolic_shape=True)
        made = onnx.load(path)
    split_dense(made)
    return made


def split_dense(graph: onnx.ModelProto) -> None:
    """Replace each Gemm that is a dense layer, A x B + C, by MatMul and Add. OpenCV 5 does not load a quantised Gemm,
    nor tract one in float16."""
    nodes = []
    for node in graph.graph.node:
        how = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        plain = not how.get("transA") and not how.get("transB") and how.get("alpha", 1) == how.get("beta", 1) == 1
        if node.op_type != "Gemm" or not plain or len(node.input) < 3 or not node.input[2]:
            nodes.append(node)
            continue
        a, b, c = node.input
        (result,) = node.output
        product = f"{result}/product"
        nodes.append(helper.make_node("MatMul", [a, b], [product], name=f"{node.name}/product"))
        nodes.append(helper.make_node("Add", [product, c], [result], name=f"{node.name}/bias"))
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)


def dense_biases(graph: onnx.ModelProto) -> set[str]:
    """The names of the nodes that add the bias of a dense layer. In int8 they stay in float: quantised apart from the
    product, the sum is rounded twice."""
    products = {node.output[0] for node in graph.graph.node if node.op_type == "MatMul"}
    constants = {one.name for one in graph.graph.initializer}
    return {
        node.name
        for node in graph.graph.node
        if node.op_type == "Add" and products & {*node.input} and constants & {*node.input}
    }


def drop_zero_points(graph: onnx.ModelProto) -> None:
    """Remove the zero points of weights and biases that are 0 throughout, which is what a missing one means: one byte
    for each channel of each layer."""
    constants = {one.name: one for one in graph.graph.initializer}
    dropped = set()
    for node in graph.graph.node:
        of_constant = node.op_type == "DequantizeLinear" and node.input[0] in constants
        zeros = constants.get(node.input[2]) if of_constant and len(node.input) == 3 else None
        if zeros is not None and not np.any(numpy_helper.to_array(zeros)):
            dropped.add(node.input.pop())
    dropped -= {name for node in graph.graph.node for name in node.input}
    kept = [one for one in graph.graph.initializer if one.name not in dropped]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
