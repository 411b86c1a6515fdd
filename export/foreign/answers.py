"""What a model from elsewhere answers with, and how that becomes probabilities: as arrays, and as layers."""

from __future__ import annotations

import keras
import numpy as np

from export.artefacts import OUTPUT
from export.runtimes.answers import TINY, divided_by_sum, softmax, to_probabilities

PROBABILITIES, LOGITS, SIGMOIDS = "probabilities", "logits", "sigmoids"  # a sigmoid for each class
ADDED = ("flat", "logits", "opposite", "both", OUTPUT)  # the names of layers that are added


def kind_of(model: keras.Model, raw: np.ndarray) -> str:
    """Of which of the three kinds the answers are. `raw`: float32 [n, units], answers to some images."""
    last = _activation(model)
    if last == "sigmoid" and raw.shape[1] > 1:
        return SIGMOIDS
    if last == "linear" or (last is None and not np.array_equal(to_probabilities(raw)[:, -raw.shape[1] :], raw)):
        return LOGITS
    return PROBABILITIES


def as_arrays(raw: np.ndarray, kind: str) -> np.ndarray:
    """float32 [n, units] -> probabilities, float32 [n, C]."""
    if kind == LOGITS:  # a single one is that of the second class
        return softmax(np.concatenate([np.zeros_like(raw), raw], axis=1) if raw.shape[1] == 1 else raw)
    return divided_by_sum(raw) if kind == SIGMOIDS else to_probabilities(raw)


def as_layers(x: keras.KerasTensor, kind: str) -> keras.KerasTensor:
    """The same as layers; the last one is called OUTPUT."""
    if len(x.shape) > 2:
        x = keras.layers.Flatten(name="flat")(x)
    if x.shape[-1] == 1:
        second = keras.layers.Activation("sigmoid", name="logits")(x) if kind == LOGITS else x
        first = keras.layers.Rescaling(-1.0, 1.0, name="opposite")(second)
        x, kind = keras.layers.Concatenate(name="both")([first, second]), PROBABILITIES
    if kind == SIGMOIDS:
        x = x / (keras.ops.sum(x, axis=-1, keepdims=True) + TINY)
    last = keras.layers.Softmax(name=OUTPUT) if kind == LOGITS else keras.layers.Activation("linear", name=OUTPUT)
    return last(x)


def _activation(model: keras.Model) -> str | None:
    """The activation of the layer that gives the model's answers, "linear", "softmax" or "sigmoid"; None if it cannot
    be told."""
    last = model.outputs[0]._keras_history.operation
    if isinstance(last, keras.Model):
        return _activation(last) if len(last.outputs) == 1 else None
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    known = ("linear", "softmax", "sigmoid") if isinstance(last, keras.layers.Dense) else ("softmax", "sigmoid")
    name = getattr(getattr(last, "activation", None), "__name__", None)
    return name if name in known else None
