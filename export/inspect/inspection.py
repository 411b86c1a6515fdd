"""A path -> what is in that model file: the reader for its kind, in a process of its own, and what follows from it."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from export.artefacts import read_manifest
from export.inspect.answers import answer_kind, class_count
from export.inspect.file_kind import HDF5, KERAS, KINDS, ONNX, SAVED_MODEL, TFLITE, kind_of
from export.inspect.image_input import ImageInput, image_input
from export.inspect.model_file import LARGEST, Hint, ModelFile, Weight
from export.inspect.next_command import next_command
from export.inspect.pixels import pixel_hints
from export.predict import default_artefact
from export.runtimes.isolated import run_isolated
from toolkit.errors import UnfreezeError, short_reason

SECONDS = 60.0  # that a file is read for at most
MEMORY = 4 << 30  # bytes that reading may take beyond eight times the file; TensorFlow itself takes one of them


@dataclass(frozen=True)
class Inspection:
    """What is in a model file, and what follows from it."""

    path: Path
    file: ModelFile
    image: ImageInput | None  # None: its input is no image
    classes: int | None  # None: its output is no row of numbers
    answers: str  # what the numbers of the output are; "" if it is not known
    pixels: tuple[Hint, ...]  # (): nothing in the file tells
    next: str  # the command to type; "" if Unfreeze does not run it

    @property
    def largest(self) -> tuple[Weight, ...]:
        return tuple(sorted(self.file.weights, key=lambda weight: -weight.bytes)[:LARGEST])

    def to_json(self) -> dict[str, Any]:
        """All of it but the weights, of which the largest are listed."""
        told = asdict(self.file)
        left = {name: told.pop(name) for name in ("weights", "names", "hints", "steps", "quantised", "last")}
        told["first_steps"] = left["steps"]
        told |= {"parameters": self.file.parameters, "weight_bytes": self.file.weight_bytes}
        told["largest"] = [asdict(weight) for weight in self.largest]
        told |= {"image": self.image and asdict(self.image), "classes": self.classes, "answers": self.answers}
        return {"path": str(self.path), **told, "pixels": [asdict(hint) for hint in self.pixels], "next": self.next}


def inspect(path: Path) -> Inspection:
    """What is in a model file, a SavedModel folder, or the file of a run that `predict` would take. Nothing in it runs.
    Raises UnfreezeError if it is none of these, or is damaged."""
    if not path.exists():
        raise UnfreezeError(f"{path} does not exist; give {KINDS}")
    path = _in_run(path)
    kind = kind_of(path)
    file: ModelFile = run_isolated(path, _read, path, kind, limit=SECONDS)
    image, hints, classes = image_input(file.inputs), pixel_hints(file), class_count(file.outputs)
    answers = answer_kind(file.last, classes)
    return Inspection(path, file, image, classes, answers, hints, next_command(path, file, image, hints))


def _in_run(path: Path) -> Path:
    """For a run folder its default artefact, or its model.keras if nothing was exported; else the path itself."""
    if path.name == "saved_model.pb":
        return path.parent
    export = path / "export" if (path / "run.json").is_file() else path
    if (export / "manifest.json").is_file():
        written = [artefact.name for artefact in read_manifest(export).artefacts]
        if written:
            return export / default_artefact(written)
    return path / "model.keras" if (path / "run.json").is_file() and (path / "model.keras").is_file() else path


def _read(path: Path, kind: str) -> ModelFile:
    """In the process of its own: `ModelFile`, or UnfreezeError whatever is wrong with the file."""
    _bound_memory(path)
    try:
        return _reader(kind)(path)
    except UnfreezeError:
        raise
    except MemoryError:
        raise UnfreezeError(f"{path} takes more memory to read than a {kind} file of its size should") from None
    except Exception as error:  # parsers of damaged files raise whatever they meet
        slips = isinstance(error, (TypeError, LookupError, AttributeError, ArithmeticError))  # their texts are Python's
        reason = "it is damaged" if slips else short_reason(error)
        raise UnfreezeError(f"{path} cannot be read as {kind} ({reason}); get the file anew") from None


def _reader(kind: str) -> Any:
    if kind == TFLITE:
        from export.inspect.tflite_file import read_tflite

        return read_tflite
    if kind == ONNX:
        from export.inspect.onnx_file import read_onnx

        return read_onnx
    if kind == SAVED_MODEL:
        from export.inspect.saved_model_file import read_saved_model

        return read_saved_model
    from export.inspect.keras_file import read_keras, read_keras_hdf5

    return {KERAS: read_keras, HDF5: read_keras_hdf5}[kind]


def _bound_memory(path: Path) -> None:
    """Limit the memory of this process, where the system can."""
    if sys.platform != "linux":
        return
    import resource

    file = path / "saved_model.pb" if path.is_dir() else path
    limit = MEMORY + 8 * file.stat().st_size
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))
