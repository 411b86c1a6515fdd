"""A run's model -> its artefacts, the reference answers, the golden pack and the manifest.

`export.intermediates` holds what the files are made from, `export.write_variants` the writer of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from export.artefacts import (
    UNSTATED,
    VAL,
    Artefact,
    Manifest,
    Reference,
    describe,
    picture_paths,
    read_manifest,
    read_reference,
    write_manifest,
    write_reference,
)
from export.artefacts import digest as artefact_digest
from export.intermediates import Intermediates, model_answers
from export.quantise.ways import check_layers
from export.settings import EXPORT, ExportSettings
from export.targets.golden import write_golden
from export.threshold import threshold
from export.variants import ALL_VARIANTS, Variant
from export.write_variants import check_runs, write_variant
from toolkit.errors import UnfreezeError, disk_is_full, short_reason
from toolkit.evaluation.results import answers_of
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.storage.files import file_digest, remove, scratch, write_text
from toolkit.training.batches import load_part
from toolkit.training.held_out import read_held_out
from toolkit.training.model_file import load_model
from toolkit.training.stored_spec import read_spec


def export(run: Run, settings: ExportSettings = EXPORT, progress: Progress = silent) -> Manifest:
    """Write the run's model into its `export/` folder: all variants or some. Other files of the same model stay.

    A variant that cannot be written, or does not run, is listed in the manifest's `failed`. While an export goes on,
    and after it was interrupted, the manifest lists the files that stay. Raises UnfreezeError if the run has no model,
    no layer of a name in `float_layers`, or other files that were exported with another licence.
    """
    chosen = settings.variants
    progress("loading the model", 0, 1)
    model = load_model(run)
    progress("loading the model", 1, 1)
    check_layers(model, settings.float_layers, run.path)
    image_size = read_spec(run).image_size
    part = load_part(run, "test", image_size=image_size, progress=progress)
    folder, digest = run.path / "export", file_digest(run.path / "model.keras")
    staying = _staying(folder, digest, chosen)
    license = settings.license or (staying.description.get("license", UNSTATED) if staying else UNSTATED)
    answers = answers_of(run.path, run.images.select("test"), digest)
    if answers is None:
        answers = model_answers(model, part.images, "the model's own answers", progress)
    reference = Reference(run.images.select("test").paths, part.labels, answers)
    val = _judging_reference(run, model, image_size, progress)
    proof = reference if run.settings.fold_count > 1 else reference + val  # with folds the model was trained on them
    limit = threshold(run, settings, staying.description if staying else None, proof.only(VAL))
    description = describe(run, image_size, license, limit)
    if staying and staying.artefacts and staying.description != description:
        raise UnfreezeError(
            f"the other artefacts in {folder} were exported with another --license, --reject-below or version; "
            "export all of them anew"
        )
    _clear(run.path, staying)
    write_text(folder / "labels.txt", "\n".join(description["class_names"]) + "\n")
    with scratch(folder) as space:
        held_out = read_held_out(run.path, len(run.images.class_names)) if run.settings.fold_count > 1 else None
        intermediates = Intermediates(
            run, model, settings, folder, space, description, val.probabilities, held_out, progress
        )
        written, failed = [], staying.failed if staying else {}
        for done, variant in enumerate(chosen):
            progress("exporting", done, len(chosen))
            if variant.precision != "int8":  # the int8 writer reports each way that it tries
                progress(variant.name, 0, 1)
            try:
                artefact = write_variant(intermediates, variant, folder / variant.name)
                check_runs(folder / variant.name, intermediates.samples)
                written.append(artefact)
                if variant.precision != "int8":
                    progress(variant.name, 1, 1)
            except Exception as error:  # converters raise classes of their own
                remove(folder / variant.name)
                if isinstance(error, OSError) or disk_is_full(error):
                    raise  # a full or broken disk stops every other variant, too
                failed[variant.name] = short_reason(error)
        progress("exporting", len(chosen), len(chosen))
    every = {artefact.name: artefact for artefact in (*(staying.artefacts if staying else ()), *written)}
    manifest = Manifest(
        folder,
        description,
        tuple(every[variant.name] for variant in ALL_VARIANTS if variant.name in every),
        write_reference(folder, proof),
        digest,
        failed,
        (*_calls(staying), settings),
        tuple(artefact.name for artefact in written),
    )
    write_golden(folder, description, manifest.artefacts, reference, part.images, progress)
    write_manifest(manifest)
    return manifest


def _judging_reference(run: Run, model: keras.Model, image_size: int, progress: Progress) -> Reference:
    """The model's answers to the images that judged the trials. int8 files are judged by them and, if the model was not
    trained on them, the other files verified."""
    part = load_part(run, *run.settings.judged_on, image_size=image_size, progress=progress)
    paths = run.images.select(*run.settings.judged_on).paths
    if not paths:
        return Reference((), part.labels, np.empty((0, len(run.images.class_names)), np.float32))
    answers = model_answers(model, part.images, "its answers to validation images", progress)
    return Reference(paths, part.labels, answers, (VAL,) * len(paths))


def finished(run: Run, settings: ExportSettings = EXPORT) -> Manifest | None:
    """The manifest of an earlier identical export of the same model, if all that it wrote is still there and valid."""
    manifest = _staying(run.path / "export", file_digest(run.path / "model.keras"), ())
    if manifest is None or not _asked_last(manifest, settings) or not (manifest.folder / "golden").is_dir():
        return None
    names = {artefact.name for artefact in manifest.artefacts}
    license = settings.license or manifest.description.get("license", UNSTATED)
    limit = threshold(run, settings, manifest.description, read_reference(manifest).only(VAL))
    description = describe(run, read_spec(run).image_size, license, limit)
    if manifest.description != description or not {one.name for one in settings.variants} <= names:
        return None
    return replace(manifest, written=tuple(artefact.name for artefact in manifest.artefacts))


def _asked_last(manifest: Manifest, settings: ExportSettings) -> bool:
    """Whether the last export had the same settings. The licence and the threshold are part of the description, which
    is compared elsewhere."""
    last = manifest.calls[-1] if manifest.calls else None
    return last is not None and _undescribed(last) == _undescribed(settings)


def _undescribed(settings: ExportSettings) -> ExportSettings:
    return replace(settings, license=None, reject_below=None, wanted_accuracy=None)


def _staying(folder: Path, model_digest: str, chosen: Sequence[Variant]) -> Manifest | None:
    """The manifest of an earlier export of the same model, without the variants that are written now and without files
    that are missing or damaged. None where there is no such export."""
    try:
        manifest = read_manifest(folder)
        read_reference(manifest)
    except UnfreezeError:
        return None
    if manifest.model_sha256 != model_digest:
        return None
    names = {variant.name for variant in chosen}
    artefacts = (artefact for artefact in manifest.artefacts if artefact.name not in names)
    whole = tuple(artefact for artefact in artefacts if _whole(folder, artefact))
    return replace(manifest, artefacts=whole, failed={n: why for n, why in manifest.failed.items() if n not in names})


def _calls(staying: Manifest | None) -> tuple[ExportSettings, ...]:
    """The settings of the earlier exports that wrote one of the files that stay."""
    names = {artefact.name for artefact in staying.artefacts} | staying.failed.keys() if staying else set()
    return tuple(
        call for call in (staying.calls if staying else ()) if names & {variant.name for variant in call.variants}
    )


def _whole(folder: Path, artefact: Artefact) -> bool:
    return (folder / artefact.name).exists() and artefact_digest(folder / artefact.name) == artefact.sha256


def _clear(run: Path, staying: Manifest | None) -> None:
    """Remove all exported files, and their pictures and results, except those that `staying` lists. It becomes the
    manifest."""
    folder = run / "export"
    if staying:
        write_manifest(staying)
    else:
        remove(folder / "manifest.json")
    names = {artefact.name for artefact in staying.artefacts} if staying else set()
    for variant in ALL_VARIANTS:
        if variant.name not in names:
            for old in (folder / variant.name, *picture_paths(run / "plots", variant.name)):
                remove(old)
    for old in (run / "resize.json", run / "plots" / "resize.png", folder / "golden"):
        remove(old)
