"""The graph in a TFLite file: tensors, operators, precision. Read from its bytes; no runtime loads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from export.inspect.flatbuffer import Table, root
from export.inspect.tflite_description import normalisation_in, output_labels

MARK = b"TFL3"
RANK = 64  # dimensions of a tensor at most
ENDS = 10_000  # inputs or outputs at most
SMALL = ("int2", "int4", "uint4", "int8", "uint8")  # types of quantised weights
FLOATS = ("float16", "float32", "float64", "bfloat16")


@dataclass(frozen=True)
class Tensor:
    """A tensor of a graph, without its numbers."""

    name: str
    dtype: str  # "float32", "int8", "string", ...
    shape: tuple[int, ...]  # as it is allocated
    signature: tuple[int, ...]  # -1: open
    scale: float | None  # the first; None: not quantised
    zero_point: int | None
    scales: int  # 0: not quantised; 1: per tensor; more: per channel
    start: int  # where its constant stands in the file
    bytes: int  # of its constant; 0: it is computed

    @property
    def constant(self) -> bool:
        return self.bytes > 0


@dataclass(frozen=True)
class Operator:
    """An operator; its tensors by their position in the graph, -1 for one that is left out."""

    name: str  # "CONV_2D"; of a custom operator the name that its author gave
    custom: bool
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """One of the graphs in a file."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class TfliteFile:
    """What a TFLite file holds, its metadata aside."""

    schema: int
    description: str  # by the converter
    graphs: tuple[Graph, ...]  # the first is the one that runs
    metadata: dict[str, tuple[int, int]]  # name -> where it starts, how many bytes


def precision(content: bytes) -> str:
    """ "float32", "float16", "dynamic" (integer weights, float activations), "int8" or "int16x8" of a TFLite file.
    Raises ValueError if it is damaged."""
    return precision_of(read_graph(content))


def input_metadata(
    content: bytes,
) -> tuple[tuple[str, ...] | None, tuple[tuple[float, ...], tuple[float, ...]] | None]:
    """(the labels of the first output, (mean, deviation) of the first input's pixels 0..255) from the metadata of a
    TFLite file; None for what it does not tell. Mean and deviation have a number for each channel, or one for all.
    Raises ValueError if the file is damaged."""
    where = read_graph(content).metadata.get("TFLITE_METADATA")
    metadata = content[where[0] : where[0] + where[1]] if where else b""
    return output_labels(content, metadata), normalisation_in(metadata)


def least_runtime(content: bytes) -> str:
    """The oldest version of the TFLite runtime that has a file's operators in its versions, as the converter found it;
    "" where it does not say. Raises ValueError if the file is damaged."""
    start, length = read_graph(content).metadata.get("min_runtime_version", (0, 0))
    return content[start : start + min(length, 100)].rstrip(b"\0").decode(errors="replace")


def precision_of(file: TfliteFile) -> str:
    """As `precision`, of a file that was read."""
    tensors = [tensor for graph in file.graphs for tensor in graph.tensors]
    weights = {tensor.dtype for tensor in tensors if tensor.constant and is_weight(tensor)}
    computed = {tensor.dtype for tensor in tensors if not tensor.constant and tensor.scales}
    if weights & set(SMALL):
        return "int16x8" if "int16" in computed else "int8" if computed & set(SMALL) else "dynamic"
    return "float16" if weights & {"float16", "bfloat16"} else "float32"


def is_weight(tensor: Tensor) -> bool:
    """Whether a constant stands for real numbers: it is of floats, or of integers with a scale."""
    return tensor.scales > 0 or tensor.dtype in FLOATS


def read_graph(content: bytes) -> TfliteFile:
    """The graphs in a TFLite file. Raises ValueError if it is damaged."""
    model = root(content, MARK)
    buffers = [_data(buffer, len(content)) for buffer in model.tables(4)]
    codes = [_code(code) for code in model.tables(1)]
    graphs = tuple(_graph(graph, buffers, codes) for graph in model.tables(2))
    if not graphs:
        raise ValueError("it has no graph")
    entries = ((entry.text(0), entry.number(1, "<I")) for entry in model.tables(6))
    metadata = {name: buffers[number] for name, number in entries if number < len(buffers)}
    return TfliteFile(model.number(0, "<I"), model.text(3), graphs, metadata)


def _data(buffer: Table, size: int) -> tuple[int, int]:
    """(start, bytes) of a buffer, which in a file beyond 2 GB stands outside the flatbuffer."""
    start, length = buffer.data(0)
    outside, stored = buffer.number(1, "<Q"), buffer.number(2, "<Q")
    if length or outside <= 1:
        return start, length
    if outside + stored > size:
        raise ValueError("it has a constant that ends beyond the file: it was cut short")
    return outside, stored


def _code(code: Table) -> tuple[str, bool, int]:
    """(name, whether it is custom, version) of an operator."""
    number = max(code.number(0, "<b"), code.number(3, "<i"))  # the older field holds numbers below 127 only
    name = builtin_names().get(number, f"operator {number}")
    return (code.text(1) or "CUSTOM" if name == "CUSTOM" else name), name == "CUSTOM", code.number(2, "<i", 1)


def _graph(graph: Table, buffers: list[tuple[int, int]], codes: list[tuple[str, bool, int]]) -> Graph:
    tensors = tuple(_tensor(tensor, buffers) for tensor in graph.tables(0))
    operators = tuple(_operator(operator, codes) for operator in graph.tables(3))
    inputs, outputs = (tuple(_chosen(tensors, graph.numbers(field, "<i4"))) for field in (1, 2))
    return Graph(tensors, operators, inputs, outputs)


def _chosen(tensors: tuple[Tensor, ...], numbers: np.ndarray) -> Iterator[Tensor]:
    if len(numbers) > ENDS or not all(0 <= number < len(tensors) for number in numbers):
        raise ValueError("it names an input or output that is none of its tensors")
    return (tensors[number] for number in numbers)


def _tensor(tensor: Table, buffers: list[tuple[int, int]]) -> Tensor:
    shape, signature = tensor.numbers(0, "<i4"), tensor.numbers(7, "<i4")
    if max(len(shape), len(signature)) > RANK:
        raise ValueError(f"it has a tensor of {max(len(shape), len(signature)):,} dimensions")
    dims = tuple(map(int, shape))
    number, quantised = tensor.number(2, "<I"), tensor.table(4)
    scales = quantised.numbers(2, "<f4") if quantised else np.zeros(0)
    zeros = quantised.numbers(3, "<i8") if quantised else np.zeros(0)
    start, length = buffers[number] if 0 < number < len(buffers) else (0, 0)
    return Tensor(
        name=tensor.text(3),
        dtype=type_names().get(tensor.number(1, "<b"), "unknown"),
        shape=dims,
        signature=tuple(map(int, signature)) or dims,
        scale=float(scales[0]) if len(scales) else None,
        zero_point=int(zeros[0]) if len(zeros) else (0 if len(scales) else None),
        scales=len(scales),
        start=start,
        bytes=length,
    )


def _operator(operator: Table, codes: list[tuple[str, bool, int]]) -> Operator:
    number = operator.number(0, "<I")
    operands = [operator.numbers(field, "<i4") for field in (1, 2)]
    operator.budget.spend(sum(map(len, operands)))
    if number >= len(codes):
        raise ValueError("it has an operator that it does not declare")
    inputs, outputs = (tuple(map(int, one)) for one in operands)
    name, custom, version = codes[number]
    return Operator(name, custom, version, inputs, outputs)


@cache
def builtin_names() -> dict[int, str]:
    """The names of TFLite's own operators."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    return {number: name for name, number in vars(BuiltinOperator).items() if not name.startswith("_")}


@cache
def type_names() -> dict[int, str]:
    """The names of the types of tensors."""
    from ai_edge_litert.schema_py_generated import TensorType

    return {number: name.lower() for name, number in vars(TensorType).items() if not name.startswith("_")}
