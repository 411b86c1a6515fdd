"""Reference against artefact: `Parity`, decisions over the whole test part, with the numbers behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from export.artefacts import Artefact, Manifest, Reference, digest, read_manifest, read_reference
from export.measure import Measurement, measure
from export.runners import NoRuntimeError
from toolkit.arrays import decoded
from toolkit.errors import UnfreezeError
from toolkit.evaluate import wilson
from toolkit.progress import Progress, silent
from toolkit.run import Run, file_digest, write_json

TOLERANCE = 1e-4  # largest difference of a float32 artefact's probabilities
Measure = Callable[[Path, Path, np.ndarray, int], Measurement]


@dataclass(frozen=True)
class Flip:
    """An image to which the artefact gives another class than the model."""

    path: str
    reference: str  # class
    reference_probability: float
    artefact: str  # class
    artefact_probability: float | None  # None: not a number
    tie: bool  # the model itself gave the two classes the same probability, within the tolerance


@dataclass(frozen=True)
class Parity:
    """One artefact's verdict; true where it holds. Numbers are None where it did not run."""

    artefact: Artefact
    holds: bool
    reason: str  # why it does not hold; "" where it does
    images: int = 0
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None  # 95 %, Wilson
    reference_accuracy: float | None = None
    agreement: float | None = None  # share of images with the model's top-1 answer
    flips: tuple[Flip, ...] = ()
    max_difference: float | None = None  # of probabilities: the tolerance that would have been needed
    mean_difference: float | None = None
    load_ms: float | None = None
    latency_ms: float | None = None  # median, batch 1
    latency_p95_ms: float | None = None
    threads: int | None = None

    def __bool__(self) -> bool:
        return self.holds


def verify(
    run: Run,
    *,
    formats: tuple[str, ...] | None = None,
    threads: int = 1,
    progress: Progress = silent,
    measure: Measure = measure,
) -> list[Parity]:
    """Run each artefact of a run, or those of some formats, in its own runtime over the whole test part.

    Writes parity.json. UnfreezeError where the export is missing or not of the run's model, or an image is missing.
    """
    manifest = read_manifest(run.path / "export")
    reference = read_reference(manifest)
    images = run.images.select("test")
    _check_same(run, manifest, images.paths == reference.paths)
    decoding = partial(progress, "decoding test")
    pixels: Any = decoded(images, run.cache, run.settings.image_size, progress=decoding)
    there = [artefact.format for artefact in manifest.artefacts]
    absent = [format for format in formats or there if format not in there]
    if absent:
        raise UnfreezeError(
            f"{absent[0]} was not exported, only {', '.join(there)}; `unfreeze export {run.path}` adds it"
        )
    chosen = [artefact for artefact in manifest.artefacts if formats is None or artefact.format in formats]
    results: list[Parity] = []
    for artefact in chosen:
        progress("verifying", len(results), len(chosen))
        results.append(_verify(manifest, artefact, reference, Path(pixels.filename), threads, measure))
    progress("verifying", len(chosen), len(chosen))
    write_json(run.path / "parity.json", [to_json(parity) for parity in results])
    return results


def _check_same(run: Run, manifest: Manifest, same_images: bool) -> None:
    """The export is of the model that the run has now, and of its test images."""
    model = run.path / "model.keras"
    other = "" if same_images else "for other test images"
    if model.is_file() and file_digest(model) != manifest.model_sha256:
        other = "of another model than the run's"
    if other:
        raise UnfreezeError(f"{manifest.folder} was exported {other}; repeat `unfreeze export {run.path}`")


def _verify(
    manifest: Manifest, artefact: Artefact, reference: Reference, pixels: Path, threads: int, measure: Measure
) -> Parity:
    path = manifest.folder / artefact.name
    if not path.exists():
        return Parity(artefact, False, "missing; export it again")
    if digest(path) != artefact.sha256:
        return Parity(artefact, False, "changed since it was exported (its SHA-256 differs); export it again")
    try:
        measured = measure(path, pixels, np.arange(len(reference.labels)), threads)
    except NoRuntimeError:
        raise
    except UnfreezeError as error:
        return Parity(artefact, False, str(error))
    return compare(artefact, reference, measured, tuple(manifest.description["class_names"]))


def compare(artefact: Artefact, reference: Reference, measured: Measurement, class_names: tuple[str, ...]) -> Parity:
    """The verdict on a float32 artefact: no flip beyond a tie, and no probability off by more than 1e-4."""
    expected, got = reference.probabilities, measured.probabilities
    if not len(expected):
        return Parity(artefact, False, "no test image to compare on")
    if got.shape != expected.shape:
        return Parity(artefact, False, f"gives an answer of shape {got.shape}, the model {expected.shape}")
    difference = np.abs(got.astype(np.float64) - expected)
    flips = find_flips(reference, got, class_names)
    right = int((got.argmax(1) == reference.labels).sum())
    reason = _reason(flips, float(difference.max()))
    return Parity(
        artefact,
        holds=not reason,
        reason=reason,
        images=len(expected),
        accuracy=right / len(expected),
        accuracy_interval=wilson(right, len(expected)),
        reference_accuracy=float((expected.argmax(1) == reference.labels).mean()),
        agreement=1 - len(flips) / len(expected),
        flips=flips,
        max_difference=_finite(difference.max()),
        mean_difference=_finite(difference.mean()),
        load_ms=measured.load_seconds * 1e3,
        latency_ms=measured.latency_median * 1e3,
        latency_p95_ms=measured.latency_p95 * 1e3,
        threads=measured.threads,
    )


def find_flips(reference: Reference, got: np.ndarray, class_names: tuple[str, ...]) -> tuple[Flip, ...]:
    """The images whose top-1 answer differs. A tie: the model's own probabilities of the two classes are so close that
    a difference within the tolerance turns them round."""
    expected = reference.probabilities
    before, after = expected.argmax(1), got.argmax(1)
    return tuple(
        Flip(
            path=reference.paths[row],
            reference=class_names[before[row]],
            reference_probability=float(expected[row, before[row]]),
            artefact=class_names[after[row]],
            artefact_probability=_finite(got[row, after[row]]),
            tie=bool(expected[row, before[row]] - expected[row, after[row]] <= 2 * TOLERANCE),
        )
        for row in np.flatnonzero(before != after)
    )


def _reason(flips: tuple[Flip, ...], largest: float) -> str:
    beyond = sum(not flip.tie for flip in flips)
    if beyond:
        return f"{beyond} of its answers are not the model's, beyond a tie"
    if not largest <= TOLERANCE:  # NaN too
        return f"probabilities differ from the model's by up to {largest:.2g}; {TOLERANCE:g} is allowed"
    return ""


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def to_json(parity: Parity) -> dict[str, Any]:
    return asdict(parity)
