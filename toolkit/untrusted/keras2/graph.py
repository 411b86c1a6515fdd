"""How the layers of a functional model are connected, as Keras 2 stores it -> calls of the rebuilt parts.

Each call of a layer is a node: a nested structure of `[layer, number of its call, number of the tensor, arguments]`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from toolkit.untrusted.keras2.part import NotRebuiltError, Part

CONSTANT = "_CONSTANT_VALUE"  # stands for a layer's name where a constant is given
Place = tuple[str, int]  # a layer's name, and which of its calls


@dataclass
class Node:
    """One call of a layer."""

    part: Part
    first: Any  # the structure of the first argument
    more: dict[str, Any]
    needs: set[Place]  # the calls whose tensors it takes, those that are not known yet


def connected(parts: dict[str, Part], nodes: dict[str, list[Any]], given: dict[str, Any]) -> dict[Place, list[Any]]:
    """The tensors that each call of each part gives. `nodes`: of each part, its calls as they are stored; `given`: the
    tensors of the input layers. Raises NotRebuiltError if a call needs a tensor that no other gives."""
    shifted = _shifts(parts, nodes)
    known: dict[Place, list[Any]] = {(name, 0): [tensor] for name, tensor in given.items()}
    waiting: dict[Place, Node] = {}
    after: dict[Place, list[Place]] = defaultdict(list)
    for name, stored in nodes.items():
        for number, data in enumerate(stored, shifted[name]):
            node = waiting[name, number] = _node(parts[name], data, parts)
            node.needs -= known.keys()
            for place in node.needs:
                after[place].append((name, number))
    ready = [place for place, node in waiting.items() if not node.needs][::-1]
    while ready:
        place = ready.pop()
        known[place] = _called(waiting.pop(place), known, parts)
        for one in reversed(after[place]):
            waiting[one].needs.discard(place)
            ready += [] if waiting[one].needs else [one]
    if waiting:
        name = next(iter(waiting))[0]
        raise NotRebuiltError(f"has the layer {name[:60]!a}, whose input no layer gives; it is damaged")
    return known


def tensors(stored: Any, known: dict[Place, list[Any]], parts: dict[str, Part]) -> Any:
    """A structure of references -> the same structure of tensors."""
    return _mapped(stored, parts, lambda name, number, index: _tensor(known, (name, number), index))


def _shifts(parts: dict[str, Part], nodes: dict[str, list[Any]]) -> dict[str, int]:
    """Of each part, the number of its first call: Keras 2 counts the making of a model in a model as a call of its own,
    and later ones do not always."""
    first = {place for stored in nodes.values() for data in stored for place in _places(data, parts)}
    return {name: int(parts[name].parts is not None and (name, 0) not in first) for name in nodes}


def _node(part: Part, data: Any, parts: dict[str, Part]) -> Node:
    more: dict[str, Any] = {}

    def see(entry: list[Any]) -> Any:
        more.update(entry[3] if len(entry) > 3 and isinstance(entry[3], dict) else {})
        return entry[:3]

    first = _structure(data, see)
    if isinstance(first, list) and len(first) == 1 and not _is_reference(first):
        first = first[0]
    return Node(part, first, more, set(_places([first, more], parts)))


def _called(node: Node, known: dict[Place, list[Any]], parts: dict[str, Part]) -> list[Any]:
    import keras

    first, more = (tensors(one, known, parts) for one in (node.first, node.more))
    outputs = node.part.call(first, **more)
    return list(keras.tree.flatten(outputs))


def _tensor(known: dict[Place, list[Any]], place: Place, index: int) -> Any:
    if not 0 <= index < len(known.get(place, ())):
        raise NotRebuiltError(f"takes an output of the layer {place[0][:60]!a} that it does not give; it is damaged")
    return known[place][index]


def _structure(data: Any, see: Callable[[list[Any]], Any]) -> Any:
    if _is_reference(data):
        return see(data)
    if isinstance(data, list):
        return [_structure(one, see) for one in data]
    if isinstance(data, dict):
        return {key: _structure(one, see) for key, one in data.items()}
    return data


def _is_reference(data: Any) -> bool:
    """Whether it is `[layer, call, tensor]`, or such a list with arguments, or a constant."""
    if not isinstance(data, list) or not 3 <= len(data) <= 4 or not isinstance(data[0], str):
        return False
    return data[0] == CONSTANT or (type(data[1]) is int and type(data[2]) is int)


def _places(data: Any, parts: dict[str, Part]) -> Iterator[Place]:
    if _is_reference(data) and data[0] != CONSTANT:
        if data[0] not in parts:
            raise NotRebuiltError(f"takes an output of the layer {data[0][:60]!a}, which is not there; it is damaged")
        yield data[0], data[1]
        data = data[3:]
    if isinstance(data, (list, dict)):
        for one in data.values() if isinstance(data, dict) else data:
            yield from _places(one, parts)


def _mapped(data: Any, parts: dict[str, Part], reference: Callable[[str, int, int], Any]) -> Any:
    def see(entry: list[Any]) -> Any:
        return entry[2] if entry[0] == CONSTANT else reference(*entry[:3])

    return _structure(data, see)
