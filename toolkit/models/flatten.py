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

Call = Callable[..., Any]  # (operation, *its arguments) -> what it gives


def run_flat(model: Any, inputs: Any, call: Call) -> Any:
    """Apply a model's graph to other inputs, operation by operation, with `call`; models inside are replaced by their
    own operations. Raises UnfreezeError if one of them is no graph."""

    def operation(one: Any) -> Callable[..., Any]:
        if isinstance(one, keras.Model):
            return lambda *args, **kwargs: run_flat(one, args[0], call)
        return lambda *args, **kwargs: call(one, *args, **kwargs)

    graph = getattr(model, "_functional", model)  # of a Sequential
    if not hasattr(graph, "_run_through_graph"):
        raise UnfreezeError(f"{model.name} is a subclass of keras.Model; build it as keras.Model(inputs, outputs)")
    # Keras has no public way to run a graph operation by operation.
    outputs = graph._run_through_graph(inputs, operation_fn=operation)
    return outputs[0] if isinstance(outputs, (list, tuple)) and len(outputs) == 1 else outputs


class Copies:
    """New operations in place of those of a graph, one for each, each with a name of its own.

    Names that Keras gave by a counter of the process are counted anew, in the order of the graph, so that equal graphs
    have equal names.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.copies: dict[int, Any] = {}  # id of the original -> its copy
        self.originals: list[Any] = []
        self._names, self._automatic = set(taken), Counter[str]()

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Apply the copy of an operation, for `run_flat`; what acts only in training is left out."""
        return args[0] if is_identity(operation) else self._copy(operation)(*args, **kwargs)

    def _copy(self, operation: Any) -> Any:
        """The copy of an operation; a layer's weights are new."""
        if id(operation) not in self.copies:
            config = without_dropout(operation.get_config())
            config.pop("trainable", None)
            copied = type(operation).from_config(config)
            copied.name = self._name(operation)
            self.copies[id(operation)] = copied
            self.originals.append(operation)
        return self.copies[id(operation)]

    def copy_weights(self) -> None:
        """Give each copied layer the weights of its original. Both have to be built."""
        for operation in self.originals:
            if isinstance(operation, keras.Layer) and operation.weights:
                copied = self.copies[id(operation)]
                copied.set_weights(operation.get_weights())
                if isinstance(copied, keras.layers.Normalization):
                    copied.finalize_state()  # the layer computes with copies of its weights, which this renews

    def _name(self, operation: Any) -> str:
        stem = automatic_name(operation)
        if re.fullmatch(rf"{stem}(_\d+)?", operation.name):
            numbers = itertools.count(self._automatic[stem] + 1)
            self._automatic[stem] = next(n for n in numbers if f"{stem}_{n}" not in self._names)
            name = f"{stem}_{self._automatic[stem]}"
        else:
            further = (f"{operation.name}_{n}" for n in itertools.count(2))
            name = next(one for one in itertools.chain((operation.name,), further) if one not in self._names)
        self._names.add(name)
        return name


def without_dropout(config: dict[str, Any]) -> dict[str, Any]:
    """A layer's configuration in which no rate of dropping, of attention or of a path, is above 0."""
    return {name: 0.0 if "drop" in name and isinstance(value, float) else value for name, value in config.items()}


def is_identity(operation: Any) -> bool:
    """Whether the operation only acts in training: dropout, noise, dropping of paths, augmentation at random."""
    name = type(operation).__name__
    return name.startswith(("Random", "Gaussian")) or "Dropout" in name or name in ("StochasticDepth", "DropPath")
