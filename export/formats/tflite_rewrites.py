"""What is rewritten in a TFLite file, as the converter gives it, so that every client takes it as it is.

Tried with LiteRT, LiteRT.js, MediaPipe, OpenVINO and tflite-runtime 2.14.
"""

from __future__ import annotations

import copy
from typing import Any

from ai_edge_litert import schema_py_generated as schema

OPERATORS = schema.BuiltinOperator


def name_ends(model: schema.ModelT, entry: str, answer: str) -> None:
    """Call the graph's input and output so. Some clients show the names of tensors, not those of the signature."""
    graph = model.subgraphs[0]
    (image,), (probabilities,) = graph.inputs, graph.outputs
    graph.tensors[image].name, graph.tensors[probabilities].name = entry, answer


def close_shapes(model: schema.ModelT) -> None:
    """Leave no shape open: each is that of one image. LiteRT's CompiledModel, and so LiteRT.js and the newer
    benchmark_model, refuse an input whose shape is open; an interpreter that is asked for a batch resizes it all the
    same."""
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.shapeSignature = None


def float_softmax(model: schema.ModelT) -> None:
    """In an int8 file, turn the logits into float32 before the softmax, not the probabilities after it: those could
    take 256 values only. Nothing is done where the graph does not end so."""
    graph = model.subgraphs[0]
    last = [_kind(model, one) for one in graph.operators[-2:]]
    if last != [OPERATORS.SOFTMAX, OPERATORS.DEQUANTIZE]:
        return
    softmax, dequantise = graph.operators[-2:]
    (logits,), (probabilities,) = softmax.inputs[:1], dequantise.outputs[:1]
    if softmax.outputs[0] != dequantise.inputs[0] or probabilities != graph.outputs[0]:
        return
    (real,) = softmax.outputs  # the tensor of the quantised probabilities, which nothing else reads
    tensor = copy.copy(graph.tensors[probabilities])
    tensor.name = graph.tensors[logits].name + b"/float"
    graph.tensors[real] = tensor
    dequantise.inputs, dequantise.outputs = [logits], [real]
    softmax.inputs, softmax.outputs = [real], [probabilities]
    graph.operators[-2:] = [dequantise, softmax]


def _kind(model: schema.ModelT, operator: Any) -> int:
    code: int = model.operatorCodes[operator.opcodeIndex].builtinCode
    return code
