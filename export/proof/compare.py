"""Reference against artefact: the answers of both -> `Parity`, the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from export.artefacts import EVIDENCE, TEST, UNLABELLED, VAL, Artefact, Reference
from export.proof.classes import class_losses, collapse_words
from export.proof.parity import ClassLoss, Evidence, Flip, Parity
from export.runtimes.cpu import instruction_sets
from export.runtimes.measure import Measurement, Outcome
from export.runtimes.worker import REPEATED, not_repeated
from export.settings import MARGIN, TOLERANCE, VerifySettings
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED, PairedAnswers, compare_answers, margin_of
from toolkit.stats.flips import flips_at_least, flips_at_most
from toolkit.stats.metrics import calibration_error, wilson
from toolkit.stats.rejection import unsure

TIES = {  # by how much rounding to a precision may change a probability
    "float32": TOLERANCE,
    "float16": 0.05,
    "float16_gpu": 0.05,
}
RETRAINED = "retrained"  # in place of a precision: of a model that need not answer as the reference does
CHOSEN_ON_VAL = ("int8",)  # precisions whose files are chosen on validation images
NO_NUMBER = "no realistic number of images like these"
LOCATING_IMAGES = 4  # images on which layers are compared


def compare(
    artefact: Artefact,
    reference: Reference,
    measured: Measurement,
    class_names: Sequence[str],
    settings: VerifySettings,
) -> Parity:
    """The verdict on an artefact.

    A float32 file must repeat the model: no probability off by more than the tolerance, no flip beyond a tie. Any other
    file may lose at most the margin of accuracy, with 95 % confidence; a float16 file may also flip only ties. If the
    reference rounds more than the file, its precision counts. No file may flip more than `settings.max_flips`, whatever
    accuracy it loses, and none may be shown to lose more than the margin of the recall of a class
    (`toolkit.stats.recall_lost`). An image without a label whose answer flips counts as a right answer that is lost,
    which is the worst that it can be.
    """
    expected, got = reference.probabilities, measured.probabilities
    labelled = reference.rows(TEST)
    if not len(labelled):
        return could_not_run(artefact, "no test image to compare on")
    if got.shape != expected.shape:
        return could_not_run(artefact, f"gives an answer of shape {got.shape}, the model {expected.shape}")
    if measured.class_names is not None and measured.class_names != tuple(class_names):
        said = f"says of itself that its classes are {_some(measured.class_names)}, not {_some(class_names)}"
        return Parity(artefact, FAILS, said)
    difference = np.abs(got.astype(np.float64) - expected)
    right, before = (one.argmax(1) == reference.labels for one in (got, expected))
    pair = compare_answers(before[labelled], right[labelled])
    precision = RETRAINED if settings.retrained else coarser(artefact.precision, reference.precision)
    ties = {**TIES, "float32": min(settings.tolerance, TIES["float16"])}.get(precision)
    flips = find_flips(reference, got, class_names, ties)
    evidence = _evidence(artefact, reference, got)
    counted = [part.part for part in evidence if part.counted]
    shown = _paired(reference, got, counted)
    margin = margin_of(shown.images, MARGIN / 100) if settings.margin is None else settings.margin / 100
    flipped = sum(part.flips for part in evidence if part.counted)
    found = Parity(
        artefact,
        HOLDS,
        images=len(labelled),
        accuracy=float(right[labelled].mean()),
        accuracy_interval=wilson(int(right[labelled].sum()), len(labelled)),
        reference_accuracy=float(before[labelled].mean()),
        lost_images=int(pair.lost),
        gained_images=int(pair.gained),
        lost=pair.loss,
        lost_at_most=shown.lost_at_most,
        margin=margin,
        margin_chosen=settings.margin is not None,
        p_value=pair.p_value,
        images_needed=shown.images_needed(margin),
        agreement=1 - sum(flip.part == TEST for flip in flips) / len(labelled),
        evidence=evidence,
        flips=flips,
        flips_at_most=flips_at_most(flipped, shown.images),
        smallest_class=_smallest_class(reference, got, class_names),
        classes=class_losses(reference, got, counted, class_names),
        reference_at_chance=reference.at_chance,
        max_difference=_finite(difference.max()),
        mean_difference=_finite(difference.mean()),
        p99_difference=_finite(np.percentile(difference.max(1), 99)),
        calibration_error=_calibration(got[labelled], reference.labels[labelled]),
        reference_calibration_error=_calibration(expected[labelled], reference.labels[labelled]),
        reject_below=reference.reject_below or None,
        unsure_otherwise=_unsure_otherwise(reference, got),
        memory_mb=measured.memory_mb,
        timings=measured.timings,
        cpu=instruction_sets(),
    )
    verdict, reason = _verdict(found, shown, flipped, settings, precision, measured.repeated)
    if found.collapsed:
        told = [reason] if verdict == FAILS else []
        reason = "; ".join([*told, collapse_words(found.collapsed, len(found.classes), margin)])
        verdict = FAILS
    return replace(found, verdict=verdict, reason=reason)


def coarser(one: str, other: str) -> str:
    """The precision of the two that rounds more: what a pair of files is held to. A float32 file cannot repeat every
    digit of an int8 reference."""
    rounding = [*TIES]  # all others round more
    return max(one, other, key=lambda precision: rounding.index(precision) if precision in TIES else len(rounding))


def verdict_on(
    artefact: Artefact, outcome: Outcome, reference: Reference, class_names: Sequence[str], settings: VerifySettings
) -> Parity:
    """The verdict on the outcome of running an artefact."""
    if not isinstance(outcome, Measurement):
        return could_not_run(artefact, str(outcome))
    return compare(artefact, reference, outcome, class_names, settings)


def could_not_run(artefact: Artefact, reason: str) -> Parity:
    """The verdict on an artefact that gave no answers to compare."""
    return Parity(artefact, FAILS, reason, ran=False)


def most_different_rows(outcome: Outcome, reference: Reference) -> np.ndarray | None:
    """int64 [<= 4]: the test images to which the artefact's answers differ most from the model's. A fault shows there
    even behind a softmax. None where there are no answers, or none of the model's shape."""
    if not isinstance(outcome, Measurement) or outcome.probabilities.shape != reference.probabilities.shape:
        return None
    rows = reference.rows(TEST)
    difference = np.nan_to_num(np.abs(outcome.probabilities - reference.probabilities), nan=np.inf)[rows]
    return rows[np.argsort(-difference.max(1), kind="stable")[:LOCATING_IMAGES]]


def spread_rows(reference: Reference) -> np.ndarray:
    """int64 [<= 4]: test images from all over the set, for a comparison of two files by the names of their tensors. On
    the images that differ most, the scores of the classes are nearly alike, and rounding is a large part of them."""
    rows = reference.rows(TEST)
    return rows[np.linspace(0, len(rows) - 1, min(LOCATING_IMAGES, len(rows))).astype(int)]


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
            label="" if reference.labels[row] == UNLABELLED else class_names[reference.labels[row]],
            reference=class_names[before[row]],
            reference_probability=float(expected[row, before[row]]),
            artefact=class_names[after[row]],
            artefact_probability=_finite(got[row, after[row]]),
            tie=ties is not None and bool(expected[row, before[row]] - expected[row, after[row]] <= 2 * ties),
            part=reference.parts[row],
        )
        for row in np.flatnonzero(before != after)
    )


def _evidence(artefact: Artefact, reference: Reference, got: np.ndarray) -> tuple[Evidence, ...]:
    """The parts of the images that there are. An int8 file was chosen on validation images, so they do not count."""
    flipped = reference.probabilities.argmax(1) != got.argmax(1)
    parts = [(part, reference.rows(part)) for part in (TEST, VAL, EVIDENCE)]
    return tuple(
        Evidence(part, len(rows), int(flipped[rows].sum()), part != VAL or artefact.precision not in CHOSEN_ON_VAL)
        for part, rows in parts
        if len(rows)
    )


def _paired(reference: Reference, got: np.ndarray, parts: Sequence[str]) -> PairedAnswers:
    """What is lost and gained on all images of these parts."""
    rows = np.concatenate([reference.rows(part) for part in parts])
    labels, before, after = reference.labels[rows], reference.probabilities[rows].argmax(1), got[rows].argmax(1)
    known = labels != UNLABELLED
    pair = compare_answers((before == labels) | ~known, np.where(known, after == labels, after == before))
    return PairedAnswers(len(rows), pair.lost, pair.gained)


def _unsure_otherwise(reference: Reference, got: np.ndarray) -> int | None:
    if not reference.reject_below:
        return None
    rows = reference.rows(TEST)
    before, after = (unsure(one[rows], reference.reject_below) for one in (reference.probabilities, got))
    return int((before != after).sum())


def _smallest_class(reference: Reference, got: np.ndarray, class_names: Sequence[str]) -> ClassLoss:
    rows = reference.rows(TEST)
    counts = np.bincount(reference.labels[rows], minlength=len(class_names))
    smallest = int(np.where(counts > 0, counts, counts.max() + 1).argmin())
    own = rows[reference.labels[rows] == smallest]
    pair = compare_answers(reference.probabilities[own].argmax(1) == smallest, got[own].argmax(1) == smallest)
    return ClassLoss(class_names[smallest], len(own), pair.lost, pair.gained, pair.lost_at_most)


def _verdict(
    found: Parity, shown: PairedAnswers, flipped: int, settings: VerifySettings, precision: str, repeated: float
) -> tuple[str, str]:
    margin, largest = found.margin or 0.0, found.max_difference
    beyond = sum(not flip.tie for flip in found.flips)
    if largest is None:
        return FAILS, "its answers are not numbers"
    if repeated > REPEATED:
        return FAILS, not_repeated(repeated)
    if precision in TIES and beyond:
        return FAILS, f"{beyond} of its answers are not the model's, beyond a tie"
    at_least = flips_at_least(flipped, shown.images)
    if at_least > settings.max_flips / 100:
        return FAILS, (
            f"{flipped} of its {shown.images} answers are not the model's, {at_least:.1%} at least on images like "
            f"these; {settings.max_flips:g}% is allowed"
        )
    verdict = shown.verdict(margin)
    if precision == "float32" and verdict != FAILS:
        if largest <= settings.tolerance:
            return HOLDS, ""
        return FAILS, f"probabilities differ from the model's by up to {largest:.2g}; {settings.tolerance:g} is allowed"
    if verdict == FAILS:
        return FAILS, (
            f"it loses {shown.loss:.2%} of accuracy, and {shown.lost_at_least:.2%} at least; {margin:.2%} is allowed"
        )
    return (HOLDS, "") if verdict == HOLDS else (UNDECIDED, what_is_shown(shown, margin, found.margin_chosen))


def what_is_shown(pair: PairedAnswers, margin: float, chosen: bool = True) -> str:
    """What so many images show, and how many more would tell. `chosen`: False if the margin follows from the number of
    images, so that with more of them it has to be given to stay the same."""
    lost = f"{pair.lost} lost" if pair.lost else "none lost"
    gained = f" and {pair.gained} gained" if pair.gained else ""
    needed = pair.images_needed(margin)
    same = "" if chosen or margin <= MARGIN / 100 else f"with --margin {100 * margin:.3g}, "
    more = f"{same}{needed - pair.images:,} more images like these" if needed else NO_NUMBER
    tell = f"{more} would tell{' (80 % power)' if needed else ''}"
    return (
        f"{lost}{gained} in {pair.images} images: at most {100 * pair.lost_at_most:.2f} points of accuracy, where "
        f"{100 * margin:.3g} are allowed; {tell}"
    )


def _some(names: Sequence[str]) -> str:
    """A few of the names, for a message."""
    return ", ".join(names[:10])[:200] + (f" ... ({len(names)})" if len(names) > 10 else "")


def _calibration(probabilities: np.ndarray, labels: np.ndarray) -> float | None:
    return _finite(calibration_error(probabilities, labels)) if np.isfinite(probabilities).all() else None


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
