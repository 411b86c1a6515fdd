"""ONNX files in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.description import read_description
from export.inspect.onnx_metadata import labels_in, pixels_in
from export.runtimes.labels import told_apart
from export.runtimes.loaders.loaded import Loaded, only_input, the_output
from export.runtimes.model_input import model_input

DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64} | {
    f"tensor({name})": np.dtype(name) for name in ("uint8", "int8", "uint16", "int16", "int32", "int64")
}


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
    labels, _ = labels_in(inside)
    return Loaded(
        lambda fed: session.run([name], {entry.name: fed})[0],
        model_input(entry.shape, DTYPES[entry.type]),
        read_description(inside.get("unfreeze")),
        labels and told_apart(labels),
        pixels_in(inside),
    )
