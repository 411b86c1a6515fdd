"""Answers to images on which a model was not trained, and the temperature that was fitted on them. Of a model that was
made of folds they are those of its folds' models.

Both belong to model.keras: the answers are in val_answers.npz, the temperature in model.json.
`toolkit.training.model_file` writes them. No TensorFlow here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from toolkit.errors import UnfreezeError, first_line
from toolkit.stats.metrics import calibration_error, log_losses
from toolkit.stats.temperature import fit_temperature, tempered
from toolkit.storage.files import atomic, read_json
from toolkit.storage.records import plain_record

ANSWERS = "val_answers.npz"  # in the run's folder
COUNT, TEMPERATURE = "held_out", "temperature"  # entries of model.json; earlier versions wrote neither


@dataclass(frozen=True)
class HeldOut:
    """Answers to validation images, or to training images by models that were trained without them."""

    probabilities: np.ndarray  # float32 [N, C]
    labels: np.ndarray  # int32 [N]


@dataclass(frozen=True)
class Temperature:
    """What a model's logits were divided by, and what that changes on the images on which it was fitted."""

    value: float
    images: int
    log_loss_before: float  # nats
    log_loss: float
    calibration_error_before: float  # expected calibration error, as in `toolkit.stats.metrics`
    calibration_error: float


def fit(held_out: HeldOut) -> Temperature:
    """The temperature of `toolkit.stats.temperature`, with the numbers before and after it."""
    before, labels = held_out.probabilities, held_out.labels
    value = fit_temperature(before, labels)
    after = with_temperature(held_out, value).probabilities
    losses = (float(log_losses(one, labels).mean()) for one in (before, after))
    return Temperature(value, len(labels), *losses, *(calibration_error(one, labels) for one in (before, after)))


def with_temperature(held_out: HeldOut, value: float) -> HeldOut:
    """The answers of the model whose logits are divided by the temperature. Not changed at all if it is 1."""
    return held_out if value == 1 else replace(held_out, probabilities=tempered(held_out.probabilities, value))


def write_held_out(run: Path, held_out: HeldOut) -> None:
    with atomic(run / ANSWERS) as temporary:
        np.savez_compressed(temporary, probabilities=held_out.probabilities, labels=held_out.labels)


def read_held_out(run: Path, classes: int) -> HeldOut | None:
    """The answers that were stored with the model; None if it is of an earlier version or from elsewhere. Raises
    UnfreezeError if the file is missing or damaged."""
    count = read_json(run / "model.json").get(COUNT)
    if count is None:
        return None
    try:
        with (run / ANSWERS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = HeldOut(arrays["probabilities"], arrays["labels"])
        shapes = found.probabilities.shape, found.labels.shape
        if shapes != ((count, classes), (count,)) or found.labels.dtype.kind != "i":
            raise ValueError(f"it has arrays of the shapes {shapes[0]} and {shapes[1]}")
    except (OSError, ValueError, KeyError, EOFError, AttributeError, BadZipFile) as error:
        raise UnfreezeError(
            f"{run / ANSWERS} cannot be read ({first_line(error)}); remove {run / 'model.json'} and repeat the step "
            "that writes both (tune or train)"
        ) from None
    return found


def read_temperature(run: Path) -> Temperature | None:
    """The temperature in the run's model; None if none was fitted. Raises UnfreezeError if model.json is damaged."""
    stored = read_json(run / "model.json").get(TEMPERATURE)
    try:
        return None if stored is None else plain_record(Temperature, stored)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise UnfreezeError(
            f"{run / 'model.json'} is damaged ({first_line(error)}); remove it and repeat the step that writes it "
            "(tune or train)"
        ) from None
