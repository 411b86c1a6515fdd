"""keras.Model -> ONNX: `image` uint8 [batch, S, S, 3] in, `probabilities` float32 [batch, C] out.

The graph is made by `toolkit.onnx_graph`; a file gets its name only behind a gate. Parity on real images is left to
`export.parity`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime

from export.artefacts import INPUT, OUTPUT
from export.runners import said
from toolkit.errors import UnfreezeError
from toolkit.onnx_graph import to_onnx
from toolkit.run import atomic

TOLERANCE = 1e-3  # of probabilities, on random images: tells a wrong graph from rounding


def write_onnx(model: keras.Model, path: Path, metadata: dict[str, str]) -> None:
    """Write `model` to `path` with `metadata` as its `metadata_props`; the model itself is left as it is.

    UnfreezeError, and no new file, where the result is no valid graph with exactly these ends, or answers
    otherwise than the model on random images, with or without onnxruntime's optimisations.
    """
    graph = to_onnx(model, INPUT, [OUTPUT])
    onnx.helper.set_model_props(graph, metadata)
    with atomic(path) as temporary:
        onnx.save(graph, temporary)
        _gate(temporary, model)


def _gate(path: Path, model: keras.Model) -> None:
    try:
        onnx.checker.check_model(str(path), full_check=True)
        difference = np.max(list(_differences(path, model)))  # NaN stays NaN
    except Exception as error:  # onnx and onnxruntime raise classes of their own for each way to be invalid
        raise UnfreezeError(f"the ONNX conversion gave no valid graph: {said(error)}") from error
    if not difference <= TOLERANCE:
        raise UnfreezeError(
            f"the ONNX conversion gave a graph whose answers differ from the model's by {difference:.2g}, "
            f"more than {TOLERANCE:g}"
        )


def _differences(path: Path, model: keras.Model) -> Iterator[float]:
    """The largest difference in a probability, once with onnxruntime's optimisations and once without."""
    images = _images(model.input_shape[1])
    expected = keras.ops.convert_to_numpy(model(images, training=False)).astype("float32")
    levels = onnxruntime.GraphOptimizationLevel
    for level in (levels.ORT_ENABLE_ALL, levels.ORT_DISABLE_ALL):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        ends = [end.name for end in (*session.get_inputs(), *session.get_outputs())]
        if ends != [INPUT, OUTPUT]:
            raise ValueError(f"expected the ends {INPUT} and {OUTPUT}, got {', '.join(ends)}")
        (answer,) = session.run(None, {INPUT: images})
        yield float(np.abs(answer - expected).max())


def _images(size: int) -> np.ndarray:
    """uint8 [4, S, S, 3]: noise, and noise in patches as coarse as a photograph's."""
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    coarse = np.kron(rng.integers(0, 256, (2, 8, 8, 3)), np.ones((1, -(-size // 8), -(-size // 8), 1)))
    return np.concatenate([fine, coarse[:, :size, :size].astype(np.uint8)])
