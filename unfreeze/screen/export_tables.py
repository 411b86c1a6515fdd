"""Tables of exported files and of their verification, for standard output."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from toolkit.errors import one_line
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED
from unfreeze.evidence_wording import (
    allowed_words,
    chance_words,
    classes_words,
    evidence_words,
    undecided_words,
)
from unfreeze.screen.tables import listed
from unfreeze.screen.terminal import print_table
from unfreeze.screen.threshold import threshold_words, unsure_note
from unfreeze.wording import COULD_NOT_RUN, VERDICTS, verdict_words

if TYPE_CHECKING:
    from export.artefacts import Manifest
    from export.proof.parity import Divergence, Flip, Parity, ReferenceFile
    from export.proof.pixel_sensitivity import Sensitivity

MARKS = {HOLDS: "✓", UNDECIDED: "?", FAILS: "✗"}
NOTE_WIDTH = 110  # columns of a line below a table
LAYERS_NAMED = 3  # layers that a way to int8 leaves in float: named in a table at most
NOT_RUN = "!"  # mark of a file that could not be run or written
ORDERS: dict[str, Callable[[Parity], Any]] = {
    "size": lambda parity: parity.artefact.bytes,
    "latency": lambda parity: parity.timings[0].median if parity.timings else float("inf"),
    "accuracy": lambda parity: -(parity.accuracy or 0.0),
}


def show_manifest(manifest: Manifest) -> None:
    rows = [
        [
            str(manifest.folder / one.name),
            one.precision + (f", {len(one.float_layers)} in float" if one.float_layers else ""),
            f"{one.bytes / 1e6:.2f} MB",
            one.sha256[:16],
            "new" if one.name in manifest.written else "as before",
        ]
        for one in manifest.artefacts
    ]
    print_table(["artefact", "precision", "size", "sha256", ""], rows)
    show_attempts(manifest)
    if words := threshold_words(manifest):
        click.echo(f"\n{words}")
    if (manifest.folder / "golden").is_dir():
        click.echo(f"\n{manifest.folder / 'golden'}: images, answers and checkers to prove an app's own pipeline with")


def show_attempts(manifest: Manifest) -> None:
    """Print the ways that were tried for each int8 file that was just written, if there were several or if layers
    stayed in float."""
    for artefact in manifest.artefacts:
        if artefact.name not in manifest.written or (len(artefact.attempts) < 2 and not artefact.float_layers):
            continue
        click.echo(f"\n{artefact.name}: ways to int8, judged on images that are no test")
        print_table(
            ["way", "accuracy", "lost", "size", "ms/image", ""], [_attempt_row(one) for one in artefact.attempts]
        )
        click.echo()


def _attempt_row(attempt: dict[str, Any]) -> list[str]:
    way = _shortened(attempt["step"])
    if attempt["error"]:
        return [way, "", "", "", "", f"{COULD_NOT_RUN}: {attempt['error']}"]
    verdict = attempt.get("verdict") or (HOLDS if attempt["holds"] else FAILS)  # as version 0.1 wrote it
    note = ", ".join(
        [verdict_words(verdict), *filter(None, [attempt.get("note")]), *(["kept"] if attempt["kept"] else [])]
    )
    numbers = [f"{attempt['accuracy']:.2%}", f"{attempt['lost']:+.2%}", f"{attempt['bytes'] / 1e6:.2f} MB"]
    return [way, *numbers, f"{attempt['latency_ms']:.2f}", note]


def _shortened(way: str) -> str:
    """The name of a way, in which at most three of the layers that stay in float are named."""
    names = way.partition("float: ")[2].split(", ")
    if len(names) <= LAYERS_NAMED:
        return way
    return way.replace(", ".join(names), f"{', '.join(names[:LAYERS_NAMED])} and {len(names) - LAYERS_NAMED} others")


def show_parity(results: Sequence[Parity], order: str | None = None) -> None:
    """Print the verdicts, the differences from the model, the latencies, why files do not hold, and the flips. A file
    that the others are compared with is the first row.

    `order`: a name of ORDERS by which the rows are sorted; None: as they were exported.
    """
    results = sorted(results, key=lambda one: (one.accuracy is None, ORDERS[order](one))) if order else results
    columns = ["", "artefact", "size", "accuracy", "95 % interval", "lost", "at most", "flips", "McNemar", "verdict"]
    print_table(columns, [*_reference_row(results), *map(_verdict_row, results)], left=2)
    marks = ", ".join(f"{mark} {VERDICTS[verdict]}" for verdict, mark in MARKS.items())
    click.echo(f"verdict: {marks}, {NOT_RUN} {COULD_NOT_RUN} or be written")
    ran = [parity for parity in results if parity.accuracy is not None]
    if ran:
        _show_notes(ran)
        click.echo()
        _show_differences(ran)
    costs = [(parity.artefact.name, parity) for parity in ran if parity.timings]
    if costs:
        click.echo()
        _show_costs([*_reference_costs(results), *costs])
    if told := undecided_words(results):
        click.echo()
        _note(told)
    for parity in results:
        _show_trouble(parity)
    for parity in results:
        if parity.flips:
            listed(f"{parity.artefact.name}: flips{_beside(parity)}", [_flip(flip) for flip in parity.flips], 8)


def _show_notes(ran: Sequence[Parity]) -> None:
    """Print what the columns are, which images they rest on, and what is allowed."""
    one = ran[0]
    _note(
        f"lost: of the {_compared_with(one)}'s {one.reference_accuracy:.2%} on the same {one.images:,} test images; "
        "McNemar: p-value"
    )
    _note(f"at most: with 95 % confidence, on {evidence_words(ran)}; flips: other answers than the model's, on these")
    _note(f"allowed: {allowed_words(ran)}")
    for told in filter(None, (unsure_note(one), *classes_words(ran))):
        _note(told)
    if chance := chance_words(ran):
        click.echo()
        _note(f"WARNING: {chance}")


def _note(text: str) -> None:
    """Print a sentence in lines of at most `NOTE_WIDTH` columns."""
    click.echo(textwrap.fill(one_line(text), NOTE_WIDTH, break_long_words=False, break_on_hyphens=False))


def _beside(parity: Parity) -> str:
    """How many of the flips do not count."""
    beside = len(parity.flips) - sum(part.flips for part in parity.counted)
    return f" ({beside} on validation images, not counted)" if beside > 0 else ""


def shortfall(results: Sequence[Parity], strict: bool) -> str:
    """A line that names the files that do not hold or could not run. If there are none, and with `strict`, it names the
    files with too few images to tell. "" if there are none either."""
    wrong = [parity.artefact.name for parity in results if parity.verdict == FAILS and parity.ran]
    absent = [parity.artefact.name for parity in results if not parity.ran]
    unsure = [parity.artefact.name for parity in results if parity.verdict == UNDECIDED]
    said = [
        f"{', '.join(wrong)} {'do' if len(wrong) > 1 else 'does'} not hold" if wrong else "",
        f"{', '.join(absent)} {COULD_NOT_RUN}" if absent else "",
    ]
    if strict and unsure and not wrong + absent:
        return f"too few images to tell whether {', '.join(unsure)} {'hold' if len(unsure) > 1 else 'holds'}"
    return "; ".join(filter(None, said))


def _verdict_row(parity: Parity) -> list[str]:
    mark = MARKS[parity.verdict] if parity.ran else NOT_RUN
    verdict, name = verdict_words(parity.verdict, parity.ran), parity.artefact.name
    size = f"{parity.artefact.bytes / 1e6:.2f} MB" if parity.artefact.bytes else ""
    if parity.accuracy is None or parity.accuracy_interval is None:
        return [mark, name, size, *[""] * 6, verdict]
    low, high = parity.accuracy_interval
    shares = [f"{parity.accuracy:.2%}", f"{low:.2%} – {high:.2%}", f"{parity.lost:+.2%}", f"{parity.lost_at_most:.2%}"]
    flips = str(sum(part.flips for part in parity.counted))
    return [mark, name, size, *shares, flips, f"{parity.p_value:.2g}", verdict]


def _reference_row(results: Sequence[Parity]) -> list[list[str]]:
    """The row of the file that the others are compared with; [] where that is the model of a run."""
    file = next((parity.reference for parity in results), None)
    if file is None:
        return []
    accuracy = next((parity.reference_accuracy for parity in results if parity.reference_accuracy is not None), None)
    numbers = [f"{file.bytes / 1e6:.2f} MB", "" if accuracy is None else f"{accuracy:.2%}"]
    return [["", file.name, *numbers, *[""] * 5, "the reference"]]


def _compared_with(parity: Parity) -> str:
    return "Keras model" if parity.reference is None else "reference"


def _reference_costs(results: Sequence[Parity]) -> list[tuple[str, ReferenceFile]]:
    file = next((parity.reference for parity in results), None)
    return [(f"{file.name} (the reference)", file)] if file is not None and file.timings else []


def _show_differences(results: Sequence[Parity]) -> None:
    differences = ["mean diff", "99th pct", "max diff"]
    columns = ["artefact", "agreement", "flips at most", *differences, "calibration error", "the model's"]
    limited = any(parity.unsure_otherwise is not None for parity in results)
    columns += ["unsure"] if limited else []
    rows = [
        [
            parity.artefact.name,
            f"{parity.agreement:.2%}",
            "" if parity.flips_at_most is None else f"{parity.flips_at_most:.2%}",
            *map(_small, (parity.mean_difference, parity.p99_difference, parity.max_difference)),
            "NaN" if parity.calibration_error is None else f"{parity.calibration_error:.4f}",
            f"{parity.reference_calibration_error:.4f}",
            *(["" if parity.unsure_otherwise is None else str(parity.unsure_otherwise)] if limited else []),
        ]
        for parity in results
    ]
    print_table(columns, rows)
    click.echo(
        "agreement: on the test images; flips at most: with 95 % confidence, of images like these; differences: of\n"
        f"probabilities, with the {_compared_with(results[0])}; max diff is the tolerance that would have been needed"
    )


def _show_costs(files: Sequence[tuple[str, Parity | ReferenceFile]]) -> None:
    """Print milliseconds per image, median and 95th percentile, for each number of threads and each batch size."""
    threads = [timing.threads for timing in files[0][1].timings]
    columns = [f"{n} thread{'s' if n > 1 else ''}, {batch}" for n in threads for batch in ("batch 1", "batch 32")]
    rows = [
        [
            name,
            f"{file.timings[0].load_ms:.0f}",
            "" if file.memory_mb is None else f"{file.memory_mb:.0f}",
            *(
                f"{middle:.2f} ({high:.2f})"
                for timing in file.timings
                for middle, high in ((timing.median, timing.p95), (timing.batch_median, timing.batch_p95))
            ),
        ]
        for name, file in files
    ]
    print_table(["artefact", "load ms", "memory MB", *columns], rows)
    click.echo(
        "ms/image, median (95th percentile), in turn in processes of their own; memory: beyond what the runtime takes"
    )


def _show_trouble(parity: Parity) -> None:
    if parity.reason and not (parity.verdict == UNDECIDED and parity.accuracy is not None):
        click.echo(f"\n{parity.artefact.name}: {parity.reason}")
    if parity.divergence is not None:
        _show_divergence(parity, parity.divergence)


def _show_divergence(parity: Parity, found: Divergence) -> None:
    name = parity.artefact.name
    if found.error:
        click.echo(f"{name}: {found.error}")
        return
    fused = [layer for layer in found.layers if layer != found.layer]
    beside = f" (fused with {', '.join(fused)})" if fused else ""
    if not found.layer:
        where = "no layer stands out"
    elif parity.broken:
        where = f"starts to differ at layer {found.layer}{beside}"
    else:
        where = f"the first layer with a noticeable error of its own is {found.layer}{beside}"
    advice = f"; {found.advice}" if parity.broken else ""
    worst = ", ".join(f"{layer} {error:.1e}" for layer, error in found.worst[:4])
    click.echo(f"{name}: {where}{advice}")
    click.echo(f"  largest errors that layers add, of {found.compared} compared: {worst}")


def _small(value: float | None) -> str:
    return "NaN" if value is None else f"{value:.1e}"


def _flip(flip: Flip) -> str:
    share = "NaN" if flip.artefact_probability is None else f"{flip.artefact_probability:.4f}"
    right = {flip.reference: ", lost", flip.artefact: ", gained"}.get(flip.label, "")
    model = f"model {flip.reference} {flip.reference_probability:.4f}"
    return f"{flip.path}: {model}, artefact {flip.artefact} {share}{right}{', a tie' if flip.tie else ''}"


def show_sensitivity(rows: Sequence[Sensitivity]) -> None:
    """Print the accuracy for each way in which an app may make its pixels."""
    if not rows:
        return
    click.echo("\naccuracy if your app does this")
    table = [
        [
            row.client,
            f"{row.accuracy:.2%}",
            str(row.flips),
            f"{row.lost:+.2%}",
            f"{row.lost_at_most:.2%}",
            verdict_words(row.verdict),
        ]
        for row in rows
    ]
    print_table(["pixels", "accuracy", "flips", "lost", "at most", "verdict"], table)
    from export.proof.clients import absent

    if none := absent([row.client for row in rows]):
        click.echo(f"no test image has {' or '.join(filter(None, (', '.join(none[:-1]), none[-1])))}")
