"""The weights in a .keras file of Keras 2 -> a rebuilt model.

The file numbers the layers of each class in a model, in the model's order, and the weights of a layer.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from toolkit.untrusted.keras2.part import NotRebuiltError, Part
from toolkit.untrusted.keras2.weights import assign, finish, weights_of

CONTAINERS = ("layers", "_layer_checkpoint_dependencies")  # where a model has its layers; the second until Keras 2.13
INSIDE = {  # layers that have layers: where the file has them, and what they are called
    "MultiHeadAttention": {
        **{"_query_dense": "query", "_key_dense": "key", "_value_dense": "value"},
        "_output_dense": "attention_output",
    }
}
COMPILED = ("optimizer", "metrics", "compiled_metrics", "compiled_loss", "loss_tracker")  # of a model for training
NO_WEIGHTS = (*COMPILED, "_random_generator", "_generator")  # what else may have numbers
Tree = dict[str, Any]


def fill_from_archive(file: Any, part: Part) -> None:
    """Give the model all weights in `file`, an open HDF5 file. Raises NotRebuiltError if a weight is missing, is left
    over, or does not fit."""
    tree = _tree(file)
    for name in COMPILED:
        tree.pop(name, None)
    _fill(tree, part)
    finish(part)


def _tree(file: Any) -> Tree:
    """The arrays of a file in the structure of its groups; groups without arrays are left out. Files from Windows have
    backslashes in their names."""
    import h5py

    tree: Tree = {}

    def see(path: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset):
            *above, name = path.replace("\\", "/").split("/")
            inside = tree
            for one in above:
                inside = inside.setdefault(one, {})
                if not isinstance(inside, dict):
                    raise NotRebuiltError("has weights with names that contradict each other; it is damaged")
            inside[name] = entry

    file.visititems(see)
    return tree


def _fill(tree: Tree, part: Part) -> None:
    """Take what a part needs out of its place in the file; what is left there is of no layer."""
    if part.parts is None:
        _fill_layer(tree, part)
    else:
        layers: Tree = next((tree.pop(one) for one in CONTAINERS if one in tree), {})
        by_class = defaultdict(list)
        for inner in part.parts:
            if any(True for _ in inner.leaves):
                by_class[_snake_case(inner.kind)].append(inner)
        for kind, inners in by_class.items():
            stored = sorted((int(found[1] or 0), name) for name in layers if (found := _numbered(name, kind)))
            if len(stored) != len(inners):
                raise NotRebuiltError(
                    f"has weights for {len(stored)} layers of the class {inners[0].kind[:60]!a} and describes "
                    f"{len(inners)}; it is damaged"
                )
            for inner, (_, name) in zip(inners, stored, strict=True):
                _fill(layers.pop(name), inner)
        tree |= layers
    for one in NO_WEIGHTS:
        tree.pop(one, None)
    left = [name for name, inside in tree.items() if inside]
    if left:
        raise NotRebuiltError(f"has weights for {left[0][:60]!a} in {part.name[:60]!a}, which no layer takes")


def _fill_layer(tree: Tree, part: Part) -> None:
    own = weights_of(part, keras2=True)
    for name, inner in INSIDE.get(type(part.layer).__name__, {"": ""}).items():
        place = tree.get(name, {}) if name else tree
        stored = place.pop("vars", {})
        wanted = [one for one in own if one.name.rpartition("/")[0] == inner]
        if sorted(stored) != sorted(map(str, range(len(wanted)))):
            raise NotRebuiltError(
                f"has {len(stored)} weights for the layer {part.name[:60]!a}, which takes {len(wanted)}; it is damaged"
            )
        for number, weight in enumerate(wanted):
            assign(weight, stored[str(number)])


def _numbered(name: str, kind: str) -> re.Match[str] | None:
    return re.fullmatch(rf"{re.escape(kind)}(?:_(\d+))?", name)


def _snake_case(name: str) -> str:
    """As Keras 2 makes a name of a class."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
