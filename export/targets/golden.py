"""The golden pack: a few test images at model size, the answers to them, and a checker for the app's own pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from export.artefacts import Artefact, Reference
from export.description import reject_below
from export.runtimes.runners import load
from toolkit.progress import Progress, silent
from toolkit.storage.files import atomic, write_json

COUNT = 8
UNSATURATED = 0.8  # an answer with about this probability shows faults in the pixels; one with 1.0 hides them
GOLDEN_TOLERANCE = {"float32": 0.001, "float16": 0.05, "dynamic": 0.1, "int8": 0.15, "int16x8": 0.1}
CHECKERS = Path(__file__).parent / "checkers"


def write_golden(
    folder: Path,
    description: dict[str, Any],
    artefacts: Sequence[Artefact],
    reference: Reference,
    images: np.ndarray,
    progress: Progress = silent,
) -> None:
    """Write `golden/` into the export folder. `images`: the test part, uint8 [N, S, S, channels]."""
    rows = golden_rows(reference)
    chosen = np.asarray(images[rows])
    there = [artefact for artefact in artefacts if (folder / artefact.name).exists()]
    answers = {}
    for done, artefact in enumerate(there):
        progress("golden pack", done, len(there))
        answers[artefact.name] = {
            "tolerance": GOLDEN_TOLERANCE[artefact.precision],
            "probabilities": load(folder / artefact.name).predict(chosen).tolist(),
        }
    pack = {
        "class_names": description["class_names"],
        "input": description["input"],
        "images": [
            {
                "file": f"{number}.png",
                "source": reference.paths[row],
                "label": description["class_names"][reference.labels[row]],
                "probabilities": reference.probabilities[row].tolist(),
            }
            for number, row in enumerate(rows)
        ],
        "artefacts": answers,
        **({"reject_below": limit} if (limit := reject_below(description)) else {}),
    }
    with atomic(folder / "golden") as temporary:
        temporary.mkdir()
        for number, pixels in enumerate(chosen[..., 0] if chosen.shape[-1] == 1 else chosen):
            Image.fromarray(pixels).save(temporary / f"{number}.png", optimize=True)
        write_json(temporary / "expected.json", pack)
        for name in ("check.py", "check.mjs", "Check.kt"):
            (temporary / name).write_bytes((CHECKERS / name).read_bytes())
    progress("golden pack", len(there), len(there))


def golden_rows(reference: Reference) -> np.ndarray:
    """int64 [<= 8]: for each class in turn, the correctly answered image whose probability is nearest to 0.8, then the
    next nearest. Wrongly answered images are used only if there are too few others."""
    top = reference.probabilities.max(1)
    wrong = reference.probabilities.argmax(1) != reference.labels
    order = np.lexsort((np.abs(top - UNSATURATED), wrong))
    place = np.empty(len(order))  # how many of the same class come before
    for label in np.unique(reference.labels):
        own = order[reference.labels[order] == label]
        place[own] = np.arange(len(own))
    return order[np.lexsort((np.arange(len(order)), place[order], wrong[order]))][:COUNT]
