"""keras.Model -> ONNX graph in memory: for an exported model, and for a frozen prefix that onnxruntime runs.

The faults of the converters and their repairs are `toolkit.to_onnx.repairs`. tf2onnx only logs what it cannot convert
and returns a graph all the same, so the caller has to compare the graph's answers with the model's.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Sequence

import keras
import onnx
import tensorflow as tf
import tf2onnx

from toolkit.to_onnx.canonical import canonical
from toolkit.to_onnx.repairs import CUSTOM_OPS, convertible, guard_max_pooling

_ALONE = threading.Lock()  # one conversion at a time: how TensorFlow traces is a setting of the whole process
OPSET = 17  # tf2onnx's highest is 18, which turns the global pooling into ReduceMean and Transpose


def to_onnx(model: keras.Model, entry: str, outputs: Sequence[str]) -> onnx.ModelProto:
    """The graph of `model`, which is not changed: its input, uint8 [batch, S, S, channels], is called `entry`,
    its outputs `outputs`, in the model's order."""
    with _quiet():
        graph = _convert(convertible(model), entry, outputs)
    guard_max_pooling(graph)
    canonical(graph)
    for end in (*graph.graph.input, *graph.graph.output):
        end.type.tensor_type.shape.dim[0].dim_param = "batch"
    return graph


def _convert(model: keras.Model, entry: str, outputs: Sequence[str]) -> onnx.ModelProto:
    def answer(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(outputs, tf.nest.flatten(model(image, training=False)), strict=True))

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name=entry)]
    with _ALONE, _inlined():
        graph, _ = tf2onnx.convert.from_function(
            tf.function(answer, autograph=False), input_signature=signature, opset=OPSET, custom_op_handlers=CUSTOM_OPS
        )
    return graph


@contextlib.contextmanager
def _inlined() -> Iterator[None]:
    """Trace what functions of TensorFlow do in place of calls of them: Keras runs a grouped convolution in an XLA
    function, and tf2onnx leaves the call of it in the graph."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the converters' logs: they warn of what is repaired here, and the caller checks the graph."""
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
