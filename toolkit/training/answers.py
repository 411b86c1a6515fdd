"""What a model answers to images, and how good the answers are."""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from toolkit.process.tf32 import without_tf32
from toolkit.stats.metrics import log_losses
from toolkit.training.batches import Part, Source, in_order, plain

Logs = dict[str, float]
Answer = Callable[[np.ndarray], tf.Tensor]


def scores(answers: np.ndarray, labels: np.ndarray) -> Logs:
    """The validation's part of an epoch's logs."""
    return {
        "val_loss": float(log_losses(answers, labels).mean()),
        "val_accuracy": float((answers.argmax(1) == labels).mean()) if np.isfinite(answers).all() else math.nan,
    }


def answering(model: keras.Model) -> Answer:
    """The model as a traced function in inference mode: half the time of `predict`."""

    kind = _kind(model)

    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), kind)], autograph=False)
    def answer(batch: tf.Tensor) -> tf.Tensor:
        return model(batch, training=False)

    return lambda batch: answer(batch.astype(kind.as_numpy_dtype, copy=False))


def _kind(model: keras.Model) -> tf.DType:
    """Pixels, or activations that may be stored in half precision and are computed with in single."""
    return tf.uint8 if model.inputs[0].dtype == "uint8" else tf.float32


def predicted(answer: Answer, source: Source, batch_size: int = 32) -> np.ndarray:
    """float32 [N, C]: the answers to a whole part, in order."""
    with without_tf32():
        return np.concatenate([answer(inputs).numpy() for inputs, _ in in_order(source, batch_size=batch_size)])


def probabilities(model: keras.Model, images: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """The model's answers: uint8 [N, S, S, 3] -> float32 [N, C]."""
    part = Part(images, np.zeros(len(images), np.int32))
    return predicted(answering(model), plain(part), batch_size)
