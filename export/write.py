"""A run's model -> every artefact, the reference answers, the manifest. Each format's writer is a module beside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

from export.artefacts import Manifest, describe, record, write_manifest, write_reference
from export.onnx import write_onnx
from export.saved_model import write_saved_model
from export.tflite import write_tflite
from toolkit.data import load_part
from toolkit.progress import Progress, silent
from toolkit.run import Run, remove, write_text
from toolkit.train import load_model, probabilities

FILES = {"saved_model": "saved_model", "tflite": "model.tflite", "onnx": "model.onnx"}


def export(run: Run, *, formats: tuple[str, ...] = tuple(FILES), progress: Progress = silent) -> Manifest:
    """Write `formats` of the run's model into its `export/` folder.

    The manifest is removed first and written last: an export that was cut short is not taken for a whole one.
    """
    model, spec = load_model(run)
    folder = run.path / "export"
    remove(folder / "manifest.json")
    description = describe(run, spec.image_size)
    _write_files(model, folder, description, formats, progress)
    progress("reference answers", 0, 1)
    answers = probabilities(model, load_part(run, "test", progress=progress).images)
    reference = write_reference(folder, run.images.select("test"), answers)
    progress("reference answers", 1, 1)
    artefacts = tuple(record(folder, FILES[format], format, "float32") for format in formats)
    manifest = Manifest(folder, description, artefacts, reference)
    write_manifest(manifest)
    return manifest


def _write_files(
    model: keras.Model,
    folder: Path,
    description: dict[str, Any],
    formats: tuple[str, ...],
    progress: Progress,
) -> None:
    saved_model = folder / FILES["saved_model"]
    write_text(folder / "labels.txt", "\n".join(description["class_names"]) + "\n")
    for name in set(FILES) - set(formats):
        remove(folder / FILES[name])
    total = len(formats)
    progress("exporting", 0, total)
    write_saved_model(model, saved_model, description)  # TFLite is converted from it
    for done, format in enumerate(sorted(formats, key=list(FILES).index), start=1):
        if format == "tflite":
            write_tflite(saved_model, folder / FILES["tflite"], description)
        elif format == "onnx":
            write_onnx(model, folder / FILES["onnx"], {"unfreeze": json.dumps(description, ensure_ascii=False)})
        progress("exporting", done, total)
    if "saved_model" not in formats:
        remove(saved_model)
