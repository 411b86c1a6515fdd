"""Any model file or run, and image files -> class and probability. TensorFlow is loaded only for a SavedModel and for
Keras files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.artefacts import read_manifest
from export.runtimes import worker
from export.runtimes.kind import kind_of
from export.runtimes.labels import class_names
from export.runtimes.processes import FIRST_ANSWER_LIMIT, ArtefactProcess
from export.settings import AS_IN_THE_FILE, Conversion
from toolkit.data.sources.any_folder import read_any
from toolkit.data.sources.listing import Listing
from toolkit.data.sources.reasons import why
from toolkit.errors import UnfreezeError
from toolkit.pixels.colour import IGNORED
from toolkit.pixels.decode import decode, read_picture
from toolkit.pixels.levels import FULL
from toolkit.stats.rejection import unsure

PREFERRED = ("model.onnx", "model.tflite", "saved_model")  # then any other


@dataclass(frozen=True)
class Prediction:
    """The answer for one file. If there is none, `error` says why and the other fields are None."""

    path: str
    answer: str | None = None  # class name
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    error: str | None = None
    unsure: bool | None = None  # whether the probability is below the threshold in the model's file, which may be 0


def predict(source: Path, images: Sequence[Path], conversion: Conversion = AS_IN_THE_FILE) -> Iterator[Prediction]:
    """Yield a Prediction for each file, and for each image in a folder, in order. `source`: a model file of any
    runtime, a SavedModel folder, or a run folder, whose default artefact is used.

    `conversion`: how a model from elsewhere takes images, and its class names, as far as its file does not say. Raises
    UnfreezeError if the source is none of these, or if it is not known how it takes images or what its answers mean.
    """
    path = _artefact(source)
    kind_of(path)
    process = ArtefactProcess(path)  # a damaged file may crash its runtime, and then only that process
    try:
        process.load(0, conversion)
        levels, profiles = process.call(worker.image_recipe) or (FULL, IGNORED)
        limit = process.call(worker.threshold)
        classifier = _Classifier(process, _names(process, conversion), _size(process), levels, profiles, limit)
        files, links, listings = _look(images)
        if not files:
            raise _no_image(images, listings)
    except BaseException:
        process.end()
        raise
    return _predictions(classifier, files, links)


@dataclass(frozen=True)
class _Classifier:
    """A loaded model file, its class names, and the size of its images."""

    process: ArtefactProcess
    names: tuple[str, ...]
    size: tuple[int, int]  # height and width
    levels: str  # how it takes 16-bit images
    profiles: str = IGNORED  # and colours
    reject_below: float = 0.0  # the top probability below which it is unsure; 0: it always answers


def _names(process: ArtefactProcess, conversion: Conversion) -> tuple[str, ...]:
    names = class_names(conversion) or process.class_names
    if names is None:
        raise UnfreezeError(
            f"{process.path} does not say which classes it has; give --labels with a text file, one class name a line"
        )
    return names


def _size(process: ArtefactProcess) -> tuple[int, int]:
    size: tuple[int, int] = process.call(worker.image_size)
    return size


def _predictions(classifier: _Classifier, files: Sequence[Path], unread: Sequence[Prediction]) -> Iterator[Prediction]:
    try:
        yield from unread
        for image in files:
            yield _predict(classifier, image)
    finally:
        classifier.process.end()


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


def _look(images: Sequence[Path]) -> tuple[list[Path], list[Prediction], list[Listing]]:
    """(the files, an answer for each link to a folder that is not followed, what is in the folders). A folder stands
    for the images below it, sorted, by the rules of `scan`. Raises UnfreezeError if it cannot be read."""
    files: list[Path] = []
    links: list[Prediction] = []
    listings: list[Listing] = []
    for path in images:
        if os.path.isdir(path):
            listing = read_any(path)
            listings.append(listing)
            files += sorted(path / entry.path for entry in listing.entries)
            links += [Prediction(str(path / left.path), error=left.reason) for left in listing.rejected]
        else:
            files.append(path)
    return files, links, listings


def _no_image(images: Sequence[Path], listings: Sequence[Listing]) -> UnfreezeError:
    """Says what there is in the folders instead."""
    left = why([left for one in listings for left in one.rejected], sum((one.ignored for one in listings), Counter()))
    return UnfreezeError(f"there is no image in {', '.join(map(str, images)) or 'an empty list'}{left}; give images")


def _predict(classifier: _Classifier, image: Path) -> Prediction:
    try:
        data = read_picture(image)
        pixels = decode(data, classifier.size, levels=classifier.levels, profiles=classifier.profiles)
    except OSError as error:
        return Prediction(str(image), error=f"cannot be read: {error.strerror}")
    except UnfreezeError as error:
        return Prediction(str(image), error=str(error))
    except ValueError:  # a null byte
        return Prediction(str(image), error="not a path that a file can have")
    answers = classifier.process.call(worker.predict, pixels[np.newaxis], limit=FIRST_ANSWER_LIMIT)
    path, names = classifier.process.path, classifier.names
    if answers.shape != (1, len(names)):
        background = "; the first of its classes may be the background" if answers.shape[-1] == len(names) + 1 else ""
        raise UnfreezeError(
            f"{path} answers with {answers.shape[-1]} numbers and there are names of {len(names)} classes{background}; "
            "give --labels with a name for each"
        )
    if not np.isfinite(answers).all():
        return Prediction(str(image), error=f"{path} answers with what is no number")
    top = int(answers[0].argmax())
    by_class = {name: float(probability) for name, probability in zip(names, answers[0], strict=True)}
    below = bool(unsure(answers, classifier.reject_below)[0])
    return Prediction(str(image), names[top], float(answers[0, top]), by_class, unsure=below)
