"""One stage of training: a compiled step over the epochs, with Keras' callbacks at their usual places.

Its own loop and not `Model.fit`, for two reasons: the start costs a third (a search starts it twice a trial), and a
part of a model can be trained whose callbacks see the whole. What to train on and at what rate is
`toolkit.training.train`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from toolkit.training.answers import Logs, _kind, answering, predicted, scores
from toolkit.training.batches import Source, shuffled


def fit(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    train: Source,
    val: Source,
    *,
    epochs: range,
    batch_size: int,
    class_weights: np.ndarray,
    seed: int,
    callbacks: Sequence[keras.callbacks.Callback],
    owner: keras.Model | None = None,
) -> None:
    """Train the trainable weights of `model` in place, until the epochs are over or a callback stops it.

    `class_weights`: float32 [C]. `owner`: the model that the callbacks were given, of which `model` is a part; they are
    called at the beginning and end of epochs, the rest is the caller's. Each epoch's
    logs are loss, accuracy, val_loss (nats), val_accuracy and seconds; `answers`, float32 [N, C], is an attribute of
    the owner. Training that diverges ends with its epoch.
    """
    owner = owner or model
    optimizer.build(model.trainable_variables)
    step, answer = _step(model, optimizer), answering(model)
    owner.stop_training = False
    for epoch in epochs:
        started = time.perf_counter()
        for callback in callbacks:
            callback.on_epoch_begin(epoch, {})
        totals = [
            step(inputs, labels, class_weights[labels])
            for inputs, labels in shuffled(train, epoch=epoch, batch_size=batch_size, seed=seed)
        ]
        loss, right = (float(total) / len(train.labels) for total in np.sum(np.array(totals), axis=0))
        owner.answers = predicted(answer, val, batch_size)
        logs: Logs = {"loss": loss, "accuracy": right, **scores(owner.answers, val.labels)}
        logs["seconds"] = time.perf_counter() - started
        for callback in callbacks:
            callback.on_epoch_end(epoch, dict(logs))
        if owner.stop_training or not all(map(math.isfinite, logs.values())):
            break


def _step(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Callable[..., Any]:
    """(inputs [B, ...], labels int32 [B], weights float32 [B]) -> float32 [2]: summed loss, right answers."""
    kind = _kind(model)
    shapes = [
        tf.TensorSpec((None, *model.input_shape[1:]), kind),
        tf.TensorSpec((None,), tf.int32),
        tf.TensorSpec((None,), tf.float32),
    ]
    variables = model.trainable_variables

    @tf.function(input_signature=shapes, autograph=False)
    def step(inputs: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            answers = model(inputs, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(labels, answers) * weights
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        right = tf.equal(tf.argmax(answers, axis=1, output_type=tf.int32), labels)
        return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(tf.cast(right, tf.float32))])

    def call(inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return step(inputs.astype(kind.as_numpy_dtype, copy=False), labels, weights).numpy()

    return call
