"""What a verdict is to continuous integration: passed, failed, an error or skipped, in agreement with the exit code of
`unfreeze verify`; and the numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED
from unfreeze.wording import COULD_NOT_RUN, VERDICTS, at_chance_words

if TYPE_CHECKING:
    from export.proof.parity import Parity

PASSED, FAILURE, ERROR, SKIPPED = "passed", "failure", "error", "skipped"
NOTHING = "no artefact to verify"


@dataclass(frozen=True)
class Outcome:
    """What became of one artefact."""

    status: str  # PASSED, FAILURE, ERROR or SKIPPED
    kind: str  # one word for programs
    words: str  # the same for people
    reason: str = ""  # "" if it passed


def outcome_of(parity: Parity, strict: bool) -> Outcome:
    """`strict`: too few images to tell are a failure."""
    if not parity.ran:
        return Outcome(ERROR, "could-not-run", COULD_NOT_RUN, parity.reason)
    if parity.reference is not None and parity.reference_at_chance:
        return Outcome(FAILURE, "reference-at-chance", "says nothing: reference at chance", at_chance_words(parity))
    if parity.verdict == FAILS:
        return Outcome(FAILURE, "does-not-hold", VERDICTS[FAILS], _with_layer(parity))
    if parity.verdict == UNDECIDED:
        return Outcome(FAILURE if strict else SKIPPED, "undecided", VERDICTS[UNDECIDED], parity.reason)
    return Outcome(PASSED, "holds", VERDICTS[HOLDS])


def at_chance(parities: Sequence[Parity]) -> Parity | None:
    """A verdict that says that the model which artefacts are compared with is right no more often than chance."""
    return next((parity for parity in parities if parity.reference_at_chance), None)


def median_latency(parity: Parity) -> tuple[float | None, float | None]:
    """Milliseconds an image, one at a time, of the reference and of the artefact, with the lowest number of threads
    that was timed. None where it was not."""
    after = parity.timings[0] if parity.timings else None
    timed = () if parity.reference is None else parity.reference.timings
    before = next((timing.median for timing in timed if after is None or timing.threads == after.threads), None)
    return before, None if after is None else after.median


def numbers(parity: Parity) -> dict[str, float]:
    """The numbers behind a verdict by name, fractions and bytes and milliseconds; those that are not known are left
    out."""
    before, after = median_latency(parity)
    worst = max(parity.classes, key=lambda one: one.lost, default=None)
    found = {
        "images": parity.images,
        "accuracy": parity.accuracy,
        "reference_accuracy": parity.reference_accuracy,
        "lost": parity.lost,
        "lost_at_most": parity.lost_at_most,
        "margin": parity.margin,
        "largest_class_loss": None if worst is None else worst.lost,
        "largest_class_loss_images": None if worst is None else worst.images,
        "flips": None if parity.accuracy is None else len(parity.flips),
        "flips_at_most": parity.flips_at_most,
        "bytes": parity.artefact.bytes,
        "reference_bytes": None if parity.reference is None else parity.reference.bytes,
        "median_latency_ms": after,
        "reference_median_latency_ms": before,
    }
    return {name: value for name, value in found.items() if value is not None}


def _with_layer(parity: Parity) -> str:
    """Why it does not hold, and the layer that differs first, if one was found."""
    found = parity.divergence
    if found is None or not found.layer:
        return parity.reason
    return f"{parity.reason}; it starts to differ at layer {found.layer}: {found.advice}"
