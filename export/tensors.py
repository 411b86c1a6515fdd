"""Every intermediate tensor that an ONNX or TFLite file computes on a few images, in the order of its operations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.quiet import hushed


@dataclass(frozen=True)
class Tensor:
    """What one operation gave; of an integer the number that it stands for."""

    name: str
    value: np.ndarray  # float32 [N, ...]


def tensors(path: Path, images: np.ndarray) -> list[Tensor]:
    """Of a .onnx or .tflite file on `images`, in the file's own dtype and layout; the last is its answer."""
    with hushed():
        return (_onnx if path.suffix.lower() == ".onnx" else _tflite)(path, images)


def _onnx(path: Path, images: np.ndarray) -> list[Tensor]:
    """By added graph outputs, without onnxruntime's optimisations: they would fuse what is to be told apart."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    answer = model.graph.output[0].name
    names = [name for node in model.graph.node for name in node.output if name]
    known = {end.name for end in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    order = [name for name in names if name != answer] + [answer]
    values = session.run(order, {session.get_inputs()[0].name: images})
    return [
        Tensor(name, value.astype(np.float32, copy=False))
        for name, value in zip(order, values, strict=True)
        if _of_images(value, len(images)) and value.dtype in (np.float32, np.float16)
    ]


def _tflite(path: Path, images: np.ndarray) -> list[Tensor]:
    """Without delegates: XNNPACK keeps what it computes to itself."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        str(path),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    entry = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(entry, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry, images)
    interpreter.invoke()
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    answer = interpreter.get_output_details()[0]["index"]
    order = [index for operation in interpreter._get_ops_details() for index in operation["outputs"]]
    found = []
    for index in [index for index in order if index != answer] + [answer]:
        value = interpreter.get_tensor(index)
        if _of_images(value, len(images)):
            found.append(Tensor(details[index]["name"], dequantised(value, details[index])))
    return found


def dequantised(value: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """float32: what a tensor of TFLite stands for, scale x (value - zero point), in one step for the whole tensor."""
    scale, zero = details["quantization"]
    if not scale or np.issubdtype(value.dtype, np.floating):
        return value.astype(np.float32, copy=False)
    return (value.astype(np.float32) - zero) * np.float32(scale)


def _of_images(value: np.ndarray, images: int) -> bool:
    return value.ndim > 1 and len(value) == images
