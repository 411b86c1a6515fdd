"""The records of an export: `Artefact`, `Manifest` and `Reference`, and their files manifest.json and reference.npz."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from export.description import channels, read_description, reject_below
from export.inspect.tflite_graph import least_runtime
from export.settings import ExportSettings
from export.variants import Variant
from toolkit.errors import UnfreezeError
from toolkit.models.backbones import is_file
from toolkit.pixels.decode import recipe
from toolkit.run import Run
from toolkit.stats.flips import at_chance
from toolkit.storage.files import atomic, file_digest, read_json, write_json
from toolkit.storage.records import plain_fields

INPUT, OUTPUT = "image", "probabilities"
NOT_OF_MODEL = ("time_limit", "cache_limit", "cache_dir")  # settings on which no trained model depends
TEST, VAL, EVIDENCE = "test", "val", "evidence"  # parts of a `Reference`; the last has no labels
UNLABELLED = -1
UNSTATED = "not stated"  # the licence of a model for which none was given


@dataclass(frozen=True)
class Artefact:
    """The record of one exported file, or of a SavedModel folder, when it was written."""

    name: str  # below the export folder
    format: str  # as in `export.variants`
    precision: str
    bytes: int
    sha256: str  # of the file; of a folder: over its files' names and digests
    calibration: tuple[str, ...] = ()  # paths, as in run.json, of the images whose activations set the ranges
    attempts: tuple[dict[str, Any], ...] = ()  # int8: the ways that were tried (`Attempt` in export/quantise)
    float_layers: tuple[str, ...] = ()  # int8: layers of the model that were left in float
    runtime_at_least: str = ""  # TFLite: the version of the oldest runtime that has all of its operators


@dataclass(frozen=True)
class Manifest:
    """What an export folder holds."""

    folder: Path
    description: dict[str, Any]
    artefacts: tuple[Artefact, ...]
    reference_sha256: str
    model_sha256: str  # of the model.keras that was exported
    failed: dict[str, str] = field(default_factory=dict)  # name -> why that file could not be written
    calls: tuple[ExportSettings, ...] = ()  # settings of the exports that wrote these files, the earliest first
    written: tuple[str, ...] = ()  # names of the files that this export wrote; not stored

    @property
    def image_size(self) -> int:
        """Pixels, side of the square images that the exported model takes."""
        size: int = self.description["input"]["shape"][1]
        return size

    @property
    def channels(self) -> int:
        """Channels of these images: 3 for RGB, 1 for grey."""
        return channels(self.description)

    def is_of(self, model: Path) -> bool:
        """Whether these are files of the model in a model.keras, as it is now."""
        return self.model_sha256 == file_digest(model)


@dataclass(frozen=True)
class Reference:
    """The model's answers to images. The artefacts are compared with them."""

    paths: tuple[str, ...]
    labels: np.ndarray  # int32 [N]; UNLABELLED for an image without a label
    probabilities: np.ndarray  # float32 [N, C]
    parts: tuple[str, ...] = ()  # of each image; empty: all are TEST
    precision: str = "float32"  # of the model
    reject_below: float = 0.0  # the top probability below which an image is unsure; 0: none is

    def __post_init__(self) -> None:
        if not self.parts:
            object.__setattr__(self, "parts", (TEST,) * len(self.paths))

    def rows(self, part: str) -> np.ndarray:
        """int64: the numbers of the images of one part."""
        return np.flatnonzero(np.array(self.parts, dtype=object) == part)

    @cached_property
    def at_chance(self) -> bool:
        """Whether the model is right on the test images no more often than chance."""
        rows = self.rows(TEST)
        return at_chance(self.labels[rows], self.probabilities[rows].argmax(1))

    @classmethod
    def of_unlabelled(cls, paths: tuple[str, ...], probabilities: np.ndarray) -> Reference:
        """Answers to images without labels."""
        labels = np.full(len(paths), UNLABELLED, np.int32)
        return cls(paths, labels, probabilities, (EVIDENCE,) * len(paths))

    def only(self, part: str) -> Reference:
        """The images of one part."""
        return self.at(self.rows(part))

    def at(self, rows: np.ndarray) -> Reference:
        """The images of these numbers."""
        return replace(
            self,
            paths=tuple(self.paths[row] for row in rows),
            labels=self.labels[rows],
            probabilities=self.probabilities[rows],
            parts=tuple(self.parts[row] for row in rows),
        )

    def __add__(self, other: Reference) -> Reference:
        return Reference(
            self.paths + other.paths,
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.probabilities, other.probabilities]),
            self.parts + other.parts,
            self.precision,
            self.reject_below,
        )


def describe(run: Run, image_size: int, license: str = UNSTATED, threshold: float = 0.0) -> dict[str, Any]:
    """The description that is stored in every artefact: what an app needs to prepare the input and to read the
    answer. `threshold`: the top probability below which an image is unsure; 0: none is."""
    fingerprint, shape = run.images.fingerprint(), ["batch", image_size, image_size, run.settings.channels]
    settings = {name: value for name, value in run.settings.to_json().items() if name not in NOT_OF_MODEL}
    if is_file(run.settings.backbone):  # where it lies changes nothing
        settings |= dict.fromkeys(("backbone", "weights"), Path(run.settings.backbone).name)
    else:
        del settings["pixels"]  # which are known, and of which earlier versions knew nothing
    settings |= {name: list(values) for name, values in run.settings.varied.items()}
    for name in ("vary", *([] if settings["label_smoothing"] else ["label_smoothing"])):  # nor of these
        del settings[name]
    how = recipe(run.settings.channels, run.images.levels, run.images.profiles)
    return {
        "class_names": list(run.images.class_names),
        "input": {"name": INPUT, "dtype": "uint8", "shape": shape, **how},
        "output": {
            "name": OUTPUT,
            "dtype": "float32",
            "shape": ["batch", len(run.images.class_names)],
            "is": "softmax",
            **({"reject_below": threshold} if threshold else {}),
        },
        "license": license,
        "unfreeze": version("unfreeze"),
        "data_fingerprint": fingerprint,
        "run": hashlib.sha256(f"{fingerprint} {settings}".encode()).hexdigest()[:16],
    }


def record_artefact(folder: Path, variant: Variant, **more: Any) -> Artefact:
    """The record of a file that was just written, with its size and SHA-256."""
    path = folder / variant.name
    runtime = least_runtime(path.read_bytes()) if variant.format == "tflite" else ""
    own = size(path), digest(path)
    return Artefact(variant.name, variant.format, variant.precision, *own, runtime_at_least=runtime, **more)


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in ([path] if path.is_file() else _files(path)))


def digest(path: Path) -> str:
    """SHA-256 in hex of a file, or of a folder by its files' relative names and digests."""
    if path.is_file():
        return file_digest(path)
    lines = (f"{file.relative_to(path).as_posix()} {file_digest(file)}\n" for file in _files(path))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def picture_paths(folder: Path, name: str) -> tuple[Path, Path]:
    """The two pictures that `verify` draws of an artefact: of its flips, and of its layers."""
    return folder / f"flips_{name}.png", folder / f"layers_{name}.png"


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def write_manifest(manifest: Manifest) -> None:
    values = {
        "description": manifest.description,
        "artefacts": [asdict(artefact) for artefact in manifest.artefacts],
        "reference_sha256": manifest.reference_sha256,
        "model_sha256": manifest.model_sha256,
        "failed": manifest.failed,
        "calls": [call.to_json() for call in manifest.calls],
    }
    write_json(manifest.folder / "manifest.json", values)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an export folder. Raises UnfreezeError if it is missing or not one."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise UnfreezeError(f"{folder} has no manifest.json; `unfreeze export {folder.parent}` writes one")
    values = read_json(path)
    try:
        artefacts = tuple(_artefact(artefact, folder) for artefact in values["artefacts"])
        description = values["description"]
        read_description(json.dumps(description))
        digests = values["reference_sha256"], values["model_sha256"]
        failed, calls = dict(values.get("failed", {})), tuple(map(ExportSettings.from_json, values.get("calls", ())))
        tensors = [description[end].get("name", "") for end in ("input", "output")]
        texts = [*digests, *failed, *failed.values(), *tensors, description.get("license", UNSTATED)]
        if other := [text for text in texts if not isinstance(text, str)]:
            raise ValueError(f"{other[0]!r:.40} in it is not text")
        return Manifest(folder, description, artefacts, *digests, failed, calls)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, UnfreezeError) as error:
        raise UnfreezeError(f"{path} is damaged ({error}); repeat `unfreeze export {folder.parent}`") from None


def artefact_of(values: dict[str, Any]) -> Artefact:
    """The record of an artefact that was stored as JSON. Raises ValueError or TypeError if it is not one."""
    calibration, layers = (tuple(map(str, values.get(name, ()))) for name in ("calibration", "float_layers"))
    attempts = tuple(map(dict, values.get("attempts", ())))
    return Artefact(calibration=calibration, attempts=attempts, float_layers=layers, **plain_fields(Artefact, values))


def _artefact(values: dict[str, Any], folder: Path) -> Artefact:
    """The record of an artefact in `folder`. Raises ValueError if its path leads out of it: a run may come from a
    stranger."""
    name = artefact_of(values).name
    if name in ("", ".", "..") or Path(name).name != name or "\\" in name:
        raise ValueError(f"{str(name)[:80]!a} is no name of a file in it")
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name} is a link that leads out of it")
    return artefact_of(values)


def write_reference(folder: Path, reference: Reference) -> str:
    """Store the reference answers; returns the SHA-256 of the file."""
    path, test, val = folder / "reference.npz", reference.only(TEST), reference.only(VAL)
    values: dict[str, Any] = {
        "paths": np.array(test.paths),
        "labels": test.labels,
        "val_paths": np.array(val.paths, dtype=str),
        "val_labels": val.labels,
        "val_probabilities": val.probabilities,
    }
    with atomic(path) as temporary:
        np.savez_compressed(temporary, probabilities=test.probabilities, **values)
    return file_digest(path)


def read_reference(manifest: Manifest) -> Reference:
    """The reference answers of an export folder. Raises UnfreezeError if they are missing or changed."""
    path = manifest.folder / "reference.npz"
    if file_digest(path) != manifest.reference_sha256:
        raise UnfreezeError(
            f"{path} is missing or changed since the export; repeat `unfreeze export {path.parents[1]}`"
        )
    with np.load(path, allow_pickle=False) as arrays:
        limit = reject_below(manifest.description)
        paths = tuple(arrays["paths"].tolist())
        test = Reference(paths, arrays["labels"], arrays["probabilities"], reject_below=limit)
        if "val_paths" not in arrays or not len(arrays["val_paths"]):  # of an older version, or without validation
            return test
        paths = tuple(arrays["val_paths"].tolist())
        return test + Reference(paths, arrays["val_labels"], arrays["val_probabilities"], (VAL,) * len(paths))
