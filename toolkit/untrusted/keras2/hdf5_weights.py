"""The weights in an HDF5 file of a whole model, of Keras 2 or 3 -> a rebuilt model.

A file has a group for each layer of the model, and in it an array for each weight, those of models in the model too.
Weights are found by the names of layer and weight. Where the names are others, as files of TensorFlow 1 have them, by
their order; then their names have to say the same of them as the order does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from toolkit.untrusted.hdf5 import OBJECTS
from toolkit.untrusted.keras2.part import NotRebuiltError, Part
from toolkit.untrusted.keras2.weights import UNNAMED, Weight, assign, finish, layer_order, legacy_order

RANDOM = re.compile(r"(^|/)(StateVar|state_var|seed_generator_state)(:\d+)?$")  # of random generators: no weights
TAIL = 8  # so many names at the end of a path tell a weight
STRINGS = 4 << 30  # bytes that a list of names may take at most


def fill_from_hdf5(group: Any, part: Part, *, keras2: bool, strings: int) -> None:
    """Give the model all weights in `group`, an open "model_weights" group. `strings`: how many bytes one of its
    strings may have at most. Raises NotRebuiltError if a weight is missing, is left over, or does not fit."""
    arrays, used = dict(_arrays(group)), set[str]()
    for top in part.parts or ():
        wanted = legacy_order(top, keras2=keras2)
        if wanted:
            pairs = _by_name(top, wanted, arrays) or _by_order(top, group, arrays, keras2, strings)
            for weight, path in pairs:
                assign(weight, arrays[path])
                used.add(path)
    left = [path for path in arrays if path not in used and not RANDOM.search(path)]
    if left:
        raise NotRebuiltError(f"has the weights {left[0][-80:]!a}, which no layer takes; it is damaged")
    finish(part)


def _arrays(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """(path, array) of all arrays in a group."""
    import h5py

    for name, entry in group.items():
        if isinstance(entry, h5py.Dataset):
            yield f"{above}{name}", entry
        elif above.count("/") < 100:
            yield from _arrays(entry, f"{above}{name}/")


def _by_name(top: Part, wanted: list[Weight], arrays: dict[str, Any]) -> list[tuple[Weight, str]]:
    """Each weight with its array's path; none if a single one is not told by its name."""
    index: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path in arrays:
        if path.startswith(f"{top.name}/"):
            names = tuple(re.sub(r":\d+$", "", path).split("/"))
            for count in range(2, min(TAIL, len(names)) + 1):
                index[names[-count:]].append(path)
    pairs = []
    for weight in wanted:
        found = index.get((*weight.layer.split("/"), *weight.name.split("/")), [])
        if len(found) != 1 or tuple(arrays[found[0]].shape) != tuple(weight.variable.shape):
            return []
        pairs.append((weight, found[0]))
    return pairs if len({path for _, path in pairs}) == len(pairs) else []


def _by_order(top: Part, group: Any, arrays: dict[str, Any], keras2: bool, strings: int) -> list[tuple[Weight, str]]:
    paths = [f"{top.name}/{name}" for name in _names(group.get(top.name), "weight_names", strings)]
    paths = [path for path in paths if not RANDOM.search(path)]
    orders = (
        legacy_order(top, keras2=keras2),
        legacy_order(top, keras2=keras2, flags=False),
        layer_order(top, keras2=keras2),
    )
    for order in orders:
        if _fits(order, paths, arrays):
            return list(zip(order, paths, strict=True))
    raise NotRebuiltError(
        f"has {len(paths)} weights for the layer {top.name[:60]!a}, which takes {len(orders[0])}, of other names or "
        "shapes; it is damaged, or of a model that has changed since"
    )


def _fits(order: list[Weight], paths: list[str], arrays: dict[str, Any]) -> bool:
    """Whether paths in an order have the shapes and the names of the weights, and weights of one layer the same name of
    a layer."""
    if len(order) != len(paths) or not all(path in arrays for path in paths):
        return False
    layers = set()
    for weight, path in zip(order, paths, strict=True):
        stored = UNNAMED.sub("variable", re.sub(r":\d+$", "", path))
        if weight.name != "variable" and not f"/{stored}".endswith((f"/{weight.name}", "/variable")):
            return False
        if tuple(arrays[path].shape) != tuple(weight.variable.shape):
            return False
        layers.add((weight.layer, stored.removesuffix(weight.name).removesuffix("variable")))
    return len(layers) == len({layer for layer, _ in layers}) == len({name for _, name in layers})


def _names(group: Any, key: str, strings: int) -> list[str]:
    """The strings of an attribute, which may be stored in pieces."""
    import h5py

    if group is None:
        return []
    keys = [key] if key in group.attrs else []
    while not keys or keys[-1] != key:
        piece = f"{key}{len(keys)}"
        if piece not in group.attrs:
            break
        keys.append(piece)
    found: list[str] = []
    for one in keys:
        shape = h5py.h5a.open(group.id, one.encode()).shape
        count = shape[0] if len(shape) == 1 else OBJECTS + 1
        if count > OBJECTS or count * strings > STRINGS:  # each string may be the same long one
            raise NotRebuiltError("has a list of weights that would take too much memory; it was not loaded")
        found += [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in group.attrs[one]]
    return found
