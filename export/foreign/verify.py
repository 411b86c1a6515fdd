"""Any model file against any other: the same evidence as for a run's own artefacts. Each file runs in a process of its
own, in its own runtime; TensorFlow is needed only for files that need it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from export.artefacts import Artefact, Reference, digest, picture_paths, size
from export.foreign.look import Look, look_at
from export.proof.compare import coarser, most_different_rows, spread_rows, verdict_on
from export.proof.evidence import Joined
from export.proof.locate import locate, locate_between
from export.proof.parity import Divergence, Parity, ReferenceFile, write_parities
from export.proof.verify import draw_flips
from export.runtimes import worker
from export.runtimes.kind import kind_of
from export.runtimes.labels import class_names
from export.runtimes.measure import Measurement, Outcome, Task, measure
from export.runtimes.processes import FIRST_ANSWER_LIMIT, ProcessGroup
from export.runtimes.worker import REPEATED, not_repeated
from export.settings import AS_IN_THE_FILE, VERIFY, Conversion, VerifySettings
from toolkit.data.decoded_arrays import decoded
from toolkit.data.image_set import ImageSet, scan
from toolkit.data.settings import DATA_SETTINGS, DataSettings, undivided
from toolkit.data.sources.open import check_data
from toolkit.data.unlabelled import scan_unlabelled
from toolkit.errors import UnfreezeError, one_line
from toolkit.pixels.colour import IGNORED
from toolkit.pixels.levels import FULL
from toolkit.process.keras_start import start_keras
from toolkit.progress import Progress, silent
from toolkit.storage.files import remove


def verify_foreign(
    reference: Path,
    artefacts: Sequence[Path],
    data: Path,
    *,
    conversion: Conversion = AS_IN_THE_FILE,
    reference_conversion: Conversion | None = None,
    settings: VerifySettings = VERIFY,
    out: Path | None = None,
    progress: Progress = silent,
) -> list[Parity]:
    """Compare each artefact with `reference`, files of any runtime, on the test part of `data`, or on all its images if
    it has none. All get the pixels that `toolkit.pixels.decode` decodes, each converted to what it takes.

    `conversion`: how the files take images, and the class names, as far as the files do not say; without class names,
    the names of the folders, sorted. `reference_conversion`: the same of the reference, if it differs. `out`: a folder
    for parity.json and the pictures. Each verdict carries the reference's size and times. Raises UnfreezeError if a
    model cannot be loaded, or does not take images, or the reference gives other classes.
    """
    _check_names(artefacts)
    if reference_conversion not in (None, conversion) and reference in artefacts:
        raise UnfreezeError(f"{reference} is reference and artefact, and cannot take two ranges of pixels; copy it")
    conversions = dict.fromkeys(artefacts, conversion) | {reference: reference_conversion or conversion}
    for path in (reference, *artefacts):
        kind_of(path)
    check_data(data)
    with tempfile.TemporaryDirectory() as folder, ProcessGroup() as processes:
        looks = look_at(conversions, processes, progress)
        given = class_names(conversions[reference])
        _check_number(reference, looks[reference], given)
        recipe = _recipe(reference, looks)
        names = given or _labels_inside(reference, looks)
        images = _images(data, names, undivided(settings.reading or DATA_SETTINGS), recipe, progress)
        more = _more_images(settings, images, progress)
        pixels = _decode(images, more, Path(folder), {look.size for look in looks.values()}, progress)
        tasks = {Task(path, pixels[look.size].files, conversions[path]): look.process for path, look in looks.items()}
        outcomes = measure(list(tasks), threads=settings.thread_counts, started=tasks, progress=progress)
        known = replace(
            _reference(reference, outcomes[reference], images, more, data), precision=looks[reference].precision
        )
        file = _reference_file(_artefact(reference, looks[reference]), outcomes[reference])
        keras_reference = cache(partial(_keras_reference, reference, conversions[reference]))
        parities = []
        for path in artefacts:
            outcome = outcomes[path] if given is None else _without_names(outcomes[path])
            parity = verdict_on(_artefact(path, looks[path]), outcome, known, images.class_names, settings)
            parity = replace(parity, reference=file)
            rows = most_different_rows(outcome, known) if settings.layers or parity.broken else None
            picture = picture_paths(out, path.name)[1] if out else None
            if picture is not None:
                remove(picture)
            if rows is not None:
                rows = spread_rows(known) if looks[path].kind == looks[reference].kind else rows
                pair = [(one, conversions[one]) for one in (reference, path)]
                parity = replace(parity, divergence=_located(pair, looks, pixels, rows, picture, keras_reference))
            parities.append(parity)
        if out is not None:
            write_parities(out / "parity.json", parities)
            draw_flips(out, parities, pixels[looks[reference].size], known)
    return parities


def _check_names(artefacts: Sequence[Path]) -> None:
    if not artefacts:
        raise UnfreezeError("no artefact to compare with the reference; give one or more")
    names = [path.name for path in artefacts]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UnfreezeError(f"two artefacts are named {twice[0]}, and the table could not tell them apart; rename one")


def _check_number(reference: Path, look: Look, names: tuple[str, ...] | None) -> None:
    """Raises UnfreezeError if there is not a class name for each of the reference's answers."""
    if names is None:
        return
    black = np.zeros((1, *look.size, 3), np.uint8)
    classes = look.process.call(worker.predict, black, limit=FIRST_ANSWER_LIMIT).shape[1]
    if classes != len(names):
        raise UnfreezeError(
            f"{reference} gives {classes} classes and --labels names {len(names)}; give a name for each"
        )


def _labels_inside(reference: Path, looks: dict[Path, Look]) -> tuple[str, ...] | None:
    """The class names in the reference's file, or else those in the artefacts' files, if they agree; None if there are
    none. Raises UnfreezeError if the artefacts' do not agree."""
    if looks[reference].labels is not None:
        return looks[reference].labels
    inside = {path: look.labels for path, look in looks.items() if look.labels is not None}
    if len(set(inside.values())) > 1:
        raise UnfreezeError(
            f"{' and '.join(str(path) for path in inside)} have different class names in them, and {reference} has "
            "none; give --labels with those of the reference, in its order"
        )
    return next(iter(inside.values()), None)


def _recipe(reference: Path, looks: dict[Path, Look]) -> tuple[str, str]:
    """How the reference takes 16-bit images, and colours; if its file does not say, as the artefacts do. Raises
    UnfreezeError if these do not agree."""
    told = {path: look.process.call(worker.image_recipe) for path, look in looks.items()}
    inside: dict[Path, tuple[str, str]] = {path: recipe for path, recipe in told.items() if recipe is not None}
    if reference in inside:
        return inside[reference]
    for number, what in enumerate(("16-bit images with different levels", "colours with different profiles")):
        if len({recipe[number] for recipe in inside.values()}) > 1:
            named = " and ".join(f"{path} ({recipe[number]})" for path, recipe in inside.items())
            raise UnfreezeError(
                f"{named} take {what}, and {reference} does not say which are its own; compare each with it by itself"
            )
    return next(iter(inside.values()), (FULL, IGNORED))


def _images(
    data: Path, names: tuple[str, ...] | None, reading: DataSettings, recipe: tuple[str, str], progress: Progress
) -> ImageSet:
    """The images of the test part, or all images if there is none. `recipe`: levels and profiles of the reference."""
    (levels, profiles), told = recipe, partial(progress, "scanning")
    images = scan(data, reading, classes=names, trains=False, levels=levels, profiles=profiles, progress=told)
    return images.select("test") if "test" in images.parts else images


def _more_images(settings: VerifySettings, images: ImageSet, progress: Progress) -> ImageSet | None:
    """The images without labels, but those that are among the labelled ones."""
    if settings.evidence is None:
        return None
    known = frozenset(images.digests)
    told = partial(progress, "scanning evidence")
    return scan_unlabelled(
        Path(settings.evidence), leave_out=known, levels=images.levels, profiles=images.profiles, progress=told
    )


def _decode(
    images: ImageSet, more: ImageSet | None, folder: Path, sizes: set[tuple[int, int]], progress: Progress
) -> dict[tuple[int, int], Joined]:
    """The images, and those without labels behind them, at each size that a model takes."""
    sets = [images] if more is None else [images, more]
    told = partial(progress, "decoding")
    return {size: Joined([decoded(one, folder, size, progress=told) for one in sets]) for size in sizes}


def _reference(path: Path, outcome: Outcome, images: ImageSet, more: ImageSet | None, data: Path) -> Reference:
    """The reference's answers. Raises UnfreezeError if it gives none, or not one for each class."""
    if not isinstance(outcome, Measurement):
        raise UnfreezeError(str(outcome) if str(path) in str(outcome) else f"{path}: {outcome}")
    if outcome.repeated > REPEATED:
        raise UnfreezeError(f"{path}: {not_repeated(outcome.repeated)}")
    answers, count = outcome.probabilities, len(images)
    if answers.shape[1] != len(images.class_names):
        raise UnfreezeError(
            f"{path} gives {answers.shape[1]} classes and {one_line(str(data))} has {len(images.class_names)}; "
            "give --labels with one class name a line, in the model's order"
        )
    if not np.isfinite(answers).all():
        raise UnfreezeError(f"{path} answers with what is no number; are its --pixels right?")
    known = Reference(images.paths, images.labels, answers[:count])
    return known if more is None else known + Reference.of_unlabelled(more.paths, answers[count:])


def _without_names(outcome: Outcome) -> Outcome:
    """The outcome without the class names in the file, which do not count where the user gave others."""
    return replace(outcome, class_names=None) if isinstance(outcome, Measurement) else outcome


def _located(
    pair: Sequence[tuple[Path, Conversion]],
    looks: dict[Path, Look],
    pixels: dict[tuple[int, int], Joined],
    rows: np.ndarray,
    picture: Path | None,
    keras_reference: Callable[[], tuple[Any, Callable[[np.ndarray], np.ndarray]]],
) -> Divergence | None:
    """Where the second file starts to differ from the first; None where both cannot be compared layer by layer.

    `keras_reference`: gives the first as a Keras model, if it is one, and the function from images to what it takes.
    """
    (reference, how), (path, its) = pair
    one, other = looks[reference], looks[path]
    if one.size != other.size:
        return None
    images, precision = pixels[one.size].take(rows), coarser(other.precision, one.precision)
    if one.kind == "keras" and other.kind in ("onnx", "tflite"):
        model, to_input = keras_reference()
        return locate(model, path, images, precision, to_input=to_input, conversion=its, picture=picture)
    if one.kind == other.kind and one.kind in ("onnx", "tflite"):
        return locate_between((reference, how), (path, its), images, precision, picture=picture)
    return None


def _keras_reference(path: Path, conversion: Conversion) -> tuple[Any, Callable[[np.ndarray], np.ndarray]]:
    """The reference as a model in this process, and the function from uint8 [N, H, W, 3] to what it takes."""
    start_keras()
    from export.foreign.load_keras import load_keras, model_and_input

    return model_and_input(load_keras(path, "--reference", conversion.output), conversion)


def _artefact(path: Path, look: Look) -> Artefact:
    return Artefact(path.name, look.kind, look.precision, size(path), digest(path))


def _reference_file(file: Artefact, outcome: Outcome) -> ReferenceFile:
    assert isinstance(outcome, Measurement)  # or there would be nothing to compare with
    what = (file.name, file.format, file.precision, file.bytes, file.sha256)
    return ReferenceFile(*what, timings=outcome.timings, memory_mb=outcome.memory_mb)
