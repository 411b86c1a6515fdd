"""A model's configuration as Keras 2 stores it -> its parts, of Keras 3's layers, with models in models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolkit.untrusted.keras2.graph import connected, tensors
from toolkit.untrusted.keras2.layers import NEUTRAL, free_name, rebuilt_layer
from toolkit.untrusted.keras2.operations import call_function, sliced
from toolkit.untrusted.keras2.part import NESTED, WITHOUT, NotRebuiltError, Part, named
from toolkit.untrusted.keras2.tf_nodes import call_node

INPUT, SEQUENTIAL, FUNCTIONAL = "InputLayer", "Sequential", ("Functional", "Model", "Network")


def rebuilt(entry: Any) -> Part:
    """A whole model of its configuration; its `model` is Keras 3's. Raises NotRebuiltError if it cannot be rebuilt so
    that it answers the same."""
    kind = named(entry)[1]
    if kind != SEQUENTIAL and kind not in FUNCTIONAL:
        raise NotRebuiltError(
            f"is of the class {kind[:60]!a}, which is code of its own; build the model as keras.Model(inputs, outputs) "
            "of Keras' own layers, copy the weights, and save it anew"
        )
    part = _part(entry, set(), 0)
    if part.model is None:
        raise NotRebuiltError("does not say which images it takes; call it on one, model.save it anew, and give that")
    return part


def _part(entry: Any, taken: set[str], depth: int) -> Part:
    """A layer, a function, or a model, whose layers have names of their own. `taken`: the names in this model."""
    name, kind, config = named(entry)
    if depth > NESTED:
        raise NotRebuiltError(f"has models in models, more than {NESTED} deep")
    if kind == SEQUENTIAL or kind in FUNCTIONAL:
        return (_sequential if kind == SEQUENTIAL else _functional)(entry, free_name(name, taken), depth)
    if kind == "TFOpLambda":
        function = str(config.get("function"))
        return _function(name, kind, taken, lambda x, **more: call_function(function, x, more, repr(name)))
    if kind == "SlicingOpLambda":
        return _function(name, kind, taken, lambda x, slice_spec=None: sliced(x, slice_spec))
    if kind == "TensorFlowOpLayer":
        return _function(name, kind, taken, lambda x: call_node(config, x, repr(name)))
    part = rebuilt_layer(entry, taken)
    part.call = _without_training(part.call, name)
    return part


def _functional(entry: Any, name: str, depth: int) -> Part:
    import keras

    stored, kind, config = named(entry)
    parts, given, taken = {}, {}, set[str]()
    for one in _list(config, "layers"):
        inner, its_kind, its_config = named(one)
        if its_kind == INPUT:
            given[inner] = _input(its_config, free_name(inner, taken))
            parts[inner] = Part(inner, its_kind, lambda x: x)
        else:
            parts[inner] = _part(one, taken, depth + 1)
    nodes = {named(one)[0]: _list(one, "inbound_nodes") for one in config["layers"] if named(one)[0] not in given}
    known = connected(parts, nodes, given)
    inputs, outputs = (_single(tensors(config.get(key), known, parts)) for key in ("input_layers", "output_layers"))
    model = keras.Model(inputs, outputs, name=name)
    call = _without_training(model, stored)
    return Part(stored, kind, call, None, tuple(parts.values()), model, config.get("trainable") is not False)


def _sequential(entry: Any, name: str, depth: int) -> Part:
    """A chain of layers. Where its input's shape is not stored, the model is made when it is first called."""
    import keras

    stored, kind, config = named(entry)
    entries, taken = _list(config, "layers"), set[str]()
    own = [one for one in entries if named(one)[1] != INPUT]
    parts = tuple(_part(one, taken, depth + 1) for one in own)
    whole = Part(stored, kind, lambda x: x, None, parts, None, config.get("trainable") is not False)

    def make(entrance: Any) -> None:
        x = entrance
        for part in parts:
            x = part.call(x)
        whole.model = keras.Model(entrance, x, name=name)

    def call(x: Any) -> Any:
        if whole.model is None:
            make(keras.Input(x.shape[1:], dtype=x.dtype))
        return whole.model(x)

    whole.call = _without_training(call, stored)
    entrance = _entrance(entry, entries, parts, taken)
    if entrance is not None:
        make(entrance)
    return whole


def _entrance(entry: Any, entries: list[Any], parts: tuple[Part, ...], taken: set[str]) -> Any:
    """The input of a Sequential, as its first layer, or the model, says it; None if none says it."""
    import keras

    first, config = named(entries[0])[2] if entries else {}, named(entry)[2]
    shape = first.get("batch_input_shape") or first.get("batch_shape")
    if shape:
        name = named(entries[0])[0] if named(entries[0])[1] == INPUT else "input"
        return _input(first, free_name(name, taken))
    if parts and parts[0].model is not None and len(parts[0].model.inputs) == 1:
        inner = parts[0].model.inputs[0]
        return keras.Input(inner.shape[1:], dtype=inner.dtype)
    shape = config.get("build_input_shape") or (entry.get("build_config") or {}).get("input_shape")
    return keras.Input(_shape(shape), dtype="float32") if shape else None


def _input(config: dict[str, Any], name: str) -> Any:
    import keras

    for option in ("sparse", "ragged"):
        if config.get(option) not in NEUTRAL[option]:
            raise NotRebuiltError(f"takes {option} input, which images are not")
    dtype = config.get("dtype")
    integers = isinstance(dtype, str) and "int" in dtype
    shape = _shape(config.get("batch_input_shape") or config.get("batch_shape"))
    return keras.Input(shape, dtype=dtype if integers else "float32", name=name)


def _shape(stored: Any) -> tuple[int | None, ...]:
    if not isinstance(stored, list) or not all(one is None or type(one) is int for one in stored[1:]):
        raise NotRebuiltError(f"takes input of the shape {str(stored)[:60]!a}, which is none")
    return tuple(stored[1:])


def _function(name: str, kind: str, taken: set[str], function: Callable[..., Any]) -> Part:
    """A part without weights that calls functions of Keras 3, which are named after it."""
    import keras

    def call(*args: Any, **more: Any) -> Any:
        if not any(map(keras.backend.is_keras_tensor, keras.tree.flatten([args, more]))):
            raise NotRebuiltError(f"computes {name[:60]!a} of constants only; it is damaged")
        before = {id(one) for one in keras.tree.flatten([args, more])}
        outputs = function(*args, **more)
        _name_operations(outputs, before, name, taken)
        return outputs

    return Part(name, kind, call)


def _name_operations(outputs: Any, before: set[int], name: str, taken: set[str]) -> None:
    """Name the operations between tensors that were there before and the outputs: Keras' own names might be those of
    layers of the file."""
    import keras

    waiting = [one for one in keras.tree.flatten(outputs) if id(one) not in before]
    seen = set(before)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen or not keras.backend.is_keras_tensor(tensor):
            continue
        seen.add(id(tensor))
        operation = tensor._keras_history.operation
        operation.name = free_name(name, taken)
        waiting += operation._inbound_nodes[-1].input_tensors


def _without_training(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The call without the arguments that say that the model is not being trained."""

    def called(x: Any, *, training: Any = None, mask: Any = None, **more: Any) -> Any:
        if training:
            raise NotRebuiltError(
                f"calls the layer {name[:60]!a} with training=True, so that its answers are random or depend on the "
                f"other images of a batch; {WITHOUT}"
            )
        if mask is not None:
            raise NotRebuiltError(f"calls the layer {name[:60]!a} with a mask, which images do not have")
        return call(x, **more)

    return called


def _list(config: dict[str, Any], key: str) -> list[Any]:
    stored = config.get(key)
    if not isinstance(stored, list):
        raise NotRebuiltError(f"has no list of {key}; it is damaged")
    return stored


def _single(found: Any) -> Any:
    return found[0] if isinstance(found, list) and len(found) == 1 else found
