"""Are planted faults caught on all test images, and is the layer named in which they were planted?

    PYTHONPATH=. python benchmarks/planted.py RUN DATA OUT [--every 6]

RUN has a model.keras (see README); faults are planted in copies of it, which are written as ONNX and TFLite: one
layer's kernel times 1.3, for every n-th layer that has one and the last; channels in the other order; another
normalisation; classes in the other order. Then `unfreeze verify --reference` judges all of them in one call.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click


def faults(path: Path, every: int) -> Iterator[tuple[str, str, object]]:
    """(name, the layer that should be named, the faulty model)."""
    import keras

    def copy() -> keras.Model:
        return keras.models.load_model(path, compile=False)

    model = copy()
    first = model.operations[1].name
    with_kernels = [layer.name for layer in model.layers if layer.weights and layer.weights[0].ndim > 1]
    for name in dict.fromkeys([*with_kernels[::every], with_kernels[-1]]):
        faulty = copy()
        kernel, *rest = faulty.get_layer(name).get_weights()
        faulty.get_layer(name).set_weights([kernel * 1.3, *rest])
        yield f"x1.3_{name}", name, faulty
    entry = keras.Input(model.input_shape[1:], dtype="uint8", name="image")
    yield "bgr", first, keras.Model(entry, model(entry[..., ::-1]))
    body = keras.Model(model.get_layer(first).output, model.output)
    yield "normalised_0_to_1", first, keras.Model(entry, body(keras.layers.Rescaling(1 / 255)(entry)))
    turned = copy()
    last = turned.layers[-1]
    last.set_weights([weights[..., ::-1] for weights in last.get_weights()])
    yield "classes", last.name, turned


def write(model: Any, folder: Path, name: str) -> list[Path]:
    """As ONNX and as TFLite."""
    from export.formats.onnx import write_onnx
    from export.formats.saved_model import write_saved_model
    from export.formats.tflite import write_tflite

    said = {
        "class_names": ["cat", "dog"],
        "input": {"name": "image", "shape": [None, *model.input_shape[1:]], "resize": ""},
        "output": {"name": "probabilities"},
        "unfreeze": "",
        "license": "",
    }
    write_onnx(model, folder / f"{name}.onnx", {})
    write_saved_model(model, folder / "saved_model", said)
    write_tflite(folder / "saved_model", folder / f"{name}.tflite", said)
    return [folder / f"{name}.onnx", folder / f"{name}.tflite"]


@click.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--every", default=6, help="Plant in every n-th layer that has a kernel.")
def main(run: Path, data: Path, out: Path, every: int) -> None:
    """Print a row for each fault and format; exit 1 where one was not caught or not named."""
    out.mkdir(parents=True, exist_ok=True)
    wanted: dict[str, str] = {}
    for name, layer, model in faults(run / "model.keras", every):
        wanted |= {path.name: layer for path in write(model, out, name)}
    artefacts = [part for name in wanted for part in ("--artefact", str(out / name))]
    command = [sys.executable, "-m", "unfreeze", "verify", "--reference", str(run / "model.keras"), *artefacts]
    started = time.perf_counter()
    ended = subprocess.run(
        [*command, "--data", str(data), "--no-times", "--json"], capture_output=True, text=True, check=False
    )
    verdicts = json.loads(ended.stdout)
    missed = len(wanted) - len(verdicts)
    for parity in verdicts:
        name, found = parity["artefact"]["name"], parity["divergence"] or {}
        layers = found.get("layers", [])
        right = parity["verdict"] == "fails" and wanted[name] in (found.get("layer"), *layers[:1])
        missed += not right
        print(
            f"{name:40} {parity['verdict']:14} lost {parity['lost']:+.2%} flips {len(parity['flips']):4} "
            f"max {parity['max_difference']:.2f}  named {found.get('layer')} {'' if right else 'MISSED'}"
        )
    print(f"{len(wanted)} files, {missed} missed, {time.perf_counter() - started:.0f} s for the call")
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
