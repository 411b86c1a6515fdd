"""Keras models on TensorFlow, in inference mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from export.runtimes.loaders.loaded import Loaded, only_input, output_names, tensorflow, the_output
from export.runtimes.model_input import model_input
from toolkit.process.keras_start import start_keras
from toolkit.process.tf32 import without_tf32


def load(path: Path, threads: int | None, output: str | None) -> Loaded:
    tensorflow(threads)
    start_keras()
    from toolkit.untrusted.keras_file import read_model

    return loaded_model(read_model(path), output)


def loaded_model(model: Any, output: str | None) -> Loaded:
    """The runner's record of a model in memory. Raises UnfreezeError if it has not one input, images."""
    import keras
    import tensorflow as tf

    entry = only_input(list(getattr(model, "inputs", None) or ()))
    place = the_output(output_names(model), output)
    dtype = keras.backend.standardize_dtype(entry.dtype)

    @tf.function(input_signature=[tf.TensorSpec(entry.shape, dtype)], autograph=False)
    def infer(batch: tf.Tensor) -> tf.Tensor:
        return keras.tree.flatten(model(batch, training=False))[place]

    def call(fed: np.ndarray) -> np.ndarray:
        with without_tf32():
            return infer(fed).numpy()

    return Loaded(call, model_input(entry.shape, tf.as_dtype(dtype).as_numpy_dtype))
