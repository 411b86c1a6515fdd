"""keras.Model -> SavedModel: one signature, `serve`, with the input `image` and the output `probabilities`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from export.artefacts import INPUT, OUTPUT
from toolkit.run import atomic, write_json, write_text

DESCRIPTION = "unfreeze.json"


def write_saved_model(model: keras.Model, path: Path, description: dict[str, Any]) -> None:
    """Write the folder `path`: uint8 [N, S, S, 3] -> float32 [N, C], with `unfreeze.json` and `labels.txt` inside."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serve",
        lambda image: {OUTPUT: model(image, training=False)},
        input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name=INPUT)],
    )
    with atomic(path) as temporary:
        archive.write_out(temporary, verbose=False)
        write_json(temporary / DESCRIPTION, description)
        write_text(temporary / "labels.txt", "\n".join(description["class_names"]) + "\n")
