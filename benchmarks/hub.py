"""Every image backbone of KerasHub, as a small random preset, trained, exported and verified: the table of verdicts.

    PYTHONPATH=. python benchmarks/hub.py OUT [--preset NAME]... [--epochs 6] [--margin 5]

No preset can be downloaded where this was measured. So each is built small with random weights, its BatchNormalization
calibrated, saved as KerasHub saves presets, and given to `unfreeze.train` as `hub:FOLDER`: everything is trained, on
generated pictures of two classes. Then float32 and int8 files are written and verified on the test images. Writes
OUT/hub.json and prints a Markdown table, that of docs/recipes/backbone.md.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import click

import unfreeze
from tests.hub_presets import IMAGENET, PRESETS, SIZE, made, saved
from tests.pictures import write_pictures
from toolkit.errors import UnfreezeError

FILES = ("model.tflite", "model_int8.tflite", "model.onnx", "model_int8.onnx")
PER_CLASS = 200  # pictures
MARKS = {"holds": "holds", "fails": "NO", "undecided": "?"}


def calibrated(data: Path) -> Any:
    """A change of a backbone: its BatchNormalization has the statistics of some pictures."""
    import keras
    import numpy as np

    from toolkit.pixels.decode import decode

    def change(backbone: Any) -> None:
        images = np.stack([decode(file, SIZE) for file in sorted(data.rglob("*.jpg"))[::13]]) / 127.5 - 1
        layers = [one for one in backbone._flatten_layers() if isinstance(one, keras.layers.BatchNormalization)]
        for layer in layers:
            layer.momentum = 0.0
        backbone(images, training=True)

    return change


def one(name: str, data: Path, out: Path, epochs: int, margin: float) -> dict[str, Any]:
    """What became of a preset: stages, accuracy, and a verdict or a reason for each file."""
    folder, run = out / "presets" / name, out / "runs" / name
    for path in (folder, run):
        shutil.rmtree(path, ignore_errors=True)
    preset = f"hub:{saved(made(name, calibrated(data)), folder, image_size=(SIZE, SIZE), **IMAGENET)}"
    row = unfreeze.backbones(preset)[0]
    settings = unfreeze.Settings(
        backbone=preset, image_size=SIZE, head_units=0, dropout=0.0, unfreeze=row.deepest, head_epochs=2,
        tune_epochs=epochs, tune_rate=3e-3, augment="none", patience=epochs, folds=1,
    )  # fmt: skip
    unfreeze.train(data, run, settings=settings)
    manifest = unfreeze.export(
        run, unfreeze.ExportSettings(formats=("tflite", "onnx"), precisions=("float32", "int8"), margin=margin)
    )
    parities = unfreeze.verify(run, unfreeze.VerifySettings(margin=margin, threads=()))
    files = {parity.artefact.name: cell(parity) for parity in parities} | manifest.failed
    return {
        "depths": row.deepest,
        "keeps": kept_layers(run / "model.keras"),
        "accuracy": next((parity.reference_accuracy for parity in parities), None),
        "files": files,
    }


def kept_layers(model: Path) -> list[str]:
    """KerasHub's own layers in a model file, for which it needs the package."""
    import zipfile

    with zipfile.ZipFile(model) as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
    return sorted({layer["class_name"] for layer in layers if layer["module"].startswith("keras_hub.")})


def cell(parity: Any) -> str:
    if not parity.ran:
        return str(parity.reason)
    numbers = f"{100 * parity.lost:+.1f} points (at most {100 * parity.lost_at_most:.1f})"
    return f"{MARKS[parity.verdict]}: {numbers}, {len(parity.flips)} flips, {parity.max_difference:.0e}"


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--preset", "presets", multiple=True, default=tuple(PRESETS))
@click.option("--epochs", default=6)
@click.option("--margin", default=5.0, help="Points of accuracy.")
def main(out: Path, presets: tuple[str, ...], epochs: int, margin: float) -> None:
    """Print a row for each preset."""
    data = out / "pictures"
    if not data.is_dir():
        write_pictures(data, per_class=PER_CLASS)
    print(f"| preset | class | depths | layers of KerasHub | accuracy | {' | '.join(FILES)} |")
    print(f"|{'---|' * 9}", flush=True)
    results: dict[str, Any] = {}
    for name in presets:
        try:
            results[name] = told = one(name, data, out, epochs, margin)
        except UnfreezeError as error:
            results[name] = {"error": str(error)}
            print(f"| {name} | {PRESETS[name][0]} | {error} |", flush=True)
            continue
        finally:
            (out / "hub.json").write_text(json.dumps(results, indent=1))
        cells = [told["files"].get(file, "not written") for file in FILES]
        start = [name, PRESETS[name][0], f"0 to {told['depths']}", ", ".join(told["keeps"]) or "none"]
        print(f"| {' | '.join([*start, format(told['accuracy'] or 0, '.1%'), *cells])} |", flush=True)


if __name__ == "__main__":
    main()
