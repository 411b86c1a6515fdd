"""Tables of data, search and evaluation for standard output: a function for each kind of result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from toolkit.data.image_set import ImageSet
from toolkit.data.sources.reasons import by_suffix
from toolkit.data.together import near_duplicates, near_leaks, split_groups
from toolkit.errors import counted, one_line
from toolkit.stats.metrics import Evaluation
from unfreeze.screen.terminal import print_table
from unfreeze.wording import (
    backbone_words,
    chosen_by_words,
    deeper_words,
    folds_words,
    left_out_words,
    majority_words,
    validation_words,
    varied_words,
)

if TYPE_CHECKING:  # `tuning.results` is imported where it is needed
    from tuning.results import SearchResult

LISTED = 20  # files are named at most; the others are counted
ROWS = 1000  # classes are shown at most; the others are counted


def show_folder(images: ImageSet, near: tuple[tuple[str, ...], ...] | None = None) -> None:
    """Print the classes with their images in each part, the sizes, and the files that are left out or doubled. `near`:
    `near_duplicates(images)`, where it is known already."""
    near = near_duplicates(images) if near is None else near
    parts = [part for part in ("train", "val", "test") if part in images.parts]
    counts = {part: images.counts(part) for part in parts}
    together = images.counts()
    rows = [
        [name, *(str(counts[part][number]) for part in parts), str(together[number])]
        for number, name in enumerate(images.class_names[:ROWS])
    ]
    rows += _unlisted(images.class_names)
    rows.append(["all", *(str(counts[part].sum()) for part in parts), str(len(images))])
    print_table(["class", *parts, "images"], rows)
    smallest, middle, largest = (np.percentile(images.sizes, q, axis=0).astype(int) for q in (0, 50, 100))
    click.echo(
        f"\nwidth {smallest[0]} to {largest[0]} px (median {middle[0]}), "
        f"height {smallest[1]} to {largest[1]} px (median {middle[1]})"
    )
    for notice in images.notices:
        click.echo(f"note: {one_line(notice)}")
    listed("left out", [f"{left.path}: {left.reason}" for left in images.rejected])
    listed("with the same pixels", [", ".join(group) for group in images.duplicates()])
    if images.uncompared is None:
        click.echo("nearly the same: not looked for")
    else:
        listed("nearly the same", [", ".join(group) for group in near], note=_uncompared(images.uncompared))
    listed("the same image in two given parts", leaks(images))
    for what, lines in torn(images, near).items():
        if lines:
            listed(what, lines)
    if images.ignored:
        kinds = by_suffix(images.ignored_suffixes) or images.ignored  # an older run.json has the number alone
        click.echo(f"ignored (no image): {kinds}")
    click.echo(f"fingerprint {images.fingerprint()[:16]}")


def _unlisted(classes: Sequence[str]) -> list[list[str]]:
    """A row that says how many classes are not shown; [] if all are shown."""
    return [[f"and {len(classes) - ROWS} more (--json lists all)"]] if len(classes) > ROWS else []


def leaks(images: ImageSet) -> list[str]:
    """A line for each image that DATA itself has in two parts, with its paths."""
    return _with_parts(images, images.leaks())


def _with_parts(images: ImageSet, sets: Sequence[tuple[str, ...]]) -> list[str]:
    part = dict(zip(images.paths, images.parts, strict=True))
    return [", ".join(f"{path} ({part[path]})" for path in paths) for paths in sets]


def _uncompared(some: int) -> str:
    """How many pictures could not be compared with others, in brackets; "" if all could."""
    told = f"{counted(some, 'picture')} {'is' if some == 1 else 'are'} too small or too smooth to be compared"
    return f" ({told})" if some else ""


def torn(images: ImageSet, near: tuple[tuple[str, ...], ...] | None = None) -> dict[str, list[str]]:
    """What else stands in two parts: a line for each set of nearly the same images, and for each group."""
    groups = split_groups(images)
    return {
        "nearly the same image in two parts": _with_parts(images, near_leaks(images, near)),
        "a group in two parts": [f"{group}: {' and '.join(parts)}" for group, parts in groups.items()],
    }


def warnings(images: ImageSet) -> Iterator[str]:
    """Lines to show before a run: what was decided, the files left out, and the images that are in two parts."""
    yield from map(one_line, images.notices)
    for what, lines in {
        "left out": [f"{left.path}: {left.reason}" for left in images.rejected],
        "the same image in two parts, so the test is too easy": leaks(images),
        **{f"{what}, so the test is too easy": lines for what, lines in torn(images).items()},
    }.items():
        if lines:
            yield f"{what}: {len(lines)}"
            yield from (f"  {one_line(line)}" for line in lines[:LISTED])
            if len(lines) > LISTED:
                yield f"  and {len(lines) - LISTED} more (`unfreeze scan DATA --json` lists all)"


def listed(what: str, lines: Sequence[str], most: int = LISTED, note: str = "") -> None:
    """Print how many lines there are, with a note, and at most `most` of them."""
    click.echo(f"{what}: {len(lines) or 'none'}{note}")
    for line in lines[:most]:
        click.echo(f"  {one_line(line)}")
    if len(lines) > most:
        click.echo(f"  and {len(lines) - most} more (--json lists all)")


def show_search(result: SearchResult) -> None:
    """Print the trial that was taken, and the trials that the images cannot tell from the best one."""
    trial, spec = result.trial(result.taken), result.spec
    head = f"{spec.head_units} head units" if spec.head_units else "no dense head"
    told = f"{varied_words(trial.varied)}, " if trial.varied else ""
    click.echo(
        f"taken: trial {trial.number}, {told}{head}, dropout {spec.dropout:g}, unfreeze depth {spec.unfreeze}: "
        f"{validation_words(asdict(trial) if result.refit or not result.kept else result.kept)}"
    )
    if result.file:
        click.echo(chosen_by_words(result.file, result.folds))
    if told := folds_words(asdict(result), result.objective, trial.fold_spread):
        click.echo(told)
    stage = result.kept.get("stage", trial.best_stage)
    if spec.unfreeze and stage == "head":
        click.echo(backbone_words(spec.unfreeze, stage))
    if told := deeper_words(spec, stage, (one.unfreeze or 0 for one in result.trials)):
        click.echo(told)
    if result.tied:
        names = ", ".join(str(int(name)) for name in result.tied)
        click.echo(f"tied with the best (trial {int(result.best)}) on these {result.judged:,} images: trial {names}")
    if result.recommended != result.taken:
        click.echo(f"smallest of them: trial {int(result.recommended)} (--pick smallest takes it)")
    if result.refit:
        kept = result.kept
        better = validation_words(kept)
        told = better if kept["stage"] == "refit" else "no epoch was better than the trial, whose weights are kept"
        click.echo(f"refit for {result.refit} epochs: {told}")
    if result.left_out:
        click.echo(left_out_words(result.left_out))


def show_evaluation(evaluation: Evaluation, what: str = "test accuracy") -> None:
    low, high = evaluation.accuracy_interval
    click.echo(f"{what} {evaluation.accuracy:.2%} ({low:.2%} to {high:.2%}, 95 % Wilson) on {evaluation.images} images")
    name, share = evaluation.majority
    click.echo(
        f"balanced accuracy {evaluation.balanced_accuracy:.2%}, macro F1 {evaluation.macro_f1:.4f}; "
        f"always answering {one_line(name)} would be right on {share:.2%}"
    )
    if words := majority_words(evaluation):
        click.echo(f"WARNING: {words}")
    click.echo(
        f"log loss {evaluation.log_loss:.4f} nats, expected calibration error {evaluation.calibration_error:.4f}"
    )
    rows = [
        [name, f"{p:.4f}", f"{r:.4f}", f"{lower:.4f} – {upper:.4f}", f"{f:.4f}", str(n)]
        for name, p, r, (lower, upper), f, n in zip(
            evaluation.class_names,
            evaluation.precision,
            evaluation.recall,
            evaluation.recall_interval,
            evaluation.f1,
            evaluation.confusion.sum(axis=1),
            strict=True,
        )
    ]
    columns = ["class", "precision", "recall", "95 % interval", "F1", "images"]
    print_table(columns, rows[:ROWS] + _unlisted(evaluation.class_names))


def show_places(run: Path) -> None:
    for name, what in {
        "report.html": "the report: open it in a browser",
        "report.md": "the model card",
        "model.keras": "the model",
        "export": "artefacts, labels.txt, manifest.json, golden pack",
        "trials.csv": "every trial",
        "metrics.json": "test numbers",
        "plots": "confusion matrix, learning curves, mistakes, flips",
        "parity.json": "the proof: every number",
    }.items():
        if (run / name).exists():
            click.echo(f"  {one_line(str(run / name))}  {what}")


def show_training(best: dict[str, Any]) -> None:
    click.echo(f"best epoch {best['epoch'] + 1}: {validation_words(best)}")


ACCURACIES = {"val": "validation", "train": "training", "test": "test"}  # the part that adopt looks at


def show_adopted(adopted: dict[str, Any], images: ImageSet) -> None:
    """Print what was assumed of the model, and its accuracy: it is low if an assumption is wrong."""
    counts = ", ".join(f"{len(images.select(part))} {part}" for part in ("train", "val", "test"))
    seen = next(part for part in ACCURACIES if f"{part}_accuracy" in adopted)
    click.echo(f"{len(images.class_names)} classes in this order: {one_line(', '.join(images.class_names))}")
    answers = {
        "logits": "logits, made probabilities",
        "sigmoids": "a sigmoid for each class, divided by their sum",
    }.get(adopted["answers"], "probabilities")
    grey = " grey" if adopted["grey"] else ""
    click.echo(f"takes {adopted['image_size']} px{grey}, {adopted['pixels']}; gives {answers}; images: {counts}")
    accuracy = f"{ACCURACIES[seen]} accuracy {adopted[f'{seen}_accuracy']:.2%}"
    click.echo(f"{accuracy}. If you expected more, check --pixels and --labels")
    if "train" not in images.parts:
        click.echo("int8 and int16x8 files need training images to calibrate on: export will leave them out")
