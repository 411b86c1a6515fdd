"""Every intermediate tensor that an ONNX or TFLite file computes on a few images, in the order of its operations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.runtimes.kind import kind_of
from export.runtimes.loaders.loaded import the_output
from export.runtimes.plain_kernels import plain_session
from toolkit.process.quiet import hushed


@dataclass(frozen=True)
class Tensor:
    """The output of one operation. Integers of a quantised file are turned into the numbers that they stand for."""

    name: str
    value: np.ndarray  # float32 [N, ...]


def tensors(path: Path, images: np.ndarray, output: str | None = None) -> list[Tensor]:
    """All intermediate tensors of an ONNX or TFLite file. `images` have the file's own dtype and layout. The last
    tensor is its answer, the `output` of that name if there are several."""
    with hushed():
        return (_onnx if kind_of(path) == "onnx" else _tflite)(path, images, output)


def _joined(found: Iterable[list[Tensor]], images: int) -> list[Tensor]:
    """Concatenate the lists of tensors that a file gave for batch after batch; `images`: the number to keep."""
    return [
        Tensor(parts[0].name, np.concatenate([part.value for part in parts])[:images])
        for parts in zip(*found, strict=True)
    ]


def _batches(images: np.ndarray, count: Any) -> Iterator[np.ndarray]:
    """The images in batches of `count`, the last image repeated to fill the last batch; one batch if `count` is not a
    number."""
    count = count if isinstance(count, int) and count > 0 else len(images)
    for start in range(0, len(images), count):
        part = images[start : start + count]
        yield np.concatenate([part, np.repeat(part[-1:], count - len(part), axis=0)])


def _onnx(path: Path, images: np.ndarray, output: str | None) -> list[Tensor]:
    """The tensors, as added graph outputs. onnxruntime's optimisations are off: they would fuse operations."""
    import onnx

    model = onnx.load(path)
    ends = [end.name for end in model.graph.output]
    answer = ends[the_output(ends, output)]
    names = [name for node in model.graph.node for name in node.output if name]
    known = {end.name for end in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    session = plain_session(model.SerializeToString())
    order = [name for name in names if name != answer] + [answer]
    entry = session.get_inputs()[0]

    def given(batch: np.ndarray) -> list[Tensor]:
        return [
            Tensor(name, value.astype(np.float32, copy=False))
            for name, value in zip(order, session.run(order, {entry.name: batch}), strict=True)
            if _of_images(value, len(batch)) and value.dtype in (np.float32, np.float16)
        ]

    return _joined((given(batch) for batch in _batches(images, entry.shape[0])), len(images))


def _tflite(path: Path, images: np.ndarray, output: str | None) -> list[Tensor]:
    """The tensors. Delegates are off: XNNPACK does not keep its intermediate tensors."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        str(path),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    entry = interpreter.get_input_details()[0]
    results = interpreter.get_output_details()
    answer = results[the_output([one["name"] for one in results], output)]["index"]

    def given(batch: np.ndarray) -> list[Tensor]:
        interpreter.resize_tensor_input(entry["index"], batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], batch)
        interpreter.invoke()
        details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
        order = [index for operation in interpreter._get_ops_details() for index in operation["outputs"]]
        values = [(index, interpreter.get_tensor(index)) for index in [i for i in order if i != answer] + [answer]]
        return [
            Tensor(details[index]["name"], dequantised(value, details[index]))
            for index, value in values
            if _of_images(value, len(batch))
        ]

    return _joined((given(batch) for batch in _batches(images, int(entry["shape_signature"][0]))), len(images))


def scale_and_zero(details: dict[str, Any]) -> tuple[float, int]:
    """The scale and the zero point of a TFLite tensor; (0.0, 0) if it has none, or one for each channel."""
    scales, zeros = (details["quantization_parameters"][name] for name in ("scales", "zero_points"))
    return (float(scales[0]), int(zeros[0])) if len(scales) == 1 else (0.0, 0)


def dequantised(value: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """float32: the numbers that a TFLite tensor stands for: scale x (value - zero point), with one scale for the whole
    tensor or one for each channel."""
    given = details["quantization_parameters"]
    scales, zeros = np.asarray(given["scales"], np.float32), np.asarray(given["zero_points"], np.float32)
    if not len(scales) or np.issubdtype(value.dtype, np.floating):
        return value.astype(np.float32, copy=False)
    if len(scales) > 1:
        shape = [1] * value.ndim
        shape[int(given["quantized_dimension"])] = len(scales)
        scales, zeros = scales.reshape(shape), zeros.reshape(shape)
    return (value.astype(np.float32) - zeros) * scales


def _of_images(value: np.ndarray, images: int) -> bool:
    return value.ndim > 1 and len(value) == images
