"""Pictures of the model that was kept: its learning curves, its confusions, and whether its probabilities are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from toolkit.evaluation.plots import TRAIN, VAL, curve
from toolkit.stats.metrics import BINS, Evaluation
from unfreeze.pages.run_facts import Answers
from unfreeze.pages.svg_picture import INK, SOFT, Picture, percent_axis, picture

LARGEST = 15.0  # inches: the side of a confusion matrix of 200 classes; those of more have smaller cells
MOST_NUMBERED = 12  # classes: a confusion matrix of more has no numbers in its cells
MOST_NAMED = 40  # classes: a confusion matrix of more has no names at its axes
RIGHT, WRONG = "#1f6fb4", "#c8553d"  # cells of a confusion matrix


def learning_curve(rows: Sequence[dict[str, Any]], name: str, kept: int | None) -> Picture:
    """Training and validation against the epoch. `name`: "accuracy" or "loss". `kept`: the epoch that is marked."""

    def draw() -> Figure:
        figure = Figure(figsize=(4.9, 3.1))
        axes = figure.add_subplot()
        curve(axes, list(rows), name, kept)
        axes.set(xlabel="epoch", ylabel="loss (nats)" if name == "loss" else name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=1)
        axes.set_axisbelow(True)
        if name == "accuracy":
            percent_axis(axes.yaxis)
        axes.legend(loc="best", fontsize=8.5)
        return figure

    first, last = rows[0], rows[-1]
    shown = "{:.1%}" if name == "accuracy" else "{:.3f}"
    best = next((row for row in rows if row["epoch"] == kept), None)
    kept_text = f"; the kept epoch {best['epoch'] + 1} has {shown.format(best[f'val_{name}'])}" if best else ""
    text = (
        f"Validation {name} goes from {shown.format(first[f'val_{name}'])} to {shown.format(last[f'val_{name}'])} in "
        f"{len(rows)} epochs, training {name} from {shown.format(first[name])} to "
        f"{shown.format(last[name])}{kept_text}."
    )
    return picture(draw, text, "Accuracy" if name == "accuracy" else "Loss")


def confusion(evaluation: Evaluation) -> Picture:
    """The confusion matrix: rows are the true classes, columns the answers. The diagonal is blue, mistakes are red. The
    strength of a colour is the square root of the share of the row, so that rare mistakes can be seen."""
    counts, names = evaluation.confusion, evaluation.class_names
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    many = len(names)
    side = {True: 0.78, False: 0.26 if many <= MOST_NAMED else 0.075}[many <= MOST_NUMBERED]

    def draw() -> Figure:
        length = min(max(2.3, side * many), LARGEST)
        figure = Figure(figsize=(length, length))
        axes = figure.add_subplot()
        cells = np.zeros((many, many, 4))
        cells[..., :3] = np.where(np.eye(many, dtype=bool)[..., None], to_rgba(RIGHT)[:3], to_rgba(WRONG)[:3])
        cells[..., 3] = 0.92 * np.sqrt(shares)
        axes.imshow(cells, interpolation="nearest")
        if many <= MOST_NUMBERED:
            for (row, column), number in np.ndenumerate(counts):
                colour = "white" if cells[row, column, 3] > 0.55 else INK
                axes.text(column, row, f"{number:,}", ha="center", va="center", color=colour, fontsize=11)
        if many <= MOST_NAMED:
            axes.set_xticks(
                range(many), [_short(name) for name in names], rotation=90 if many > 4 else 0, parse_math=False
            )
            axes.set_yticks(range(many), [_short(name) for name in names], parse_math=False)
            axes.tick_params(length=0, labelsize=10 if many <= MOST_NUMBERED else 8)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="answered", ylabel="true class")
        edges = np.arange(many + 1) - 0.5
        if many <= MOST_NAMED:
            axes.set_xticks(edges, minor=True)
            axes.set_yticks(edges, minor=True)
            axes.grid(which="minor", color=SOFT, linewidth=0.6)
            axes.tick_params(which="minor", length=0)
        for spine in axes.spines.values():
            spine.set(visible=True, color=SOFT)
        return figure

    worst = "; ".join(f"{n} of {true} answered as {said}" for n, _, true, said in confused(evaluation)[:3])
    text = (
        f"Confusion matrix of {many} classes on {evaluation.images} test images, "
        f"{int(np.trace(counts))} on the diagonal. "
        + (f"Most frequent mistakes: {worst}." if worst else "There is no mistake.")
    )
    return picture(draw, text)


def confused(evaluation: Evaluation, most: int = 10) -> list[tuple[int, float, str, str]]:
    """(images, share of the true class, true class, answer) of the most frequent mistakes."""
    counts, names = evaluation.confusion.copy(), evaluation.class_names
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:most]
    cells = [np.unravel_index(place, counts.shape) for place in order]
    return [
        (int(counts[row, column]), float(counts[row, column] / totals[row]), names[row], names[column])
        for row, column in cells
        if counts[row, column]
    ]


def _short(name: str, most: int = 18) -> str:
    """A name for an axis: one line of at most `most` characters."""
    line = " ".join(name.split()) or "?"
    return line if len(line) <= most else line[: most - 7] + "…" + line[-6:]


def _bins(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(how sure, how often right, float64 [bins with images]; images, int64 [BINS]) in the bins of the calibration
    error."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = counts > 0
    right = probabilities.argmax(axis=1) == labels
    sure, share = (
        np.bincount(bins, weights=one, minlength=BINS)[filled] / counts[filled] for one in (confidence, right)
    )
    return sure, share, counts


def reliability(answers: Answers, evaluation: Evaluation, before: np.ndarray | None = None) -> Picture:
    """A reliability diagram: the share of right answers against the probability of the answer, in the bins of the
    calibration error, and below it the number of images in each bin. `before`: the answers without the model's
    temperature, float32 [N, C], which are drawn as rings."""
    sure, share, counts = _bins(answers.probabilities, answers.images.labels)
    filled = counts > 0

    def draw() -> Figure:
        figure = Figure(figsize=(4.6, 4.6))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper.plot([0, 1], [0, 1], color=TRAIN, linewidth=1, linestyle="--", label="as sure as right")
        upper.vlines(sure, sure, share, color=WRONG, linewidth=2, label="gap")
        sizes = 14 + 110 * np.sqrt(counts[filled] / counts.max())
        upper.scatter(sure, share, s=sizes, color=VAL, zorder=3, clip_on=False, label="the model")
        if before is not None:
            upper.plot(*_bins(before, answers.images.labels)[:2], "o", ms=5, mfc="none", mec=TRAIN, label="untempered")
        upper.set(ylabel="share that is right", xlim=(0, 1), ylim=(-0.03, 1.06))
        upper.legend(
            loc="lower center",
            bbox_to_anchor=(0.45, 1.0),
            ncols=3 + (before is not None),
            fontsize=8.5 if before is None else 7.5,
            columnspacing=1.2,
        )
        lower.bar((np.arange(BINS) + 0.5) / BINS, counts, width=0.9 / BINS, color=VAL)
        lower.set(xlabel="probability of the answer", ylabel="images", yscale="symlog")
        lower.set_yticks([0, *(10**power for power in range(1, len(str(counts.max()))))])
        lower.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))
        lower.yaxis.minorticks_off()
        for axes in (upper, lower):
            axes.grid()
            axes.set_axisbelow(True)
            percent_axis(axes.xaxis)
        percent_axis(upper.yaxis)
        figure.subplots_adjust(hspace=0.12)
        return figure

    rows = "; ".join(
        f"{s:.0%} sure, {r:.0%} right, {n} images" for s, r, n in zip(sure, share, counts[filled], strict=True)
    )
    return picture(draw, f"Reliability diagram, expected calibration error {evaluation.calibration_error:.4f}. {rows}.")
