"""Where an artefact starts to differ: the first layer whose own error stands out.

The Keras graph is walked once with two batches side by side. One runs as the model does. In the other, each layer gets
what the *artefact* computed before it, wherever a tensor of the artefact can be paired with a layer: so a layer's own
error is told apart from what it inherited, and the pairing does not get lost behind a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from export.proof.layer_error import LayerError, gain, relative_error
from export.runtimes.tensors import Tensor
from toolkit.process.tf32 import without_tf32

UNNAMED_COSINE = 0.95  # least cosine at which a tensor is paired with a layer that its name does not mention
NAMED_COSINE = 0.5  # the same if its name mentions the layer
NORM_RATIO = 3.0  # a tensor whose norm differs by more than this factor is not paired
# relative error above which a pair without a matching name is dropped if the tensor is more like the output of the
# next layer
DOUBTFUL = 0.02


def layer_errors(model: keras.Model, images: np.ndarray, tensors: Sequence[Tensor]) -> list[LayerError]:
    """The errors of all layers that could be paired with a tensor, in the order of the model's graph. `images`: uint8
    [N, S, S, channels], or what the model takes. `tensors`: those of the artefact for the same images, the answer
    last."""
    walk = _Walk(tensors, all_names(model))
    both = keras.ops.convert_to_tensor(np.concatenate([images, images]))
    with without_tf32():
        _run(model, both, walk, _last(model))
    return walk.found


@dataclass(frozen=True)
class _Pair:
    """A layer's output and the tensor of the artefact that is taken for it."""

    tensor: Tensor
    right: np.ndarray  # float32 [N, ...]: the model's own activations
    fed: np.ndarray  # the layers' output for the artefact's earlier tensors
    got: np.ndarray  # the tensor, in the model's layout

    @property
    def direction(self) -> float:
        """The cosine of the angle between `got` and `fed`; 0 if their norms differ by more than NORM_RATIO, which a
        cosine does not show."""
        ratio = _ratio(self.got, self.fed)
        return _cosine(self.got, self.fed) if 1 / NORM_RATIO < ratio < NORM_RATIO else 0.0

    @property
    def likeness(self) -> float:
        """`direction` times min(r, 1/r) of the ratio r of their norms: a scaled tensor is less alike."""
        ratio = _ratio(self.got, self.fed)
        return self.direction * min(ratio, 1 / ratio) if self.direction else 0.0


class _Walk:
    """The state of the comparison while the model's graph is run: pairs that were found, and tensors that are left."""

    def __init__(self, tensors: Sequence[Tensor], layers: Sequence[str]) -> None:
        self.answer = tensors[-1]
        self.left = [(tensor, {name for name in layers if mentions(tensor.name, name)}) for tensor in tensors[:-1]]
        self.found: list[LayerError] = []
        self.waiting: list[Any] = []  # layers since the last pair
        self.doubtful: list[tuple[Any, list[Any], _Pair]] = []  # output, the layers behind it, the pair
        self.instead: dict[int, tuple[Any, Any]] = {}  # id of an output -> the output, what its consumers get

    def call(self, layer: Any, last: bool, args: Any, kwargs: Any) -> Any:
        """Run the layer on the artefact's tensors where they are known, and pair its output with a tensor."""
        output = layer(*self._fed(args), **kwargs)
        for doubt in [doubt for doubt in self.doubtful if any(x is doubt[0] for x in keras.tree.flatten(args))]:
            self._decide(*doubt, output)
            output = layer(*self._fed(args), **kwargs)
        value = keras.ops.convert_to_numpy(output)
        if value.dtype.kind != "f" or value.ndim < 2:
            return output
        self.waiting.append(layer)
        right, fed = np.split(value.astype(np.float32, copy=False), 2)
        pair = self._pair(layer.name, right, fed, last)
        if pair is None:
            return output
        if not last and layer.name not in self._owners(pair.tensor) and relative_error(pair.got, pair.fed) > DOUBTFUL:
            self.doubtful.append((output, self.waiting, pair))
        else:
            self._take(output, self.waiting, pair)
        self.waiting = []
        return output

    def _fed(self, args: Any) -> Any:
        return keras.tree.map_structure(lambda x: self.instead[id(x)][1] if id(x) in self.instead else x, args)

    def _decide(self, output: Any, layers: list[Any], pair: _Pair, after: Any) -> None:
        """Decide on a doubtful pair. If the tensor is more like the next layer's output (`after`), it is freed for that
        layer: converters fold a layer into the one before."""
        self.doubtful = [doubt for doubt in self.doubtful if doubt[2] is not pair]
        next_fed = np.split(keras.ops.convert_to_numpy(after).astype(np.float32), 2)[1]
        laid = _laid(pair.tensor.value, next_fed)
        if laid is not None and _Pair(pair.tensor, laid, next_fed, laid).likeness > pair.likeness:
            self.waiting = [*layers, *self.waiting]
            self.left.append((pair.tensor, set()))
        else:
            self._take(output, layers, pair)

    def _take(self, output: Any, layers: list[Any], pair: _Pair) -> None:
        """Accept the pair: record its error, and feed the next layers with the artefact's tensor."""
        got, fed, right = pair.got, pair.fed, pair.right
        names = tuple(layer.name for layer in layers)
        weighted = tuple(layer.name for layer in layers if getattr(layer, "weights", ()))
        errors = relative_error(got, fed), relative_error(got, right)
        self.found.append(LayerError(names, weighted, pair.tensor.name, *errors, gain(got, fed)))
        self.instead[id(output)] = output, keras.ops.cast(np.concatenate([right, got]), output.dtype)

    def _pair(self, name: str, right: np.ndarray, fed: np.ndarray, last: bool) -> _Pair | None:
        """The unused tensor of the same shape that is most like the layer's output; None if none is alike. A tensor
        whose name mentions other layers only is left out. The last layer is always paired with the file's answer."""
        pairs = []
        for tensor, owners in [(self.answer, {name})] if last else self.left:
            got = _laid(tensor.value, fed)
            if got is not None and (not owners or name in owners):
                pair = _Pair(tensor, right, fed, got)
                if last or pair.direction > (NAMED_COSINE if owners else UNNAMED_COSINE):
                    pairs.append(pair)
        if not pairs:
            return None
        best = max(pairs, key=lambda pair: pair.likeness)
        self.left = [entry for entry in self.left if entry[0] is not best.tensor]
        return best

    def _owners(self, tensor: Tensor) -> set[str]:
        return {layer.name for layer in self.waiting if mentions(tensor.name, layer.name)}


def mentions(tensor: str, layer: str) -> bool:
    """Whether the name that a converter gave to a tensor contains the layer's name. For fused operations the part
    before the first ";" counts."""
    return re.search(rf"(?:^|/){re.escape(layer)}(?:_\d+)?(?:[/:]|$)", tensor.split(";")[0]) is not None


def all_names(model: keras.Model) -> list[str]:
    """The names of all layers, those in nested models too."""
    operations = getattr(model, "_functional", model).operations
    return [name for one in operations for name in (all_names(one) if isinstance(one, keras.Model) else [one.name])]


def _last(model: Any) -> Any:
    """The operation that gives the answer."""
    last = getattr(model, "_functional", model).operations[-1]
    return _last(last) if isinstance(last, keras.Model) else last


def _run(model: Any, inputs: Any, walk: _Walk, last: Any) -> Any:
    """The model's graph through the walk, nested models opened."""

    def operation(layer: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            inner = getattr(layer, "_functional", layer)  # of a Sequential
            if isinstance(inner, keras.Model) and hasattr(inner, "_run_through_graph"):
                return _run(inner, args[0], walk, last)
            if getattr(layer, "_call_has_training_arg", False):
                kwargs["training"] = False  # without it augmentation layers would augment
            return walk.call(layer, layer is last, args, kwargs)

        return call

    # Keras has no public way to run a graph operation by operation.
    outputs = getattr(model, "_functional", model)._run_through_graph(inputs, operation_fn=operation)
    return outputs[0] if isinstance(outputs, (list, tuple)) and len(outputs) == 1 else outputs


def _laid(value: np.ndarray, like: np.ndarray) -> np.ndarray | None:
    """The value in the layout of `like`, channels last; None if its shape does not fit."""
    if value.shape == like.shape:
        return value
    if value.ndim == 4 and value.transpose(0, 2, 3, 1).shape == like.shape:
        return value.transpose(0, 2, 3, 1)
    return value.reshape(like.shape) if like.ndim == 2 and value.size == like.size else None


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.vdot(one, other)) / norms if norms > 0 else float(norms == 0 and np.array_equal(one, other))


def _ratio(one: np.ndarray, other: np.ndarray) -> float:
    """The norm of `one` as a multiple of the norm of `other`; 1 if both are 0."""
    size, expected = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    return size / expected if size > 0 and expected > 0 else float(size == expected)
