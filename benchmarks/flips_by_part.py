"""Do a run's files flip as many answers on training images as on images that the model has not seen?

    PYTHONPATH=. python benchmarks/flips_by_part.py RUN

RUN was exported. Each file gives its answers to the training, validation and test part, in its own runtime, as the
model does; a flip is another top-1 answer than the model's. The p-value is Fisher's, two-sided, of training against
test images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

PARTS = ("train", "val", "test")


def answers(paths: list[Path], arrays: list[np.ndarray]) -> dict[Path, Any]:
    """The answers of each file to all images, float32 [N, C]; a file that did not run has none."""
    from export.runtimes.measure import Measurement, Task, measure

    outcomes = measure([Task(path, tuple(Path(one.filename) for one in arrays)) for path in paths])  # type: ignore[attr-defined]
    for path, outcome in outcomes.items():
        if not isinstance(outcome, Measurement):
            print(f"{path.name}: {outcome}")
    return {path: one.probabilities for path, one in outcomes.items() if isinstance(one, Measurement)}


@click.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
def main(run: Path) -> None:
    """Print a row for each file: flips and their share in each part, and how sure the model was."""
    from scipy.stats import fisher_exact

    from export.artefacts import read_manifest
    from toolkit.data.decoded_arrays import decoded
    from toolkit.run import load_run

    opened = load_run(run)
    manifest = read_manifest(opened.path / "export")
    images = {part: opened.images.select(part) for part in PARTS}
    arrays = [decoded(one, opened.cache, manifest.image_size, channels=manifest.channels) for one in images.values()]
    model = opened.path / "model.keras"
    files = [manifest.folder / artefact.name for artefact in manifest.artefacts]
    found = answers([model, *files], arrays)
    part = np.repeat(PARTS, [len(one) for one in images.values()])
    labels = np.concatenate([one.labels for one in images.values()])
    reference = found.pop(model)
    top = np.sort(reference, axis=1)
    for name in PARTS:
        rows = part == name
        right = float((reference.argmax(1) == labels)[rows].mean())
        close = float((top[rows, -1] - top[rows, -2] < 0.2).mean())
        print(f"{name}: {rows.sum()} images, model right on {right:.2%}, two classes within 0.2 on {close:.2%}")
    for path, probabilities in found.items():
        flipped = probabilities.argmax(1) != reference.argmax(1)
        counts = {name: (int(flipped[part == name].sum()), int((part == name).sum())) for name in PARTS}
        table = [[flips, total - flips] for flips, total in (counts["train"], counts["test"])]
        shares = ", ".join(f"{name} {flips} ({flips / total:.2%})" for name, (flips, total) in counts.items())
        print(f"{path.name}: {shares}; p {fisher_exact(table).pvalue:.2g}")


if __name__ == "__main__":
    main()
