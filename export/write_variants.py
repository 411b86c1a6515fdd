"""Write one variant of an export, judged, or of a model that is not trained yet."""

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
from export.variants import GPU, Variant
from toolkit.errors import UnfreezeError


def check_runs(path: Path, images: np.ndarray) -> None:
    """Raises UnfreezeError if the file does not run on these images, uint8 [N, S, S, channels]."""
    if not np.isfinite(load(path).predict(images)).all():
        raise UnfreezeError("its answers are not numbers")


def _saved_model(intermediates: Intermediates, variant: Variant, path: Path) -> None:
    write_saved_model(intermediates.model, path, intermediates.describe(variant))


def _tflite(intermediates: Intermediates, variant: Variant, path: Path) -> None:
    write_tflite(intermediates.saved_model, path, intermediates.describe(variant), variant.precision)


def _tflite_gpu(intermediates: Intermediates, variant: Variant, path: Path) -> None:
    described = intermediates.describe(variant)
    described["input"] = described["input"] | {"dtype": "float32"}
    write_tflite(intermediates.float_saved_model, path, described, "float16")


def _onnx(intermediates: Intermediates, variant: Variant, path: Path) -> None:
    write_onnx(intermediates.model, path, onnx_properties(intermediates.describe(variant)), intermediates.samples)


def _onnx_float16(intermediates: Intermediates, variant: Variant, path: Path) -> None:
    properties = onnx_properties(intermediates.describe(variant))
    write_onnx_float16(intermediates.onnx, path, properties, intermediates.model, intermediates.samples)


def _tflite_int16x8(intermediates: Intermediates, variant: Variant, path: Path) -> None:
    way, rows = "min-max calibration", intermediates.calibration_rows
    described = intermediates.describe(variant, calibration=way, calibration_images=len(rows))
    write_tflite_int16x8(intermediates.saved_model, path, described, intermediates.calibration_images)


# (format, precision) -> a function that writes the variant to a path; int8 has several ways.
WRITERS: dict[tuple[str, str], Callable[[Intermediates, Variant, Path], None]] = {
    ("saved_model", "float32"): _saved_model,
    ("tflite", "float32"): _tflite,
    ("tflite", "float16"): _tflite,
    ("tflite", "dynamic"): _tflite,
    ("tflite", "int16x8"): _tflite_int16x8,
    ("tflite", GPU): _tflite_gpu,
    ("onnx", "float32"): _onnx,
    ("onnx", "float16"): _onnx_float16,
}
WAYS = {"tflite": tflite_ways, "onnx": onnx_ways}  # to an int8 file, by its format


def write_variant(intermediates: Intermediates, variant: Variant, path: Path) -> Artefact:
    """Write the variant to a path in the export folder and return its record; int8 in the first way that is
    accepted."""
    if variant.precision == "int8":
        return _accepted_int8(intermediates, variant, path)
    WRITERS[variant.format, variant.precision](intermediates, variant, path)
    if variant.precision != "int16x8":
        return record_artefact(intermediates.folder, variant)
    paths = _training_paths(intermediates, intermediates.calibration_rows)
    return record_artefact(intermediates.folder, variant, calibration=paths)


def write_unjudged(intermediates: Intermediates, variant: Variant, path: Path) -> None:
    """Write the variant to a path; int8 in the first way that there is, whatever it answers."""
    if variant.precision == "int8":
        next(WAYS[variant.format](intermediates, variant)).write(path)
    else:
        WRITERS[variant.format, variant.precision](intermediates, variant, path)


def _accepted_int8(intermediates: Intermediates, variant: Variant, path: Path) -> Artefact:
    rows = intermediates.calibration_rows  # raises an error where there are no images for it
    assert len(rows)
    float32_file = intermediates.onnx if variant.format == "onnx" else intermediates.tflite
    judge = intermediates.int8_judge(float32_file, variant)
    attempts = first_that_holds(WAYS[variant.format](intermediates, variant), path, judge, intermediates.progress)
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
