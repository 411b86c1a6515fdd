"""The terminal: progress and growing tables on standard error, results on standard output.

A terminal shows moving bars. Any other output, such as a log file, gets a line for each finished step.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from toolkit.errors import one_line
from unfreeze.screen.time_left import Plan, seconds_left

if TYPE_CHECKING:
    from toolkit.settings import Settings

WIDTH = 120  # columns of a table that is not printed on a terminal
WITHIN = ("views", "waiting")  # first words of the steps within a search: the bar of the trials stays during them


class Left(ProgressColumn):
    """The column with the time that is left: the task's own estimate if it has one, else an estimate from its speed."""

    def render(self, task: Task) -> Text:
        until = task.fields.get("until")
        left = task.time_remaining if until is None else max(0.0, until - time.monotonic())
        known = left is not None and left < float("inf") and not task.finished
        return Text(f"{duration(left)} left" if known and left is not None else "")


class Screen:
    """What a command shows while it works. A context manager, which removes the bars at its end."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), Left())
        self.bars = Progress(
            *columns, console=self.console, disable=quiet or not self.console.is_terminal, transient=True
        )
        self.tasks: dict[str, Any] = {}
        self.begun: dict[str, float] = {}
        self.varied: dict[str, int] = {}  # a further setting of a trial -> the width of its column
        self.rows_shown: int | None = None  # rows of the table of trials; None before its header was printed

    def __enter__(self) -> Screen:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the bars, before a result or an error is printed."""
        for task in self.tasks.values():
            self.bars.remove_task(task)
        self.tasks.clear()
        self.bars.stop()

    def say(self, text: str) -> None:
        self.console.print("\n".join(map(one_line, text.split("\n"))), markup=False)

    def next(self, command: str) -> None:
        """Say which command to type next."""
        self.say(f"\nnext: {command}")

    def progress(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` parts of a step are finished: a bar, and a line with its time when all are."""
        if what not in self.tasks:
            if not what.startswith(WITHIN):
                self._drop("trials", "epoch")
            self.tasks[what] = self.bars.add_task(what, total=total)
            self.begun[what] = time.monotonic()
            if self.bars.disable and done == 0:
                self.say(f"{what} ...")
        self.bars.update(self.tasks[what], completed=done)
        if done >= total:
            self.bars.remove_task(self.tasks.pop(what))
            count = "" if total == 1 else f"{total} in "
            self.say(f"{what}: {count}{duration(time.monotonic() - self.begun[what])}")

    def epoch(self, row: dict[str, Any], total: int) -> None:
        """Show the epoch that has ended, in a bar of `total` epochs."""
        what, number = "epoch", row["epoch"] + 1
        text = f"{row['stage']}  val_loss {row['val_loss']:.4f}  val_accuracy {row['val_accuracy']:.2%}  epoch"
        if self.bars.disable:
            return
        if what not in self.tasks:
            self.tasks[what] = self.bars.add_task(what, total=total)
        self.bars.update(self.tasks[what], completed=number, total=total, description=text)

    def vary(self, settings: Settings) -> None:
        """Give the trials' rows a column for each further setting that the search varies."""
        self.varied = {
            name: max(len(name), *(len(str(value)) for value in values)) for name, values in settings.varied.items()
        }

    def trials(self, trials: Sequence[Any], plan: Plan | None) -> None:
        """Print a row for each trial that has ended since the last call, with an estimate of the time that is left.

        `trials`: all that have ended. `plan`: None if the number of remaining trials is not known.
        """
        if self.rows_shown is None:
            self.rows_shown = 0
            told = "".join(f"  {name.replace('_', ' '):>{width}}" for name, width in self.varied.items())
            self.say(f"trial{told}  head units  dropout  unfreeze  best in  val_loss  val_accuracy     time     left")
        for number, trial in enumerate(trials[self.rows_shown :], self.rows_shown + 1):
            seconds = None if plan is None else seconds_left(trials[:number], plan)
            left = "" if seconds is None else duration(seconds)
            self.say(f"{trial_line(trial, self.varied)} {left:>8}  {_note(trial)}".rstrip())
        self.rows_shown = max(self.rows_shown, len(trials))
        self._trials_bar(trials, plan)

    def _trials_bar(self, trials: Sequence[Any], plan: Plan | None) -> None:
        total = None if plan is None else max(len(trials), sum(count for count, _ in plan))
        if self.bars.disable or len(trials) == total:
            self._drop("trials", "epoch")
            return
        best = next((trial for trial in trials if trial.mark == "best"), None)
        text = "trials" if best is None else f"trials, best so far {int(best.trial)}: {best.val_accuracy:.2%}"
        seconds = None if plan is None else seconds_left(trials, plan)
        until = float("inf") if seconds is None else time.monotonic() + seconds
        if "trials" not in self.tasks:
            self.tasks["trials"] = self.bars.add_task(text, total=total)
        self.bars.update(self.tasks["trials"], completed=len(trials), total=total, description=text, until=until)

    def _drop(self, *names: str) -> None:
        for name in names:
            if name in self.tasks:
                self.bars.remove_task(self.tasks.pop(name))


def trial_line(trial: Any, varied: Mapping[str, int]) -> str:
    """A trial as a row of columns of fixed width. `varied`: further settings, and the widths of their columns."""
    loss = "failed" if trial.val_loss is None else f"{trial.val_loss:.4f}"
    accuracy = "" if trial.val_accuracy is None else f"{trial.val_accuracy:.2%}"
    took = "" if trial.seconds is None else duration(trial.seconds)
    units, rate, depth = ("" if value is None else value for value in (trial.head_units, trial.dropout, trial.unfreeze))
    told = "".join(f"{trial.varied.get(name, '')!s:>{width}}  " for name, width in varied.items())
    point = f"{told}{units:>10}  {rate:>7}  {depth:>8}"
    return f"{int(trial.trial):>5}  {point}  {trial.best_stage:>7}  {loss:>8}  {accuracy:>12} {took:>8}"


def _note(trial: Any) -> str:
    other = trial.score is not None and trial.score not in (trial.val_loss, trial.val_accuracy)
    notes = [
        f"objective {trial.score:.4f}" if other else "",
        f"goes on from {int(trial.parent)}" if trial.parent else "",
        "best so far" if trial.mark else trial.message[:WIDTH],
    ]
    return ", ".join(filter(None, notes))


def duration(seconds: float) -> str:
    """Seconds as text: "12.3 s", "4 min 05 s" or "2 h 03 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None, left: int = 1) -> None:
    """Print a table on standard output. The first `left` columns are aligned to the left, the others to the right."""
    table = Table(title=title, box=None, title_justify="left", pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(
            column, justify="left" if position < left else "right", no_wrap=position >= left, overflow="fold"
        )
    for row in rows:
        table.add_row(*map(one_line, row))
    console = Console(highlight=False)
    console.width = console.width if console.is_terminal else max(WIDTH, console.width)
    console.print(table, markup=False)
