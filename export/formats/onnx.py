"""keras.Model -> ONNX: `image` uint8 [batch, S, S, channels] in, `probabilities` float32 [batch, C] out.

The graph is made by `toolkit.to_onnx.graph` and rewritten for all clients by `export.formats.onnx_rewrites`. A file
gets its name only after it was compared with the model (`_gate`). `export.proof.parity` compares on real images;
`export.quantise.onnx` makes int8.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime

from export.artefacts import INPUT, OUTPUT
from export.formats.onnx_rewrites import folded
from toolkit.errors import UnfreezeError, short_reason
from toolkit.process.tf32 import without_tf32
from toolkit.storage.files import atomic
from toolkit.to_onnx.graph import to_onnx

FLOAT32_GATE = 1e-3  # difference of probabilities above which a graph is wrong, not rounded
FLOAT16_GATE = 0.5  # the same for float16


def write_onnx(model: keras.Model, path: Path, metadata: dict[str, str], samples: np.ndarray | None = None) -> None:
    """Write `model` to `path` with `metadata` as its `metadata_props`; the model itself is not changed.

    UnfreezeError, and no new file, where the result is no valid graph with exactly these ends, or if its answers to
    `samples` differ from the model's, with or without onnxruntime's optimisations. `samples`: uint8 [N, S, S, C],
    images like those that the model was trained on, whose answers do not amplify rounding; None: noise.
    """
    write_graph(folded(to_onnx(model, INPUT, [OUTPUT])), path, metadata, model, FLOAT32_GATE, samples)


def write_onnx_float16(
    source: Path, path: Path, metadata: dict[str, str], model: keras.Model, samples: np.ndarray | None = None
) -> None:
    """The ONNX file `source` with its weights and its arithmetic in float16; input and output stay uint8 and
    float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    graph = convert_float_to_float16(folded(onnx.load(source)), keep_io_types=True)
    write_graph(graph, path, metadata, model, FLOAT16_GATE, samples)


def write_graph(
    graph: onnx.ModelProto,
    path: Path,
    metadata: dict[str, str],
    model: keras.Model,
    tolerance: float,
    samples: np.ndarray | None = None,
) -> None:
    """Write a graph with `metadata` and only the operator sets that it uses, after `_gate` has checked it."""
    used = {node.domain for node in graph.graph.node}
    kept = [opset for opset in graph.opset_import if opset.domain in used | {"", "ai.onnx"}]
    del graph.metadata_props[:], graph.opset_import[:]
    graph.opset_import.extend(kept)
    onnx.helper.set_model_props(graph, metadata)
    with atomic(path) as temporary:
        onnx.save(graph, temporary)
        _gate(temporary, model, tolerance, noise(*model.input_shape[2:]) if samples is None else samples)


def _gate(path: Path, model: keras.Model, tolerance: float, images: np.ndarray) -> None:
    try:
        onnx.checker.check_model(str(path), full_check=True)
        difference = np.max(list(_differences(path, model, images)))  # NaN stays NaN
    except Exception as error:  # onnx and onnxruntime raise classes of their own for each way to be invalid
        raise UnfreezeError(f"the ONNX conversion gave no valid graph: {short_reason(error)}") from error
    if not difference <= tolerance:
        raise UnfreezeError(
            f"the ONNX conversion gave a graph whose answers differ from the model's by {difference:.2g}, "
            f"more than {tolerance:g}"
        )


def _differences(path: Path, model: keras.Model, images: np.ndarray) -> Iterator[float]:
    """The largest difference in a probability, once with onnxruntime's optimisations and once without."""
    with without_tf32():
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


def noise(size: int, channels: int = 3) -> np.ndarray:
    """uint8 [4, S, S, channels]: noise, and noise in patches as coarse as a photograph's."""
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 256, (2, size, size, channels), dtype=np.uint8)
    coarse = np.kron(rng.integers(0, 256, (2, 8, 8, channels)), np.ones((1, -(-size // 8), -(-size // 8), 1)))
    return np.concatenate([fine, coarse[:, :size, :size].astype(np.uint8)])
