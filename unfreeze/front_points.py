"""The front of a run: what can be had of accuracy, latency, size and memory. Each point is a trial as one file.

The finalists' files are its points, and those that were exported of the trial that was taken. Accuracies are those on
the images that judged the trials, latencies those on one thread of this machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolkit.errors import UnfreezeError

if TYPE_CHECKING:  # light at import: `--help` loads this module
    from export.proof.parity import Parity
    from toolkit.run import Run
    from tuning.results import Trial


@dataclass(frozen=True)
class FrontPoint:
    """A trial as one file."""

    trial: int
    model: str  # what tells the trial from others, in words
    file: str  # name of the format and precision
    format: str  # "saved_model", "tflite" or "onnx"
    accuracy: float  # a fraction
    size_mb: float  # millions of bytes
    latency_ms: float | None  # of one image on one thread, the median; None: not timed
    memory_mb: float | None  # peak, beside the runtime; None: not known
    taken: bool = False  # whether it is the run's model
    best: bool = False  # on the front: no other file of its format is as good in all and better in something


def read_front(run: Run) -> list[FrontPoint]:
    """The points of a run, by format, the most accurate first; [] if it holds no search that has ended. Raises
    UnfreezeError if a file of it is damaged."""
    from toolkit.storage.files import read_json
    from tuning.results import read_trials

    trials = {trial.trial: trial for trial in read_trials(run.path / "trials.csv")}
    if not trials or not (run.path / "model.json").is_file():
        return []
    taken = (read_json(run.path / "model.json").get("search") or {}).get("taken")
    points = {(point.trial, point.file): point for point in _of_finalists(run, trials, taken)}
    if taken in trials:
        points |= {(point.trial, point.file): point for point in _of_files(run, trials[taken])}
    return _marked(sorted(points.values(), key=lambda one: (one.format, -one.accuracy, one.latency_ms or 0.0)))


def _of_finalists(run: Run, trials: dict[str, Trial], taken: str | None) -> Iterator[FrontPoint]:
    from export.variants import ALL_VARIANTS
    from unfreeze.finalists import read_finalists

    formats = {variant.name: variant.format for variant in ALL_VARIANTS}
    for one in read_finalists(run.path):
        probe = one.probe
        if one.trial in trials and one.file in formats and probe.size_mb is not None:
            measured = (one.accuracy, probe.size_mb, probe.latency_ms, probe.memory_mb)
            yield FrontPoint(
                int(one.trial),
                model_words(trials[one.trial]),
                one.file,
                formats[one.file],
                *measured,
                one.trial == taken,
            )


def _of_files(run: Run, trial: Trial) -> Iterator[FrontPoint]:
    """The files that were exported of the trial that was taken and verified. With folds there are none: the model has
    been trained on the images that judged the trials. Nor are there any where the model's answers to these images were
    changed since; `verify` says so."""
    from export.artefacts import VAL, read_manifest, read_reference
    from export.proof.parity import read_parities

    if not (run.path / "export" / "manifest.json").is_file():
        return
    manifest = read_manifest(run.path / "export")
    try:
        judged = read_reference(manifest).only(VAL)
    except UnfreezeError:
        return
    if not judged.paths or not manifest.is_of(run.path / "model.keras"):
        return
    right = int((judged.probabilities.argmax(1) == judged.labels).sum())
    there = {artefact.name: artefact.sha256 for artefact in manifest.artefacts}
    for parity in read_parities(run.path / "parity.json"):
        if there.get(parity.artefact.name) == parity.artefact.sha256 and parity.ran and parity.timings:
            yield FrontPoint(
                trial.number,
                model_words(trial),
                parity.artefact.name,
                parity.artefact.format,
                (right + _gained(parity, VAL)) / len(judged.paths),
                parity.artefact.bytes / 1e6,
                min(parity.timings, key=lambda timing: timing.threads).median,
                parity.memory_mb,
                taken=True,
            )


def _gained(parity: Parity, part: str) -> int:
    """How many more images of a part the artefact answers rightly than the model."""
    flips = [flip for flip in parity.flips if flip.part == part]
    return sum((flip.artefact == flip.label) - (flip.reference == flip.label) for flip in flips)


def _marked(points: Sequence[FrontPoint]) -> list[FrontPoint]:
    return [replace(one, best=not any(_beats(other, one) for other in points)) for one in points]


def _beats(one: FrontPoint, other: FrontPoint) -> bool:
    """Whether a file is as good as another one of its format in all that is known of both, and better in something."""
    if one.format != other.format:
        return False
    costs = [(one.size_mb, other.size_mb), (one.latency_ms, other.latency_ms), (one.memory_mb, other.memory_mb)]
    pairs = [(-one.accuracy, -other.accuracy), *((a, b) for a, b in costs if a is not None and b is not None)]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def model_words(trial: Trial) -> str:
    """What tells a trial from others: "MobileNetV2:0.35, image size 160, 64 head units, depth 2"."""
    from unfreeze.wording import varied_words

    head = f"{trial.head_units} head units" if trial.head_units else "no dense head"
    return ", ".join(filter(None, (varied_words(trial.varied), head, f"depth {trial.unfreeze}")))
