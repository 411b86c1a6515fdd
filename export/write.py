"""A run's model -> every artefact, the reference answers, the manifest. Each format's writer is a module beside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

from export.artefacts import Artefact, Manifest, describe, read_manifest, record, write_manifest, write_reference
from export.onnx import write_onnx
from export.saved_model import write_saved_model
from export.tflite import write_tflite
from toolkit.data import load_part
from toolkit.errors import UnfreezeError
from toolkit.progress import Progress, silent
from toolkit.run import Run, file_digest, remove, write_text
from toolkit.train import load_model, probabilities

FILES = {"saved_model": "saved_model", "tflite": "model.tflite", "onnx": "model.onnx"}


def export(run: Run, *, formats: tuple[str, ...] | None = None, progress: Progress = silent) -> Manifest:
    """Write the run's model into its `export/` folder, in all formats or some; others of the same model stay.

    The manifest is removed before anything is changed and written last: an export that was cut short is not taken
    for a whole one.
    """
    formats = formats or tuple(FILES)
    model, spec = load_model(run)
    answers = probabilities(model, load_part(run, "test", progress=progress).images)
    folder, digest = run.path / "export", file_digest(run.path / "model.keras")
    kept = _kept(folder, digest, formats)
    remove(folder / "manifest.json")
    for format in FILES.keys() - {artefact.format for artefact in kept}:
        remove(folder / FILES[format])
    description = describe(run, spec.image_size)
    _write_files(model, folder, description, formats, progress)
    written = {format: record(folder, FILES[format], format, "float32") for format in formats}
    every = written | {artefact.format: artefact for artefact in kept}
    artefacts = tuple(every[format] for format in FILES if format in every)
    manifest = Manifest(
        folder, description, artefacts, write_reference(folder, run.images.select("test"), answers), digest
    )
    write_manifest(manifest)
    return manifest


def _kept(folder: Path, digest: str, formats: tuple[str, ...]) -> list[Artefact]:
    """The artefacts of an earlier export of the same model, in formats that are not written now."""
    try:
        manifest = read_manifest(folder)
    except UnfreezeError:
        return []
    same = manifest.model_sha256 == digest
    return [artefact for artefact in manifest.artefacts if same and artefact.format not in formats]


def _write_files(
    model: keras.Model, folder: Path, description: dict[str, Any], formats: tuple[str, ...], progress: Progress
) -> None:
    progress("exporting", 0, len(formats))
    write_text(folder / "labels.txt", "\n".join(description["class_names"]) + "\n")
    saved_model = folder / (FILES["saved_model"] if "saved_model" in formats else ".saved_model")
    if "onnx" in formats:
        write_onnx(model, folder / FILES["onnx"], {"unfreeze": json.dumps(description, ensure_ascii=False)})
    if {"saved_model", "tflite"} & set(formats):  # TFLite is converted from it
        write_saved_model(model, saved_model, description)
    if "tflite" in formats:
        write_tflite(saved_model, folder / FILES["tflite"], description)
    remove(folder / ".saved_model")
    progress("exporting", len(formats), len(formats))
