"""ONNX files in onnxruntime."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from export.description import read_description
from export.runtimes.loaders.loaded import Loaded, only_input, the_output
from export.runtimes.model_input import model_input

DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64} | {
    f"tensor({name})": np.dtype(name) for name in ("uint8", "int8", "uint16", "int16", "int32", "int64")
}
LONGEST_NAMES = 1 << 20  # characters


def load(path: Path, threads: int | None, output: str | None) -> Loaded:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        path,
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # the fallback prints on standard output
    )
    entry = only_input(session.get_inputs())
    names = [one.name for one in session.get_outputs()]
    name = names[the_output(names, output)]
    if entry.type not in DTYPES:
        raise ValueError(f"its input is a {entry.type[:80]}, not an array of numbers")
    inside = session.get_modelmeta().custom_metadata_map
    return Loaded(
        lambda fed: session.run([name], {entry.name: fed})[0],
        model_input(entry.shape, DTYPES[entry.type]),
        read_description(inside.get("unfreeze")),
        labels_in(inside),
    )


def labels_in(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """The class names in an entry `names`, a list or a dict from number to name, as Ultralytics writes it; None if
    there is none."""
    text = metadata.get("names", "")
    if not text or len(text) > LONGEST_NAMES:
        return None
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[number] for number in range(len(names))]
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None
