"""Weights of a trial on disk: KerasTuner's checkpoint while it trains, what is kept when it has ended."""

from __future__ import annotations

import math
import os
from pathlib import Path

import keras

from toolkit.storage.files import remove, reserve, temporary_name

CHECKPOINT = "checkpoint.weights.h5"  # KerasTuner's name


def check_room(folder: Path, model: keras.Model) -> None:
    """OSError where the disk cannot hold another checkpoint: HDF5 does not outlive a disk that is full when a file is
    closed, the process ends in a segmentation fault."""
    variables = [*model.variables, *(model.optimizer.variables if model.optimizer else ())]
    probe = folder / temporary_name("room")
    try:
        reserve(probe, 2**20 + 2 * sum(math.prod(variable.shape) * 4 for variable in variables))
    finally:
        remove(probe)


def write_weights(path: Path, model: keras.Model) -> None:
    """In place of KerasTuner's checkpoint, which holds Adam's two moments of each weight too: three times the bytes in
    each trial, and nobody reads them."""
    optimizer, model.optimizer = model.optimizer, None
    try:
        check_room(path.parent, model)
        whole = path.with_name(temporary_name("whole", ".weights.h5"))  # Keras takes no name that ends otherwise
        model.save_weights(whole)
        with whole.open("rb") as file:
            os.fsync(file.fileno())
        whole.replace(path)
    finally:
        model.optimizer = optimizer
