"""One model, one ONNX file, byte for byte: what tf2onnx names and orders by chance, named and ordered by the graph.

Its names end in a counter that goes on from one conversion to the next (`mul_1__403`); of equal constants it keeps
one, which is first in a set of strings, so that its name depends on PYTHONHASHSEED, and so does the order of the
initialisers; the graph's description holds the name of a traced function, with a counter of its own.
"""

from __future__ import annotations

import copy
import re

import onnx

COUNTED = re.compile(r"__\d+(?=(:\d+)?$)")  # at the end of a name, before the number of the output


def canonical(model: onnx.ModelProto) -> None:
    """In place: names, the order of the initialisers and the descriptions follow from the graph alone.

    Names without a counter stay, as layers are known by them, and so do those of the graph's ends. An initialiser is
    named after the node that reads it first, and which of that node's inputs it is; one that nobody reads goes. A
    graph with graphs inside (the body of a loop) is left as it is: they read names from outside.
    """
    graph = model.graph
    if any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute):
        return
    ends = {end.name for end in (*graph.input, *graph.output)}
    taken, new = set(ends), {name: name for name in (*ends, "")}  # "": an input that is left out
    for node in graph.node:
        node.name = _unused(COUNTED.sub("", node.name), taken)
        for name in node.output:
            new.setdefault(name, _unused(COUNTED.sub("", name), taken))
    constants = {one.name: one for one in graph.initializer}
    read = [one for name, one in constants.items() if name in ends]
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in constants and name not in new:
                new[name] = _unused(f"{node.name}/input_{place}", taken)
                constants[name].name = new[name]
                read.append(constants[name])
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
    ordered = copy.deepcopy(read)  # clearing the list takes its members along
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(ordered)
    model.doc_string = graph.doc_string = ""


def _unused(name: str, taken: set[str]) -> str:
    """`name`, or with the first number that makes it one of its own."""
    number, free = 1, name
    while free in taken:
        number, free = number + 1, f"{name}__{number}"
    taken.add(free)
    return free
