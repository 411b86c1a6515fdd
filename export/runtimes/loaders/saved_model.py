"""SavedModel folders in TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.description import read_description
from export.runtimes.graph_files import check_saved_model
from export.runtimes.loaders.loaded import Loaded, only_input, tensorflow, the_output
from export.runtimes.model_input import model_input
from toolkit.process.tf32 import without_tf32

SIGNATURES = ("serving_default", "serve")  # the second is what earlier versions wrote


def load(path: Path, threads: int | None, output: str | None) -> Loaded:
    tf = tensorflow(threads)
    check_saved_model(path)
    loaded = tf.saved_model.load(str(path))
    name = next((name for name in SIGNATURES if name in loaded.signatures), "")
    if not name:
        raise ValueError(f"it has neither of the signatures serve and serving_default: {sorted(loaded.signatures)}")
    serve = loaded.signatures[name]
    entry = only_input(list(serve.structured_input_signature[1].values()))
    names = sorted(serve.structured_outputs)
    answer = names[the_output(names, output)]

    def call(fed: np.ndarray) -> np.ndarray:
        with without_tf32():
            return serve(**{entry.name: tf.constant(fed)})[answer].numpy()

    call.keep = loaded  # type: ignore[attr-defined]  # a signature does not keep its variables alive
    file = path / "unfreeze.json"
    described = file.read_text(encoding="utf-8") if file.is_file() else None
    shape = entry.shape.as_list() if entry.shape.rank is not None else []
    return Loaded(call, model_input(shape, entry.dtype.as_numpy_dtype), read_description(described))
