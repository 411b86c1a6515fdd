"""The answers of an exported file by the runtime's plain kernels, without XNNPACK and without onnxruntime's fusions.

A quantised file answers with other kernels as it does with these up to rounding, which some images amplify: how much,
is seen from the two sets of kernels that a runtime has itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from export.artefacts import INPUT
from toolkit.process.quiet import hushed


def predict_plainly(path: Path, images: np.ndarray) -> np.ndarray:
    """float32 [N, C] of an ONNX or TFLite file written here, for uint8 [N, S, S, channels]."""
    with hushed():
        return (_onnx if path.suffix == ".onnx" else _tflite)(path, images)


def plain_session(model: Path | bytes) -> Any:
    """An onnxruntime session of a model that fuses no operations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)


def _onnx(path: Path, images: np.ndarray) -> np.ndarray:
    session = plain_session(path)
    return np.concatenate([session.run(None, {INPUT: image[np.newaxis]})[0] for image in images])


def _tflite(path: Path, images: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(path), experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for image in images:
        interpreter.set_tensor(entry["index"], image[np.newaxis])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(result["index"]))
    return np.concatenate(answers)
