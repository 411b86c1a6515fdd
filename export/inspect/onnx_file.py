"""An ONNX file -> what is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from export.inspect import onnx_graph as graph_of
from export.inspect.model_file import (
    STATED,
    End,
    Hint,
    ModelFile,
    Size,
    Step,
    Weight,
    cut,
    cut_labels,
    mixed,
    step,
)
from export.inspect.onnx_metadata import NOMINAL, labels_in, pixels_in
from export.inspect.onnx_support import support
from export.inspect.own_description import own_description

CONVERSIONS = ("Cast", "Identity", "Transpose", "Reshape")  # what may come before a first step
AFTER = (*CONVERSIONS, "QuantizeLinear", "DequantizeLinear", "Flatten", "Squeeze")  # after a last operator
STEPS = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide"}
FEW = 16  # numbers of a step at most
ACTIVATIONS = {"int16x8": "int16", "dynamic": "float32"}
WEIGHTS = {  # which inputs of an operator on integers are weights; its other constants are scales and zero points
    **dict.fromkeys(("DequantizeLinear",), (0,)),
    **dict.fromkeys((*graph_of.DYNAMIC, *graph_of.BLOCKS), (0, 1)),
    **{"QuantizeLinear": (), "QLinearConv": (3, 8), "QLinearMatMul": (0, 3), "QGemm": (0, 3, 6)},
}


def read_onnx(path: Path) -> ModelFile:
    """What is in an ONNX file. Raises ValueError if it is damaged."""
    model = graph_of.read_model(path)
    weights = tuple(_weights(model))
    precision = graph_of.precision_of(model)
    values = {cut(entry.key): entry.value for entry in model.metadata_props}
    own = own_description(values.pop("unfreeze", None))
    hints = (*own.pop("hints", ()), *_nominal(values))
    labels, labels_from = own.pop("labels", None), own.pop("labels_from", "")
    if labels is None:
        found, key = labels_in(values)
        labels, labels_from = (cut_labels(found), f"metadata {key}") if found else (None, "")
    fixed = {tensor.name for tensor in model.graph.initializer}
    producer = " ".join(filter(None, (model.producer_name, model.producer_version)))
    return ModelFile(
        format="ONNX",
        versions={"IR": str(model.ir_version), **_opsets(model)},
        producer=cut(producer),
        precision=mixed(precision, weights),
        activations=ACTIVATIONS.get(precision, precision),
        inputs=tuple(_end(value) for value in model.graph.input if value.name not in fixed),
        outputs=tuple(map(_end, model.graph.output)),
        operators=dict(Counter(map(graph_of.operator_name, graph_of.all_nodes(model))).most_common()),
        weights=weights,
        bytes=path.stat().st_size,
        support=support(model),
        labels=labels,
        labels_from=labels_from,
        colour=own.pop("colour", None),
        metadata=_texts(model, values, labels_from) | own.pop("metadata", {}),
        steps=tuple(_steps(model)),
        quantised=_quantised(model),
        last=_last(model),
        hints=hints,
        names=tuple(cut(node.name) for node in model.graph.node),
        notes=(*own.pop("notes", ()), *_outside(model, path)),
    )


def _opsets(model: Any) -> dict[str, str]:
    sets = {cut(entry.domain, 60): str(entry.version) for entry in model.opset_import}
    return {f"opset of {domain}" if domain and domain != "ai.onnx" else "opset": sets[domain] for domain in sets}


def _end(value: Any) -> End:
    """Of an onnx.ValueInfoProto."""
    if not value.type.HasField("tensor_type"):
        return End(cut(value.name), cut(value.type.WhichOneof("value") or "unknown"), None)
    tensor = value.type.tensor_type
    shape = tuple(map(_size, tensor.shape.dim)) if tensor.HasField("shape") else None
    return End(cut(value.name), graph_of.type_name(tensor.elem_type), shape)


def _size(dimension: Any) -> Size:
    if dimension.HasField("dim_value") and dimension.dim_value >= 0:
        return int(dimension.dim_value)
    name = cut(dimension.dim_param, 40)
    return "?" if not name or name.startswith("unk__") else name  # tf2onnx's numbers for what it does not know


def _weights(model: Any) -> Iterator[Weight]:
    """Constants of floats, and of integers that stand for them; scales and zero points are left out."""
    integers, scales = set(), set()
    for node in graph_of.all_nodes(model):
        if node.op_type in WEIGHTS or node.op_type.startswith("QLinear"):
            chosen = {node.input[at] for at in WEIGHTS.get(node.op_type, ()) if at < len(node.input)}
            integers |= chosen
            scales |= set(node.input) - chosen
    for name, tensor in graph_of.constant_tensors(model):
        kind = graph_of.type_name(tensor.data_type)
        if tensor.dims and (name in integers or ("float" in kind and name not in scales)):
            yield Weight(cut(name), kind, tuple(map(int, tensor.dims)), graph_of.tensor_bytes(tensor))


def _texts(model: Any, values: dict[str, str], labels_from: str) -> dict[str, str]:
    """Name, description and what else the file says of itself."""
    named = {"name": model.graph.name, "description": model.doc_string or model.graph.doc_string}
    named |= {"domain": model.domain, "model version": str(model.model_version or "")}
    return {name: cut(text) for name, text in (named | values).items() if text and f"metadata {name}" != labels_from}


def _nominal(values: dict[str, str]) -> Iterator[Hint]:
    if pixels := pixels_in(values):
        yield Hint(pixels, STATED, f"its metadata: {NOMINAL} is {values[NOMINAL]}")


def _first_nodes(model: Any) -> Iterator[tuple[Any, str]]:
    """(node, the tensor of its that was followed) from the only input on, as long as nothing branches."""
    known = {name for name, _ in graph_of.constant_tensors(model)}
    users: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    entries = [value.name for value in model.graph.input if value.name not in known]
    at = entries[0] if len(entries) == 1 else ""
    for _ in range(len(model.graph.node)):
        following = users.get(at, [])
        if len(following) != 1 or len(following[0].output) != 1:
            return
        yield following[0], at
        at = following[0].output[0]


def _steps(model: Any) -> Iterator[Step]:
    """What happens to the input before anything but a conversion does."""
    known = dict(graph_of.constant_tensors(model))
    for node, data in _first_nodes(model):
        if node.op_type in STEPS:
            values = [_few(known[name]) for name in node.input if name in known]
            made = step(STEPS[node.op_type], values[0]) if values and values[0] is not None else None
            if made is None or (node.op_type in ("Sub", "Div") and node.input[0] != data):
                return
            yield made
        elif node.op_type not in (*CONVERSIONS, "QuantizeLinear", "DequantizeLinear"):
            return


def _last(model: Any) -> str:
    """The operator that gives the only output, conversions aside."""
    made = {name: node for node in model.graph.node for name in node.output}
    at = model.graph.output[0].name if len(model.graph.output) == 1 else ""
    for _ in range(len(model.graph.node)):
        node = made.get(at)
        if node is None or node.op_type not in AFTER:
            return graph_of.operator_name(node) if node is not None else ""
        at = node.input[0] if node.input else ""
    return ""


def _quantised(model: Any) -> End | None:
    """The input as the first QuantizeLinear makes integers of it, with one scale for all channels; None if something
    else comes first."""
    known = dict(graph_of.constant_tensors(model))
    node = next((node for node, _ in _first_nodes(model) if node.op_type not in CONVERSIONS), None)
    if node is None or node.op_type != "QuantizeLinear" or not all(name in known for name in node.input[1:3]):
        return None
    found = [_few(known[name]) for name in node.input[1:3]]
    if any(one is None or one.size != 1 for one in found):
        return None
    scale, *zero = (float(one.ravel()[0]) for one in found if one is not None)
    kind = graph_of.type_name(known[node.input[2]].data_type) if zero else "uint8"
    return End(cut(node.input[0]), kind, None, scale, int(zero[0]) if zero else 0)


def _few(tensor: Any) -> np.ndarray | None:
    """The numbers of a small constant of the file itself."""
    import onnx

    external = tensor.data_location == onnx.TensorProto.EXTERNAL
    count = int(np.prod([max(0, size) for size in tensor.dims[:8]], dtype=float))
    if external or not 0 < count <= FEW or len(tensor.dims) > 8 or tensor.data_type == onnx.TensorProto.STRING:
        return None
    return onnx.numpy_helper.to_array(tensor).astype(float)


def _outside(model: Any, path: Path) -> Iterator[str]:
    """A line for each file that holds numbers of this one."""
    import onnx

    sizes: dict[str, int] = {}
    for _, tensor in graph_of.constant_tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            name = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
            sizes[name] = sizes.get(name, 0) + graph_of.tensor_bytes(tensor)
    for name, size in list(sizes.items())[:5]:
        plain = bool(name) and "\0" not in name and not Path(name).is_absolute() and ".." not in Path(name).parts
        there = plain and (path.parent / name).is_file()
        state = (
            "which is there" if there else "which is not there: get it, too" if plain else "which is no name beside it"
        )
        yield f"{size:,} bytes of its weights lie outside, in {cut(name, 80) or 'no file'}, {state}"
