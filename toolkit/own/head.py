"""A head of the caller's: its layers between the pooled features and the last layer of the model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from toolkit.errors import UnfreezeError
from toolkit.models.build import Head, class_layer, usual_head
from toolkit.models.cuts import automatic_name
from toolkit.models.flatten import OF_HEAD
from toolkit.models.spec import ModelSpec
from toolkit.own.calls import PartError, blamed, named, point_of
from toolkit.own.parts import Own
from toolkit.storage.files import scratch
from toolkit.untrusted.allowed import not_allowed
from toolkit.untrusted.keras_file import read_model

SAME = 1e-5  # how much an answer of the model that was read from a file may differ


def head_of(own: Own, values: Mapping[str, Any]) -> Head:
    """The head of a point: the caller's, or the usual one. `values`: those of the point, as KerasTuner stores them."""
    if own.head is None:
        return usual_head
    function, point = own.head, point_of(values)

    def head(pooled: keras.KerasTensor, spec: ModelSpec) -> keras.KerasTensor:
        with blamed("head", function):
            features = function(pooled, point)
            shape = tuple(getattr(features, "shape", ()))
            if not keras.backend.is_keras_tensor(features) or len(shape) != 2 or shape[1] is None:
                found = f"{type(features).__name__}{f' of the shape {shape}' if shape else ''}"
                raise PartError(f"{named('head', function)} gives {found}, expected a Keras tensor [N, k]")
            if features is not pooled:  # else there is nothing to name, and Keras makes no model of it
                _name(keras.Model(pooled, features))
            return class_layer(features, spec)

    return head


def _name(graph: keras.Model) -> None:
    """Give the layers of a head names that depend on the head alone: Keras numbers those without a name by a counter of
    the process, and weights are found by names."""
    seen: Counter[str] = Counter()
    for operation in graph.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        stem = re.sub(r"_\d+$", "", operation.name)
        if stem == automatic_name(operation):
            seen[stem] += 1
            operation.name = f"{stem}_{seen[stem]}"
        operation.name = OF_HEAD + operation.name


def check_head(own: Own, spec: ModelSpec, features: int, values: Mapping[str, Any], folder: Path | None) -> None:
    """Raises PartError if the head of a point cannot be built twice from so many features, or if a file could not hold
    it: every file is read without the caller's code. `folder`: where a file is written for a moment; None: none is
    tried."""
    if own.head is None:
        return
    what = named("head", own.head)
    first, second = (_alone(own, spec, features, values) for _ in range(2))
    if {id(layer) for layer in first.layers} & {id(layer) for layer in second.layers}:
        raise PartError(f"{what} gives the layers of an earlier call; make new ones in each call")
    if [one.name for one in first.operations] != [one.name for one in second.operations]:
        raise PartError(f"{what} gives other layers in each call, for the same values")
    for entry in not_allowed(keras.saving.serialize_keras_object(first), (), Path(what)):
        raise PartError(
            f"{what} has {_told(entry)}, which a file that is safe to load cannot hold; use Keras' own layers"
        )
    if folder is not None:
        _check_file(first, own.head, folder)


def _alone(own: Own, spec: ModelSpec, features: int, values: Mapping[str, Any]) -> keras.Model:
    pooled = keras.Input((features,), name="pooled")
    with blamed("head", own.head):  # Keras refuses two layers of one name
        return keras.Model(pooled, head_of(own, values)(pooled, spec))


def _told(entry: Mapping[str, Any]) -> str:
    """A layer or a function that is not allowed, by its name."""
    config, kind = entry.get("config"), entry.get("class_name")
    if kind == "function":
        return f"the function {config!r}"
    name = config.get("name") if isinstance(config, dict) else None
    return f"the layer {str(name).removeprefix(OF_HEAD)!r} ({kind})" if name else f"an object of the class {kind}"


def _check_file(head: keras.Model, function: Any, folder: Path) -> None:
    """Write the head, read it as a stranger's file is, and compare the answers."""
    sample = np.random.default_rng(0).random((4, head.input_shape[1]), np.float32)
    with scratch(folder) as place:
        head.save(place / "head.keras")
        try:
            again = read_model(place / "head.keras")
        except UnfreezeError as error:
            raise PartError(f"{named('head', function)} cannot be read from a file again: {error}") from error
    difference = float(np.abs(head(sample, training=False) - again(sample, training=False)).max())
    if not difference <= SAME:
        raise PartError(
            f"{named('head', function)} answers differently after it was saved and read again, by {difference:.2g}"
        )
