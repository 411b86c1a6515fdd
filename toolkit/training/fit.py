"""One stage of training: a compiled step over the epochs, with Keras' callbacks at their usual places.

It is a loop of its own instead of `Model.fit` for two reasons: it starts in a third of the time (a search starts it
twice a trial), and it can train a part of a model while the callbacks see the whole model.
`toolkit.training.staged_training` decides on the data and the learning rates.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from toolkit.settings import Settings
from toolkit.stats.scores import class_weights
from toolkit.training.answers import Logs, inference_function, input_dtype, predict_source, scores
from toolkit.training.batches import shuffled
from toolkit.training.folds import Fold, Turns, judged_labels
from toolkit.training.recipe import Losses, Recipe, recipe


def fit(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    folds: Sequence[Fold],
    settings: Settings,
    *,
    epochs: range,
    callbacks: Sequence[keras.callbacks.Callback],
    turns: Turns,
    how: Recipe | None = None,
) -> None:
    """Train the trainable weights of `model` in place, until the epochs are over or a callback stops the training.

    Of the settings only batch size, seed, sampling, class weights and label smoothing are used. `turns.model`: the
    model that the callbacks were given, which is `model` or has it as a part. If there are several folds, their models
    are trained in turn, an epoch each. The callbacks get epoch begin and end; calling `on_train_begin` and
    `on_train_end` is up to the caller. The logs of an epoch are loss, accuracy (both over the images that it showed),
    val_loss (nats), val_accuracy, the objective, the metrics of `how` and seconds, over all folds; the probabilities
    for the images that are judged, float32 [N, C], are `turns.model.answers`. Training that diverges ends with its
    epoch. `how`: loss and metrics; None: the usual ones.
    """
    owner, how = turns.model, how or recipe(settings)
    optimizer.build(model.trainable_variables)
    turns.start(optimizer)
    step, infer = _step(model, optimizer, how.losses), inference_function(model)
    weights = [_class_weights(settings, fold.train.labels, model.output_shape[-1]) for fold in folds]
    val_labels = judged_labels(folds)
    owner.stop_training = False
    for epoch in epochs:
        started = time.perf_counter()
        for callback in callbacks:
            callback.on_epoch_begin(epoch, {})
        totals: list[np.ndarray] = []
        answers = np.empty((len(val_labels), model.output_shape[-1]), np.float32)
        for number, fold in enumerate(folds):
            batches = shuffled(
                fold.train, epoch=epoch, batch_size=settings.batch_size, seed=settings.seed, sampling=settings.sampling
            )
            with turns.turn(number):
                totals += [step(inputs, labels, weights[number][labels]) for inputs, labels in batches]
                answers[fold.rows] = predict_source(infer, fold.val, settings.batch_size)
        seen = sum(len(fold.train.labels) for fold in folds)
        loss, right = (float(total) / seen for total in np.sum(np.array(totals), axis=0))
        owner.answers = answers
        logs: Logs = {"loss": loss, "accuracy": right, **scores(answers, val_labels, settings)}
        diverged = not all(map(math.isfinite, logs.values()))
        logs |= how.metrics(val_labels, answers)
        logs["seconds"] = time.perf_counter() - started
        for callback in callbacks:
            callback.on_epoch_end(epoch, dict(logs))
        if owner.stop_training or diverged:
            break


def _class_weights(settings: Settings, labels: np.ndarray, classes: int) -> np.ndarray:
    """float32 [C]: how much an image of each class weighs in the loss. Where sampling balances the classes, they all
    weigh 1: they would be weighed twice."""
    balanced = settings.class_weights == "balanced" and settings.sampling == "natural"
    return class_weights(labels, classes).astype(np.float32) if balanced else np.ones(classes, np.float32)


def _step(model: keras.Model, optimizer: keras.optimizers.Optimizer, each: Losses) -> Callable[..., Any]:
    """One training step: (inputs [B, ...], labels int32 [B], weights float32 [B]) -> float32 [2], the sum of the
    weighted losses and the number of correct answers. `each`: the losses of a batch."""
    dtype = input_dtype(model)
    shapes = [
        tf.TensorSpec((None, *model.input_shape[1:]), dtype),
        tf.TensorSpec((None,), tf.int32),
        tf.TensorSpec((None,), tf.float32),
    ]
    variables = model.trainable_variables

    @tf.function(input_signature=shapes, autograph=False)
    def step(inputs: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            answers = model(inputs, training=True)
            losses = each(labels, answers) * weights
            loss = optimizer.scale_loss(tf.reduce_mean(losses))
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        right = tf.equal(tf.argmax(answers, axis=1, output_type=tf.int32), labels)
        return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(tf.cast(right, tf.float32))])

    def call(inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return step(inputs.astype(dtype.as_numpy_dtype, copy=False), labels, weights).numpy()

    return call
