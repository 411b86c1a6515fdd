"""A run folder -> `Facts`: whatever was made so far. A step that was not taken yet leaves its part empty."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np

from toolkit.data.image_set import ImageFolder
from toolkit.errors import UnfreezeError
from toolkit.models.spec import ModelSpec
from toolkit.run import Run
from toolkit.stats.accuracy_lost import HOLDS
from toolkit.stats.metrics import Evaluation, evaluate
from toolkit.storage.files import file_digest, read_json

Read = TypeVar("Read")
UNVERIFIED = "not verified"
OBJECT = "the model "  # before the name of one that was adopted as an object, not as a file
PROVEN = {"verdict", "images", "accuracy", "accuracy_interval", "lost", "lost_at_most", "agreement", "flips"}
SPEC = {field.name for field in fields(ModelSpec)}
TIMED = {"threads", "median", "batch_median"}


@dataclass(frozen=True)
class Trial:
    """A row of trials.csv."""

    number: int
    head_units: int
    dropout: float  # rate
    unfreeze: int  # stages
    val_loss: float | None  # nats; None: it did not complete
    val_accuracy: float | None  # a fraction
    seconds: float | None
    stage: str  # of its best epoch: "head" | "tune" | ""
    mark: str  # "best" | "tied" | ...
    epochs: int | None  # at which it ended, where the oracle gave it fewer than all
    parent: int | None  # the trial that it went on from

    def value(self, objective: str) -> float | None:
        """Its val_loss or val_accuracy."""
        return self.val_loss if objective == "val_loss" else self.val_accuracy


@dataclass(frozen=True)
class Answers:
    """The model's answers on the test part."""

    images: ImageFolder
    probabilities: np.ndarray  # float32 [N, C]


@dataclass(frozen=True)
class File:
    """An exported file with what its verification said; numbers are None where it has none."""

    name: str  # below RUN/export
    format: str  # "saved_model" | "tflite" | "onnx"
    precision: str
    bytes: int
    sha256: str
    verdict: str
    parity: dict[str, Any]  # its record in parity.json, {} where it has none

    @property
    def holds(self) -> bool:
        return self.verdict == HOLDS

    @property
    def megabytes(self) -> float:
        return self.bytes / 1e6

    def milliseconds(self, *, batch: bool = False, all_threads: bool = False) -> float | None:
        """Median for one image, alone or in a batch, with one thread or the most that were timed; None: not timed."""
        timings = sorted(self.parity.get("timings") or [], key=lambda timing: timing["threads"])
        if not timings:
            return None
        return float(timings[-1 if all_threads else 0]["batch_median" if batch else "median"])


@dataclass(frozen=True)
class Call:
    """How an export was asked for."""

    formats: tuple[str, ...]  # (): all
    precisions: tuple[str, ...]
    calibration: int  # training images
    float_layers: tuple[str, ...]
    margin: float  # points of accuracy


@dataclass(frozen=True)
class Facts:
    """All that a report is made of."""

    run: Run
    stored: dict[str, Any]  # run.json: versions, fingerprint, weights_sha256
    spec: dict[str, Any]  # of the model; {} where that was trained elsewhere
    adopted: dict[str, Any]  # model, sha256, pixels, logits, val_accuracy; {} where it was trained here
    best_epoch: dict[str, Any]
    search: dict[str, Any]  # taken, best, tied, recommended, refit; {} without a search
    trials: tuple[Trial, ...]
    history: tuple[dict[str, Any], ...]
    evaluation: Evaluation | None
    answers: Answers | None
    description: dict[str, Any]  # what every artefact says of itself; {} before an export
    files: tuple[File, ...]
    failed: dict[str, str]  # name -> why that file could not be written
    exports: tuple[Call, ...]  # that wrote the files, the earliest first
    outdated: bool  # the export is of an earlier model
    resize: dict[str, Any]  # resize.json

    @property
    def name(self) -> str:
        """Of the run: its folder's."""
        return self.run.path.resolve().name

    @property
    def adopted_object(self) -> bool:
        """Whether a model from elsewhere came as an object, not as a file."""
        return str(self.adopted.get("model", "")).startswith(OBJECT)

    @property
    def adopted_file(self) -> str:
        """Name of the file of a model from elsewhere, without its folder; "" where the model was trained here."""
        name = str(self.adopted.get("model", ""))
        return f"{name.removeprefix(OBJECT)}.keras" if self.adopted_object else Path(name).name

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.run.images.class_names

    @property
    def image_size(self) -> int:
        """Side of the square input in pixels."""
        return int(self.spec.get("image_size") or self.run.settings.image_size)

    @property
    def verified(self) -> tuple[File, ...]:
        return tuple(file for file in self.files if file.parity)


def read_facts(run: Run) -> Facts:
    """UnfreezeError where a file that is there is damaged, or where nothing was trained yet."""
    if not (run.path / "model.json").is_file():
        raise UnfreezeError(
            f"{run.path} has no model yet, so there is nothing to report; `unfreeze tune DATA RUN` first"
        )
    model = _record(run.path / "model.json", dict)
    manifest = _record(run.path / "export" / "manifest.json", dict)
    stored = read_json(run.path / "run.json")
    _check_parts(run.path / "run.json", stored, ("versions",))
    _check_parts(run.path / "model.json", model, ("spec", "adopted", "best_epoch", "search"))
    _check_parts(run.path / "export" / "manifest.json", manifest, ("description", "failed"))
    _whole(run.path / "export" / "manifest.json", lambda: _check_texts(run.path / "export" / "manifest.json", manifest))
    spec = model.get("spec") or {}
    if type(spec.get("image_size", 1)) is not int or not (model.get("adopted") or spec.keys() >= SPEC):
        raise _damaged(run.path / "model.json")
    outdated = bool(manifest) and manifest.get("model_sha256") != file_digest(run.path / "model.keras")
    answers = _answers(run, exported=not outdated)
    return Facts(
        run=run,
        stored=stored,
        spec=model.get("spec") or {},
        adopted=model.get("adopted") or {},
        best_epoch=model.get("best_epoch") or {},
        search=model.get("search") or {},
        trials=_whole(run.path / "trials.csv", lambda: _trials(run.path)),
        history=_whole(run.path / "history.csv", lambda: _history(run.path / "history.csv")),
        evaluation=_evaluation(run, answers),
        answers=answers,
        description=manifest.get("description", {}),
        files=_whole(run.path / "export" / "manifest.json", lambda: _files(manifest, _parities(run.path))),
        failed=manifest.get("failed", {}),
        exports=_whole(run.path / "export" / "manifest.json", lambda: _exports(manifest)),
        outdated=outdated,
        resize=_record(run.path / "resize.json", dict),
    )


def _record(path: Path, kind: type) -> Any:
    """Of a JSON file; empty where the step that writes it was not taken, UnfreezeError where it holds another kind."""
    value = read_json(path) if path.is_file() else kind()
    if not isinstance(value, kind):
        raise _damaged(path)
    return value


def _damaged(path: Path) -> UnfreezeError:
    return UnfreezeError(f"{path} is damaged; remove it and repeat the step that writes it")


def _check_parts(path: Path, record: dict[str, Any], names: tuple[str, ...]) -> None:
    """UnfreezeError where one of a record's parts that are there is no record."""
    if not all(isinstance(record.get(name) or {}, dict) for name in names):
        raise _damaged(path)


def _check_texts(path: Path, manifest: dict[str, Any]) -> None:
    """UnfreezeError where what an export says of itself and of its files is no text."""
    said, files = manifest.get("description") or {}, manifest.get("artefacts") or []
    ends = [said.get(name, {}) for name in ("input", "output")]
    if not all(isinstance(one, dict) for one in (*ends, *files)):
        raise _damaged(path)
    texts = [said.get("license", ""), *(one.get("name", "") for one in ends), *manifest.get("failed", {}).values()]
    texts += [file.get(name) for file in files for name in ("name", "format", "precision", "sha256")]
    if not all(isinstance(text, str) for text in texts) or not all(_is_number(file.get("bytes")) for file in files):
        raise _damaged(path)


def _parities(run: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = _record(run / "parity.json", list)
    if not all(isinstance(one, dict) and all(_is_told(*entry) for entry in one.items()) for one in records):
        raise UnfreezeError(f"{run / 'parity.json'} is damaged; `unfreeze verify {run}` writes it again")
    return records


def _is_told(name: str, value: Any) -> bool:
    """Whether an entry of a verdict is of its kind: text, true or false, records, or else numbers."""
    if name in ("verdict", "reason", "holds"):
        return isinstance(value, bool if name == "holds" else str)
    if name in ("artefact", "divergence"):
        return isinstance(value, (dict, type(None)))
    if name == "flips":
        return isinstance(value, list) and all(isinstance(one, dict) for one in value)
    if name == "timings":
        return isinstance(value, list) and all(_is_timing(one) for one in value)
    if name == "accuracy_interval":
        return value is None or (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)))
    return value is None or _is_number(value)


def _is_timing(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.keys() >= TIMED and all(map(_is_number, entry.values()))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _whole(path: Path, read: Callable[[], Read]) -> Read:
    """What a file says; UnfreezeError where it is not what the step that writes it had written."""
    try:
        return read()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UnfreezeError(f"{path} is damaged ({error}); remove it and repeat the step that writes it") from None


def _answers(run: Run, *, exported: bool) -> Answers | None:
    """From the evaluation or, if that is of this model, from the export; None where neither was made."""
    images = run.images.select("test")
    for path in (run.path / "test_probabilities.npz", run.path / "export" / "reference.npz"):
        if not path.is_file() or (path.name == "reference.npz" and not exported):
            continue
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                paths, probabilities = tuple(arrays["paths"].tolist()), arrays["probabilities"]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise UnfreezeError(f"{path} cannot be read ({error}); repeat `unfreeze evaluate {run.path}`") from None
        if paths == images.paths and probabilities.shape == (len(images), len(images.class_names)) and len(images):
            return Answers(images, probabilities)
    return None


def _evaluation(run: Run, answers: Answers | None) -> Evaluation | None:
    """Of the answers; without them as metrics.json has it."""
    stored = _record(run.path / "metrics.json", dict)
    if answers is not None:
        return evaluate(answers.probabilities, answers.images.labels, run.images.class_names)
    if not stored:
        return None
    try:
        classes = [stored["classes"][name] for name in run.images.class_names]
        precision, recall, f1 = (np.array([one[key] for one in classes]) for key in ("precision", "recall", "f1"))
        return Evaluation(
            images=stored["images"],
            accuracy=stored["accuracy"],
            accuracy_interval=tuple(stored["accuracy_interval"]),
            log_loss=stored["log_loss"],
            calibration_error=stored["calibration_error"],
            confusion=np.array(stored["confusion"], np.int64),
            class_names=run.images.class_names,
            precision=precision,
            recall=recall,
            f1=f1,
        )
    except (KeyError, TypeError) as error:
        raise UnfreezeError(f"metrics.json in {run.path} is damaged ({error}); `unfreeze evaluate` writes it") from None


def _history(path: Path) -> tuple[dict[str, Any], ...]:
    numbers = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")
    return tuple(
        {**row, **{name: float(row[name]) for name in numbers}, "epoch": int(row["epoch"])}
        for row in _rows(path, numbers)
    )


def _trials(run: Path) -> tuple[Trial, ...]:
    """Those whose record is whole."""
    rows = [row for row in _rows(run / "trials.csv", ("trial", "val_loss", "val_accuracy")) if row["unfreeze"]]
    return tuple(
        Trial(
            number=int(row["trial"]),
            head_units=int(row["head_units"]),
            dropout=float(row["dropout"]),
            unfreeze=int(row["unfreeze"]),
            val_loss=_number(row["val_loss"]),
            val_accuracy=_number(row["val_accuracy"]),
            seconds=_number(row["seconds"]),
            stage=row["best_stage"],
            mark=row["mark"],
            epochs=_epochs(run / "search" / f"trial_{row['trial']}" / "trial.json"),
            parent=int(row["parent"]) if row["parent"] else None,
        )
        for row in rows
    )


def _rows(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    """Of a CSV file; [] where there is none."""
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise UnfreezeError(f"{path} cannot be read ({error}); remove it and repeat the step that writes it") from None
    if any(row.get(name) is None for row in rows for name in needed):
        raise UnfreezeError(f"{path} is damaged; remove it and repeat the step that writes it")
    return rows


def _number(text: str | None) -> float | None:
    value = float(text) if text else None
    return value if value is not None and np.isfinite(value) else None


def _epochs(path: Path) -> int | None:
    """The epoch at which the oracle ends a trial; None where it does not say."""
    try:
        return int(read_json(path)["hyperparameters"]["values"]["tuner/epochs"])
    except (UnfreezeError, KeyError, TypeError, ValueError):  # the search may have been removed: it is only detail
        return None


def _exports(manifest: dict[str, Any]) -> tuple[Call, ...]:
    return tuple(
        Call(
            formats=tuple(map(str, call["formats"] or ())),
            precisions=tuple(map(str, call["precisions"] or ())),
            calibration=int(call["calibration"]),
            float_layers=tuple(map(str, call["float_layers"])),
            margin=float(call["margin"]),
        )
        for call in manifest.get("calls", [])
    )


def _files(manifest: dict[str, Any], parities: list[dict[str, Any]]) -> tuple[File, ...]:
    """The exported files, each with its verification if that was of the very same bytes."""
    proven = {(one["artefact"]["name"], one["artefact"]["sha256"]): one for one in parities if one.keys() >= PROVEN}
    files = []
    for artefact in manifest.get("artefacts", []):
        parity = proven.get((artefact["name"], artefact["sha256"]), {})
        shown = {key: artefact[key] for key in ("name", "format", "precision", "bytes", "sha256")}
        files.append(File(**shown, verdict=parity.get("verdict", UNVERIFIED), parity=parity))
    return tuple(files)
