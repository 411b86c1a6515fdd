"""The graph in an ONNX file: nodes, constants, precision. The protobuf is parsed; no runtime loads it, and numbers that
lie in other files are not read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from toolkit.errors import short_reason

DEPTH = 32  # graphs within graphs at most, such as the branches of an If
QUANTISES = ("QuantizeLinear",)
DYNAMIC = ("DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat")
BLOCKS = ("MatMulNBits", "MatMulBnb4", "GatherBlockQuantized")  # weights in integers, activations in float
HALVES = ("float16", "bfloat16")


def precision(path: Path) -> str:
    """ "float32", "float16", "dynamic" (integer weights, float activations), "int8" or "int16x8" of an ONNX file.
    Raises ValueError if it is damaged."""
    return precision_of(read_model(path))


def read_model(path: Path) -> Any:
    """The onnx.ModelProto in a file, without numbers that lie in other files. Raises ValueError if it is damaged."""
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except OSError:
        raise
    except Exception as error:  # of protobuf, which has no common one
        raise ValueError(f"it is no ONNX file, or it is damaged ({short_reason(error)})") from None
    if not model.graph.node and not model.graph.output:
        raise ValueError("it is no ONNX file: it has no graph")
    return model


def precision_of(model: Any) -> str:
    """As `precision`, of a model that was read."""
    nodes, kinds = (
        list(all_nodes(model)),
        {name: type_name(tensor.data_type) for name, tensor in constant_tensors(model)},
    )
    operations = {node.op_type for node in nodes}
    quantised = [wide for node in nodes if (wide := _quantised_activation(node, kinds))]
    if quantised:
        return "int16x8" if "int16" in quantised else "int8"
    from_weights = any(node.op_type == "DequantizeLinear" and node.input[0] in kinds for node in nodes)
    if from_weights or operations & {*DYNAMIC, *BLOCKS}:
        return "dynamic"
    bytes_by_kind = _float_bytes(model)
    halves = sum(bytes_by_kind.get(kind, 0) for kind in HALVES)
    return "float16" if halves > sum(bytes_by_kind.values()) / 2 else "float32"


def _quantised_activation(node: Any, kinds: dict[str, str]) -> str | None:
    """ "int8" or "int16" if a node computes integers that stand for activations."""
    if node.op_type in QUANTISES and node.input and node.input[0] not in kinds:
        zero = kinds.get(node.input[2], "uint8") if len(node.input) > 2 else "uint8"
        return "int16" if zero.endswith("int16") else "int8"
    return "int8" if node.op_type.startswith("QLinear") or node.op_type == "QGemm" else None


def _float_bytes(model: Any) -> dict[str, int]:
    """Bytes of the constants by their type, those of floats only."""
    found: dict[str, int] = {}
    for _, tensor in constant_tensors(model):
        if "float" in (kind := type_name(tensor.data_type)):
            found[kind] = found.get(kind, 0) + tensor_bytes(tensor)
    return found


def constant_tensors(model: Any) -> Iterator[tuple[str, Any]]:
    """(name, onnx.TensorProto) of each constant: initialisers, and what Constant nodes give."""
    for graph in graphs(model):
        yield from ((tensor.name, tensor) for tensor in graph.initializer)
        for node in graph.node:
            if node.op_type == "Constant" and node.output:
                yield from ((node.output[0], attribute.t) for attribute in node.attribute if attribute.HasField("t"))


def tensor_bytes(tensor: Any) -> int:
    """Bytes of a tensor by its type and shape, wherever its numbers lie. Raises ValueError if its shape is none."""
    numbers, bits = 1, type_bits(tensor.data_type)
    for size in tensor.dims:
        if size < 0 or (numbers := numbers * size) > 1 << 48:
            raise ValueError(f"it has a constant of shape {list(tensor.dims)[:8]}")
    return (numbers * bits + 7) // 8


def type_name(number: int) -> str:
    """The name of a type of tensors, as numpy has it where numpy has it."""
    import onnx

    names = onnx.TensorProto.DataType
    name = names.Name(number).lower() if number in names.values() else "unknown"
    return {"float": "float32", "double": "float64"}.get(name, name)


def type_bits(number: int) -> int:
    """Bits of a number of this type; 0 for texts."""
    kind = type_name(number)
    digits = re.search(r"\d+", kind)  # the first of float8e4m3fn
    return 8 if kind == "bool" else int(digits[0]) if digits else 0


def operator_name(node: Any) -> str:
    """ "Conv", or "com.microsoft:QLinearAdd" for one that is not of the standard domain."""
    return f"{node.domain[:60]}:{node.op_type[:60]}" if node.domain not in ("", "ai.onnx") else node.op_type[:60]


def all_nodes(model: Any) -> Iterator[Any]:
    """The nodes of the graph, of graphs inside it, and of the functions of the file."""
    for graph in graphs(model):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def graphs(model: Any) -> Iterator[Any]:
    """The graph and those inside it, such as the branches of an If."""
    yield from _inside([model.graph])


def _inside(found: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    if depth > DEPTH:
        raise ValueError(f"it has graphs within graphs more than {DEPTH} deep")
    for graph in found:
        yield graph
        attributes = [attribute for node in graph.node for attribute in node.attribute]
        within = [attribute.g for attribute in attributes if attribute.HasField("g")]
        within += [one for attribute in attributes for one in attribute.graphs]
        yield from _inside(within, depth + 1)
