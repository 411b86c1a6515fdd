"""Verify files that were made of a model from elsewhere, with the same evidence as for a run's own artefacts."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from export.artefacts import Artefact, Reference, digest, picture_paths, size
from export.foreign.load_keras import load_keras
from export.proof.locate import locate
from export.proof.parity import Parity, most_different_rows, verdict_on, write_parities
from export.proof.verify import draw_flips
from export.runtimes.inputs_outputs import read_labels, square_size, to_model_input, to_probabilities
from export.runtimes.inspect_file import shape_and_precision
from export.runtimes.isolated import run_isolated
from export.runtimes.measure import measure
from export.settings import PIXELS, VERIFY, VerifySettings
from toolkit.data.decoded_arrays import decoded
from toolkit.data.image_set import ImageSet, scan
from toolkit.errors import UnfreezeError, short_reason
from toolkit.process.tf32 import without_tf32
from toolkit.progress import Progress, silent
from toolkit.storage.files import remove

BATCH = 32


def verify_foreign(
    reference: Path,
    artefacts: Sequence[Path],
    data: Path,
    *,
    pixels: str = PIXELS[0],
    labels: Path | None = None,
    settings: VerifySettings = VERIFY,
    out: Path | None = None,
    progress: Progress = silent,
) -> list[Parity]:
    """Compare each artefact with `reference`, a .keras file, on the test part of `data`, or on all its images if it has
    none. Both get the pixels that `toolkit.pixels.decode` decodes, in the range `pixels`, a name of
    `export.runtimes.inputs_outputs.SCALES`.

    `labels`: a text file with one class name per line, in the order of the model's answers; None: the names of the
    folders, sorted. `out`: a folder for parity.json and the pictures. Raises UnfreezeError if the model cannot be
    loaded, or does not take these images and give these classes.
    """
    if not artefacts:
        raise UnfreezeError("no artefact to compare with the reference; give one or more")
    twice = [path.name for path in artefacts if [other.name for other in artefacts].count(path.name) > 1]
    if twice:
        raise UnfreezeError(f"two artefacts are named {twice[0]}, and the table could not tell them apart; rename one")
    model = load_keras(reference, "--reference")
    image_size, kinds = square_size(model.input_shape), {}
    for path in artefacts:
        shape, kinds[path] = run_isolated(path, shape_and_precision, path, pixels)
        if square_size(shape) != image_size:
            raise UnfreezeError(f"{path} takes images of {square_size(shape)} px and the reference {image_size} px")
    images = _images(data, labels, progress)
    with tempfile.TemporaryDirectory() as cache:
        array: Any = decoded(images, Path(cache), image_size, progress=partial(progress, "decoding"))
        try:
            answers = _answers(model, array, pixels)
        except Exception as error:  # layers raise classes of their own
            raise UnfreezeError(
                f"{reference} does not run on images of {image_size} px ({short_reason(error)})"
            ) from None
        if answers.shape[1] != len(images.class_names):
            raise UnfreezeError(
                f"{reference} gives {answers.shape[1]} classes and {data} has {len(images.class_names)}; "
                "give --labels with one class name per line, in the model's order"
            )
        known = Reference(images.paths, images.labels, answers)
        rows = np.arange(len(images))
        threads = settings.thread_counts
        outcomes = measure(
            list(artefacts), Path(array.filename), rows, threads=threads, pixels=pixels, progress=progress
        )
        parities = []
        for path in artefacts:
            parity = verdict_on(_artefact(path, kinds[path]), outcomes[path], known, images.class_names, settings)
            picture = picture_paths(out, path.name)[1] if out else None
            if picture is not None:
                remove(picture)
            compared = most_different_rows(outcomes[path], known) if settings.layers or parity.broken else None
            if compared is not None:
                to_input = partial(_fed, model=model, pixels=pixels)
                some, precision = np.asarray(array[compared]), parity.artefact.precision
                found = locate(model, path, some, precision, to_input=to_input, pixels=pixels, picture=picture)
                parity = replace(parity, divergence=found)
            parities.append(parity)
        if out is not None:
            write_parities(out / "parity.json", parities)
            draw_flips(out, parities, array, known)
    return parities


def _images(data: Path, labels: Path | None, progress: Progress) -> ImageSet:
    """The images of the test part, or all images if there is none."""
    names = None if labels is None else read_labels(labels)
    images = scan(data, classes=names, progress=partial(progress, "scanning"))
    return images.select("test") if "test" in images.parts else images


def _answers(model: keras.Model, images: np.ndarray, pixels: str) -> np.ndarray:
    parts = (np.asarray(images[start : start + BATCH]) for start in range(0, len(images), BATCH))
    with without_tf32():
        answers = [keras.ops.convert_to_numpy(model(_fed(part, model, pixels), training=False)) for part in parts]
    return to_probabilities(np.concatenate(answers))


def _fed(images: np.ndarray, model: keras.Model, pixels: str) -> np.ndarray:
    return to_model_input(images, model.input_shape, model.inputs[0].dtype, pixels)


def _artefact(path: Path, precision: str) -> Artefact:
    form = "saved_model" if path.is_dir() else path.suffix.lower().lstrip(".")
    return Artefact(path.name, form, precision, size(path), digest(path))
