"""Every variant of eight backbone families, exported and verified: the table of verdicts.

    PYTHONPATH=. python benchmarks/families.py OUT [--backbone NAME]... [--epochs 5] [--margin 2]

There are no pre-trained weights for most backbones here. So each is trained for a few epochs on the 1,797 handwritten
digits of scikit-learn, as a user without weights would, its BatchNormalization calibrated, and the file given to
`unfreeze train` and on to `export` and `verify` by the command line. Writes OUT/families.json and prints a Markdown
table.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click

from export.variants import VARIANTS

FAMILIES = (
    "MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "EfficientNetV2B0", "ResNet50V2", "DenseNet121",
    "NASNetMobile", "ResNet50",
)  # fmt: skip
SIZE = 64  # pixels
MARKS = {"holds": "holds", "fails": "NO", "undecided": "?"}


def digits(to: Path) -> Path:
    """A folder for each digit."""
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    for number, (pixels, label) in enumerate(zip(found.images, found.target, strict=True)):
        (to / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype("uint8")).save(to / str(label) / f"{number:04}.png")
    return to


def trained_weights(backbone: str, data: Path, path: Path, epochs: int) -> None:
    """An include_top=False file of a backbone that was trained whole, its BatchNormalization calibrated at the end: the
    running averages of so few steps are of no use."""
    import keras
    import numpy as np

    from tests.calibrate import calibrate_normalization
    from toolkit.models.build import build_model
    from toolkit.models.spec import ModelSpec
    from toolkit.pixels.decode import decode

    keras.utils.set_random_seed(0)
    files = np.random.default_rng(0).permutation(sorted(data.rglob("*.png")))[:1200]
    images, labels = np.stack([decode(file, SIZE) for file in files]), np.array([int(f.parent.name) for f in files])
    model = build_model(ModelSpec(backbone, 1.0, SIZE, 10, 0, 0.0, 0), "none")
    model.trainable = True
    for layer in model.layers:
        layer.trainable = True
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, labels, batch_size=32, epochs=epochs, verbose=2)
    calibrate_normalization(model, images[:256])
    plain = getattr(keras.applications, backbone)(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    for layer in plain.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    plain.save_weights(path)


def typed(*arguments: object) -> tuple[subprocess.CompletedProcess[str], float]:
    """One call of the command line, and its seconds."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "unfreeze", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended, time.perf_counter() - started


def one(backbone: str, data: Path, out: Path, epochs: int, margin: float) -> dict:
    """Train a head, export, verify."""
    run, weights = out / backbone, out / f"{backbone}.weights.h5"
    shutil.rmtree(run, ignore_errors=True)
    trained_weights(backbone, data, weights, epochs)
    options = f"--backbone {backbone} --image-size {SIZE} --unfreeze 0 --head-epochs 12 --tune-epochs 0 --augment none"
    trained, _ = typed("train", data, run, "--weights", weights, *options.split())
    if trained.returncode:
        return {"error": trained.stderr.splitlines()[-1]}
    exported, export_seconds = typed("export", run, "--margin", margin, "--json")
    verified, verify_seconds = typed("verify", run, "--margin", margin, "--no-times", "--json")
    if exported.returncode not in (0, 1) or verified.returncode not in (0, 1):
        return {"error": (exported.stderr + verified.stderr).splitlines()[-1]}
    shutil.rmtree(run / "cache", ignore_errors=True)
    return {
        "export_seconds": export_seconds,
        "verify_seconds": verify_seconds,
        "exported": json.loads(exported.stdout),
        "verified": json.loads(verified.stdout),
    }


def cell(parity: dict) -> str:
    if parity["accuracy"] is None:
        return f"{MARKS[parity['verdict']]}"
    at = (parity["divergence"] or {}).get("layer", "")
    numbers = f"{100 * parity['lost']:+.1f} (≤ {100 * parity['lost_at_most']:.1f}), {len(parity['flips'])}"
    return f"{MARKS[parity['verdict']]}: {numbers}" + (f" from {at}" if at else "")


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--backbone", "backbones", multiple=True, default=FAMILIES)
@click.option("--epochs", default=5)
@click.option("--margin", default=2.0, help="Points of accuracy.")
def main(out: Path, backbones: tuple[str, ...], epochs: int, margin: float) -> None:
    """Print a row for each backbone: verdict, points lost (at most), flips."""
    data = digits(out / "digits")
    names = [variant.name for variant in VARIANTS]
    print(f"| backbone | accuracy | {' | '.join(names)} | export, verify |\n|{'---|' * (len(names) + 3)}", flush=True)
    results = {}
    for backbone in backbones:
        results[backbone] = result = one(backbone, data, out, epochs, margin)
        (out / "families.json").write_text(json.dumps(results, indent=1))
        if "error" in result:
            print(f"| {backbone} | {result['error']} |", flush=True)
            continue
        accuracy = result["verified"][0]["reference_accuracy"]
        seconds = f"{result['export_seconds']:.0f} s, {result['verify_seconds']:.0f} s"
        cells = " | ".join(cell(parity) for parity in result["verified"])
        print(f"| {backbone} | {accuracy:.1%} | {cells} | {seconds} |", flush=True)
    whole = [name for name, result in results.items() if "error" not in result and not result["exported"]["failed"]]
    sys.exit(len(whole) < len(results))


if __name__ == "__main__":
    main()
