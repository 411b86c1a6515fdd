"""The input shape and the precision of a file that was not exported here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from export.runtimes.runners import import_runtime, load


def shape_and_precision(path: Path, pixels: str) -> tuple[tuple[Any, ...], str]:
    """The shape of an artefact's input, and its precision. Raises UnfreezeError if it cannot be loaded. Call it in a
    process of its own: the file may come from a stranger."""
    import_runtime(path)
    return load(path, pixels=pixels).shape, precision(path)


def precision(path: Path) -> str:
    """ "float32", "float16", "int8" or "int16x8", found from the types of the tensors in a file."""
    if path.suffix.lower() == ".onnx":
        import onnx

        kinds = {tensor.data_type for tensor in onnx.load(path).graph.initializer}
        small, half = {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}, {onnx.TensorProto.FLOAT16}
        wide = {onnx.TensorProto.INT16, onnx.TensorProto.UINT16} if kinds & small else set()  # of activations
    elif path.suffix.lower() == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        details = Interpreter(str(path)).get_tensor_details()
        kinds = {tensor["dtype"] for tensor in details if tensor["quantization"][0] or tensor["dtype"] == np.float16}
        small, half, wide = {np.int8, np.uint8}, {np.float16}, {np.int16}
    else:
        return "float32"
    if kinds & wide:
        return "int16x8"
    return "int8" if kinds & small else "float16" if kinds & half else "float32"
