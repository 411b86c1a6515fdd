"""One variant of an export -> its file: a function for each format and precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from export.artefacts import Artefact, record_artefact
from export.formats.onnx import write_onnx, write_onnx_float16
from export.formats.saved_model import write_saved_model
from export.formats.tflite import write_tflite, write_tflite_int16x8
from export.quantise.first_that_holds import first_that_holds
from export.quantise.ways import calibrated_on, onnx_ways, tflite_ways
from export.runtimes.runners import load
from export.sources import Sources, onnx_properties
from export.variants import Variant
from toolkit.errors import UnfreezeError


def check_runs(path: Path, images: np.ndarray) -> None:
    """UnfreezeError where the file does not run on these images, uint8 [N, S, S, 3]."""
    if not np.isfinite(load(path).predict(images)).all():
        raise UnfreezeError("its answers are not numbers")


def _saved_model(sources: Sources, variant: Variant, path: Path) -> Artefact:
    write_saved_model(sources.model, path, sources.describe(variant))
    return record_artefact(sources.folder, variant)


def _tflite(sources: Sources, variant: Variant, path: Path) -> Artefact:
    write_tflite(sources.saved_model, path, sources.describe(variant), variant.precision)
    return record_artefact(sources.folder, variant)


def _onnx(sources: Sources, variant: Variant, path: Path) -> Artefact:
    write_onnx(sources.model, path, onnx_properties(sources.describe(variant)), sources.samples)
    return record_artefact(sources.folder, variant)


def _onnx_float16(sources: Sources, variant: Variant, path: Path) -> Artefact:
    properties = onnx_properties(sources.describe(variant))
    write_onnx_float16(sources.onnx, path, properties, sources.model, sources.samples)
    return record_artefact(sources.folder, variant)


def _tflite_int16x8(sources: Sources, variant: Variant, path: Path) -> Artefact:
    way, rows = "min-max calibration", sources.calibration_rows
    described = sources.describe(variant, calibration=way, calibration_images=len(rows))
    write_tflite_int16x8(sources.saved_model, path, described, sources.calibration_images)
    return record_artefact(sources.folder, variant, calibration=_training_paths(sources, rows))


def _int8(sources: Sources, variant: Variant, path: Path) -> Artefact:
    """A file by the first way that is accepted."""
    if variant.format == "onnx":
        ways, judge = onnx_ways(sources, variant), sources.judge(sources.onnx)
    else:
        ways, judge = tflite_ways(sources, variant), sources.judge(sources.tflite)
    attempts = first_that_holds(ways, path, judge, sources.progress)
    (kept,) = (attempt for attempt in attempts if attempt.kept)
    return record_artefact(
        sources.folder,
        variant,
        calibration=_training_paths(sources, calibrated_on(sources, kept.step)),
        attempts=tuple(map(asdict, attempts)),
        float_layers=kept.float_layers,
    )


def _training_paths(sources: Sources, rows: np.ndarray) -> tuple[str, ...]:
    paths = sources.run.images.select("train").paths
    return tuple(paths[row] for row in rows)


# By format and precision. Each writes one variant to a path in the export folder and returns its record.
WRITERS: dict[tuple[str, str], Callable[[Sources, Variant, Path], Artefact]] = {
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
