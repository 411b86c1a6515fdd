"""SavedModel -> TFLite with built-in operations only, its description and labels inside.

The labels and the metadata are in the form that MediaPipe Tasks and Android Studio read: `export.tflite_metadata`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from export.tflite_metadata import attach
from toolkit.run import atomic


def write_tflite(saved_model: Path, path: Path, description: dict[str, Any]) -> None:
    """Write `path`: signature `serve`, uint8 [N, S, S, 3] `image` -> float32 [N, C] `probabilities`.

    An operation that TFLite lacks fails here, at conversion, and not on the device: TensorFlow's own are not allowed.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=["serve"])
    content = attach(converter.convert(), description)
    with atomic(path) as temporary:
        temporary.write_bytes(content)
