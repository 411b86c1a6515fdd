"""Trained models of a search, each written as one file and run on the images that judged the trials: so that the trial
is taken whose file is the best, not whose model is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from export.artefacts import Artefact, describe
from export.intermediates import Intermediates
from export.limits import Probe
from export.probe import ProbeFile, measured_files, written
from export.settings import ExportSettings
from export.variants import Variant
from export.write_variants import write_variant
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.storage.files import scratch
from toolkit.training.batches import load_part
from toolkit.training.held_out import HeldOut

STEPS = (256, 32768)  # a file whose softmax is quantised, as in int16x8, gives multiples of 1 / so many


@dataclass(frozen=True)
class Trained:
    """The model of a trial."""

    trial: str
    run: Run  # with the settings of the trial
    model: keras.Model
    answers: np.ndarray  # float32 [N, C]: the model's, to the images that judged the trial
    held_out: HeldOut | None  # with folds: those of the folds' models to the same images


@dataclass(frozen=True)
class Measured:
    """What was measured of a model's file on this machine."""

    probe: Probe
    answers: np.ndarray | None  # float32 [N, C] above 0, to the images that judged its trial; None if it does not run
    features: int  # channels of the pooled features
    least: Probe | None = None  # size and latency, each the least of the files that ways to int8 gave
    decided: bool = False  # whether the device's limits left out one of them


def measure_finalists(
    models: Iterable[Trained], variant: Variant, settings: ExportSettings, folder: Path, progress: Progress = silent
) -> dict[str, Measured]:
    """Write each model as this variant, as an export does, into a temporary folder in `folder`; then run and time the
    files in turn, each with one thread. Returns what was measured, by the trial."""
    features: dict[str, int] = {}
    ways: dict[str, tuple[dict[str, Any], ...]] = {}
    files: dict[str, ProbeFile] = {}
    failed: dict[str, Probe] = {}
    with scratch(folder) as space:
        for one in models:
            features[one.trial] = one.model.get_layer("pool").output.shape[-1]
            made, ways[one.trial] = _write(one, variant, settings, space / one.trial)
            if isinstance(made, ProbeFile):
                files[one.trial] = made
            else:
                failed[one.trial] = made
        outcomes = measured_files(files, _running(progress)) | {name: (probe, None) for name, probe in failed.items()}
    return {
        name: Measured(probe, above_rounding(answers), features[name], _least(ways[name]), _decided(ways[name]))
        for name, (probe, answers) in outcomes.items()
    }


def _write(
    one: Trained, variant: Variant, settings: ExportSettings, folder: Path
) -> tuple[ProbeFile | Probe, tuple[dict[str, Any], ...]]:
    """The file in a folder of its own, or a Probe with the trouble if that fails; and the ways to int8."""
    folder.mkdir(parents=True)
    size, path = one.model.input_shape[1], folder / variant.name
    judged = load_part(one.run, *one.run.settings.judged_on, image_size=size)
    made = Intermediates(
        one.run, one.model, settings, folder, folder, describe(one.run, size), one.answers, one.held_out, silent
    )
    artefacts: list[Artefact] = []
    if trouble := written(lambda: artefacts.append(write_variant(made, variant, path))):
        return trouble, ()
    ways = tuple(way for way in artefacts[0].attempts if not way["error"])
    return ProbeFile(path, Path(judged.images.filename)), ways  # type: ignore[attr-defined]  # of a memmap


def _least(ways: Sequence[dict[str, Any]]) -> Probe | None:
    if not ways:
        return None
    return Probe(min(way["bytes"] for way in ways) / 1e6, min(way["latency_ms"] for way in ways))


def _decided(ways: Sequence[dict[str, Any]]) -> bool:
    return len(ways) > 1 and any(way["excess"] > 1 for way in ways)


def above_rounding(answers: np.ndarray | None) -> np.ndarray | None:
    """Probabilities, float32 [N, C]. If all are multiples of a step, none stays below half of it: the logarithm of one
    that was rounded to 0 says nothing about the file."""
    if answers is None:
        return None
    steps = next((steps for steps in STEPS if np.array_equal(answers * steps, np.rint(answers * steps))), None)
    if steps is None:
        return answers
    raised = np.maximum(answers, np.float32(0.5 / steps))
    shares: np.ndarray = raised / raised.sum(1, keepdims=True)
    return shares


def _running(progress: Progress) -> Progress:
    """The same function, which is told that finalists are run and timed, and not that they are verified."""
    names = {"verifying": "running the finalists", "timing": "timing the finalists"}
    return lambda what, done, total: progress(names.get(what, what), done, total)
