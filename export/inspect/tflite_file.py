"""A TFLite file -> what is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from export.inspect.flatbuffer import unmarked_root
from export.inspect.model_file import End, ModelFile, Step, Weight, cut, cut_labels, frequent, mixed, step
from export.inspect.own_description import own_description
from export.inspect.tflite_description import output_labels, packed_names, read_description
from export.inspect.tflite_graph import Graph, Tensor, TfliteFile, is_weight, least_runtime, precision_of, read_graph
from export.inspect.tflite_support import support
from toolkit.errors import short_reason

PASSED = ("CAST", "QUANTIZE", "DEQUANTIZE", "TRANSPOSE", "RESHAPE")  # before a first step
AFTER = ("QUANTIZE", "DEQUANTIZE", "CAST", "RESHAPE", "SQUEEZE")  # after a last operator
STEPS = {"ADD": "add", "SUB": "subtract", "MUL": "multiply", "DIV": "divide"}
FEW = 64  # bytes of the numbers of a step


def read_tflite(path: Path) -> ModelFile:
    """What is in a TFLite file. Raises ValueError if it is damaged."""
    content = path.read_bytes()
    file = read_graph(content)
    main = file.graphs[0]
    weights = tuple(_weights(file))
    described, labels, notes = _described(content, file)
    own = own_description(_own_text(content))
    notes += own.pop("notes", ())
    told: dict[str, Any] = {
        "labels": labels and cut_labels(labels),
        "labels_from": "TFLite metadata" if labels else "",
        "metadata": {name: cut(text, 2000) for name, text in described.texts.items()},
        "colour": described.colour,
    }
    told |= own | {"metadata": told["metadata"] | own.get("metadata", {})}
    return ModelFile(
        format="TFLite",
        versions=_versions(content, file),
        producer=_producer(content, file),
        precision=mixed(precision_of(file), weights),
        activations=frequent(one.dtype for one in main.tensors if not one.constant),
        inputs=tuple(map(_end, main.inputs)),
        outputs=tuple(map(_end, main.outputs)),
        operators=dict(Counter(cut(one.name) for graph in file.graphs for one in graph.operators).most_common()),
        weights=weights,
        bytes=len(content),
        support=support(file, described),
        normalisation=described.normalisation,
        steps=tuple(_steps(content, main)),
        quantised=_quantised(main),
        last=_last(main),
        names=tuple(one.name for one in main.tensors),
        notes=notes,
        **told,
    )


def _described(content: bytes, file: TfliteFile) -> tuple[Any, tuple[str, ...] | None, tuple[str, ...]]:
    """(the metadata, the labels, notes on what of them is damaged)."""
    metadata = _metadata(content, file, "TFLITE_METADATA")
    try:
        described = read_description(metadata)
    except ValueError as error:
        return read_description(b""), None, (f"its metadata are damaged: {short_reason(error)}",)
    try:
        labels = output_labels(content, metadata)
    except ValueError as error:
        return described, None, (f"its labels cannot be read: {short_reason(error)}",)
    if labels is None and described.label_files:
        return described, None, (f"its file of labels, {cut(described.label_files[0])}, is not packed inside",)
    if labels is None and (inside := packed_names(content)):
        return described, None, (f"files are packed inside: {', '.join(cut(name, 40) for name in inside[:5])}",)
    return described, labels, ()


def _own_text(content: bytes) -> str | None:
    from export.formats.tflite_metadata import description_in

    try:
        return description_in(content)
    except ValueError:
        return "damaged"  # which `own_description` says


def _metadata(content: bytes, file: TfliteFile, name: str) -> bytes:
    start, length = file.metadata.get(name, (0, 0))
    return content[start : start + length]


def _versions(content: bytes, file: TfliteFile) -> dict[str, str]:
    runtime = least_runtime(content)
    return {"schema": str(file.schema)} | ({"runtime at least": runtime} if runtime else {})


def _producer(content: bytes, file: TfliteFile) -> str:
    """Who converted it, with the version of TensorFlow where its converter wrote that down."""
    metadata, version = _metadata(content, file, "CONVERSION_METADATA"), ""
    try:
        environment = unmarked_root(metadata).table(0) if metadata else None
        version = environment.text(0) if environment else ""
    except ValueError:
        pass
    return ", ".join(filter(None, [cut(file.description).rstrip("."), version and f"TensorFlow {cut(version, 40)}"]))


def _end(tensor: Tensor) -> End:
    shape = tuple("?" if size < 0 else size for size in tensor.signature)
    per_channel = tensor.scales > 1
    return End(cut(tensor.name), tensor.dtype, shape, tensor.scale, tensor.zero_point, per_channel)


def _last(graph: Graph) -> str:
    """The operator that gives the only output, conversions aside."""
    made = {number: one for one in graph.operators for number in one.outputs}
    at = graph.tensors.index(graph.outputs[0]) if len(graph.outputs) == 1 else -1
    for _ in range(len(graph.operators)):
        operator = made.get(at)
        if operator is None or operator.name not in AFTER:
            return cut(operator.name) if operator else ""
        at = operator.inputs[0]
    return ""


def _quantised(graph: Graph) -> End | None:
    """The input as the first operator quantises it; None if there is no such operator."""
    for operator in graph.operators:
        entry, made = (
            [graph.tensors[at] for at in side[:1] if at >= 0] for side in (operator.inputs, operator.outputs)
        )
        if operator.name == "QUANTIZE" and entry and made and entry[0] in graph.inputs and not entry[0].scales:
            return _end(made[0])
    return None


def _weights(file: TfliteFile) -> Iterator[Weight]:
    """Those that stand for real numbers; a constant that several tensors share is counted once."""
    seen: set[int] = set()
    for graph in file.graphs:
        for tensor in graph.tensors:
            if tensor.constant and tensor.shape and is_weight(tensor) and tensor.start not in seen:
                seen.add(tensor.start)
                yield Weight(cut(tensor.name.partition(";")[0]), tensor.dtype, tensor.shape, tensor.bytes)


def _steps(content: bytes, graph: Graph) -> Iterator[Step]:
    """What happens to the first input before anything but a conversion does."""
    positions = {id(tensor): number for number, tensor in enumerate(graph.tensors)}
    makers = {number: one for one in graph.operators for number in one.outputs}
    users: dict[int, list[Any]] = {}
    for one in graph.operators:
        for number in one.inputs:
            users.setdefault(number, []).append(one)
    at = positions[id(graph.inputs[0])] if graph.inputs else -1
    for _ in range(len(graph.operators)):
        following = users.get(at, [])
        if len(following) != 1 or len(following[0].outputs) != 1:
            return
        operator = following[0]
        if operator.name in STEPS:
            values = _operand(content, graph, operator.inputs, at, makers)
            made = None if values is None else step(STEPS[operator.name], values)
            if made is None or (operator.name in ("SUB", "DIV") and operator.inputs[0] != at):
                return
            yield made
        elif operator.name not in PASSED:
            return
        at = operator.outputs[0]


def _operand(
    content: bytes, graph: Graph, inputs: tuple[int, ...], data: int, makers: dict[int, Any]
) -> np.ndarray | None:
    """The numbers of the other input of an operator on two; None if they are not a few constants."""
    others = [number for number in inputs if number != data]
    if len(others) != 1 or not 0 <= others[0] < len(graph.tensors):
        return None
    tensor, maker = graph.tensors[others[0]], makers.get(others[0])
    if maker is not None and maker.name == "DEQUANTIZE" and 0 <= maker.inputs[0] < len(graph.tensors):
        tensor = graph.tensors[maker.inputs[0]]  # of float16, or of an integer
    if not 0 < tensor.bytes <= FEW or tensor.dtype not in ("float32", "float16", "int8", "uint8", "int16", "int32"):
        return None
    kind = np.dtype(tensor.dtype).newbyteorder("<")
    values = np.frombuffer(content, kind, tensor.bytes // kind.itemsize, tensor.start).astype(float)
    return values if tensor.scale is None else (values - (tensor.zero_point or 0)) * tensor.scale
