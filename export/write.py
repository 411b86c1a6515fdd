"""A run's model -> every artefact, the reference answers, the golden pack, the manifest. The writers are modules
beside."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx

from export.artefacts import (
    UNSTATED,
    Artefact,
    Call,
    Manifest,
    describe,
    pictures,
    read_manifest,
    read_reference,
    record,
    write_manifest,
    write_reference,
)
from export.artefacts import digest as artefact_digest
from export.attempts import Attempt, Judge, first_that_holds
from export.calibration import calibration_rows
from export.golden import write_golden
from export.int8 import check_layers, onnx_steps, tflite_steps
from export.onnx import folded, write_graph, write_onnx, write_onnx_float16
from export.onnx_int8 import looked_at
from export.runners import load
from export.saved_model import write_float_saved_model, write_saved_model
from export.tflite import write_tflite, write_tflite_int8, write_tflite_partly, write_tflite_wide
from export.variants import VARIANTS, Variant, choose
from toolkit.data import load_part
from toolkit.defaults import CALIBRATION, MARGIN
from toolkit.errors import UnfreezeError, disk_is_full, said
from toolkit.files import file_digest, remove, scratch, write_text
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.train import load_model, probabilities

JUDGED = 1000  # images on which the ways to int8 are compared, if there are so many
HISTOGRAMS = ("entropy", "percentile")  # the steps that calibrate so look at fewer images
GATED = 20  # every so many of them pass through the gate of an ONNX file


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
    part = load_part(run, "test", progress=progress)
    folder, digest = run.path / "export", file_digest(run.path / "model.keras")
    staying = _staying(folder, digest, chosen)
    said = staying.description.get("license", UNSTATED) if staying else UNSTATED
    description = describe(run, run.settings.image_size, license or said)
    if staying and staying.artefacts and staying.description != description:
        raise UnfreezeError(
            f"the other artefacts in {folder} were exported with another --license or version; export all of them anew"
        )
    answers = _answered(model, part.images, "the model's own answers", progress)
    _clear(run.path, staying)
    write_text(folder / "labels.txt", "\n".join(description["class_names"]) + "\n")
    with scratch(folder) as space:
        writer = _Writer(
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
    description = describe(run, run.settings.image_size, license or manifest.description.get("license", UNSTATED))
    if manifest.description != description or not {one.name for one in choose(formats, precisions)} <= names:
        return None
    return replace(manifest, written=tuple(artefact.name for artefact in manifest.artefacts))


def _answered(model: keras.Model, images: np.ndarray, what: str, progress: Progress) -> np.ndarray:
    progress(what, 0, len(images))
    answers = probabilities(model, images)
    progress(what, len(images), len(images))
    return answers


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
                self.failed[variant.name] = said(error)
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
            steps = onnx_steps(self.model, self.folded, self.images, self.float_layers, save_onnx)
        else:
            steps = tflite_steps(self.model, self.tflite, self.images, self.float_layers, save_tflite, save_wide)
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
        first = calibration_rows(val.labels, JUDGED, self.run.settings.seed)
        images = np.concatenate([val.images[first], train.images[more]])
        labels = np.concatenate([val.labels[first], train.labels[more]])
        return Judge(
            images, labels, _answered(self.model, images, "its answers to judge int8 by", self.progress), self.margin
        )


def _properties(description: dict[str, Any]) -> dict[str, str]:
    """ONNX' metadata: the whole description, and its parts as other readers look for them."""
    return {"unfreeze": json.dumps(description, ensure_ascii=False), "license": str(description["license"])}
