"""The graph of a SavedModel: what a signature reaches, what happens to its input first, its variables. Only protobufs
are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from export.inspect.model_file import Step, Weight, cut, step
from export.runtimes.graph_files import reached_nodes
from toolkit.errors import short_reason

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
CONVERSIONS = ("Cast", "Identity", "Transpose", "Reshape")  # what may come before a first step
STEPS = {"Add": "add", "AddV2": "add", "Sub": "subtract", "Mul": "multiply", "RealDiv": "divide"}
PLUMBING = ("Placeholder", "Const", "Identity", "NoOp", "ReadVariableOp", "VarHandleOp", *CALLS)  # no layers
LEFT_OUT = ("optimizer", "_all_variables")  # children of an object; Keras 3 stores all variables a second time
FEW = 16  # numbers of a step at most
FIRST = 50  # nodes and calls that are followed
RANK = 64  # dimensions at most
LARGEST_FILE = 1 << 31  # bytes of a protobuf


def read_graph(path: Path) -> Any:
    """The MetaGraphDef of a SavedModel folder that is for serving, or the first. Raises ValueError if its file is
    damaged."""
    from toolkit.process.keras_start import start_tensorflow

    start_tensorflow()
    from tensorflow.core.protobuf import saved_model_pb2

    file = path / "saved_model.pb"
    if file.stat().st_size >= LARGEST_FILE:
        raise ValueError(f"its saved_model.pb has {file.stat().st_size:,} bytes")
    try:
        parsed = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    except Exception as error:  # of protobuf, which has no common one
        raise ValueError(f"its saved_model.pb is damaged ({short_reason(error)})") from None
    if not parsed.meta_graphs:
        raise ValueError("its saved_model.pb has no graph")
    return next((one for one in parsed.meta_graphs if "serve" in one.meta_info_def.tags), parsed.meta_graphs[0])


def operators(graph: Any, signature: Any) -> dict[str, int]:
    """How often each operation occurs in what a signature runs; a function that is called twice counts once."""
    reached = reached_nodes(graph, [one.name for one in signature.outputs.values()])
    counted = Counter(cut(node.op, 60) for node in reached if node.op not in PLUMBING)
    return dict(counted.most_common())


def variables(graph: Any) -> Iterator[Weight]:
    """The variables of a model, those of its optimizer left out; of TensorFlow 1, those of the graph; and constants."""
    objects, waiting, seen, found = graph.object_graph_def.nodes, [0], set(), 0
    while waiting:
        number = waiting.pop()
        if number in seen or not 0 <= number < len(objects):
            continue
        seen.add(number)
        waiting += [child.node_id for child in objects[number].children if not child.local_name.startswith(LEFT_OUT)]
        variable = objects[number].variable if objects[number].HasField("variable") else None
        if variable is not None and variable.shape.dim:  # single numbers are counters
            found += 1
            yield _weight(variable.name, variable.dtype, variable.shape)
    for node in graph.graph_def.node:
        if not found and node.op in ("VarHandleOp", "VariableV2"):
            yield _weight(node.name, node.attr["dtype"].type, node.attr["shape"].shape)
    yield from _constants(graph)


def _constants(graph: Any) -> Iterator[Weight]:
    """Constants of floats, of a graph whose variables were frozen into it; single numbers are left out."""
    inside = (node for function in graph.graph_def.library.function for node in function.node_def)
    for node in chain(graph.graph_def.node, inside):
        if node.op == "Const":
            tensor = node.attr["value"].tensor
            if tensor.tensor_shape.dim and type_name(tensor.dtype) in ("float16", "float32", "bfloat16"):
                yield _weight(node.name, tensor.dtype, tensor.tensor_shape)


def first_steps(graph: Any, entry: str) -> Iterator[Step]:
    """What happens to an input before anything but a conversion does. `entry`: the name of its tensor."""
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    nodes, at = graph.graph_def.node, entry.partition(":")[0]
    for _ in range(FIRST):
        users = [(node, place) for node in nodes for place, name in enumerate(node.input) if _base(name) == at]
        if len(users) != 1:
            return
        node, place = users[0]
        if node.op in CALLS:
            function = functions.get(node.attr["f"].func.name)
            if function is None or place >= len(function.signature.input_arg):
                return
            nodes, at = function.node_def, function.signature.input_arg[place].name
            continue
        if node.op in STEPS:
            made = _step(node, place, nodes)
            if made is None:
                return
            yield made
        elif node.op not in CONVERSIONS:
            return
        at = node.name


def type_name(number: int) -> str:
    """The name of a type of tensors, as numpy has it where numpy has it."""
    from tensorflow.core.framework import types_pb2

    names = types_pb2.DataType
    name = (
        names.Name(number).lower().removeprefix("dt_").removesuffix("_ref") if number in names.values() else "unknown"
    )
    return {"float": "float32", "half": "float16", "double": "float64"}.get(name, name)


def _weight(name: str, dtype: int, shape: Any) -> Weight:
    if len(shape.dim) > RANK:
        raise ValueError(f"it has an array of {len(shape.dim):,} dimensions")
    dims, kind = tuple(max(0, one.size) for one in shape.dim), type_name(dtype)
    digits = "".join(filter(str.isdigit, kind.partition("_")[0]))
    count = 1
    for size in dims:
        count *= size
    return Weight(cut(name), kind, dims, count * (int(digits or 8) // 8))


def _step(node: Any, place: int, nodes: Any) -> Step | None:
    """The step of an operation on the tensor and a constant."""
    inputs = [_base(name) for name in node.input if not name.startswith("^")]
    if len(inputs) != 2 or (node.op in ("Sub", "RealDiv") and place != 0):
        return None
    by_name = {one.name: one for one in nodes}
    other = by_name.get(inputs[1 - place])
    while (
        other is not None and other.op in ("Cast", "Identity") and other.input and _base(other.input[0]) != other.name
    ):
        by_name.pop(other.name, None)  # so that it ends
        other = by_name.get(_base(other.input[0]))
    values = _few(other.attr["value"].tensor) if other is not None and other.op == "Const" else None
    return None if values is None else step(STEPS[node.op], values)


def _few(tensor: Any) -> np.ndarray | None:
    """The numbers of a small constant of floats."""
    import tensorflow as tf

    count = 1
    for one in tensor.tensor_shape.dim[:RANK]:
        count *= max(0, one.size)
    if not 0 < count <= FEW or not ("float" in type_name(tensor.dtype) or "int" in type_name(tensor.dtype)):
        return None
    try:
        return np.asarray(tf.make_ndarray(tensor)).astype(float)
    except (ValueError, TypeError):
        return None


def _base(name: str) -> str:
    return "" if name.startswith("^") else name.partition(":")[0]
