"""matplotlib figures of a run's numbers. Nothing opens a window (pyplot is not used); `save` writes a PNG."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from toolkit.stats.accuracy_lost import FAILS, HOLDS
from toolkit.stats.metrics import Evaluation
from toolkit.storage.files import atomic

TRAIN, VAL = "#7a7a7a", "#1f6fb4"
VERDICTS = {HOLDS: VAL, FAILS: "#c8553d"}  # colours; "undecided" is grey
NUMBERED = 30  # classes: a confusion matrix of more has no names and numbers
NAMED = 12  # layers are named in a picture at most
CLEAR = 60  # decibels above the limit, from which a layer is drawn as adding no error


def save(figure: Figure, path: Path) -> None:
    with atomic(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a character that the font lacks is drawn as a box
        figure.savefig(temporary, dpi=120, bbox_inches="tight")


def confusion(evaluation: Evaluation) -> Figure:
    """A confusion matrix: rows are the true classes, columns the answers. The colour is the share of the row, the
    number counts images."""
    counts, names = evaluation.confusion, evaluation.class_names
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # Without numbers it does not grow: at half an inch a class, 2,000 classes would be 58 GB of pixels.
    side = max(3.6, 0.5 * min(len(names), NUMBERED) + 2)
    figure = Figure(figsize=(side + 0.8, side))
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            axes.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                color="white" if shares[row, column] > 0.5 else "black",
            )
        axes.set_xticks(
            range(len(names)),
            names,
            rotation=45 if len(names) > 4 else 0,
            ha="right" if len(names) > 4 else "center",
            parse_math=False,  # a class name may hold a dollar
        )
        axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set(xlabel="answered", ylabel="true", title=f"{evaluation.accuracy:.1%} of {evaluation.images} images")
    figure.colorbar(picture, ax=axes, label="share of the true class", fraction=0.046)
    return figure


def learning_curves(rows: list[dict[str, Any]], kept: int | None = None) -> Figure:
    """Accuracy and loss against epoch, for training and validation; lines where fine-tuning and a refit start, a ring
    at the epoch whose weights were kept."""
    figure = Figure(figsize=(9, 3.6), layout="tight")
    for position, (name, unit) in enumerate({"accuracy": "accuracy", "loss": "loss (nats)"}.items(), start=1):
        axes = figure.add_subplot(1, 2, position)
        curve(axes, rows, name, kept)
        axes.set(xlabel="epoch", ylabel=unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
    figure.axes[0].legend(loc="best", framealpha=0.9)
    return figure


def curve(axes: Axes, rows: list[dict[str, Any]], name: str, kept: int | None) -> None:
    """One panel of `learning_curves`: "accuracy" or "loss" of the rows of a history.csv."""
    epochs = [row["epoch"] + 1 for row in rows]
    axes.plot(epochs, [row[name] for row in rows], color=TRAIN, marker=".", label="training (augmented)")
    axes.plot(epochs, [row[f"val_{name}"] for row in rows], color=VAL, marker="o", label="validation")
    for stage, style, label in (("tune", "--", "fine-tuning starts"), ("refit", ":", "refit starts")):
        first = next((row["epoch"] for row in rows if row["stage"] == stage), 0)
        if first > rows[0]["epoch"]:
            axes.axvline(first + 0.5, color="black", linestyle=style, linewidth=1, label=label)
    best = [row for row in rows if row["epoch"] == kept]
    if best:
        axes.plot(kept + 1, best[0][f"val_{name}"], "o", ms=13, mfc="none", mec="black", label="kept")  # type: ignore[operator]


def mistakes(images: np.ndarray, captions: list[str]) -> Figure:
    """Images, uint8 [N, S, S, 3] or, in grey, [N, S, S, 1], in rows of six, each with its caption."""
    columns = min(6, max(1, len(images)))
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(2.1 * columns, 2.6 * rows), layout="tight")
    for position, (image, caption) in enumerate(zip(images, captions, strict=True), start=1):
        axes = figure.add_subplot(rows, columns, position)
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)  # these are for grey images; RGB ignores them
        axes.set_title(caption, fontsize=7, parse_math=False)  # a file name may hold a dollar
        axes.axis("off")
    if not len(images):
        figure.text(0.5, 0.5, "no mistakes", ha="center", va="center")
    return figure


def layers(errors: list[tuple[str, float, float]], limit: float) -> Figure:
    """Signal-to-noise ratio of an artefact's layers in decibels.

    `errors`: (layer, error that it adds, error of its output), both relative. Layers whose own error is above `limit`
    are named; those that add almost none are rings at the upper end.
    """
    figure = Figure(figsize=(max(7, 0.09 * len(errors) + 3), 4.2), layout="tight")
    axes = figure.add_subplot()
    numbers = np.arange(len(errors))
    edge = float(_decibels(np.array(limit)))
    top = edge + CLEAR
    own, total = (np.minimum(_decibels(np.array([row[column] for row in errors])), top) for column in (1, 2))
    little = own == top
    axes.plot(numbers, total, color=TRAIN, marker=".", label="against the model's activations")
    axes.plot(numbers[~little], own[~little], "o", color=VAL, ms=4, label="what the layer adds")
    axes.plot(
        numbers[little], own[little], "o", mec=VAL, mfc="white", ms=4, label=f"adds nothing ({top:.0f} dB or more)"
    )
    axes.axhline(edge, color="black", linestyle=":", linewidth=1, label="stands out below")
    named = [number for number, row in enumerate(errors) if not row[1] <= limit][:NAMED]
    for turn, number in enumerate(named):
        side, along = ("right", -6) if number > len(errors) / 2 else ("left", 6)
        at, place = (float(number), float(own[number])), (along, -9 - 8 * (turn % 4))  # neighbours one below the other
        axes.annotate(errors[number][0], at, place, textcoords="offset points", ha=side, fontsize=7)
    axes.margins(y=0.15)
    axes.set(xlabel="layer, from input to output", ylabel="signal to noise (dB)", xlim=(-1, len(errors)))
    axes.grid(alpha=0.25)
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4 if len(errors) > 50 else 2, frameon=False, fontsize=8
    )  # beside the points
    return figure


def _decibels(error: np.ndarray) -> np.ndarray:
    """Decibels of relative errors; an error of 0 is drawn at float32's resolution."""
    return -20 * np.log10(np.clip(np.nan_to_num(error, nan=1e3, posinf=1e3), np.finfo(np.float32).eps, 1e3))


def clients(rows: list[tuple[str, float, float, float, str]], margin: float) -> Figure:
    """Points of accuracy that an app loses by what it does to the pixels.

    `rows`: (name, accuracy, lost, lost at most, verdict), fractions. A line reaches from the loss to its 95 % bound;
    the dotted line is the margin.
    """
    figure = Figure(figsize=(9, 0.34 * len(rows) + 1.3), layout="tight")
    axes = figure.add_subplot()
    for place, (name, accuracy, lost, most, verdict) in zip(range(len(rows) - 1, -1, -1), rows, strict=True):
        colour = VERDICTS.get(verdict, TRAIN)
        axes.plot([100 * lost, 100 * most], [place, place], color=colour, linewidth=2)
        axes.plot(100 * lost, place, "o", color=colour)
        axes.text(-0.01, place, name, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=8)
        axes.text(1.01, place, f"{accuracy:.2%}", transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.axvline(100 * margin, color="black", linestyle=":", linewidth=1)
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xticks([-1, 0, 1, 3, 10, 30, 100], ["-1", "0", "1", "3", "10", "30", "100"])
    axes.set(yticks=[], xlabel="points of accuracy lost, and at most (95 %); dotted: the margin", xlim=(-1.2, 110))
    axes.set_title("accuracy if your app does this", fontsize=9)
    axes.grid(alpha=0.25, axis="x")
    return figure
