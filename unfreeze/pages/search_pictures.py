"""Pictures of the search: scores, settings, effects and times of its trials."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from toolkit.evaluation.plots import TRAIN, VAL
from toolkit.stats.scores import SCORES, axis_label, shown
from tuning.results import Trial
from unfreeze.pages.effects import Effect, labels
from unfreeze.pages.svg_picture import INK, SOFT, Picture, percent_axis, picture


def trial_scores(trials: Sequence[Trial], name: str, taken: int | None) -> Picture:
    """`name`, a score in SCORES, of each completed trial. A ring marks a trial whose best epoch is of the
    head stage, a filled dot one that fine-tuning improved; `taken` is the number of the trial that was kept."""
    done, score = [trial for trial in trials if trial.value(name) is not None], SCORES[name]

    def draw() -> Figure:
        figure = Figure(figsize=(4.9, 3.1))
        axes = figure.add_subplot()
        place = {trial.number: float(trial.value(name) or 0.0) for trial in done}
        for trial in done:
            parent = int(trial.parent) if trial.parent else None
            if parent in place:
                axes.plot([parent, trial.number], [place[parent], place[trial.number]], color=SOFT, zorder=1)
        for stage, fill, label in (("head", "none", "head only"), ("tune", VAL, "fine-tuned")):
            chosen = [trial for trial in done if (trial.best_stage == "head") == (stage == "head")]
            if chosen:
                x = [trial.number for trial in chosen]
                y = [place[number] for number in x]
                axes.scatter(x, y, s=42, facecolors=fill, edgecolors=VAL, linewidths=1.4, zorder=3, label=label)
        if taken in place:
            axes.scatter([taken], [place[taken]], s=190, facecolors="none", edgecolors=INK, zorder=4, label="taken")
        axes.set(xlabel="trial", ylabel=axis_label(name))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if not score.nats:
            percent_axis(axes.yaxis)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.margins(0.08, 0.16)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.17), ncols=3, fontsize=8.5, handletextpad=0.3)
        return figure

    values = [float(trial.value(name) or 0.0) for trial in done]
    best = (max if score.rises else min)(done, key=lambda trial: float(trial.value(name) or 0.0))
    text = (
        f"Validation {score.words} of {len(done)} trials, from {shown(name, min(values))} to "
        f"{shown(name, max(values))}; the best is trial {best.number}."
    )
    return picture(draw, text, f"{score.words[0].upper()}{score.words[1:]} against trial")


def parallel(trials: Sequence[Trial], objective: str, taken: int | None) -> Picture:
    """Parallel coordinates: each completed trial is a line through its settings to its score. The better the
    score, the stronger the colour."""
    done = [trial for trial in trials if trial.point and trial.value(objective) is not None]
    values = np.array([trial.value(objective) for trial in done], np.float64)
    names = labels(done)
    good = values if SCORES[objective].rises else -values
    strength = (good.argsort().argsort() + 1) / len(
        good
    )  # by rank, so that one very bad trial does not make all others look the same

    def draw() -> Figure:
        figure = Figure(figsize=(12.6, 3.5))
        axes = figure.add_subplot()
        columns = [_levels([trial.values[name] for trial in done]) for name in names]
        last = len(columns)
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
        axes.axvline(last, color=INK, linewidth=0.8)
        for place, value in ((1, good.max()), (0, good.min())):
            axes.text(
                last + 0.03,
                place,
                shown(objective, abs(value), 1).removesuffix(" nats"),
                ha="left",
                va="center",
                fontsize=9,
            )
        axes.set_xticks(range(last + 1), [*names.values(), "validation " + SCORES[objective].words])
        axes.tick_params(axis="x", length=0, pad=8)
        axes.set(yticks=[], ylim=(-0.06, 1.06), xlim=(-0.15, last + 0.2))
        for spine in axes.spines.values():
            spine.set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.17), fontsize=8.5)
        return figure

    order = np.argsort(-good)
    best = "; ".join(
        f"trial {t.number}: {', '.join(f'{label} {_short(t.values[name])}' for name, label in names.items())}, "
        f"{t.value(objective):.4f}"
        for t in (done[row] for row in order[:3])
    )
    text = f"Parallel coordinates of {len(done)} trials over {', '.join(names.values())}. The best: {best}."
    return picture(draw, text, "Every trial through its settings: the better, the stronger the line")


def _short(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _levels(values: Sequence[Any]) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Even places from 0 to 1 for the distinct values: the place of each value, float64 [N], and (place, name) of each
    distinct one."""
    distinct = sorted(set(values))
    places = np.linspace(0, 1, len(distinct)) if len(distinct) > 1 else np.array([0.5])
    where = dict(zip(distinct, places, strict=True))
    return np.array([where[value] for value in values]), [(float(where[value]), _short(value)) for value in distinct]


def _smooth(points: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """A curve through the points, float64 x and y. It is level at each axis, so that crossing lines can be followed."""
    step = np.linspace(0, 1, 24)
    ease = step * step * (3 - 2 * step)
    pairs = list(pairwise(points))
    return (
        np.concatenate([start + step for start in range(len(pairs))]),
        np.concatenate([left + (right - left) * ease for left, right in pairs]),
    )


def effect_bars(effects: Sequence[Effect]) -> Picture:
    """The share of the variance that each setting explains, with a mark at the 95th percentile of what chance gives."""
    computed = [effect for effect in effects if effect.share is not None]

    def draw() -> Figure:
        figure = Figure(figsize=(4.9, 0.55 * len(computed) + 0.75))
        axes = figure.add_subplot()
        places = np.arange(len(computed))[::-1]
        colours = [VAL if effect.shown else TRAIN for effect in computed]
        axes.barh(places, [effect.share or 0 for effect in computed], height=0.46, color=colours)
        axes.plot(
            [effect.chance or 0 for effect in computed],
            places,
            "|",
            ms=20,
            mew=2,
            color=INK,
            label="chance alone: 95% below",
        )
        axes.set_yticks(places, [effect.label for effect in computed])
        axes.tick_params(axis="y", length=0)
        axes.set(xlim=(0, 1), ylim=(-0.6, len(computed) - 0.4), xlabel="share of the variance between trials")
        percent_axis(axes.xaxis)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8.5)
        return figure

    text = "; ".join(
        f"{effect.label} explains {effect.share:.0%} of the variance of {effect.trials} trials, chance alone up to "
        f"{effect.chance:.0%}"
        for effect in computed
    )
    return picture(draw, text[0].upper() + text[1:] + ".", "What each setting explains")


def trial_costs(trials: Sequence[Trial]) -> Picture:
    """The training time of each trial in seconds."""
    timed = [trial for trial in trials if trial.seconds is not None]

    def draw() -> Figure:
        figure = Figure(figsize=(4.9, 2.6))
        axes = figure.add_subplot()
        for tuned, colour, label in ((False, TRAIN, "head only"), (True, VAL, "fine-tuned")):
            chosen = [trial for trial in timed if (trial.best_stage != "head") == tuned]
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
