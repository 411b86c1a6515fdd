"""The front of a run as a picture: accuracy against latency and against size, each point a trial as one file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from toolkit.evaluation.plots import VAL
from unfreeze.front_points import FrontPoint
from unfreeze.pages.svg_picture import INK, Picture, percent_axis, picture

SHAPES = {"tflite": "o", "onnx": "s", "saved_model": "^"}
NAMES = {"tflite": "TFLite", "onnx": "ONNX", "saved_model": "SavedModel"}
COSTS = {"latency_ms": "ms for one image on one thread", "size_mb": "MB"}


def front_picture(points: Sequence[FrontPoint]) -> Picture | None:
    """A filled point is on the front, a ring marks the trial that was taken. None if there is nothing to choose."""
    shown = [one for one in points if one.latency_ms is not None]
    if len(shown) < 2:
        return None
    hints = {f"{cost}-{number}": hint(one) for cost in COSTS for number, one in enumerate(shown)}

    def draw() -> Figure:
        figure = Figure(figsize=(12.6, 3.6))
        panels = figure.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.06})
        for (cost, label), axes in zip(COSTS.items(), panels, strict=True):
            for number, one in enumerate(shown):
                _draw_point(axes, one, float(getattr(one, cost)), f"{cost}-{number}")
            axes.set(xscale="log", xlabel=label)
            axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.grid(alpha=0.6)
            axes.set_axisbelow(True)
            axes.margins(0.06, 0.14)
        panels[0].set_ylabel("validation accuracy")
        percent_axis(panels[0].yaxis)
        for kind in dict.fromkeys(one.format for one in shown):
            panels[0].scatter([], [], s=52, marker=SHAPES[kind], facecolors=VAL, edgecolors=VAL, label=NAMES[kind])
        panels[0].scatter([], [], s=52, marker="o", facecolors="none", edgecolors=VAL, label="beaten")
        panels[0].scatter([], [], s=150, marker="o", facecolors="none", edgecolors=INK, label="taken")
        panels[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=5, fontsize=8.5, handletextpad=0.3)
        return figure

    best = [one for one in shown if one.best]
    text = f"{len(shown)} files, {len(best)} of them on the front: {'; '.join(map(hint, best))}."
    return picture(draw, text, "What can be had: accuracy against latency and against size", hints)


def _draw_point(axes: Any, one: FrontPoint, cost: float, gid: str) -> None:
    if one.taken:
        axes.scatter([cost], [one.accuracy], s=190, facecolors="none", edgecolors=INK, zorder=2)
    fill = VAL if one.best else "none"
    shape = SHAPES[one.format]
    axes.scatter([cost], [one.accuracy], s=62, marker=shape, facecolors=fill, edgecolors=VAL, zorder=3, gid=gid)


def hint(one: FrontPoint) -> str:
    """A point in words."""
    time = "" if one.latency_ms is None else f", {one.latency_ms:.2f} ms"
    memory = "" if one.memory_mb is None else f", {one.memory_mb:.0f} MB of memory"
    return f"trial {one.trial} as {one.file}: {one.accuracy:.2%}, {one.size_mb:.2f} MB{time}{memory} ({one.model})"
