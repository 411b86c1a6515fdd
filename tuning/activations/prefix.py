"""The frozen prefix as a function from images to the activations at its cuts, in the runtime that is faster.

On a CPU that is onnxruntime, by a factor of two or more (benchmarks/RESULTS.md). Converting takes seconds, which only a
long pass earns back; what cannot be converted, or answers otherwise than Keras, stays with TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from toolkit.process.tf32 import without_tf32

Forward = Callable[[np.ndarray], list[np.ndarray]]  # uint8 [B, S, S, 3] -> float32 [B, ...] at each cut

MIN_IMAGES = 2000  # in a pass that earns the conversion back
TOLERANCE = 1e-3  # largest difference between the runtimes, relative to the largest activation; float16 rounds by 5e-4


def prefix(model: keras.Model, tensors: Sequence[keras.KerasTensor], images: int, sample: np.ndarray) -> Forward:
    """`model` up to `tensors`, for a pass over `images` images. `sample`: uint8 [B, S, S, 3], on which the runtimes
    are compared."""
    part = keras.Model(model.input, list(tensors))
    traced = in_tensorflow(part)
    converted = in_onnxruntime(part) if faster_runtime(images) == "onnxruntime" else None
    return converted if converted and _agree(converted, traced, sample) else traced


def faster_runtime(images: int) -> str:
    """The runtime that a pass over so many images should take."""
    is_long = images >= MIN_IMAGES and not tf.config.list_physical_devices("GPU")
    return "onnxruntime" if is_long else "tensorflow"


def in_tensorflow(part: keras.Model) -> Forward:
    """As a traced function: less than half the time of `predict`."""

    @tf.function(input_signature=[tf.TensorSpec((None, *part.input_shape[1:]), tf.uint8)], autograph=False)
    def forward(images: tf.Tensor) -> list[tf.Tensor]:
        return tf.nest.flatten(part(images, training=False))

    def exact(images: np.ndarray) -> list[np.ndarray]:
        with without_tf32():
            return [output.numpy() for output in forward(images)]

    return exact


def in_onnxruntime(part: keras.Model) -> Forward | None:
    """None where a backbone cannot be converted, or onnxruntime refuses it."""
    import onnxruntime

    from toolkit.to_onnx.graph import to_onnx

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the next batch is made meanwhile
    try:
        content = to_onnx(part, "image", [f"cut{n}" for n in range(len(part.outputs))]).SerializeToString()
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception:  # the converter and the runtime raise classes of their own for each reason
        return None
    entry = session.get_inputs()[0].name
    return lambda images: session.run(None, {entry: images})


def _agree(one: Forward, other: Forward, sample: np.ndarray) -> bool:
    try:
        pairs = zip(one(sample), other(sample), strict=True)
        return all(float(np.abs(a - b).max()) <= TOLERANCE * float(np.abs(b).max()) for a, b in pairs)
    except Exception:  # a graph that loads may still not run
        return False
