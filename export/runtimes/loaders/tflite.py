"""TFLite files in LiteRT."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.description import read_description
from export.inspect.tflite_graph import input_metadata
from export.runtimes.labels import told_apart
from export.runtimes.loaders.loaded import Loaded, only_input, the_output
from export.runtimes.model_input import model_input
from export.runtimes.tensors import dequantised, scale_and_zero
from toolkit.process.cores import cores


def load(path: Path, threads: int | None, output: str | None) -> Loaded:
    from ai_edge_litert.interpreter import Interpreter

    from export.formats.tflite_metadata import description_in

    content = path.read_bytes()
    interpreter = Interpreter(model_content=content, num_threads=threads or cores())
    interpreter.allocate_tensors()
    entry = only_input(interpreter.get_input_details())
    results = interpreter.get_output_details()
    result = results[the_output([one["name"] for one in results], output)]
    described = read_description(description_in(content))
    shape = [int(size) for size in entry["shape_signature"]]
    if described and shape:  # those written here say one image, as some clients want it, and take any number
        shape[0] = -1
    allocated: tuple[int, ...] = tuple(int(size) for size in entry["shape"])

    def call(fed: np.ndarray) -> np.ndarray:
        nonlocal allocated
        if fed.shape != allocated:
            if fed.shape[1:] != tuple(shape[1:]) and described:
                raise ValueError(f"it takes images of {shape[1:]}, not {list(fed.shape[1:])}")
            allocated = ()  # as long as it is not known to have been done
            interpreter.resize_tensor_input(entry["index"], fed.shape, strict=not described)
            interpreter.allocate_tensors()
            allocated = fed.shape
        interpreter.set_tensor(entry["index"], fed)
        interpreter.invoke()
        answer = interpreter.get_tensor(result["index"])
        return answer if described else dequantised(answer, result)

    labels, normalisation = input_metadata(content)
    pixels = None if normalisation is None else "/".join(",".join(map(repr, numbers)) for numbers in normalisation)
    taken = model_input(shape, entry["dtype"], scale_and_zero(entry))
    return Loaded(call, taken, described, labels and told_apart(labels), pixels)
