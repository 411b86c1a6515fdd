"""The weights that a model needs, and how Keras names and orders them in files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.untrusted.keras2.part import NotRebuiltError, Part

OTHER_NAMES = {("DepthwiseConv2D", "kernel"): "depthwise_kernel", ("LayerScale", "variable"): "gamma"}  # in Keras 2
UNNAMED = re.compile(r"(variable|Variable)(_\d+)?$")  # the name of a weight that its layer gave none


@dataclass(frozen=True, eq=False)
class Weight:
    """One weight of a model."""

    layer: str  # the name of its layer
    name: str  # such as "kernel", or "query/kernel" in a layer that has layers
    variable: Any
    trained: bool  # whether training may change it, unless its layer is frozen


def weights_of(part: Part, *, keras2: bool) -> list[Weight]:
    """The weights of a layer, in the order in which it has them."""
    trained = {id(one) for one in part.layer._trainable_variables}
    for layer in part.layer._flatten_layers():
        trained |= {id(one) for one in layer._trainable_variables}
    found = []
    for variable in part.layer.weights:
        path = variable.path.split("/")
        at = max((place for place, one in enumerate(path) if one == part.layer.name), default=len(path) - 2)
        name = UNNAMED.sub("variable", "/".join(path[at + 1 :]))
        other = OTHER_NAMES.get((type(part.layer).__name__, name), name) if keras2 else name
        found.append(Weight(part.name, other, variable, id(variable) in trained))
    return found


def legacy_order(part: Part, *, keras2: bool, flags: bool = True) -> list[Weight]:
    """All weights of a layer or a model as HDF5 files have them: those that are trained first. `flags`: whether layers
    may be frozen; otherwise none is."""
    trained = list(_trained(part, keras2, flags))
    known = {id(one.variable) for one in trained}
    return trained + [one for one in layer_order(part, keras2=keras2) if id(one.variable) not in known]


def layer_order(part: Part, *, keras2: bool) -> list[Weight]:
    """All weights, layer by layer."""
    return [one for leaf in part.leaves for one in weights_of(leaf, keras2=keras2)]


def _trained(part: Part, keras2: bool, flags: bool) -> Iterator[Weight]:
    if flags and not part.trainable:
        return
    if part.parts is not None:
        for inner in part.parts:
            yield from _trained(inner, keras2, flags)
    elif part.layer is not None:
        yield from (one for one in weights_of(part, keras2=keras2) if one.trained)


def assign(weight: Weight, stored: Any) -> None:
    """Give a weight the numbers of an HDF5 array. Raises NotRebuiltError if they are of another shape or no numbers."""
    where = f"the weight {weight.name[:60]!a} of the layer {weight.layer[:60]!a}"
    if tuple(stored.shape) != tuple(weight.variable.shape):
        raise NotRebuiltError(
            f"has {where} in the shape {list(stored.shape)}, and the layer takes {list(weight.variable.shape)}; "
            "it is damaged"
        )
    if stored.dtype.kind not in "fiub":
        raise NotRebuiltError(f"has {where} in the dtype {stored.dtype}, which is not read; save it in float32")
    weight.variable.assign(np.asarray(stored[()]).astype(weight.variable.dtype))


def finish(part: Part) -> None:
    """What a layer computes of its weights when they are there."""
    for leaf in part.leaves:
        if hasattr(leaf.layer, "finalize_state"):
            leaf.layer.finalize_state()
