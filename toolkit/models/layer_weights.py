"""Weights by the names of their layers, from one model into another."""

from __future__ import annotations

import keras
import numpy as np

Weights = dict[str, list[np.ndarray]]  # a layer's name -> its weights


def named_weights(model: keras.Model) -> Weights:
    """Copies of the weights of all layers."""
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def set_named_weights(model: keras.Model, weights: Weights) -> None:
    """Set the weights of the layers that `weights` names; the others keep theirs."""
    for name, values in weights.items():
        set_weights(model.get_layer(name), values)


def set_weights(layer: keras.Layer, values: list[np.ndarray]) -> None:
    layer.set_weights(values)
    if isinstance(layer, keras.layers.Normalization):
        layer.finalize_state()  # the layer computes with copies of its weights, which this renews
