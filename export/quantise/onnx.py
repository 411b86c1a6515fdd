"""ONNX -> ONNX in int8: static, quantise and dequantise nodes (QDQ), weights per channel, BatchNormalization folded.

Softmax stays in float: that costs nothing, and in int8 a probability could take 256 values only. So do the biases of
dense layers.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from export.artefacts import INPUT
from export.formats.onnx_rewrites import dense_biases, drop_zero_points
from toolkit.process.quiet import hushed

CALIBRATION_BATCH = 8  # images whose activations are held at a time
HISTOGRAM_IMAGES = 64  # entropy and percentile make a histogram of every activation, which takes seconds an image
METHODS = {
    "min-max": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
ACTIVATIONS = {"unsigned": QuantType.QUInt8, "signed": QuantType.QInt8}


def quantised(
    graph: onnx.ModelProto,
    images: np.ndarray,
    *,
    method: str = "min-max",
    activations: str = "unsigned",
    keep: Collection[str] = (),
) -> onnx.ModelProto:
    """The folded float graph in int8, calibrated on `images`, uint8 [N, S, S, channels]. `method`: a name of METHODS;
    `activations`: a name of ACTIVATIONS; `keep`: names of nodes that stay in float."""
    source = onnx.ModelProto()
    source.CopyFrom(graph)  # onnxruntime moves the weights out of the graph that it gets
    softmax = {node.name for node in graph.graph.node if node.op_type == "Softmax"}
    options: dict[str, Any] = {"CalibStridedMinMax": 1}  # batch by batch, so that memory does not grow with the images
    with tempfile.TemporaryDirectory() as folder, hushed(), _unlogged(), contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "int8.onnx"
        quantize_static(
            source,
            path,
            _Reader(images[calibration_subset(len(images), method)]),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=ACTIVATIONS[activations],
            calibrate_method=METHODS[method],
            nodes_to_exclude=sorted({*keep, *softmax, *dense_biases(graph)}),
            extra_options=options,
        )
        made = onnx.load(path)
    drop_zero_points(made)
    return made


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """Suppress the log warnings of onnxruntime's quantiser."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)


def nodes_behind(graph: onnx.ModelProto, tensor: str, others: Collection[str]) -> set[str]:
    """The names of the nodes that compute `tensor` from `others`, or from the graph's input."""
    makers = {output: node for node in graph.graph.node for output in node.output}
    found, ahead = set(), [tensor]
    while ahead:
        node = makers.get(ahead.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            ahead += [name for name in node.input if name not in others]
    return found


def calibration_subset(images: int, method: str) -> np.ndarray:
    """int64: which of so many calibration images a method uses. They are evenly spread, because the images are sorted
    by class."""
    count = images if method == "min-max" else min(images, HISTOGRAM_IMAGES)
    return np.linspace(0, images - 1, count).astype(int)


class _Reader(CalibrationDataReader):
    """Gives onnxruntime the calibration images in batches, a range of batches at a time."""

    def __init__(self, images: np.ndarray) -> None:
        self.batches = [images[n : n + CALIBRATION_BATCH] for n in range(0, len(images), CALIBRATION_BATCH)]
        self.range: Iterator[np.ndarray] = iter(())

    def __len__(self) -> int:
        return len(self.batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        self.range = iter(self.batches[start_index:end_index])

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.range, None)
        return None if batch is None else {INPUT: batch}
