"""Names and order of an ONNX graph that follow from the graph alone, so that one model gives one file, byte for byte.

tf2onnx alone does not repeat: converting a model of three convolutions twice in one process gave two files. Its names
end in a counter that goes on from one conversion to the next (`mul_1__403`). Of equal constants it keeps the first in a
set of strings, so that the constant's name and the order of the initialisers depend on PYTHONHASHSEED. The graph's
description holds the name of a traced function, with a counter of its own.
"""

from __future__ import annotations

import copy
import re

import onnx

COUNTED = re.compile(r"__\d+(?=(:\d+)?$)")  # at the end of a name, before the number of the output


def canonical(model: onnx.ModelProto) -> None:
    """Rename and reorder the graph in place, and remove its descriptions and the initialisers that no node reads.

    Names without a counter stay, because layers are recognised by them, and so do those of the inputs and outputs. An
    initialiser is named after the node that reads it first and the number of that node's input. A graph with sub-graphs
    (the body of a loop) is left as it is, because these refer to names outside.
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
    ordered = copy.deepcopy(read)  # clearing the list of a protobuf message destroys its members
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(ordered)
    model.doc_string = graph.doc_string = ""


def _unused(name: str, taken: set[str]) -> str:
    """`name`, or `name` with the first number that makes it unique; it is taken from now on."""
    number, free = 1, name
    while free in taken:
        number, free = number + 1, f"{name}__{number}"
    taken.add(free)
    return free
