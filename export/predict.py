"""Any artefact or run, and image files -> class and probability. TensorFlow is loaded only for a SavedModel."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.artefacts import read_manifest
from export.description import channels
from export.runtimes import worker
from export.runtimes.processes import FIRST_ANSWER_LIMIT, ArtefactProcess
from toolkit.data.sources.walk import is_image, walk
from toolkit.errors import UnfreezeError
from toolkit.pixels.decode import decode
from toolkit.pixels.grey import to_grey
from toolkit.storage.safe_read import read

PREFERRED = ("model.onnx", "model.tflite", "saved_model")  # then any other


@dataclass(frozen=True)
class Prediction:
    """The answer for one file. If there is none, `error` says why and the other fields are None."""

    path: str
    answer: str | None = None  # class name
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    error: str | None = None


def predict(source: Path, images: Sequence[Path]) -> Iterator[Prediction]:
    """Yield a Prediction for each file, and for each image in a folder, in order. `source`: an `.onnx` or `.tflite`
    file, a SavedModel folder, or a run folder, whose default artefact is used. Raises UnfreezeError if it is none of
    these."""
    path = _artefact(source)
    process = ArtefactProcess(path)  # a damaged file may crash its runtime, and then only that process
    try:
        process.load(0, None)
        description, _ = process.call(worker.description_and_shape)
        if not description:
            raise UnfreezeError(f"{path} does not say which classes and which input it has; export it with unfreeze")
        files = files_in(images)
        if not files:
            raise UnfreezeError(f"there is no image in {', '.join(map(str, images)) or 'an empty list'}; give images")
    except BaseException:
        process.end()
        raise
    return _predictions(process, description, files)


def _predictions(process: ArtefactProcess, description: dict[str, Any], files: Sequence[Path]) -> Iterator[Prediction]:
    try:
        for image in files:
            yield _predict(process, description, image)
    finally:
        process.end()


def _artefact(source: Path) -> Path:
    """The path itself if it is an artefact; for a run folder, its model.keras or its export folder the default
    artefact."""
    if source.name == "model.keras" and (source.parent / "run.json").is_file():
        source = source.parent
    folder = source / "export" if (source / "run.json").is_file() else source
    if not (folder / "manifest.json").is_file() and folder == source:
        return source
    written = [artefact.name for artefact in read_manifest(folder).artefacts]
    if not written:
        raise UnfreezeError(f"{folder} holds no artefact; `unfreeze export {folder.parent}` writes them")
    return folder / default_artefact(written)


def default_artefact(names: Sequence[str]) -> str:
    """The artefact used if only the run is named: the first of PREFERRED that there is."""
    return next((name for name in PREFERRED if name in names), names[0])


def files_in(images: Sequence[Path]) -> list[Path]:
    """The files of `images`; a folder stands for the images below it, sorted, by the rules of `scan` (no hidden files,
    no links to folders). Raises UnfreezeError if a folder cannot be read."""
    found: list[Path] = []
    for path in images:
        inside = (
            (file for files, _ in walk(path) for file in files if is_image(file)) if os.path.isdir(path) else [path]
        )
        found += sorted(inside)
    return found


def _predict(process: ArtefactProcess, description: dict[str, Any], image: Path) -> Prediction:
    try:
        pixels = decode(read(image), description["input"]["shape"][1])
        pixels = to_grey(pixels) if channels(description) == 1 else pixels
    except OSError as error:
        return Prediction(str(image), error=f"cannot be read: {error.strerror}")
    except UnfreezeError as error:
        return Prediction(str(image), error=str(error))
    except ValueError:  # a null byte
        return Prediction(str(image), error="not a path that a file can have")
    names = description["class_names"]
    answers = process.call(worker.predict, pixels[np.newaxis], limit=FIRST_ANSWER_LIMIT)
    if answers.shape != (1, len(names)):
        raise UnfreezeError(
            f"{process.path} answers with an array of shape {list(answers.shape)} and names {len(names)} classes; "
            "export it anew"
        )
    if not np.isfinite(answers).all():
        return Prediction(str(image), error=f"{process.path} answers with what is no number")
    top = int(answers[0].argmax())
    by_class = {name: float(probability) for name, probability in zip(names, answers[0], strict=True)}
    return Prediction(str(image), names[top], float(answers[0, top]), by_class)
