"""A model from elsewhere -> one that takes uint8 RGB images and gives probabilities, of the same layers.

The graph stays flat, so that its layers can be compared with an artefact's.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras

from export.artefacts import INPUT
from export.foreign import answers, entry
from export.runtimes.model_input import ModelInput
from toolkit.models.flatten import run_flat


def wrap(model: keras.Model, taken: ModelInput, pixels: str, kind: str) -> keras.Model:
    """`image` uint8 [N, S, S, 3] -> `probabilities` float32 [N, C], of the model's own layers, in one flat graph.
    `kind`: what the model answers with, as `export.foreign.answers` names it.

    The layers are renamed where two of nested models have the same name.
    """
    seen: dict[str, Any] = dict.fromkeys((INPUT, *entry.ADDED, *answers.ADDED))  # name -> the layer that has it
    image = keras.Input((*taken.size, 3), dtype="uint8", name=INPUT)
    (x,) = keras.tree.flatten(run_flat(model, entry.as_layers(image, taken, pixels), partial(_applied, seen=seen)))
    whole = keras.Model(image, answers.as_layers(x, kind), name="unfreeze")
    whole.trainable = False
    return whole


def _applied(layer: Any, *args: Any, seen: dict[str, Any], **kwargs: Any) -> Any:
    """The layer's own output, under a name that no other has."""
    _rename(layer, seen)
    if getattr(layer, "_call_has_training_arg", False):
        kwargs["training"] = False  # without it augmentation layers would augment
    return layer(*args, **kwargs)


def _rename(layer: Any, seen: dict[str, Any]) -> None:
    """Give the layer a name that no other has."""
    name, number = layer.name, 2
    while seen.setdefault(layer.name, layer) is not layer:
        layer.name, number = f"{name}_{number}", number + 1
