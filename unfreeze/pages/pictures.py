"""matplotlib figures as SVG to stand inside a page: text stays text, and the colours are the page's own.

A figure is drawn in marker colours, which become the page's CSS variables, so that one picture reads in light and in
dark. Every picture has an alternative text that tells what is seen in it.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from toolkit.evaluation.plots import TRAIN, VAL, curve
from toolkit.stats.metrics import BINS, Evaluation
from unfreeze.pages.effects import SETTINGS, Effect
from unfreeze.pages.run_facts import Answers, Trial

INK, SOFT = "#010203", "#040506"  # text and lines, gridlines
VARIABLES = {INK: "--ink-2", SOFT: "--line", TRAIN: "--grey", VAL: "--accent", "#000000": "--ink-2", "black": "--ink-2"}
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "unfreeze",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "grid.color": SOFT,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"), INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
}
LARGEST = 15.0  # inches of a confusion matrix: 200 classes; with more, the cells are smaller
NUMBERED = 12  # classes, up to which a confusion matrix has its numbers
NAMED = 40  # classes, up to which it has their names
RIGHT, WRONG = "#1f6fb4", "#c8553d"  # cells of a confusion matrix


@dataclass(frozen=True)
class Picture:
    """An SVG element, with what it tells."""

    svg: str
    alternative: str
    caption: str = ""
    width: int = 0  # pixels, as drawn


def picture(draw: Callable[[], Figure], alternative: str, caption: str = "") -> Picture:
    """`draw` is called with the style on, and its figure written as SVG."""
    stream = io.StringIO()
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the page's font draws the text, not matplotlib's
        figure = draw()
        figure.savefig(stream, format="svg", bbox_inches="tight", pad_inches=0.06, metadata={"Date": None})
    svg, width = _embedded(stream.getvalue(), alternative)
    return Picture(svg, alternative, caption, width)


def _embedded(text: str, alternative: str) -> tuple[str, int]:
    """The svg element alone, with identifiers of its own, the page's colours and font, and a text alternative."""
    body = text[text.index("<svg") :]
    opening, rest = body.split(">", 1)
    box = re.search(r'viewBox="([^"]*)"', opening)
    width = round(float(box[1].split()[2]) * 4 / 3) if box else 0  # points to pixels
    rest = re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    prefix = f"p{hashlib.sha256(body.encode()).hexdigest()[:8]}-"  # all pictures of a page share its identifiers
    rest = re.sub(r'\bid="', f'id="{prefix}', rest)
    rest = re.sub(r'(href="|url\()#', rf"\1#{prefix}", rest)
    for colour, variable in VARIABLES.items():
        rest = re.sub(rf"((?:fill|stroke): ){colour}\b", rf"\1var({variable})", rest)
    rest = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", rest)
    rest = re.sub(r"<text style=\"(?![^\"]*fill)", r'<text style="fill: var(--ink-2); ', rest)
    view = f'viewBox="{box[1]}"' if box else ""
    label = escape(alternative, quote=True)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view} '
    return f'{svg}width="{width}" role="img" aria-label="{label}">{rest}', width


def _percent(axis: Any) -> None:
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))


def learning_curve(rows: Sequence[dict[str, Any]], name: str, kept: int | None) -> Picture:
    """`name`: "accuracy" or "loss"."""

    def draw() -> Figure:
        figure = Figure(figsize=(4.9, 3.1))
        axes = figure.add_subplot()
        curve(axes, list(rows), name, kept)
        axes.set(xlabel="epoch", ylabel="loss (nats)" if name == "loss" else name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=1)
        axes.set_axisbelow(True)
        if name == "accuracy":
            _percent(axes.yaxis)
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


def trial_scores(trials: Sequence[Trial], name: str, taken: int | None) -> Picture:
    """val_accuracy or val_loss of each completed trial; a filled dot was fine-tuned, a ring only trained its head."""
    done = [trial for trial in trials if trial.value(name) is not None]

    def draw() -> Figure:
        figure = Figure(figsize=(4.9, 3.1))
        axes = figure.add_subplot()
        place = {trial.number: float(trial.value(name) or 0.0) for trial in done}
        for trial in done:
            if trial.parent in place:
                axes.plot(
                    [trial.parent, trial.number], [place[trial.parent], place[trial.number]], color=SOFT, zorder=1
                )
        for stage, fill, label in (("head", "none", "head only"), ("tune", VAL, "fine-tuned")):
            chosen = [trial for trial in done if (trial.stage == "head") == (stage == "head")]
            if chosen:
                x = [trial.number for trial in chosen]
                y = [place[number] for number in x]
                axes.scatter(x, y, s=42, facecolors=fill, edgecolors=VAL, linewidths=1.4, zorder=3, label=label)
        if taken in place:
            axes.scatter([taken], [place[taken]], s=190, facecolors="none", edgecolors=INK, zorder=4, label="taken")
        axes.set(xlabel="trial", ylabel="validation " + name[4:] + (" (nats)" if name == "val_loss" else ""))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if name == "val_accuracy":
            _percent(axes.yaxis)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.margins(0.08, 0.16)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.17), ncols=3, fontsize=8.5, handletextpad=0.3)
        return figure

    shown = "{:.2%}" if name == "val_accuracy" else "{:.4f} nats"
    values = [float(trial.value(name) or 0.0) for trial in done]
    best = (max if name == "val_accuracy" else min)(done, key=lambda trial: float(trial.value(name) or 0.0))
    text = (
        f"Validation {name[4:]} of {len(done)} trials, from {shown.format(min(values))} to "
        f"{shown.format(max(values))}; the best is trial {best.number}."
    )
    return picture(draw, text, "Accuracy against trial" if name == "val_accuracy" else "Loss against trial")


def parallel(trials: Sequence[Trial], objective: str, taken: int | None) -> Picture:
    """Each completed trial as a line through its three settings to its score; the better, the stronger its colour."""
    done = [trial for trial in trials if trial.value(objective) is not None]
    values = np.array([trial.value(objective) for trial in done], np.float64)
    good = -values if objective == "val_loss" else values
    strength = (good.argsort().argsort() + 1) / len(good)  # by rank: one bad trial would make all others alike

    def draw() -> Figure:
        figure = Figure(figsize=(12.6, 3.5))
        axes = figure.add_subplot()
        columns = [_levels([getattr(trial, name) for trial in done]) for name in SETTINGS]
        span = np.ptp(good) or 1.0
        ends = (good - good.min()) / span
        for row in np.argsort(good):
            points = [column[0][row] for column in columns] + [ends[row]]
            axes.plot(
                *_smooth(points), color=to_rgba(VAL, 0.12 + 0.88 * strength[row] ** 2), linewidth=1 + strength[row]
            )
            if done[row].number == taken:
                axes.plot(
                    *_smooth(points), color=INK, linewidth=1, linestyle=(0, (4, 3)), label=f"taken: trial {taken}"
                )
        for x, (_, marks) in enumerate(columns):
            axes.axvline(x, color=INK, linewidth=0.8)
            for place, label in marks:
                axes.text(x - 0.03, place, label, ha="right", va="center", fontsize=9)
        axes.axvline(3, color=INK, linewidth=0.8)
        for place, value in ((1, good.max()), (0, good.min())):
            shown = f"{abs(value):.1%}" if objective == "val_accuracy" else f"{abs(value):.4f}"
            axes.text(3.03, place, shown, ha="left", va="center", fontsize=9)
        labels = [*SETTINGS.values(), "validation " + objective[4:]]
        axes.set_xticks(range(4), labels)
        axes.tick_params(axis="x", length=0, pad=8)
        axes.set(yticks=[], ylim=(-0.06, 1.06), xlim=(-0.15, 3.2))
        for spine in axes.spines.values():
            spine.set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.17), fontsize=8.5)
        return figure

    order = np.argsort(-good)
    best = "; ".join(
        f"trial {t.number}: head size {t.head_units}, dropout {t.dropout:g}, depth {t.unfreeze}, "
        f"{t.value(objective):.4f}"
        for t in (done[row] for row in order[:3])
    )
    text = f"Parallel coordinates of {len(done)} trials over head size, dropout and unfreeze depth. The best: {best}."
    return picture(draw, text, "Every trial through its settings: the better, the stronger the line")


def _levels(values: Sequence[float]) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Places from 0 to 1, float64 [N], one for each distinct value, evenly; and the places with their names."""
    distinct = sorted(set(values))
    places = np.linspace(0, 1, len(distinct)) if len(distinct) > 1 else np.array([0.5])
    where = dict(zip(distinct, places, strict=True))
    return np.array([where[value] for value in values]), [(float(where[value]), f"{value:g}") for value in distinct]


def _smooth(points: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """A curve that leaves each axis level, so that lines that cross can be followed."""
    step = np.linspace(0, 1, 24)
    ease = step * step * (3 - 2 * step)
    pairs = list(pairwise(points))
    return (
        np.concatenate([start + step for start in range(len(pairs))]),
        np.concatenate([left + (right - left) * ease for left, right in pairs]),
    )


def effect_bars(effects: Sequence[Effect]) -> Picture:
    """The share that each setting explains, against what chance gives."""
    told = [effect for effect in effects if effect.share is not None]

    def draw() -> Figure:
        figure = Figure(figsize=(4.9, 0.55 * len(told) + 0.75))
        axes = figure.add_subplot()
        places = np.arange(len(told))[::-1]
        colours = [VAL if effect.shown else TRAIN for effect in told]
        axes.barh(places, [effect.share or 0 for effect in told], height=0.46, color=colours)
        axes.plot(
            [effect.chance or 0 for effect in told],
            places,
            "|",
            ms=20,
            mew=2,
            color=INK,
            label="chance alone: 95% below",
        )
        axes.set_yticks(places, [effect.label for effect in told])
        axes.tick_params(axis="y", length=0)
        axes.set(xlim=(0, 1), ylim=(-0.6, len(told) - 0.4), xlabel="share of the variance between trials")
        _percent(axes.xaxis)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8.5)
        return figure

    text = "; ".join(
        f"{effect.label} explains {effect.share:.0%} of the variance of {effect.trials} trials, chance alone up to "
        f"{effect.chance:.0%}"
        for effect in told
    )
    return picture(draw, text[0].upper() + text[1:] + ".", "What each setting explains")


def trial_costs(trials: Sequence[Trial]) -> Picture:
    """Seconds of each trial."""
    timed = [trial for trial in trials if trial.seconds is not None]

    def draw() -> Figure:
        figure = Figure(figsize=(4.9, 2.6))
        axes = figure.add_subplot()
        for tuned, colour, label in ((False, TRAIN, "head only"), (True, VAL, "fine-tuned")):
            chosen = [trial for trial in timed if (trial.stage != "head") == tuned]
            if chosen:
                x, y = [trial.number for trial in chosen], [float(trial.seconds or 0) for trial in chosen]
                axes.bar(x, y, width=0.7, color=colour, label=label)
        axes.set(xlabel="trial", ylabel="seconds")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.legend(loc="upper left", fontsize=8.5)
        return figure

    seconds = [float(trial.seconds or 0) for trial in timed]
    text = (
        f"{len(timed)} trials took {sum(seconds):.0f} s in all, from {min(seconds):.1f} to {max(seconds):.1f} s each."
    )
    return picture(draw, text, "Time of each trial")


def confusion(evaluation: Evaluation) -> Picture:
    """Rows are the true classes, columns the answers. The diagonal is blue, mistakes are red: the stronger, the larger
    their share of the row, by its square root, so that a rare mistake is seen among a hundred classes."""
    counts, names = evaluation.confusion, evaluation.class_names
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    many = len(names)
    side = {True: 0.78, False: 0.26 if many <= NAMED else 0.075}[many <= NUMBERED]

    def draw() -> Figure:
        length = min(max(2.3, side * many), LARGEST)
        figure = Figure(figsize=(length, length))
        axes = figure.add_subplot()
        cells = np.zeros((many, many, 4))
        cells[..., :3] = np.where(np.eye(many, dtype=bool)[..., None], to_rgba(RIGHT)[:3], to_rgba(WRONG)[:3])
        cells[..., 3] = 0.92 * np.sqrt(shares)
        axes.imshow(cells, interpolation="nearest")
        if many <= NUMBERED:
            for (row, column), number in np.ndenumerate(counts):
                colour = "white" if cells[row, column, 3] > 0.55 else INK
                axes.text(column, row, f"{number:,}", ha="center", va="center", color=colour, fontsize=11)
        if many <= NAMED:
            axes.set_xticks(
                range(many), [_short(name) for name in names], rotation=90 if many > 4 else 0, parse_math=False
            )
            axes.set_yticks(range(many), [_short(name) for name in names], parse_math=False)
            axes.tick_params(length=0, labelsize=10 if many <= NUMBERED else 8)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="answered", ylabel="true class")
        edges = np.arange(many + 1) - 0.5
        if many <= NAMED:
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
    """A name as an axis shows it: one line, and not the whole picture."""
    line = " ".join(name.split()) or "?"
    return line if len(line) <= most else line[: most - 7] + "…" + line[-6:]


def reliability(answers: Answers, evaluation: Evaluation) -> Picture:
    """How often the model is right against how sure it is, in the bins of the calibration error; below, how many."""
    confidence = answers.probabilities.max(axis=1).astype(np.float64)
    right = answers.probabilities.argmax(axis=1) == answers.images.labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = counts > 0
    sure = np.bincount(bins, weights=confidence, minlength=BINS)[filled] / counts[filled]
    share = np.bincount(bins, weights=right, minlength=BINS)[filled] / counts[filled]

    def draw() -> Figure:
        figure = Figure(figsize=(4.6, 4.6))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper.plot([0, 1], [0, 1], color=TRAIN, linewidth=1, linestyle="--", label="as sure as right")
        upper.vlines(sure, sure, share, color=WRONG, linewidth=2, label="gap")
        sizes = 14 + 110 * np.sqrt(counts[filled] / counts.max())
        upper.scatter(sure, share, s=sizes, color=VAL, zorder=3, clip_on=False, label="the model")
        upper.set(ylabel="share that is right", xlim=(0, 1), ylim=(-0.03, 1.06))
        upper.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=3, fontsize=8.5, columnspacing=1.2)
        lower.bar((np.arange(BINS) + 0.5) / BINS, counts, width=0.9 / BINS, color=VAL)
        lower.set(xlabel="probability of the answer", ylabel="images", yscale="symlog")
        lower.set_yticks([0, *(10**power for power in range(1, len(str(counts.max()))))])
        lower.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))
        lower.yaxis.minorticks_off()
        for axes in (upper, lower):
            axes.grid()
            axes.set_axisbelow(True)
            _percent(axes.xaxis)
        _percent(upper.yaxis)
        figure.subplots_adjust(hspace=0.12)
        return figure

    rows = "; ".join(
        f"{s:.0%} sure, {r:.0%} right, {n} images" for s, r, n in zip(sure, share, counts[filled], strict=True)
    )
    return picture(draw, f"Reliability diagram, expected calibration error {evaluation.calibration_error:.4f}. {rows}.")
