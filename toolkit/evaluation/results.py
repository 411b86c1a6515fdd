"""metrics.json and test_probabilities.npz, which an evaluation leaves in the run's folder. Both are written and read
here only."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from toolkit.data.image_set import ImageSet
from toolkit.errors import UnfreezeError, first_line
from toolkit.pixels.decode import RECIPE
from toolkit.stats.metrics import Evaluation, recall_intervals
from toolkit.stats.rejection import Coverage
from toolkit.storage.files import atomic, read_json, write_json

METRICS, ANSWERS = "metrics.json", "test_probabilities.npz"  # in the run's folder


def write_metrics(run: Path, evaluation: Evaluation) -> None:
    write_json(run / METRICS, evaluation.to_json() | {"part": "test"})


def read_metrics(run: Path, class_names: tuple[str, ...]) -> Evaluation | None:
    """The evaluation of the test part; None if there was none yet. Raises UnfreezeError if the file is damaged."""
    path = run / METRICS
    if not path.is_file():
        return None
    try:
        return _evaluation_of(read_json(path), class_names)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UnfreezeError(f"{path} is damaged ({first_line(error)}); `unfreeze evaluate {run}` writes it") from None


def _evaluation_of(stored: dict[str, Any], class_names: tuple[str, ...]) -> Evaluation:
    classes = [stored["classes"][name] for name in class_names]
    low, high = stored["accuracy_interval"]
    confusion = np.array(stored["confusion"], np.int64)
    if confusion.shape != (len(classes), len(classes)):
        raise ValueError(f"its confusion matrix has the shape {confusion.shape}")
    images = int(stored["images"])
    if confusion.min() < 0 or not 0 < images == confusion.sum():
        raise ValueError(f"its confusion matrix is not that of {images} images")
    return Evaluation(
        images=images,
        accuracy=float(stored["accuracy"]),
        accuracy_interval=(float(low), float(high)),
        log_loss=float(stored["log_loss"]),
        calibration_error=float(stored["calibration_error"]),
        confusion=confusion,
        class_names=class_names,
        precision=np.array([one["precision"] for one in classes], np.float64),
        recall=np.array([one["recall"] for one in classes], np.float64),
        recall_interval=recall_intervals(confusion),  # earlier versions did not store it
        f1=np.array([one["f1"] for one in classes], np.float64),
        coverage=tuple(
            Coverage(float(row["threshold"]), images, int(row["answered"]), int(row["wrong"]))
            for row in stored.get("coverage", ())  # earlier versions did not store it
        ),
    )


def write_answers(run: Path, images: ImageSet, probabilities: np.ndarray, model_sha256: str) -> None:
    """Store the model's answers, float32 [N, C], with the paths, labels and SHA-256 of the images, in the order of
    `images`, and with the SHA-256 of the model.keras that gave them."""
    with atomic(run / ANSWERS) as temporary:
        np.savez_compressed(
            temporary,
            paths=np.array(images.paths),
            labels=images.labels,
            probabilities=probabilities,
            sha256=np.array(images.digests),
            model_sha256=np.array(model_sha256),
            decode_version=np.array(RECIPE["version"]),
        )


def read_answers(run: Path) -> tuple[tuple[str, ...], np.ndarray] | None:
    """(paths, probabilities float32 [N, C]) of the test images; None if there was no evaluation yet.

    Raises UnfreezeError if the file is damaged.
    """
    arrays = _arrays(run, "paths", "probabilities")
    return None if arrays is None else (tuple(arrays["paths"].tolist()), arrays["probabilities"])


def answers_of(run: Path, images: ImageSet, model_sha256: str) -> np.ndarray | None:
    """The stored answers, float32 [N, C], if they are those of this very model.keras to these very images, decoded as
    they are decoded now. None if there are no such answers, or if their file is damaged."""
    try:
        arrays = _arrays(run, "probabilities", "sha256", "model_sha256", "decode_version")
    except UnfreezeError:  # also one that an earlier version wrote, without SHA-256
        return None
    if arrays is None or (str(arrays["model_sha256"]), int(arrays["decode_version"])) != (
        model_sha256,
        RECIPE["version"],
    ):
        return None
    probabilities = arrays["probabilities"]
    same = tuple(arrays["sha256"].tolist()) == images.digests
    fits = probabilities.dtype == np.float32 and probabilities.shape == (len(images), len(images.class_names))
    return probabilities if same and fits else None


def _arrays(run: Path, *names: str) -> dict[str, np.ndarray] | None:
    """The arrays `names` of the file; None if there is no file. Raises UnfreezeError if it is damaged or lacks one of
    them."""
    path = run / ANSWERS
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, AttributeError, BadZipFile) as error:
        raise UnfreezeError(f"{path} cannot be read ({first_line(error)}); repeat `unfreeze evaluate {run}`") from None
