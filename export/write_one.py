"""One variant of an export -> its file. What several variants are made from is made once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx

from export.artefacts import (
    Artefact,
    record,
)
from export.formats.onnx import folded, write_graph, write_onnx, write_onnx_float16
from export.formats.saved_model import write_float_saved_model, write_saved_model
from export.formats.tflite import write_tflite, write_tflite_int8, write_tflite_partly, write_tflite_wide
from export.quantise.calibration import calibration_rows
from export.quantise.first_that_holds import Attempt, Judge, first_that_holds
from export.quantise.onnx import looked_at
from export.quantise.ways import onnx_steps, tflite_steps
from export.runtimes.runners import load
from export.settings import ExportSettings
from export.variants import Variant
from toolkit.errors import UnfreezeError, disk_is_full, short_reason
from toolkit.progress import Progress
from toolkit.run import Run
from toolkit.storage.files import remove
from toolkit.training.answers import probabilities
from toolkit.training.batches import Part, load_part

JUDGED = 1000  # images on which the ways to int8 are compared, if there are so many


HISTOGRAMS = ("entropy", "percentile")  # the steps that calibrate so look at fewer images


GATED = 20  # every so many of them pass through the gate of an ONNX file


def answered(model: keras.Model, images: np.ndarray, what: str, progress: Progress) -> np.ndarray:
    progress(what, 0, len(images))
    answers = probabilities(model, images)
    progress(what, len(images), len(images))
    return answers


@dataclass
class Writer:
    """Writes variants; what several of them are made from is made once, in `scratch`."""

    run: Run
    model: keras.Model
    settings: ExportSettings
    folder: Path
    scratch: Path
    description: dict[str, Any]
    progress: Progress
    failed: dict[str, str] = field(default_factory=dict)

    def write(self, variants: Sequence[Variant]) -> tuple[list[Artefact], dict[str, str]]:
        """The artefacts that could be written, and why the others could not."""
        written = []
        for done, variant in enumerate(variants):
            self.progress("exporting", done, len(variants))
            try:
                artefact = self._write(variant)
                self._try(self.folder / variant.name)
                written.append(artefact)
            except Exception as error:  # converters raise classes of their own
                remove(self.folder / variant.name)
                if isinstance(error, OSError) or disk_is_full(error):
                    raise  # no other variant would fare better
                self.failed[variant.name] = short_reason(error)
        self.progress("exporting", len(variants), len(variants))
        return written, self.failed

    def _try(self, path: Path) -> None:
        """UnfreezeError where what was written does not run."""
        answers = load(path).predict(self.images[::GATED])
        if not np.isfinite(answers).all():
            raise UnfreezeError("its answers are not numbers")

    def _write(self, variant: Variant) -> Artefact:
        if variant.precision == "int8":
            return self._int8(variant)
        self.progress(variant.name, 0, 1)
        path, described = self.folder / variant.name, self._described(variant)
        if variant.format == "saved_model":
            write_saved_model(self.model, path, described)
        elif variant.format == "tflite":
            write_tflite(self.saved_model, path, described, variant.precision)
        elif variant.precision == "float16":
            write_onnx_float16(self.onnx, path, _properties(described), self.model, self.images[::GATED])
        else:
            write_onnx(self.model, path, _properties(described), self.images[::GATED])
        self.progress(variant.name, 1, 1)
        return record(self.folder, variant)

    def _int8(self, variant: Variant) -> Artefact:
        """By the first way that holds."""

        def described(how: str, layers: Sequence[str] = ()) -> dict[str, Any]:
            said = {"calibration": how, "calibration_images": len(self._looked_at(how))}
            return self._described(variant, **said, **({"float_layers": list(layers)} if layers else {}))

        def save_onnx(graph: onnx.ModelProto, path: Path, how: str, layers: Sequence[str]) -> None:
            properties, samples = _properties(described(how, layers)), self.images[::GATED]
            write_graph(graph, path, properties, self.model, tolerance=math.inf, samples=samples)

        def save_tflite(path: Path, how: str, layers: Sequence[str], keep: Sequence[str]) -> None:
            if keep:
                write_tflite_partly(self.saved_model, path, described(how, layers), self.images, keep)
            else:
                write_tflite_int8(self.float_saved_model, path, described(how), self.images)

        def save_wide(path: Path, how: str) -> None:
            write_tflite_wide(self.saved_model, path, described(how), self.images)

        if variant.format == "onnx":
            steps = onnx_steps(self.model, self.folded, self.images, self.settings.float_layers, save_onnx)
        else:
            steps = tflite_steps(
                self.model, self.tflite, self.images, self.settings.float_layers, save_tflite, save_wide
            )
        attempts = first_that_holds(steps, self.folder / variant.name, self.judge, self.progress)
        (kept,) = (attempt for attempt in attempts if attempt.kept)
        paths = self.run.images.select("train").paths
        return record(
            self.folder,
            variant,
            calibration=tuple(paths[row] for row in self._looked_at(kept.step)),
            attempts=tuple(map(asdict, attempts)),
            float_layers=kept.float_layers,
        )

    def _looked_at(self, how: str) -> np.ndarray:
        """The rows of the training part that a step calibrates on."""
        return self.rows[looked_at(len(self.rows), how.partition(" ")[0] if how.startswith(HISTOGRAMS) else "min-max")]

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

    def _part(self, name: str) -> Part:
        return load_part(self.run, name, image_size=self.model.input_shape[1])

    @cached_property
    def rows(self) -> np.ndarray:
        """Of the training part, on which int8 files are calibrated."""
        return calibration_rows(
            self.run.images.select("train").labels, self.settings.calibration, self.run.settings.seed
        )

    @cached_property
    def images(self) -> np.ndarray:
        return np.asarray(self._part("train").images[self.rows])

    @cached_property
    def judge(self) -> Callable[[str, Path], Attempt]:
        """By the validation part, and as many of the other training images as are needed to see a margin at all."""
        val, train = self._part("val"), self._part("train")
        other = np.setdiff1d(np.arange(len(train.labels)), self.rows)
        more = other[calibration_rows(train.labels[other], max(0, JUDGED - len(val.labels)), self.run.settings.seed)]
        first = calibration_rows(val.labels, JUDGED, self.run.settings.seed)
        images = np.concatenate([val.images[first], train.images[more]])
        labels = np.concatenate([val.labels[first], train.labels[more]])
        return Judge(
            images,
            labels,
            answered(self.model, images, "its answers to judge int8 by", self.progress),
            self.settings.margin / 100,
        )


def _properties(description: dict[str, Any]) -> dict[str, str]:
    """ONNX' metadata: the whole description, and its parts as other readers look for them."""
    return {"unfreeze": json.dumps(description, ensure_ascii=False), "license": str(description["license"])}
