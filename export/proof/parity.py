"""Reference against artefact: `Parity`, the verdict over the whole test part, with the numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from export.artefacts import Artefact, Reference
from export.runtimes.measure import Measurement, Timing
from export.settings import MARGIN, TOLERANCE
from toolkit.stats.accuracy_lost import HOLDS, LOSES, PairedAnswers, compare_answers
from toolkit.stats.metrics import calibration_error, wilson

if TYPE_CHECKING:
    from export.proof.locate import Divergence

TIES = {"float32": TOLERANCE, "float16": 0.05}  # by how much rounding to a format may move a probability
FAILED = "could not run"
NO_NUMBER = "no realistic number of images like these would tell"


@dataclass(frozen=True)
class Flip:
    """An image to which the artefact gives another class than the model."""

    path: str
    label: str  # class
    reference: str  # class
    reference_probability: float
    artefact: str  # class
    artefact_probability: float | None  # None: not a number
    tie: bool  # the model itself gave the two classes the same probability, within twice what rounding may move


@dataclass(frozen=True)
class Parity:
    """One artefact's verdict; true where it holds. Numbers are None where it did not run."""

    artefact: Artefact
    verdict: str  # "holds" | "does not hold" | "too few images to tell" | "could not run"
    reason: str = ""  # why it is not "holds"
    images: int = 0
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None  # 95 %, Wilson
    reference_accuracy: float | None = None
    lost_images: int | None = None  # right by the model, wrong by the artefact
    gained_images: int | None = None  # the other way round
    lost: float | None = None  # accuracy, a fraction; negative where it was gained
    lost_at_most: float | None = None  # one-sided 95 % bound on it
    margin: float | None = None  # that it was held against
    p_value: float | None = None  # exact McNemar, two-sided
    images_needed: int | None = None  # that give a verdict with 80 % power, at these rates; None: over a million
    agreement: float | None = None  # share of images with the model's top-1 answer
    flips: tuple[Flip, ...] = ()
    max_difference: float | None = None  # of probabilities: the tolerance that would have been needed
    mean_difference: float | None = None
    p99_difference: float | None = None  # 99th percentile over the images of their largest
    calibration_error: float | None = None
    reference_calibration_error: float | None = None
    memory_mb: float | None = None  # peak resident, beyond what the runtime takes
    timings: tuple[Timing, ...] = ()
    divergence: Divergence | None = None  # where it starts to differ, if that was looked for

    def __bool__(self) -> bool:
        return self.verdict == HOLDS

    @property
    def broken(self) -> bool:
        """Whether it was shown not to hold: with too few images to tell nothing was."""
        return self.verdict in (LOSES, FAILED)


def compare(
    artefact: Artefact,
    reference: Reference,
    measured: Measurement,
    class_names: Sequence[str],
    *,
    margin: float = MARGIN,
    tolerance: float = TOLERANCE,
) -> Parity:
    """The verdict on an artefact; `margin` in points of accuracy.

    A float32 file must repeat the model: no probability off by more than `tolerance`, no flip beyond a tie. Of any
    other the accuracy lost must be no more than the margin, with 95 % confidence; a float16 file may besides flip
    ties only.
    """
    expected, got = reference.probabilities, measured.probabilities
    if not len(expected):
        return Parity(artefact, FAILED, "no test image to compare on")
    if got.shape != expected.shape:
        return Parity(artefact, FAILED, f"gives an answer of shape {got.shape}, the model {expected.shape}")
    if measured.class_names is not None and measured.class_names != tuple(class_names):
        said = f"says of itself that its classes are {', '.join(measured.class_names)}, not {', '.join(class_names)}"
        return Parity(artefact, LOSES, said)
    difference = np.abs(got.astype(np.float64) - expected)
    right = got.argmax(1) == reference.labels
    before = expected.argmax(1) == reference.labels
    pair = compare_answers(before, right)
    ties = {**TIES, "float32": min(tolerance, TIES["float16"])}.get(artefact.precision)
    flips = find_flips(reference, got, class_names, ties)
    verdict, reason = _verdict(artefact.precision, pair, margin / 100, flips, float(difference.max()), tolerance)
    return Parity(
        artefact,
        verdict,
        reason,
        images=len(expected),
        accuracy=float(right.mean()),
        accuracy_interval=wilson(int(right.sum()), len(right)),
        reference_accuracy=float(before.mean()),
        lost_images=int(pair.lost),
        gained_images=int(pair.gained),
        lost=pair.loss,
        lost_at_most=pair.most,
        margin=margin / 100,
        p_value=pair.p_value,
        images_needed=pair.images_needed(margin / 100),
        agreement=1 - len(flips) / len(expected),
        flips=flips,
        max_difference=_finite(difference.max()),
        mean_difference=_finite(difference.mean()),
        p99_difference=_finite(np.percentile(difference.max(1), 99)),
        calibration_error=_finite(calibration_error(got, reference.labels)) if np.isfinite(got).all() else None,
        reference_calibration_error=calibration_error(expected, reference.labels),
        memory_mb=measured.memory_mb,
        timings=measured.timings,
    )


def find_flips(
    reference: Reference, got: np.ndarray, class_names: Sequence[str], ties: float | None
) -> tuple[Flip, ...]:
    """The images whose top-1 answer differs. A tie: the model's own probabilities of the two classes are so close that
    a difference of `ties` in each turns them round; None: nothing is a tie."""
    expected = reference.probabilities
    before, after = expected.argmax(1), got.argmax(1)
    return tuple(
        Flip(
            path=reference.paths[row],
            label=class_names[reference.labels[row]],
            reference=class_names[before[row]],
            reference_probability=float(expected[row, before[row]]),
            artefact=class_names[after[row]],
            artefact_probability=_finite(got[row, after[row]]),
            tie=ties is not None and bool(expected[row, before[row]] - expected[row, after[row]] <= 2 * ties),
        )
        for row in np.flatnonzero(before != after)
    )


def _verdict(
    precision: str, pair: PairedAnswers, margin: float, flips: Sequence[Flip], largest: float, tolerance: float
) -> tuple[str, str]:
    beyond = sum(not flip.tie for flip in flips)
    if not np.isfinite(largest):
        return LOSES, "its answers are not numbers"
    if precision in TIES and beyond:
        return LOSES, f"{beyond} of its answers are not the model's, beyond a tie"
    verdict = pair.verdict(margin)
    if precision == "float32" and verdict != LOSES:
        if largest <= tolerance:
            return HOLDS, ""
        return LOSES, f"probabilities differ from the model's by up to {largest:.2g}; {tolerance:g} is allowed"
    if verdict == HOLDS:
        return HOLDS, ""
    if verdict == LOSES:
        return LOSES, f"it loses {pair.loss:.2%} of accuracy, and {pair.least:.2%} at least; {margin:.2%} is allowed"
    needed = pair.images_needed(margin)
    more = f"{needed} images like these would tell (80 % power)" if needed else NO_NUMBER
    return verdict, f"it may lose up to {pair.most:.2%} of accuracy, where {margin:.2%} is allowed; {more}"


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def to_json(parity: Parity) -> dict[str, Any]:
    """Of the artefact only what there is: one that is no int8 file, or was made elsewhere, has no calibration."""
    values = {"holds": bool(parity)} | asdict(parity)
    return values | {"artefact": {name: value for name, value in values["artefact"].items() if value != ()}}
