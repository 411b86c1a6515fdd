"""The golden pack: a few test images at model size, the answers to them, and a checker for the app's own pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from export.artefacts import Artefact, Reference
from export.description import reject_below
from export.runtimes.plain_kernels import predict_plainly
from export.runtimes.runners import load
from toolkit.progress import Progress, silent
from toolkit.storage.files import atomic, write_json

COUNT = 8
CANDIDATES = 4 * COUNT
UNSATURATED = 0.8  # an answer with about this probability shows faults in the pixels; one with 1.0 hides them
GOLDEN_TOLERANCE = {
    "float32": 0.001,
    "float16": 0.05,
    "float16_gpu": 0.05,
    "dynamic": 0.1,
    "int8": 0.15,
    "int16x8": 0.1,
}
SLACK = 3.0  # times the difference between a runtime's own kernels that those of another runtime may differ
MOST = 0.3  # of a tolerance: swapped channels, or pixels of another range, change more than that
QUANTISED = ("dynamic", "int8", "int16x8")
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
    there = [artefact for artefact in artefacts if (folder / artefact.name).exists()]
    candidates = golden_rows(reference, count=CANDIDATES)
    places, answers = _steady_answers(folder, there, reference.at(candidates), np.asarray(images[candidates]), progress)
    rows = candidates[places]
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
    chosen = np.asarray(images[rows])
    with atomic(folder / "golden") as temporary:
        temporary.mkdir()
        for number, pixels in enumerate(chosen[..., 0] if chosen.shape[-1] == 1 else chosen):
            Image.fromarray(pixels).save(temporary / f"{number}.png", optimize=True)
        write_json(temporary / "expected.json", pack)
        for name in ("check.py", "check.mjs", "Check.kt"):
            (temporary / name).write_bytes((CHECKERS / name).read_bytes())
    progress("golden pack", len(there), len(there))


def _steady_answers(
    folder: Path, artefacts: Sequence[Artefact], known: Reference, pixels: np.ndarray, progress: Progress
) -> tuple[np.ndarray, dict[str, Any]]:
    """(the places of the images to take among those of `known`, each artefact's tolerance and answers to them).

    Images whose answers the rounding of a quantised file changes much are left to the last: on another runtime's
    kernels a right pipeline would fail on them. The tolerance is larger than usual where only such images are left.
    """
    answered: dict[str, np.ndarray] = {}
    rounding: dict[str, np.ndarray] = {}  # of each image, the difference between the runtime's own kernels
    for done, artefact in enumerate(artefacts):
        progress("golden pack", done, len(artefacts))
        path = folder / artefact.name
        answered[artefact.name] = load(path).predict(pixels)
        plain = predict_plainly(path, pixels) if artefact.precision in QUANTISED else answered[artefact.name]
        rounding[artefact.name] = np.abs(plain - answered[artefact.name]).max(1)
    usual = {artefact.name: GOLDEN_TOLERANCE[artefact.precision] for artefact in artefacts}
    amplified = np.zeros(len(pixels), bool)
    for name, own in rounding.items():
        amplified |= ~(SLACK * own <= usual[name])  # NaN, too
    places = golden_rows(known, amplified)
    return places, {
        name: {
            "tolerance": max(usual[name], round(min(MOST, SLACK * float(rounding[name][places].max())), 3)),
            "probabilities": answered[name][places].tolist(),
        }
        for name in answered
    }


def golden_rows(reference: Reference, last: np.ndarray | None = None, count: int = COUNT) -> np.ndarray:
    """int64 [<= count]: for each class in turn, the correctly answered image whose probability is nearest to 0.8, then
    the next nearest. Wrongly answered images, and those in `last`, bool [N], are used only if there are too few
    others."""
    top = reference.probabilities.max(1)
    wrong = reference.probabilities.argmax(1) != reference.labels
    wrong = wrong if last is None else wrong | last
    order = np.lexsort((np.abs(top - UNSATURATED), wrong))
    place = np.empty(len(order))  # how many of the same class come before
    for label in np.unique(reference.labels):
        own = order[reference.labels[order] == label]
        place[own] = np.arange(len(own))
    return order[np.lexsort((np.arange(len(order)), place[order], wrong[order]))][:count]
