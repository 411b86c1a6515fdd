"""A run's model -> every artefact, the reference answers, the golden pack, the manifest. The writers are modules
beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from export.artefacts import (
    UNSTATED,
    Artefact,
    Call,
    Manifest,
    describe,
    pictures,
    read_manifest,
    read_reference,
    write_manifest,
    write_reference,
)
from export.artefacts import digest as artefact_digest
from export.quantise.ways import check_layers
from export.settings import CALIBRATION, MARGIN
from export.targets.golden import write_golden
from export.variants import VARIANTS, Variant, choose
from export.write_one import Writer, answered
from toolkit.errors import UnfreezeError
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.storage.files import file_digest, remove, scratch, write_text
from toolkit.training.batches import load_part
from toolkit.training.model_file import load_model
from toolkit.training.stored_spec import read_spec


def export(
    run: Run,
    *,
    formats: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    calibration: int = CALIBRATION,
    float_layers: Sequence[str] = (),
    margin: float = MARGIN,
    license: str | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Write the run's model into its `export/` folder: all variants or some; others of the same model stay.

    An int8 file is calibrated on `calibration` training images, and made in other ways where it loses more than
    `margin` points of accuracy on the validation part and other training images; `float_layers` stay in float. A
    variant that cannot be written, or does not run, stands in the manifest's `failed`. `license` None: as the
    artefacts that stay have it. What is there while an export goes on, or after it was cut short, is what stays.
    """
    chosen = choose(formats, precisions)
    progress("loading the model", 0, 1)
    model = load_model(run)
    progress("loading the model", 1, 1)
    check_layers(model, float_layers, run.path)
    image_size = read_spec(run).image_size
    part = load_part(run, "test", image_size=image_size, progress=progress)
    folder, digest = run.path / "export", file_digest(run.path / "model.keras")
    staying = _staying(folder, digest, chosen)
    said = staying.description.get("license", UNSTATED) if staying else UNSTATED
    description = describe(run, image_size, license or said)
    if staying and staying.artefacts and staying.description != description:
        raise UnfreezeError(
            f"the other artefacts in {folder} were exported with another --license or version; export all of them anew"
        )
    answers = answered(model, part.images, "the model's own answers", progress)
    _clear(run.path, staying)
    write_text(folder / "labels.txt", "\n".join(description["class_names"]) + "\n")
    with scratch(folder) as space:
        writer = Writer(
            run, model, folder, space, description, calibration, tuple(float_layers), margin / 100, progress
        )
        written, failed = writer.write(chosen)
    call = Call(_names(formats), _names(precisions), calibration, tuple(float_layers), margin)
    every = {artefact.name: artefact for artefact in (*(staying.artefacts if staying else ()), *written)}
    manifest = Manifest(
        folder,
        description,
        tuple(every[variant.name] for variant in VARIANTS if variant.name in every),
        write_reference(folder, run.images.select("test"), answers),
        digest,
        (staying.failed if staying else {}) | failed,
        (*_calls(staying), call),
        tuple(artefact.name for artefact in written),
    )
    write_golden(folder, description, manifest.artefacts, read_reference(manifest), part.images, progress)
    write_manifest(manifest)
    return manifest


def finished(
    run: Run,
    *,
    formats: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    calibration: int = CALIBRATION,
    float_layers: Sequence[str] = (),
    margin: float = MARGIN,
    license: str | None = None,
) -> Manifest | None:
    """What the very same call of `export` wrote before, of the same model, if all of it is there and whole."""
    call = Call(_names(formats), _names(precisions), calibration, tuple(float_layers), margin)
    manifest = _staying(run.path / "export", file_digest(run.path / "model.keras"), ())
    if manifest is None or manifest.calls[-1:] != (call,) or not (manifest.folder / "golden").is_dir():
        return None
    names = {artefact.name for artefact in manifest.artefacts}
    license = license or manifest.description.get("license", UNSTATED)
    description = describe(run, read_spec(run).image_size, license)
    if manifest.description != description or not {one.name for one in choose(formats, precisions)} <= names:
        return None
    return replace(manifest, written=tuple(artefact.name for artefact in manifest.artefacts))


def _staying(folder: Path, model_digest: str, chosen: Sequence[Variant]) -> Manifest | None:
    """The manifest of an earlier export of the same model, without what is written now and what is no longer whole."""
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


def _names(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _calls(staying: Manifest | None) -> tuple[Call, ...]:
    """Those that wrote something of what stays."""
    names = {artefact.name for artefact in staying.artefacts} | staying.failed.keys() if staying else set()
    return tuple(
        call
        for call in (staying.calls if staying else ())
        if names & {variant.name for variant in choose(call.formats, call.precisions)}
    )


def _whole(folder: Path, artefact: Artefact) -> bool:
    return (folder / artefact.name).exists() and artefact_digest(folder / artefact.name) == artefact.sha256


def _clear(run: Path, staying: Manifest | None) -> None:
    """Leave what stays, and a manifest that says so; remove all else, and what was measured on it."""
    folder = run / "export"
    if staying:
        write_manifest(staying)
    else:
        remove(folder / "manifest.json")
    names = {artefact.name for artefact in staying.artefacts} if staying else set()
    for variant in VARIANTS:
        if variant.name not in names:
            for old in (folder / variant.name, *pictures(run / "plots", variant.name)):
                remove(old)
    for old in (run / "resize.json", run / "plots" / "resize.png", folder / "golden"):
        remove(old)
