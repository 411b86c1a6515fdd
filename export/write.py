"""A run's model -> every artefact, the reference answers, the golden pack, the manifest. The writers are modules
beside."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx

from export.artefacts import (
    UNSTATED,
    Artefact,
    Manifest,
    describe,
    read_manifest,
    read_reference,
    record,
    write_manifest,
    write_reference,
)
from export.attempts import Attempt, Judge, first_that_holds
from export.calibration import calibration_rows
from export.golden import write_golden
from export.int8 import check_layers, onnx_steps, tflite_steps
from export.onnx import folded, write_graph, write_onnx, write_onnx_float16
from export.runners import said
from export.saved_model import write_float_saved_model, write_saved_model
from export.tflite import write_tflite, write_tflite_int8, write_tflite_partly, write_tflite_wide
from export.variants import VARIANTS, Variant, choose
from toolkit.data import load_part
from toolkit.errors import UnfreezeError
from toolkit.progress import Progress, silent
from toolkit.run import Run, file_digest, remove, write_text
from toolkit.train import load_model, probabilities

CALIBRATION = 200  # images
JUDGED = 1000  # images on which the ways to int8 are compared, if there are so many
GATED = 20  # every so many of them pass through the gate of an ONNX file
MARGIN = 0.5  # points of accuracy


def export(
    run: Run,
    *,
    formats: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    calibration: int = CALIBRATION,
    float_layers: Sequence[str] = (),
    margin: float = MARGIN,
    license: str = UNSTATED,
    progress: Progress = silent,
) -> Manifest:
    """Write the run's model into its `export/` folder: all variants or some; others of the same model stay.

    An int8 file is calibrated on `calibration` training images, and made in other ways where it loses more than
    `margin` points of accuracy on the validation part and other training images; `float_layers` stay in float. A
    variant that cannot be written stands in the manifest's `failed`. The manifest is removed before anything is
    changed and written last: an export that was cut short is not taken for a whole one.
    """
    chosen = choose(formats, precisions)
    model, spec = load_model(run)
    check_layers(model, float_layers)
    images = load_part(run, "test", progress=progress).images
    answers = probabilities(model, images)
    folder, digest = run.path / "export", file_digest(run.path / "model.keras")
    kept = _kept(folder, digest, chosen)
    remove(folder / "manifest.json")
    for variant in VARIANTS:
        if variant.name not in {artefact.name for artefact in kept}:
            remove(folder / variant.name)
    description = describe(run, spec.image_size, license)
    write_text(folder / "labels.txt", "\n".join(description["class_names"]) + "\n")
    with tempfile.TemporaryDirectory() as scratch:
        writer = _Writer(run, model, folder, Path(scratch), description, calibration, tuple(float_layers), margin / 100)
        written, failed = writer.write(chosen, progress)
    every = {artefact.name: artefact for artefact in (*kept, *written)}
    artefacts = tuple(every[variant.name] for variant in VARIANTS if variant.name in every)
    reference = write_reference(folder, run.images.select("test"), answers)
    manifest = Manifest(folder, description, artefacts, reference, digest, failed)
    write_golden(folder, description, artefacts, read_reference(manifest), images)
    write_manifest(manifest)
    return manifest


def _kept(folder: Path, digest: str, chosen: Sequence[Variant]) -> list[Artefact]:
    """The artefacts of an earlier export of the same model that are not written now."""
    try:
        manifest = read_manifest(folder)
    except UnfreezeError:
        return []
    names = {variant.name for variant in chosen}
    same = manifest.model_sha256 == digest
    return [artefact for artefact in manifest.artefacts if same and artefact.name not in names]


@dataclass
class _Writer:
    """Writes variants; what several of them are made from is made once, in `scratch`."""

    run: Run
    model: keras.Model
    folder: Path
    scratch: Path
    description: dict[str, Any]
    calibration: int
    float_layers: tuple[str, ...]
    margin: float
    failed: dict[str, str] = field(default_factory=dict)

    def write(self, variants: Sequence[Variant], progress: Progress) -> tuple[list[Artefact], dict[str, str]]:
        """The artefacts that could be written, and why the others could not."""
        written = []
        for done, variant in enumerate(variants):
            progress("exporting", done, len(variants))
            try:
                written.append(self._write(variant))
            except Exception as error:  # converters raise classes of their own
                self.failed[variant.name] = said(error)
                remove(self.folder / variant.name)
        progress("exporting", len(variants), len(variants))
        return written, self.failed

    def _write(self, variant: Variant) -> Artefact:
        if variant.precision == "int8":
            attempts = self._int8(variant)
            paths = self.run.images.select("train").paths
            calibration = tuple(paths[row] for row in self.rows)
            return record(self.folder, variant, calibration=calibration, attempts=tuple(map(asdict, attempts)))
        path, described = self.folder / variant.name, self._described(variant)
        if variant.format == "saved_model":
            write_saved_model(self.model, path, described)
        elif variant.format == "tflite":
            write_tflite(self.saved_model, path, described, variant.precision)
        elif variant.precision == "float16":
            write_onnx_float16(self.onnx, path, _properties(described), self.model, self.images[::GATED])
        else:
            write_onnx(self.model, path, _properties(described), self.images[::GATED])
        return record(self.folder, variant)

    def _int8(self, variant: Variant) -> tuple[Attempt, ...]:
        """By the first way that holds."""

        def described(how: str) -> dict[str, Any]:
            return self._described(variant, calibration=how, calibration_images=len(self.rows))

        def save_onnx(graph: onnx.ModelProto, path: Path, how: str) -> None:
            write_graph(
                graph, path, _properties(described(how)), self.model, tolerance=1.0, samples=self.images[::GATED]
            )

        def save_tflite(path: Path, how: str, keep: Sequence[str]) -> None:
            if keep:
                write_tflite_partly(self.saved_model, path, described(how), self.images, keep)
            else:
                write_tflite_int8(self.float_saved_model, path, described(how), self.images)

        def save_wide(path: Path, how: str) -> None:
            write_tflite_wide(self.saved_model, path, described(how), self.images)

        if variant.format == "onnx":
            steps = onnx_steps(self.model, self.folded, self.images, self.float_layers, save_onnx)
        else:
            steps = tflite_steps(self.model, self.tflite, self.images, self.float_layers, save_tflite, save_wide)
        return first_that_holds(steps, self.folder / variant.name, self.judge)

    def _described(self, variant: Variant, **quantisation: Any) -> dict[str, Any]:
        return self.description | {"artefact": variant.name, "precision": variant.precision} | quantisation

    @cached_property
    def saved_model(self) -> Path:
        """What TFLite is converted from."""
        path = self.scratch / "saved_model"
        write_saved_model(self.model, path, self.description)
        return path

    @cached_property
    def float_saved_model(self) -> Path:
        """What int8 TFLite is converted from."""
        path = self.scratch / "float_saved_model"
        write_float_saved_model(self.model, path)
        return path

    @cached_property
    def tflite(self) -> Path:
        path = self.scratch / "model.tflite"
        write_tflite(self.saved_model, path, self.description)
        return path

    @cached_property
    def onnx(self) -> Path:
        path = self.scratch / "model.onnx"
        write_onnx(self.model, path, {}, self.images[::GATED])
        return path

    @cached_property
    def folded(self) -> Path:
        path = self.scratch / "folded.onnx"
        onnx.save(folded(self.onnx), path)
        return path

    @cached_property
    def rows(self) -> np.ndarray:
        """Of the training part, on which int8 files are calibrated."""
        return calibration_rows(self.run.images.select("train").labels, self.calibration, self.run.settings.seed)

    @cached_property
    def images(self) -> np.ndarray:
        return np.asarray(load_part(self.run, "train").images[self.rows])

    @cached_property
    def judge(self) -> Callable[[str, Path], Attempt]:
        """By the validation part, and as many of the other training images as are needed to see a margin at all."""
        val, train = load_part(self.run, "val"), load_part(self.run, "train")
        other = np.setdiff1d(np.arange(len(train.labels)), self.rows)
        more = other[calibration_rows(train.labels[other], max(0, JUDGED - len(val.labels)), self.run.settings.seed)]
        images = np.concatenate([val.images, train.images[more]])
        labels = np.concatenate([val.labels, train.labels[more]])
        return Judge(images, labels, probabilities(self.model, images), self.margin)


def _properties(description: dict[str, Any]) -> dict[str, str]:
    """ONNX' metadata: the whole description, and its parts as other readers look for them."""
    return {"unfreeze": json.dumps(description, ensure_ascii=False), "license": str(description["license"])}
