"""The frozen prefix as a function from images to the activations at its cuts, in the faster runtime.

On a CPU onnxruntime is faster, by a factor of two or more (benchmarks/RESULTS.md). The conversion takes seconds, so
that it pays only for a long pass. A prefix that cannot be converted, or whose graph gives other values than Keras, runs
in TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from toolkit.process.tf32 import without_tf32

Forward = Callable[[np.ndarray], list[np.ndarray]]  # uint8 [B, S, S, channels] -> float32 [B, ...] at each cut

MIN_IMAGES = 2000  # images of a pass from which on the conversion pays
# largest difference between the runtimes, relative to the largest activation; rounding to float16 makes up to 5e-4
RUNTIME_TOLERANCE = 1e-3


def prefix(model: keras.Model, tensors: Sequence[keras.KerasTensor], images: int, sample: np.ndarray) -> Forward:
    """`model` from its input to `tensors`, for a pass over `images` images. `sample`: uint8 [B, S, S, channels], the
    images on which the two runtimes are compared."""
    part = keras.Model(model.input, list(tensors))
    traced = in_tensorflow(part)
    converted = in_onnxruntime(part) if faster_runtime(images) == "onnxruntime" else None
    return converted if converted and _agree(converted, traced, sample) else traced


def faster_runtime(images: int) -> str:
    """The runtime in which a pass over so many images is faster, the conversion included."""
    is_long = images >= MIN_IMAGES and not tf.config.list_physical_devices("GPU")
    return "onnxruntime" if is_long else "tensorflow"


def in_tensorflow(part: keras.Model) -> Forward:
    """The prefix as a traced function, which takes less than half the time of Keras' `predict`; without TF32."""

    @tf.function(input_signature=[tf.TensorSpec((None, *part.input_shape[1:]), tf.uint8)], autograph=False)
    def forward(images: tf.Tensor) -> list[tf.Tensor]:
        return tf.nest.flatten(part(images, training=False))

    def exact(images: np.ndarray) -> list[np.ndarray]:
        with without_tf32():
            return [output.numpy() for output in forward(images)]

    return exact


def in_onnxruntime(part: keras.Model) -> Forward | None:
    """The prefix in onnxruntime; None if it cannot be converted, or if onnxruntime refuses the graph."""
    import onnxruntime

    from toolkit.to_onnx.graph import to_onnx

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leaves the cores to prefetching
    try:
        content = to_onnx(part, "image", [f"cut{n}" for n in range(len(part.outputs))]).SerializeToString()
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception:  # the converter and the runtime raise various classes
        return None
    entry = session.get_inputs()[0].name
    return lambda images: session.run(None, {entry: images})


def _agree(one: Forward, other: Forward, sample: np.ndarray) -> bool:
    try:
        pairs = zip(one(sample), other(sample), strict=True)
        return all(float(np.abs(a - b).max()) <= RUNTIME_TOLERANCE * float(np.abs(b).max()) for a, b in pairs)
    except Exception:  # a graph that can be loaded may still fail when it runs
        return False
