"""An artefact -> a function from images to probabilities, in the artefact's own runtime, which is imported here only.

A runner takes uint8 [N, S, S, 3] and gives float32 [N, C]; N may change from call to call.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.artefacts import INPUT, OUTPUT
from toolkit.errors import UnfreezeError, first_line
from toolkit.quiet import hushed, start_tensorflow

Predict = Callable[[np.ndarray], np.ndarray]


class NoRuntimeError(UnfreezeError):
    """The artefact may be good, but what runs it is not installed."""


@dataclass(frozen=True)
class Runner:
    """A loaded artefact."""

    predict: Predict
    description: dict[str, Any] | None  # what the artefact says of itself


def load(path: Path, threads: int | None = None) -> Runner:
    """Load an `.onnx` or `.tflite` file or a SavedModel folder. `threads` None: the runtime's own choice.

    UnfreezeError where it is none of these or its runtime refuses it.
    """
    if path.is_dir() and (path / "saved_model.pb").is_file():
        loader: Callable[[Path, int | None], Runner] = load_saved_model
    elif path.suffix.lower() in LOADERS and path.is_file():
        loader = LOADERS[path.suffix.lower()]
    else:
        raise UnfreezeError(f"{path} is no .onnx or .tflite file, SavedModel folder or run folder")
    try:
        with hushed():
            return loader(path, threads)
    except ModuleNotFoundError as error:
        raise NoRuntimeError(
            f"{path.name} needs {error.name}, which is not installed; choose others with --formats"
        ) from None
    except Exception as error:  # each runtime has exceptions of its own
        raise UnfreezeError(f"{path} cannot be loaded ({said(error)}); export it again") from None


def load_onnx(path: Path, threads: int | None) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    described = session.get_modelmeta().custom_metadata_map.get("unfreeze")
    entry = session.get_inputs()[0].name
    return Runner(lambda images: session.run(None, {entry: images})[0], json.loads(described) if described else None)


def load_tflite(path: Path, threads: int | None) -> Runner:
    from ai_edge_litert.interpreter import Interpreter

    from export.tflite_metadata import read_description

    content = path.read_bytes()
    interpreter = Interpreter(model_content=content, num_threads=threads or os.cpu_count())
    interpreter.allocate_tensors()
    entry, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    allocated = 1

    def predict(images: np.ndarray) -> np.ndarray:
        nonlocal allocated
        if len(images) != allocated:
            interpreter.resize_tensor_input(entry, images.shape, strict=True)
            interpreter.allocate_tensors()
            allocated = len(images)
        interpreter.set_tensor(entry, images)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return Runner(predict, read_description(content))


def load_saved_model(path: Path, threads: int | None) -> Runner:
    start_tensorflow()
    import tensorflow as tf

    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serve"]
    description = path / "unfreeze.json"

    def predict(images: np.ndarray) -> np.ndarray:
        return serve(**{INPUT: tf.constant(images)})[OUTPUT].numpy()

    predict.keep = loaded  # type: ignore[attr-defined]  # a signature does not keep its variables alive
    return Runner(predict, json.loads(description.read_text(encoding="utf-8")) if description.is_file() else None)


LOADERS = {".onnx": load_onnx, ".tflite": load_tflite}


def said(error: BaseException) -> str:
    """What a runtime says, in one line of bearable length."""
    text = first_line(error)
    return text if len(text) <= 160 else text[:157] + "..."
