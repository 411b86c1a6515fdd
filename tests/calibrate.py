"""Random weights that behave like trained ones."""

from __future__ import annotations

import keras
import numpy as np


def calibrate_normalization(model: keras.Model, images: np.ndarray) -> None:
    """Give each BatchNormalization the statistics of these images, and freeze it.

    Without that, what the images have in common and the biases swamp their differences from layer to layer.
    """
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:
        layer.trainable, layer.momentum = True, 0.0
    model(images, training=True)
    for layer in layers:
        layer.trainable = False


def shake(model: keras.Model, images: np.ndarray) -> keras.Model:
    """Weights that no initialiser gives, in BatchNormalization and biases too: none can pass for another."""
    rng = np.random.default_rng(6)
    for layer in model.layers:
        if layer.weights and not isinstance(layer, keras.layers.Normalization):
            layer.set_weights([shaken(array, rng) for array in layer.get_weights()])
    calibrate_normalization(model, images)
    return model


def shaken(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return array + rng.uniform(0, 0.2, array.shape) if array.ndim == 1 else array * rng.uniform(0.8, 1.2, array.shape)


def distance(actual: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square of the differences as a part of the spread among images: 0 equal, about 1 unrelated."""
    return float(np.sqrt(np.mean((actual - expected) ** 2) / expected.var(axis=0).mean()))
