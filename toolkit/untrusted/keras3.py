"""The configuration of a Keras 3 model, which was checked -> keras.Model, whose layers compute in float32."""

from __future__ import annotations

import copy
import importlib
from pathlib import Path
from typing import Any

from toolkit.untrusted.keras2.part import Part
from toolkit.untrusted.single_precision import in_float32


def built(config: dict[str, Any]) -> Any:
    """The model with weights of any numbers, in float32."""
    import keras
    from keras.src.saving.serialization_lib import ObjectSharingScope  # layers that are in several models stay one

    config = in_float32(copy.deepcopy(config)) | {"compile_config": None}  # Keras changes the config that it reads
    with ObjectSharingScope():
        return keras.saving.deserialize_keras_object(config, safe_mode=True)


def loaded(path: Path, config: dict[str, Any]) -> Any:
    """The model in a .keras file with its weights."""
    from keras.src.saving import saving_lib  # `keras.saving.load_model` asks for the suffix .keras

    with path.open("rb") as file:
        model: Any = saving_lib.load_model(file, compile=False, safe_mode=True)
    if in_float32(config) == config:
        return model
    single = built(config)
    single.set_weights(model.get_weights())
    return single


OPERATIONS = ("core", "image", "linalg", "math", "nn", "numpy")  # modules of keras.src.ops


def with_modules(config: Any) -> Any:
    """A copy of a configuration from an HDF5 file, in which each layer and operation has the module that Keras 3 looks
    for it in: such files leave it out."""
    if isinstance(config, list):
        return [with_modules(one) for one in config]
    if not isinstance(config, dict):
        return config
    changed = {key: with_modules(value) for key, value in config.items()}
    name = changed.get("class_name")
    if isinstance(name, str) and "module" not in changed and name[:1].isupper():
        options = changed.get("config")
        layer = isinstance(options, dict) and "trainable" in options  # Add is the name of an operation, too
        changed |= {"module": _module(name, layer), "registered_name": None}
    return changed


def _module(name: str, layer: bool) -> str | None:
    """Where Keras has a class of this name; None if nowhere."""
    import keras

    if name in ("Functional", "Model", "Sequential"):
        return "keras.src.models.functional" if name == "Functional" else "keras"
    for module in () if layer else OPERATIONS:
        found = getattr(importlib.import_module(f"keras.src.ops.{module}"), name, None)
        if isinstance(found, type) and issubclass(found, keras.Operation):
            return f"keras.src.ops.{module}"
    return "keras.layers" if hasattr(keras.layers, name) else None


def parts_of(model: Any) -> Part:
    """A model of Keras 3 as parts, to find its weights in a file."""
    import keras

    layers = model.layers if isinstance(model, keras.Model) else None
    parts = None if layers is None else tuple(map(parts_of, layers))
    layer = model if parts is None else None
    return Part(model.name, type(model).__name__, model, layer, parts, model, model.trainable)
