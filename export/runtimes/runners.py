"""A model file -> a function from images to answers, in the file's own runtime.

A runner takes uint8 [N, H, W, 3] and gives [N, C]; N may change from call to call. `export.runtimes.loaders` has a
module for each runtime.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from export.runtimes.kind import kind_of
from export.runtimes.loaders.loaded import Loaded
from export.runtimes.model_input import ModelInput
from export.settings import Conversion
from export.variants import export_advice
from toolkit.errors import UnfreezeError, short_reason
from toolkit.process.keras_start import start_tensorflow
from toolkit.process.quiet import hushed

Predict = Callable[[np.ndarray], np.ndarray]
LOADERS = {name: f"export.runtimes.loaders.{name}" for name in ("onnx", "tflite", "saved_model", "keras")}
RUNTIMES = {"onnx": "onnxruntime", "tflite": "ai_edge_litert.interpreter"}


class NoRuntimeError(UnfreezeError):
    """The runtime of an artefact is not installed; the artefact may be good."""


@dataclass(frozen=True)
class Runner:
    """A loaded model file."""

    predict: Predict
    to_input: Predict  # uint8 [N, H, W, 3] -> what the file itself takes
    loaded: Loaded
    input: ModelInput  # with the size that images have to have


def load(path: Path, threads: int | None = None, *, conversion: Conversion | None = None) -> Runner:
    """Load a model file or a SavedModel folder. `threads`: None leaves the number to the runtime.

    `conversion`: for a model that was not exported here. The images are then also converted to its layout, type and
    range of values; its answers are returned unchanged: `export.runtimes.answers` makes probabilities of them. Without
    it the file takes uint8 [N, H, W, C] as it is. Raises UnfreezeError if the path is no model file, if the runtime
    refuses it, or if a conversion is needed that neither the file nor `conversion` gives.
    """
    kind = kind_of(path)
    loader = importlib.import_module(LOADERS[kind])
    try:
        with hushed():
            loaded = loader.load(path, threads, conversion.output if conversion else None)
        return _runner(loaded, conversion)
    except ModuleNotFoundError as error:
        raise _runtime_missing(path, error) from None
    except UnfreezeError as error:
        raise UnfreezeError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except Exception as error:  # each runtime has exceptions of its own
        if missing := missing_data(path):
            raise UnfreezeError(f"{path} cannot be loaded: {missing}") from None
        advice = export_advice(path) if conversion is None else "is the file whole?"
        raise UnfreezeError(f"{path} cannot be loaded ({short_reason(error)}); {advice}") from None


def import_runtime(path: Path) -> None:
    """Import the runtime of a model file, so that the import does not count in its load time."""
    kind = kind_of(path)
    try:
        if kind in RUNTIMES:
            importlib.import_module(RUNTIMES[kind])
        else:
            start_tensorflow()
    except ModuleNotFoundError as error:
        raise _runtime_missing(path, error) from None


def missing_data(path: Path) -> str:
    """What to do about the files beside an ONNX file that hold its weights and are not there; "" if none is missing."""
    if kind_of(path) != "onnx":
        return ""
    try:
        import onnx

        tensors = onnx.load(path, load_external_data=False).graph.initializer
    except Exception:  # not installed, or the file is damaged: then the runtime's own words have to do
        return ""
    names = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    missing = sorted(name for name in names if not (path.parent / name).is_file())
    return f"its weights are in {missing[0][:80]!a}, which has to lie beside it" if missing else ""


def _runner(loaded: Loaded, conversion: Conversion | None) -> Runner:
    if conversion is None:  # its own pixels, 0 to 255; as float32 where the file is for a GPU
        entry, to_input = loaded.input, partial(np.ndarray.astype, dtype=loaded.input.dtype, copy=False)
    else:
        entry = loaded.input.sized(conversion.image_size)
        entry.size  # noqa: B018  # raises if it is not known
        pixels = loaded.pixels if loaded.description else conversion.pixels or loaded.pixels
        to_input = partial(entry.convert, pixels=entry.check_pixels(pixels))
    return Runner(lambda images: loaded.answers(to_input(images)), to_input, loaded, entry)


def _runtime_missing(path: Path, error: ModuleNotFoundError) -> NoRuntimeError:
    package = str(error.name).partition(".")[0].replace("_", "-")
    return NoRuntimeError(
        f"{path.name} needs {package}, which is not installed: `pip install {package}`, or choose other files with "
        "--formats or --artefact"
    )
