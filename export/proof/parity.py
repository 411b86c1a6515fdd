"""Reference against artefact: `Parity`, the verdict over the whole test part, with the numbers behind it.

`parity.json`, a list of them, is written and read here only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.artefacts import Artefact, Reference, artefact_of
from export.runtimes.cpu import instruction_sets
from export.runtimes.measure import Measurement, Outcome, Timing
from export.settings import MARGIN, TOLERANCE, VerifySettings
from toolkit.errors import UnfreezeError, first_line
from toolkit.stats.accuracy_lost import EARLIER, FAILS, HOLDS, UNDECIDED, PairedAnswers, compare_answers
from toolkit.stats.metrics import calibration_error, wilson
from toolkit.storage.files import read_json, write_json
from toolkit.storage.records import plain_fields, plain_record

TIES = {"float32": TOLERANCE, "float16": 0.05}  # by how much rounding to a precision may change a probability
NO_NUMBER = "no realistic number of images like these would tell"
LOCATING_IMAGES = 4  # images on which layers are compared
COMPARED = ("lost", "lost_at_most", "agreement")  # numbers that come with an accuracy


@dataclass(frozen=True)
class Flip:
    """An image to which the artefact gives another class than the model."""

    path: str
    label: str  # class
    reference: str  # class
    reference_probability: float
    artefact: str  # class
    artefact_probability: float | None  # None: not a number
    tie: bool  # to the model the two classes are as probable, within twice what rounding may change


@dataclass(frozen=True)
class Divergence:
    """The result of comparing an artefact's layers with the model's (`export.proof.locate`)."""

    layer: str  # the first whose own error stands out; "" where none does
    layers: tuple[str, ...]  # all that the artefact has fused with it
    own: float | None  # its own error, relative
    limit: float  # above which an error stands out
    compared: int  # tensors that could be compared
    worst: tuple[tuple[str, float], ...]  # layers with weights by their own error, all of them, the largest first
    advice: str
    error: str = ""  # why nothing could be compared


@dataclass(frozen=True)
class Parity:
    """One artefact's verdict; true if it holds. Numbers are None if it was not compared."""

    artefact: Artefact
    verdict: str  # "holds" | "fails" | "undecided": there are too few images to tell
    reason: str = ""  # why it is not "holds"
    ran: bool = True  # False: it could not be written or run; the verdict is then "fails"
    images: int = 0
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None  # 95 %, Wilson
    reference_accuracy: float | None = None
    lost_images: int | None = None  # the model is right and the artefact wrong
    gained_images: int | None = None  # the other way round
    lost: float | None = None  # accuracy, a fraction; negative where it was gained
    lost_at_most: float | None = None  # one-sided 95 % bound on it
    margin: float | None = None  # a fraction: the most that may be lost
    p_value: float | None = None  # exact McNemar, two-sided
    images_needed: int | None = None  # for a verdict, with 80 % power at these rates; None: over a million
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
    cpu: tuple[str, ...] = ()  # the instruction sets of the processor it ran on, as `export.runtimes.cpu` knows them

    def __bool__(self) -> bool:
        return self.verdict == HOLDS

    @property
    def broken(self) -> bool:
        """Whether it was shown not to hold; False if there were too few images to tell."""
        return self.verdict == FAILS


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

    A float32 file must repeat the model: no probability off by more than `tolerance`, no flip beyond a tie. Any other
    file may lose at most the margin of accuracy, with 95 % confidence; a float16 file may also flip only ties.
    """
    expected, got = reference.probabilities, measured.probabilities
    if not len(expected):
        return could_not_run(artefact, "no test image to compare on")
    if got.shape != expected.shape:
        return could_not_run(artefact, f"gives an answer of shape {got.shape}, the model {expected.shape}")
    if measured.class_names is not None and measured.class_names != tuple(class_names):
        said = f"says of itself that its classes are {', '.join(measured.class_names)}, not {', '.join(class_names)}"
        return Parity(artefact, FAILS, said)
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
        lost_at_most=pair.lost_at_most,
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
        cpu=instruction_sets(),
    )


def verdict_on(
    artefact: Artefact, outcome: Outcome, reference: Reference, class_names: Sequence[str], settings: VerifySettings
) -> Parity:
    """The verdict on the outcome of running an artefact."""
    if not isinstance(outcome, Measurement):
        return could_not_run(artefact, str(outcome))
    margin, tolerance = settings.margin, settings.tolerance
    return compare(artefact, reference, outcome, class_names, margin=margin, tolerance=tolerance)


def could_not_run(artefact: Artefact, reason: str) -> Parity:
    """The verdict on an artefact that gave no answers to compare."""
    return Parity(artefact, FAILS, reason, ran=False)


def most_different_rows(outcome: Outcome, reference: Reference) -> np.ndarray | None:
    """int64 [<= 4]: the images to which the artefact's answers differ most from the model's. A fault shows there even
    behind a softmax. None where there are no answers, or none of the model's shape."""
    if not isinstance(outcome, Measurement) or outcome.probabilities.shape != reference.probabilities.shape:
        return None
    difference = np.nan_to_num(np.abs(outcome.probabilities - reference.probabilities), nan=np.inf)
    return np.argsort(-difference.max(1), kind="stable")[:LOCATING_IMAGES]


def find_flips(
    reference: Reference, got: np.ndarray, class_names: Sequence[str], ties: float | None
) -> tuple[Flip, ...]:
    """The images whose top-1 answer differs. A flip is a tie if a change by `ties` of each of the two probabilities
    would flip the model's own answer; None: no flip is a tie."""
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
        return FAILS, "its answers are not numbers"
    if precision in TIES and beyond:
        return FAILS, f"{beyond} of its answers are not the model's, beyond a tie"
    verdict = pair.verdict(margin)
    if precision == "float32" and verdict != FAILS:
        if largest <= tolerance:
            return HOLDS, ""
        return FAILS, f"probabilities differ from the model's by up to {largest:.2g}; {tolerance:g} is allowed"
    if verdict == HOLDS:
        return HOLDS, ""
    if verdict == FAILS:
        return (
            FAILS,
            f"it loses {pair.loss:.2%} of accuracy, and {pair.lost_at_least:.2%} at least; {margin:.2%} is allowed",
        )
    needed = pair.images_needed(margin)
    more = f"{needed} images like these would tell (80 % power)" if needed else NO_NUMBER
    return verdict, f"it may lose up to {pair.lost_at_most:.2%} of accuracy, where {margin:.2%} is allowed; {more}"


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def to_json(parity: Parity) -> dict[str, Any]:
    """An entry of parity.json. The artefact's empty fields are left out: only int8 files have a calibration."""
    values = asdict(parity)
    return values | {"artefact": {name: value for name, value in values["artefact"].items() if value != ()}}


def write_parities(path: Path, parities: Sequence[Parity]) -> None:
    """Write a parity.json."""
    write_json(path, [to_json(parity) for parity in parities])


def read_parities(path: Path) -> list[Parity]:
    """The verdicts in a parity.json, [] where there is no such file; also those that version 0.1 wrote, in its words.
    Raises UnfreezeError if the file is damaged."""
    if not path.is_file():
        return []
    try:
        entries = read_json(path)
        if not isinstance(entries, list):
            raise ValueError("it is not a list")
        return [_parity_of(entry) for entry in entries]
    except (UnfreezeError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise UnfreezeError(
            f"{path} is damaged ({first_line(error)}); `unfreeze verify {path.parent}` writes it again"
        ) from None


def _parity_of(entry: dict[str, Any]) -> Parity:
    """Raises ValueError or the like if the entry is not one that `to_json` gives."""
    values = plain_fields(Parity, entry)
    verdict = EARLIER.get(values["verdict"], values["verdict"])
    if verdict not in (HOLDS, FAILS, UNDECIDED):
        raise ValueError(f"there is no verdict {verdict!r:.40}")
    divergence = entry.get("divergence")
    if values.get("accuracy") is not None:
        low, high = entry["accuracy_interval"]
        values["accuracy_interval"] = float(low), float(high)
        if missing := [name for name in COMPARED if values.get(name) is None]:
            raise ValueError(f"{missing[0]} is missing")
    values |= {"verdict": verdict, "ran": values.get("ran", entry["verdict"] != "could not run")}
    return Parity(
        artefact=artefact_of(entry["artefact"]),
        flips=tuple(plain_record(Flip, flip) for flip in entry["flips"]),
        timings=tuple(plain_record(Timing, timing) for timing in entry["timings"]),
        divergence=None if divergence is None else _divergence_of(divergence),
        cpu=tuple(map(str, entry.get("cpu", ()))),
        **values,
    )


def _divergence_of(entry: dict[str, Any]) -> Divergence:
    worst = tuple((str(name), float(error)) for name, error in entry["worst"])
    return Divergence(layers=tuple(map(str, entry["layers"])), worst=worst, **plain_fields(Divergence, entry))
