"""The precision of a model file from elsewhere, found from the types of the tensors in it."""

from __future__ import annotations

from pathlib import Path

from export.inspect import onnx_graph, tflite_graph
from export.runtimes.kind import kind_of


def precision(path: Path) -> str:
    """ "float32", "float16", "dynamic" (int8 weights, float activations), "int8" or "int16x8". Keras models and
    SavedModels are run in float32. Call it in a process of its own: the file may come from a stranger."""
    kind = kind_of(path)
    if kind == "tflite":
        return tflite_graph.precision(path.read_bytes())
    return onnx_graph.precision(path) if kind == "onnx" and path.suffix.lower() != ".ort" else "float32"
