"""The weights of a trial on disk: checks that there is room for KerasTuner's checkpoints, and writes the smaller file
that replaces the last one."""

from __future__ import annotations

import math
import os
from pathlib import Path

import keras

from toolkit.storage.files import remove, reserve, temporary_name

CHECKPOINT = "checkpoint.weights.h5"  # KerasTuner's name


def check_room(folder: Path, model: keras.Model) -> None:
    """Raises OSError if the disk has no room for another checkpoint. Without this check, HDF5 would end the process
    with a segmentation fault when it closes a file on a full disk."""
    variables = [*model.variables, *(model.optimizer.variables if model.optimizer else ())]
    probe = folder / temporary_name("room")
    try:
        reserve(probe, 2**20 + 2 * sum(math.prod(variable.shape) * 4 for variable in variables))
    finally:
        remove(probe)


def write_weights(path: Path, model: keras.Model) -> None:
    """Replace KerasTuner's checkpoint by a file of the model's weights. The checkpoint is three times as large, because
    it also holds Adam's two moments of each weight, which nothing reads."""
    optimizer, model.optimizer = model.optimizer, None
    try:
        check_room(path.parent, model)
        whole = path.with_name(temporary_name("whole", ".weights.h5"))  # Keras accepts only this ending
        model.save_weights(whole)
        with whole.open("rb") as file:
            os.fsync(file.fileno())
        whole.replace(path)
    finally:
        model.optimizer = optimizer
