"""RUN/plots/trials.png: the objective of each completed trial."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from toolkit.evaluation.plots import save
from toolkit.run import Run
from toolkit.stats.scores import axis_label
from tuning.results import Trial, read_trials


def plot_trials(run: Run) -> None:
    """Draw the trials of trials.csv. Do nothing if there was no search. Raises UnfreezeError if the file is damaged."""
    trials = read_trials(run.path / "trials.csv")
    if trials:
        save(trials_figure(trials, run.settings.objective), run.path / "plots" / "trials.png")


def trials_figure(trials: Sequence[Trial], objective: str) -> Figure:
    """The objective against the trial's number, its unfreeze depth as colour; the best and the tied are named."""
    figure = Figure(figsize=(7, 3.6))
    axes = figure.add_subplot()
    done = [trial for trial in trials if trial.value(objective) is not None]
    places = [(trial.number, float(trial.value(objective) or 0.0)) for trial in done]
    dots = axes.scatter(
        [x for x, _ in places],
        [y for _, y in places],
        c=[trial.unfreeze or 0 for trial in done],
        cmap="viridis",
        zorder=2,
    )
    for trial, place in zip(done, places, strict=True):
        if trial.mark:
            axes.annotate(trial.mark, place, xytext=(5, 5), textcoords="offset points", fontsize=8)
    axes.set(xlabel="trial", ylabel=axis_label(objective))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.margins(0.12, 0.15)
    figure.colorbar(dots, ax=axes, label="stages unfrozen", ticks=MaxNLocator(integer=True))
    return figure
