"""`Intermediates`: the files and arrays that several files of an export are made from, each made at its first use."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx

from export.formats.onnx import write_onnx
from export.formats.onnx_rewrites import folded
from export.formats.saved_model import write_float_saved_model, write_saved_model
from export.formats.tflite import write_tflite
from export.limits import NO_LIMITS
from export.quantise.calibration import Judged, all_alike, as_unseen, stratified_rows
from export.quantise.first_that_holds import Int8Judge
from export.settings import MARGIN, ExportSettings
from export.variants import Variant
from toolkit.errors import UnfreezeError
from toolkit.progress import Progress
from toolkit.run import Run
from toolkit.training.answers import probabilities
from toolkit.training.batches import Part, load_part
from toolkit.training.held_out import HeldOut

JUDGED = 5000  # most validation images that int8 files are judged on
SAMPLES = 10  # images for the same, where there are none for calibration
SAMPLE_STEP = 20  # one in so many calibration images is used to check that a file runs and answers as the model does


@dataclass(frozen=True)
class Intermediates:
    """A run's model and what is derived from it for one export."""

    run: Run
    model: keras.Model
    settings: ExportSettings
    folder: Path  # the export folder; float32 files in it are of the same model
    scratch: Path  # a folder for intermediate files
    description: dict[str, Any]  # as `export.artefacts.describe` gives it
    val_answers: np.ndarray  # float32 [V, C]: the model's answers to the images that judged the trials
    held_out: HeldOut | None  # with folds: the answers of the folds' models to the same images
    progress: Progress
    noise: np.ndarray | None = None  # uint8 [K, S, S, channels], in the place of a run's images

    def describe(self, variant: Variant, **quantisation: Any) -> dict[str, Any]:
        """The description that goes into the file of a variant."""
        return self.description | {"artefact": variant.name, "precision": variant.precision} | quantisation

    @cached_property
    def saved_model(self) -> Path:
        """A SavedModel that takes uint8. TFLite is converted from it."""
        path = self.scratch / "saved_model"
        write_saved_model(self.model, path, self.description)
        return path

    @cached_property
    def float_saved_model(self) -> Path:
        """A SavedModel that takes float32 pixels. int8 TFLite is converted from it."""
        path = self.scratch / "float_saved_model"
        write_float_saved_model(self.model, path)
        return path

    @cached_property
    def tflite(self) -> Path:
        """A TFLite file in float32."""
        if (self.folder / "model.tflite").is_file():
            return self.folder / "model.tflite"
        path = self.scratch / "model.tflite"
        write_tflite(self.saved_model, path, self.description)
        return path

    @cached_property
    def onnx(self) -> Path:
        """An ONNX file in float32."""
        if (self.folder / "model.onnx").is_file():
            return self.folder / "model.onnx"
        path = self.scratch / "model.onnx"
        write_onnx(self.model, path, {}, self.samples)
        return path

    @cached_property
    def folded_onnx(self) -> Path:
        """The same, folded where an earlier version wrote it unfolded. int8 ONNX is made from it."""
        path = self.scratch / "folded.onnx"
        onnx.save(folded(onnx.load(self.onnx)), path)
        return path

    @cached_property
    def calibration_rows(self) -> np.ndarray:
        """int64 [K]: the rows of the training part that quantised files are calibrated on."""
        if self.noise is not None:
            return np.arange(len(self.noise))
        self._check_has("train", "calibrate it on")
        labels = self.run.images.select("train").labels
        return stratified_rows(labels, self.settings.calibration, self.run.settings.seed)

    @cached_property
    def calibration_images(self) -> np.ndarray:
        """uint8 [K, S, S, channels]: the images of `calibration_rows`."""
        if self.noise is not None:
            return self.noise
        return np.asarray(self._part("train").images[self.calibration_rows])

    @property
    def samples(self) -> np.ndarray:
        """A few images, if possible those of the calibration: each file is run on them once."""
        if self.noise is not None:
            return self.noise
        if "train" in self.run.images.parts:
            return self.calibration_images[::SAMPLE_STEP]
        part = self._part("val" if "val" in self.run.images.parts else "test")
        return np.asarray(part.images[stratified_rows(part.labels, SAMPLES, self.run.settings.seed)])

    def int8_judge(self, float32_file: Path, variant: Variant) -> Int8Judge:
        """The judge of the int8 files of a variant. It compares their speed with that of `float32_file`."""
        images, judged = self._judged
        margin = (self.settings.margin or MARGIN) / 100
        within = self.settings.within if self.settings.within.variant == variant else NO_LIMITS
        return Int8Judge(images, judged, self.val_answers[judged.rows], margin, float32_file, within)

    @cached_property
    def _judged(self) -> tuple[np.ndarray, Judged]:
        """The images that judged the trials, uint8 [M, S, S, channels], and those of them that files are judged on.
        None of these was used for calibration. With folds the model was trained on them, so they stand for unseen
        ones."""
        self._check_has("val", "judge it by")
        run, settings = self.run, self.run.settings
        part = self._part(*settings.judged_on)
        held_out, chosen = self.held_out, stratified_rows(part.labels, JUDGED, settings.seed)
        if held_out is None:
            return part.images, all_alike(chosen, part.labels[chosen])
        parts = np.array([own for own in run.images.parts if own in settings.judged_on])
        left = np.setdiff1d(np.arange(len(parts)), np.flatnonzero(parts == "train")[self.calibration_rows])
        judged = as_unseen(self.val_answers[left], held_out.probabilities[chosen], held_out.labels[chosen])
        return part.images, replace(judged, rows=left[judged.rows])

    def _check_has(self, part: str, purpose: str) -> None:
        """The run of a model from elsewhere may have test images alone."""
        if part not in self.run.images.parts:
            raise UnfreezeError(
                f"the run has no images to {purpose} ({part}); adopt the model into a new run, of DATA with train/ too"
            )

    def _part(self, *names: str) -> Part:
        return load_part(self.run, *names, image_size=self.model.input_shape[1])


def model_answers(model: keras.Model, images: np.ndarray, what: str, progress: Progress) -> np.ndarray:
    """float32 [N, C]: the model's probabilities for uint8 [N, S, S, 3]. `what`: the label of the progress bar."""
    progress(what, 0, len(images))
    answers = probabilities(model, images)
    progress(what, len(images), len(images))
    return answers


def onnx_properties(description: dict[str, Any]) -> dict[str, str]:
    """The metadata of an ONNX file: the whole description as JSON, and the licence once more under the key that other
    readers use."""
    return {"unfreeze": json.dumps(description, ensure_ascii=False), "license": str(description["license"])}
