"""A run's artefacts in their own runtimes over the whole test part, and over the validation part, which shows by how
many answers they differ -> parity.json, and pictures of what differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from shlex import quote

import numpy as np

from export.artefacts import (
    TEST,
    VAL,
    Artefact,
    Manifest,
    Reference,
    digest,
    picture_paths,
    read_manifest,
    read_reference,
    size,
)
from export.proof.compare import could_not_run, most_different_rows, verdict_on
from export.proof.evidence import Joined, unlabelled_reference
from export.proof.parity import Parity, read_parities, write_parities
from export.runtimes.measure import Outcome, Task, measure
from export.settings import VERIFY, VerifySettings
from export.variants import ALL_VARIANTS, choose_written_variants, export_advice, export_command
from toolkit.data.decoded_arrays import decoded
from toolkit.errors import UnfreezeError
from toolkit.evaluation import plots
from toolkit.process.keras_start import start_keras
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.storage.files import remove

FLIPS_SHOWN = 24  # flips on a picture sheet
Measure = Callable[..., dict[Path, Outcome]]


def verify(
    run: Run,
    settings: VerifySettings = VERIFY,
    *,
    formats: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    progress: Progress = silent,
    measure: Measure = measure,
) -> list[Parity]:
    """Run each artefact of a run, or those of some formats and precisions, in its own runtime over the whole test part,
    and over the other images that show by how many answers it differs: those of the validation part, and those of the
    folder `settings.evidence`, which need no labels.

    Writes parity.json, plots/flips_*.png and plots/layers_*.png. Raises UnfreezeError if the
    export is missing or not of the run's model, or an image is missing.
    """
    manifest = read_manifest(run.path / "export")
    reference, pixels = _compared_on(run, manifest, settings, progress)
    chosen = chosen_artefacts(manifest, formats, precisions)
    faults = {manifest.folder / artefact.name: _file_fault(manifest, artefact) for artefact in chosen}
    outcomes: dict[Path, Outcome] = {path: fault for path, fault in faults.items() if fault}
    whole = [Task(path, pixels.files) for path, fault in faults.items() if not fault]
    if whole:
        outcomes |= measure(whole, threads=settings.thread_counts, progress=progress)
    names = tuple(manifest.description["class_names"])
    parities, rows_of = [], {}
    for artefact in chosen:
        outcome = outcomes[manifest.folder / artefact.name]
        parities.append(verdict_on(_with_current_size(manifest, artefact), outcome, reference, names, settings))
        compared = most_different_rows(outcome, reference)
        if compared is not None and (settings.layers or parities[-1].broken):
            rows_of[artefact.name] = compared
    parities = _with_divergences(run, parities, rows_of, pixels, progress)
    asked = {variant.name for variant in choose_written_variants(formats, precisions)}
    parities += [_unwritten(name, why) for name, why in manifest.failed.items() if name in asked]
    stored = _stored(run)
    write_parities(
        run.path / "parity.json", [*_kept(run, manifest, parities, stored), *_with_earlier_times(parities, stored)]
    )
    draw_flips(run.path / "plots", parities, pixels, reference)
    return parities


def _compared_on(
    run: Run, manifest: Manifest, settings: VerifySettings, progress: Progress
) -> tuple[Reference, Joined]:
    """The model's answers, and the images in the same order. Raises UnfreezeError if the export is not of this model
    and these images."""
    reference, arrays = read_reference(manifest), []
    for part in (TEST, VAL) if reference.only(VAL).paths else (TEST,):
        images, told = run.images.select(part), partial(progress, f"decoding {part}")
        check_same(run, manifest, images.paths == reference.only(part).paths)
        size, channels = manifest.image_size, manifest.channels
        arrays.append(decoded(images, run.cache, size, channels=channels, progress=told))
    if settings.evidence is not None:
        more, array = unlabelled_reference(run, manifest, Path(settings.evidence), progress)
        reference, arrays = reference + more, [*arrays, array]
    return reference, Joined(arrays)


def _stored(run: Run) -> list[Parity]:
    """The verdicts in parity.json; [] if it is damaged, as it is replaced."""
    try:
        return read_parities(run.path / "parity.json")
    except UnfreezeError:
        return []


def _with_earlier_times(parities: Sequence[Parity], stored: Sequence[Parity]) -> list[Parity]:
    """The same verdicts; one that was not timed has the times that the same file had on the same kind of processor."""
    earlier = {(one.artefact.name, one.artefact.sha256, one.cpu): one.timings for one in stored}
    return [
        one if one.timings else replace(one, timings=earlier.get((one.artefact.name, one.artefact.sha256, one.cpu), ()))
        for one in parities
    ]


def _kept(run: Run, manifest: Manifest, parities: Sequence[Parity], stored: Sequence[Parity]) -> list[Parity]:
    """The stored verdicts on artefacts that were not run now and are still the same; the pictures of all other
    artefacts are removed."""
    now = {parity.artefact.name for parity in parities}
    there = {artefact.name: artefact.sha256 for artefact in manifest.artefacts if artefact.name not in now}
    kept = [parity for parity in stored if there.get(parity.artefact.name) == parity.artefact.sha256]
    names = {parity.artefact.name for parity in kept}
    for picture in (run.path / "plots").glob("flips_*.png"):
        if picture.stem.removeprefix("flips_") not in names:
            remove(picture)
    return kept


def check_same(run: Run, manifest: Manifest, same_images: bool) -> None:
    """Raises UnfreezeError if the export is not of the model that the run has now, or not of its test images."""
    model = run.path / "model.keras"
    other = "" if same_images else "for other test images"
    if model.is_file() and not manifest.is_of(model):
        other = "of another model than the run's"
    if other:
        raise UnfreezeError(f"{manifest.folder} was exported {other}; repeat `unfreeze export {run.path}`")


def chosen_artefacts(
    manifest: Manifest, formats: Sequence[str] | None, precisions: Sequence[str] | None
) -> list[Artefact]:
    """The artefacts that were asked for. Raises UnfreezeError if none of them was exported or tried."""
    asked = [variant.name for variant in choose_written_variants(formats, precisions)]
    there = [artefact.name for artefact in manifest.artefacts]
    if not {*asked} & {*there, *manifest.failed}:
        options = [("--formats", formats), ("--precisions", precisions)]
        given = "".join(f" {name} {','.join(values)}" for name, values in options if values)
        raise UnfreezeError(
            f"{', '.join(asked)} was not exported, only {', '.join(there) or 'nothing'}; "
            f"`unfreeze export {quote(str(manifest.folder.parent))}{given}` adds it"
        )
    return [artefact for artefact in manifest.artefacts if artefact.name in asked]


def _file_fault(manifest: Manifest, artefact: Artefact) -> UnfreezeError | None:
    """Why a file is not the one that was exported; None if it is."""
    path = manifest.folder / artefact.name
    if not path.exists():
        return UnfreezeError(f"missing; {export_advice(path)}")
    if digest(path) != artefact.sha256:
        return UnfreezeError(f"changed since it was exported (its SHA-256 differs); {export_advice(path)}")
    return None


def _with_current_size(manifest: Manifest, artefact: Artefact) -> Artefact:
    """The record with the size that the file has now. Its SHA-256 stays that of the exported file."""
    path = manifest.folder / artefact.name
    return replace(artefact, bytes=size(path) if path.exists() else 0)


def _unwritten(name: str, why: str) -> Parity:
    (variant,) = (variant for variant in ALL_VARIANTS if variant.name == name)
    return could_not_run(Artefact(name, variant.format, variant.precision, 0, ""), f"could not be written: {why}")


def _with_divergences(
    run: Run, parities: Sequence[Parity], rows_of: dict[str, np.ndarray], images: Joined, progress: Progress
) -> list[Parity]:
    """The same verdicts, with the first divergent layer of the artefacts that `rows_of` names.

    `rows_of`: the rows of `images` on which the layers of each are compared.
    """
    for parity in parities:
        remove(picture_paths(run.path / "plots", parity.artefact.name)[1])
    if not rows_of or not (run.path / "model.keras").is_file():
        return list(parities)
    start_keras()  # loaded only if layers have to be compared
    from export.proof.locate import locate
    from toolkit.training.model_file import load_model

    model = load_model(run)
    found = {}
    for done, parity in enumerate(parity for parity in parities if parity.artefact.name in rows_of):
        name, precision = parity.artefact.name, parity.artefact.precision
        progress("comparing layers", done, len(rows_of))
        path, picture = run.path / "export" / name, picture_paths(run.path / "plots", name)[1]
        some = images.take(rows_of[name])
        found[name] = locate(model, path, some, precision, picture=picture, command=export_command(path))
    progress("comparing layers", len(rows_of), len(rows_of))
    return [replace(parity, divergence=found.get(parity.artefact.name)) for parity in parities]


def draw_flips(folder: Path, parities: Sequence[Parity], pixels: Joined, reference: Reference) -> None:
    """Draw flips_*.png, a sheet of the flips, for each artefact that has any."""
    row_of = {where: row for row, where in enumerate(zip(reference.parts, reference.paths, strict=True))}
    for parity in parities:
        sheet, _ = picture_paths(folder, parity.artefact.name)
        remove(sheet)
        shown = parity.flips[:FLIPS_SHOWN]
        if not shown:
            continue
        captions = [
            f"{Path(flip.path).name[-24:]}\n{flip.reference} {flip.reference_probability:.1%} → "
            f"{flip.artefact} {_percent(flip.artefact_probability)}\n"
            + (f"(is {flip.label})" if flip.label else "(no label)")
            for flip in shown
        ]
        rows = np.array([row_of[flip.part, flip.path] for flip in shown])
        plots.save(plots.mistakes(pixels.take(rows), captions), sheet)


def _percent(share: float | None) -> str:
    return "NaN" if share is None else f"{share:.1%}"
