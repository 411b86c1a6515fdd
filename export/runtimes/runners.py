"""An artefact -> a function from images to probabilities, in the artefact's own runtime.

A runner takes uint8 [N, S, S, 3] and gives float32 [N, C]; N may change from call to call.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from export.description import read_description
from export.runtimes.graph_files import check_saved_model
from export.runtimes.inputs_outputs import in_batches, to_model_input
from export.runtimes.tensors import dequantised
from export.variants import export_advice
from toolkit.errors import UnfreezeError, short_reason
from toolkit.process.cores import cores
from toolkit.process.quiet import hushed, start_tensorflow
from toolkit.process.tf32 import without_tf32

Predict = Callable[[np.ndarray], np.ndarray]


class NoRuntimeError(UnfreezeError):
    """The runtime of an artefact is not installed; the artefact may be good."""


@dataclass(frozen=True)
class Runner:
    """A loaded artefact."""

    predict: Predict
    to_input: Predict  # uint8 [N, S, S, 3] -> what the artefact itself takes
    description: dict[str, Any] | None  # what the artefact says of itself
    shape: tuple[Any, ...]  # of its input; a dimension that is not fixed is None, a text or -1


def load(path: Path, threads: int | None = None, *, pixels: str | None = None) -> Runner:
    """Load an `.onnx` or `.tflite` file or a SavedModel folder. `threads`: None leaves the number to the runtime.

    `pixels`: for a model that was not exported here, the range that it takes, a name of
    `export.runtimes.inputs_outputs.SCALES`. The images are then also converted to its layout and dtype. Its answers are
    returned unchanged: `export.runtimes.inputs_outputs.to_probabilities` converts them. Raises UnfreezeError if the
    path is not an artefact, or if the runtime refuses it.
    """
    if path.is_dir() and (path / "saved_model.pb").is_file():
        loader: Callable[[Path, int | None, str | None], Runner] = load_saved_model
    elif path.suffix.lower() in LOADERS and path.is_file():
        loader = LOADERS[path.suffix.lower()]
    else:
        raise UnfreezeError(f"{path} is not an .onnx or .tflite file, a SavedModel folder or a run folder")
    try:
        with hushed():
            return loader(path, threads, pixels)
    except ModuleNotFoundError as error:
        raise _runtime_missing(path, error) from None
    except Exception as error:  # each runtime has exceptions of its own
        raise UnfreezeError(f"{path} cannot be loaded ({short_reason(error)}); {export_advice(path)}") from None


def import_runtime(path: Path) -> None:
    """Import the runtime of an artefact, so that the import does not count in its load time."""
    if path.is_dir():
        start_tensorflow()
        return
    try:
        importlib.import_module(RUNTIMES.get(path.suffix.lower(), "numpy"))
    except ModuleNotFoundError as error:
        raise _runtime_missing(path, error) from None


def load_onnx(path: Path, threads: int | None, pixels: str | None) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        path,
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # the fallback prints on standard output
    )
    described = session.get_modelmeta().custom_metadata_map.get("unfreeze")
    _check_one_input_and_output(session.get_inputs(), session.get_outputs())
    entry = session.get_inputs()[0]
    dtype = {"tensor(uint8)": np.uint8, "tensor(float16)": np.float16}.get(entry.type, np.float32)

    fed = partial(to_model_input, shape=entry.shape, dtype=dtype, pixels=pixels)

    def predict(images: np.ndarray) -> np.ndarray:
        return in_batches(lambda part: session.run(None, {entry.name: part})[0], entry.shape, fed(images))

    return Runner(predict, fed, read_description(described), tuple(entry.shape))


def load_tflite(path: Path, threads: int | None, pixels: str | None) -> Runner:
    from ai_edge_litert.interpreter import Interpreter

    from export.formats.tflite_metadata import description_in

    content = path.read_bytes()
    interpreter = Interpreter(model_content=content, num_threads=threads or cores())
    interpreter.allocate_tensors()
    _check_one_input_and_output(interpreter.get_input_details(), interpreter.get_output_details())
    entry, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    shape = tuple(int(size) for size in entry["shape_signature"])
    fed = partial(to_model_input, shape=shape, dtype=entry["dtype"], pixels=pixels, quantization=entry["quantization"])
    allocated = int(entry["shape"][0])

    def invoked(images: np.ndarray) -> np.ndarray:
        nonlocal allocated
        if len(images) != allocated:
            interpreter.resize_tensor_input(entry["index"], images.shape, strict=True)
            interpreter.allocate_tensors()
            allocated = len(images)
        interpreter.set_tensor(entry["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    def predict(images: np.ndarray) -> np.ndarray:
        answer = in_batches(invoked, shape, fed(images))
        return answer if pixels is None else dequantised(answer, result)

    return Runner(predict, fed, read_description(description_in(content)), shape)


def load_saved_model(path: Path, threads: int | None, pixels: str | None) -> Runner:
    start_tensorflow()
    import tensorflow as tf

    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    check_saved_model(path)
    loaded = tf.saved_model.load(str(path))
    name = next((name for name in ("serve", "serving_default") if name in loaded.signatures), "")
    if not name:
        raise ValueError(f"it has neither of the signatures serve and serving_default: {sorted(loaded.signatures)}")
    serve = loaded.signatures[name]
    entries = serve.structured_input_signature[1].values()
    if len(entries) != 1 or len(serve.structured_outputs) != 1:
        raise ValueError(f"its signature {name} has {len(entries)} inputs and {len(serve.structured_outputs)} outputs")
    (entry,) = entries
    description = path / "unfreeze.json"

    shape = tuple(entry.shape.as_list())
    fed = partial(to_model_input, shape=shape, dtype=entry.dtype.as_numpy_dtype, pixels=pixels)

    def served(images: np.ndarray) -> np.ndarray:
        with without_tf32():
            (answer,) = serve(**{entry.name: tf.constant(images)}).values()
            return answer.numpy()

    def predict(images: np.ndarray) -> np.ndarray:
        return in_batches(served, shape, fed(images))

    predict.keep = loaded  # type: ignore[attr-defined]  # a signature does not keep its variables alive
    described = description.read_text(encoding="utf-8") if description.is_file() else None
    return Runner(predict, fed, read_description(described), shape)


def _check_one_input_and_output(inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"it has {len(inputs)} inputs and {len(outputs)} outputs; it must have one each: images in, classes out"
        )


def _runtime_missing(path: Path, error: ModuleNotFoundError) -> NoRuntimeError:
    return NoRuntimeError(f"{path.name} needs {error.name}, which is not installed; choose others with --formats")


RUNTIMES = {".onnx": "onnxruntime", ".tflite": "ai_edge_litert.interpreter"}
LOADERS = {".onnx": load_onnx, ".tflite": load_tflite}
