"""A model with models inside -> one flat graph of its layers."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import keras

from toolkit.errors import UnfreezeError
from toolkit.models.cuts import automatic_name
from toolkit.models.layer_weights import set_weights

OF_HEAD = "own_"  # begins the names of the layers of a caller's head, so that no layer of a backbone has the same
TRAINING_ONLY = ("GaussianNoise", "StochasticDepth", "DropPath", "RandAugment", "AugMix", "MixUp", "CutMix")
Call = Callable[..., Any]  # (operation, *its arguments) -> what it gives


def run_flat(model: Any, inputs: Any, call: Call, *, opens: bool = True) -> Any:
    """Apply a model's graph to other inputs, operation by operation, with `call`; models inside are replaced by their
    own operations, unless `opens` is false: then they are operations themselves. Raises UnfreezeError if one of them is
    no graph."""

    def operation(one: Any) -> Callable[..., Any]:
        if isinstance(one, keras.Model) and opens:
            return lambda *args, **kwargs: run_flat(one, args[0], call)
        return lambda *args, **kwargs: call(one, *args, **kwargs)

    graph = getattr(model, "_functional", model)  # of a Sequential
    if not hasattr(graph, "_run_through_graph"):
        raise UnfreezeError(f"{model.name} is a subclass of keras.Model; build it as keras.Model(inputs, outputs)")
    # Keras has no public way to run a graph operation by operation.
    outputs = graph._run_through_graph(inputs, operation_fn=operation)
    return outputs[0] if isinstance(outputs, (list, tuple)) and len(outputs) == 1 else outputs


class Copies:
    """New operations in place of those of a graph. One for each call of an operation, so that each has one output; but
    one for all calls of a layer with weights.

    Each gets a name of its own: names that Keras gave by a counter of the process are counted anew, in the order in
    which the operations are called. With `renames` false they keep their names, which have to differ.
    """

    def __init__(self, taken: Iterable[str] = (), *, renames: bool = True) -> None:
        self._renames = renames
        self._shared: dict[int, Any] = {}  # id of a layer with weights -> its copy
        self._layers: list[tuple[Any, Any]] = []  # (a layer with weights, its copy)
        self._names, self._automatic = set(taken), Counter[str]()

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Apply the copy of an operation, for `run_flat`; what acts only in training is left out."""
        return args[0] if is_identity(operation) else self._copy(operation)(*args, **kwargs)

    def copy_weights(self) -> None:
        """Give each copied layer the weights of its original. Both have to be built."""
        for layer, copied in self._layers:
            set_weights(copied, layer.get_weights())

    def _copy(self, operation: Any) -> Any:
        """The copy of an operation; a layer's weights are new."""
        if id(operation) in self._shared:
            return self._shared[id(operation)]
        config = without_dropout(operation.get_config())
        config.pop("trainable", None)
        copied = type(operation).from_config(config)
        if isinstance(copied, keras.Model):
            switch_off_dropout(copied)
        copied.name = self._name(operation) if self._renames else operation.name
        if isinstance(operation, keras.Layer) and operation.weights:
            self._shared[id(operation)] = copied
            self._layers.append((operation, copied))
        return copied

    def _name(self, operation: Any) -> str:
        stem = automatic_name(operation)
        if re.fullmatch(rf"{stem}(_\d+)?", operation.name):
            numbers = itertools.count(self._automatic[stem] + 1)
            self._automatic[stem] = next(n for n in numbers if f"{stem}_{n}" not in self._names)
            name = f"{stem}_{self._automatic[stem]}"
        else:
            wanted = f"earlier_{operation.name}" if operation.name.startswith(OF_HEAD) else operation.name
            further = (f"{wanted}_{n}" for n in itertools.count(2))
            name = next(one for one in itertools.chain((wanted,), further) if one not in self._names)
        self._names.add(name)
        return name


def without_dropout(config: dict[str, Any]) -> dict[str, Any]:
    """A layer's configuration in which no rate of dropping, of attention or of a path, is above 0."""
    return {name: 0.0 if "drop" in name and isinstance(value, float) else value for name, value in config.items()}


def switch_off_dropout(model: keras.Model) -> None:
    """The same for the layers inside a model whose configuration does not tell all of their rates."""
    for layer in model._flatten_layers(include_self=False):
        if is_identity(layer) and isinstance(getattr(layer, "rate", None), float):
            layer.rate = 0.0


def is_identity(operation: Any) -> bool:
    """Whether the operation only acts in training: dropout, noise, dropping of paths, augmentation at random."""
    name = type(operation).__name__
    return name in TRAINING_ONLY or name.startswith("Random") or "Dropout" in name
