"""Verdicts -> Markdown: the answer in the first line, a row for each artefact, then what changed, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

from unfreeze.gate.outcome import (
    ERROR,
    FAILURE,
    NOTHING,
    PASSED,
    SKIPPED,
    Outcome,
    at_chance,
    median_latency,
    outcome_of,
)
from unfreeze.gate.safe_text import as_code, as_prose
from unfreeze.wording import at_chance_words

if TYPE_CHECKING:
    from export.proof.parity import Flip, Parity

MARKS = {PASSED: "✅", SKIPPED: "❔", FAILURE: "❌", ERROR: "❌"}
WORST_FIRST = (ERROR, FAILURE, SKIPPED, PASSED)
COLUMNS = ("artefact", "verdict", "accuracy", "lost", "flips", "size", "latency")
FLIPS = 20  # named for an artefact; the others are counted
ARTEFACTS = 10  # whose flips are named: GitHub takes a megabyte


def summary(
    parities: Sequence[Parity],
    strict: bool = False,
    trouble: str = "",
    pictures: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The page. `strict`, `trouble`: as in `unfreeze.gate.junit`. `pictures`: the path, relative to the page, of the
    picture of an artefact's flips, by the artefact's name."""
    outcomes = [outcome_of(parity, strict) for parity in parities]
    parts = [_verdict(parities, outcomes, trouble)]
    chance = at_chance(parities)
    if chance is not None:
        parts.insert(0, f"# ⚠️ Reference at chance: {as_prose(at_chance_words(chance))}")
    if parities:
        rows = [_row(parity, outcome) for parity, outcome in zip(parities, outcomes, strict=True)]
        parts += ["\n".join([_line(COLUMNS), _line(["---"] * len(COLUMNS)), *rows]), _legend(parities)]
    parts += [
        f"{as_code(parity.artefact.name)} {outcome.words}: {as_prose(outcome.reason)}"
        for parity, outcome in zip(parities, outcomes, strict=True)
        if outcome.reason and outcome.kind != "reference-at-chance"
    ]
    flipped = [parity for parity in parities if parity.flips]
    parts += [_flips(parity, pictures.get(parity.artefact.name, "")) for parity in flipped[:ARTEFACTS]]
    return "\n\n".join(parts) + "\n"


def _verdict(parities: Sequence[Parity], outcomes: Sequence[Outcome], trouble: str) -> str:
    """The first line: one verdict for all artefacts."""
    if trouble or not parities:
        return f"## {MARKS[ERROR]} {as_prose(trouble or NOTHING)}"
    ordered = sorted(outcomes, key=lambda one: WORST_FIRST.index(one.status))
    if len(parities) == 1:
        told = f"{as_code(parities[0].artefact.name)}: {outcomes[0].words}"
    else:
        counts = Counter(outcome.words for outcome in ordered)
        told = f"{len(parities)} artefacts: " + ", ".join(f"{count} × {words}" for words, count in counts.items())
    return f"## {MARKS[ordered[0].status]} {told}"


def _row(parity: Parity, outcome: Outcome) -> str:
    lost = flips = accuracy = ""
    if parity.lost is not None and parity.lost_at_most is not None and parity.margin is not None:
        lost = f"{parity.lost:+.2%} (at most {parity.lost_at_most:.2%}, allowed {parity.margin:.2%})"
        accuracy = _change(parity.reference_accuracy, parity.accuracy, 100, "%")
        flips = str(len(parity.flips))
    if parity.flips_at_most is not None:
        flips += f" (at most {parity.flips_at_most:.2%})"
    reference = None if parity.reference is None else parity.reference.bytes
    name, verdict = as_code(parity.artefact.name), f"{MARKS[outcome.status]} {outcome.words}"
    size = _change(reference, parity.artefact.bytes or None, 1e-6, " MB", relative=True)
    latency = _change(*median_latency(parity), 1, " ms", relative=True)
    return _line([name, verdict, accuracy, lost, flips, size, latency])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _change(before: float | None, after: float | None, scale: float, unit: str, relative: bool = False) -> str:
    """ "4.00 → 1.70 ms (-58%)", or the one that is known."""
    known = [f"{scale * value:.2f}" for value in (before, after) if value is not None]
    if not known:
        return ""
    ratio = f" ({after / before - 1:+.0%})" if relative and before and after is not None else ""
    return f"{' → '.join(known)}{unit}{ratio}"


def _legend(parities: Sequence[Parity]) -> str:
    """What the columns are."""
    first = next((parity for parity in parities if parity.accuracy is not None), parities[0])
    reference = "the run's model" if first.reference is None else as_code(first.reference.name)
    threads = next((parity.timings[0].threads for parity in parities if parity.timings), None)
    timed = "not measured" if threads is None else f"median of single images, {threads} thread{'s'[: threads > 1]}"
    return (
        f"Compared with {reference} on {first.images} images with labels. Lost: accuracy. Flips: answers that "
        f"differ. At most: with 95 % confidence. Latency: {timed}."
    )


def _flips(parity: Parity, picture: str) -> str:
    """The flips of an artefact by name, and their picture."""
    shown = parity.flips[:FLIPS]
    rows = [_line(["image", "is", "before", "after", ""]), _line(["---"] * 5), *map(_flip, shown)]
    left = len(parity.flips) - len(shown)
    parts = [f"### Flips of {as_code(parity.artefact.name)}: {len(parity.flips)}", "\n".join(rows)]
    parts += [f"and {left} more"] if left else []
    parts += [f"![the images of the flips]({quote(picture, errors='surrogateescape')})"] if picture else []
    return "\n\n".join(parts)


def _flip(flip: Flip) -> str:
    change = {flip.reference: "lost", flip.artefact: "gained"}.get(flip.label, "")
    note = ", ".join(filter(None, [change, "a tie" if flip.tie else ""]))
    label = as_code(flip.label) if flip.label else ""
    before, after = f"{flip.reference_probability:.4f}", _probability(flip.artefact_probability)
    answers = [f"{as_code(flip.reference)} {before}", f"{as_code(flip.artefact)} {after}"]
    return _line([as_code(flip.path), label, *answers, note])


def _probability(value: float | None) -> str:
    return "NaN" if value is None else f"{value:.4f}"
