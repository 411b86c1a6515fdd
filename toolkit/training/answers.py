"""The probabilities that a model gives for images, and their loss and accuracy."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from toolkit.process.tf32 import without_tf32
from toolkit.settings import Settings
from toolkit.stats.scores import SCORES
from toolkit.training.batches import Part, Source, in_order, unaugmented

Logs = dict[str, float]
Inference = Callable[[np.ndarray], tf.Tensor]


def scores(answers: np.ndarray, labels: np.ndarray, settings: Settings) -> Logs:
    """val_loss (nats), val_accuracy and the objective of the answers float32 [N, C] to images with the labels int32
    [N]. In the loss, classes weigh as they do in training."""
    wanted = dict.fromkeys(("val_loss", "val_accuracy", settings.objective))
    return {name: SCORES[name].of(answers, labels, settings.balanced) for name in wanted}


def inference_function(model: keras.Model) -> Inference:
    """The model in inference mode as a traced function, which takes half the time of Keras' `predict`."""

    dtype = input_dtype(model)

    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), dtype)], autograph=False)
    def infer(batch: tf.Tensor) -> tf.Tensor:
        return model(batch, training=False)

    return lambda batch: infer(batch.astype(dtype.as_numpy_dtype, copy=False))


def input_dtype(model: keras.Model) -> tf.DType:
    """uint8 for pixels; float32 for activations, also where they are stored as float16."""
    return tf.uint8 if model.inputs[0].dtype == "uint8" else tf.float32


def predict_source(infer: Inference, source: Source, batch_size: int = 32) -> np.ndarray:
    """float32 [N, C]: the probabilities for all of a source, in its order, computed without TF32."""
    with without_tf32():
        return np.concatenate([infer(inputs).numpy() for inputs, _ in in_order(source, batch_size=batch_size)])


def probabilities(model: keras.Model, images: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """uint8 [N, S, S, channels] -> float32 [N, C]: the model's probabilities, computed without TF32."""
    part = Part(images, np.zeros(len(images), np.int32))
    return predict_source(inference_function(model), unaugmented(part), batch_size)
