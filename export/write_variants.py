"""Write one variant of an export: a function for each format and precision, and the table WRITERS of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from export.artefacts import Artefact, record_artefact
from export.formats.onnx import write_onnx, write_onnx_float16
from export.formats.saved_model import write_saved_model
from export.formats.tflite import write_tflite, write_tflite_int16x8
from export.intermediates import Intermediates, onnx_properties
from export.quantise.first_that_holds import first_that_holds
from export.quantise.ways import calibrated_on, onnx_ways, tflite_ways
from export.runtimes.runners import load
from export.variants import Variant
from toolkit.errors import UnfreezeError


def check_runs(path: Path, images: np.ndarray) -> None:
    """Raises UnfreezeError if the file does not run on these images, uint8 [N, S, S, channels]."""
    if not np.isfinite(load(path).predict(images)).all():
        raise UnfreezeError("its answers are not numbers")


def _saved_model(intermediates: Intermediates, variant: Variant, path: Path) -> Artefact:
    write_saved_model(intermediates.model, path, intermediates.describe(variant))
    return record_artefact(intermediates.folder, variant)


def _tflite(intermediates: Intermediates, variant: Variant, path: Path) -> Artefact:
    write_tflite(intermediates.saved_model, path, intermediates.describe(variant), variant.precision)
    return record_artefact(intermediates.folder, variant)


def _onnx(intermediates: Intermediates, variant: Variant, path: Path) -> Artefact:
    write_onnx(intermediates.model, path, onnx_properties(intermediates.describe(variant)), intermediates.samples)
    return record_artefact(intermediates.folder, variant)


def _onnx_float16(intermediates: Intermediates, variant: Variant, path: Path) -> Artefact:
    properties = onnx_properties(intermediates.describe(variant))
    write_onnx_float16(intermediates.onnx, path, properties, intermediates.model, intermediates.samples)
    return record_artefact(intermediates.folder, variant)


def _tflite_int16x8(intermediates: Intermediates, variant: Variant, path: Path) -> Artefact:
    way, rows = "min-max calibration", intermediates.calibration_rows
    described = intermediates.describe(variant, calibration=way, calibration_images=len(rows))
    write_tflite_int16x8(intermediates.saved_model, path, described, intermediates.calibration_images)
    return record_artefact(intermediates.folder, variant, calibration=_training_paths(intermediates, rows))


def _int8(intermediates: Intermediates, variant: Variant, path: Path) -> Artefact:
    """Write the file in the first way that is accepted."""
    rows = intermediates.calibration_rows  # raises an error where there are no images for it
    assert len(rows)
    if variant.format == "onnx":
        ways, judge = onnx_ways(intermediates, variant), intermediates.int8_judge(intermediates.onnx)
    else:
        ways, judge = tflite_ways(intermediates, variant), intermediates.int8_judge(intermediates.tflite)
    attempts = first_that_holds(ways, path, judge, intermediates.progress)
    (kept,) = (attempt for attempt in attempts if attempt.kept)
    return record_artefact(
        intermediates.folder,
        variant,
        calibration=_training_paths(intermediates, calibrated_on(intermediates, kept.step)),
        attempts=tuple(map(asdict, attempts)),
        float_layers=kept.float_layers,
    )


def _training_paths(intermediates: Intermediates, rows: np.ndarray) -> tuple[str, ...]:
    paths = intermediates.run.images.select("train").paths
    return tuple(paths[row] for row in rows)


# (format, precision) -> a function that writes the variant to a path in the export folder and returns its record.
WRITERS: dict[tuple[str, str], Callable[[Intermediates, Variant, Path], Artefact]] = {
    ("saved_model", "float32"): _saved_model,
    ("tflite", "float32"): _tflite,
    ("tflite", "float16"): _tflite,
    ("tflite", "dynamic"): _tflite,
    ("tflite", "int8"): _int8,
    ("tflite", "int16x8"): _tflite_int16x8,
    ("onnx", "float32"): _onnx,
    ("onnx", "float16"): _onnx_float16,
    ("onnx", "int8"): _int8,
}
