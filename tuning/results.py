"""The result of a search: `Trial`, a row of trials.csv, which is written and read here only, and `SearchResult`.

Nothing here imports KerasTuner.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from toolkit.errors import UnfreezeError, first_line, one_line
from toolkit.models.spec import POINT, ModelSpec, Point
from toolkit.storage.files import read_json, remove, write_text
from toolkit.training.history import Row

LEFT_OUT = "search/left_out.txt"


@dataclass(frozen=True)
class Trial:
    """A row of trials.csv."""

    trial: str  # its name, a number such as "0007"
    status: str  # KerasTuner's: COMPLETED or FAILED
    head_units: int | None  # None: its record was lost
    dropout: float | None
    unfreeze: int | None  # stages
    val_loss: float | None  # nats, at the best epoch; None: it failed or diverged
    val_accuracy: float | None  # a fraction
    best_epoch: int | None  # from 0
    best_stage: str  # "head": fine-tuning did not improve it, so that no stage is unfrozen in its model
    parameters: int | None
    seconds: float | None
    message: str  # why it failed
    parent: str = ""  # the trial whose weights it started with, under halving and hyperband
    mark: str = ""  # "best", "tied" with the best
    score: float | None = None  # the objective at the best epoch; earlier versions did not write it
    fold_spread: float | None = None  # standard deviation of the objective over the folds; None: there are none
    varied: Mapping[str, Any] = field(
        default_factory=dict, hash=False
    )  # further settings that the search varied -> their values;
    # each has a column of its own

    @property
    def values(self) -> dict[str, Any]:
        """The value of each setting that the search varied, as far as they are known."""
        point = {name: getattr(self, name) for name in POINT}
        return {**self.varied, **{name: value for name, value in point.items() if value is not None}}

    @property
    def number(self) -> int:
        return int(self.trial)

    @property
    def point(self) -> Point | None:
        """The point of the search space that was tried; None if the trial's record was lost."""
        if self.head_units is None or self.dropout is None or self.unfreeze is None:
            return None
        return Point(self.head_units, self.dropout, self.unfreeze)

    def value(self, objective: str) -> float | None:
        """Its objective, a name of SCORES, at the best epoch; None if it did not complete."""
        return {"val_loss": self.val_loss, "val_accuracy": self.val_accuracy}.get(objective, self.score)


COLUMNS = tuple(one.name for one in fields(Trial))


@dataclass(frozen=True)
class SearchResult:
    """The trial whose model was saved, the best one, and those that the validation images cannot tell from it."""

    taken: str
    best: str
    tied: tuple[str, ...]
    recommended: str  # the smallest of the best and the tied
    spec: ModelSpec  # of the trial taken
    trials: tuple[Trial, ...]
    refit: int  # further epochs for which the taken model was trained
    judged: int = 0  # images that judged every trial
    folds: int = 1  # of cross-validation; 1: those images are no training images
    objective: str = "val_loss"  # what the trials were compared by
    final: str = ""  # how the final model is made of a trial with folds: "average" or "retrained"
    kept: Row = field(default_factory=dict)  # the epoch whose weights were saved, with its numbers
    left_out: str = ""  # what was not tried for lack of time, as "time limit 30m: 5 of 8 heads"
    file: str = ""  # name of the exported file by which the trials were chosen; "": by their models
    broken: str = ""  # the limits of the device that this file breaks, in words

    def trial(self, name: str) -> Trial:
        return next(trial for trial in self.trials if trial.trial == name)


def write_trials(path: Path, trials: Sequence[Trial]) -> None:
    """Write a trials.csv."""
    text = io.StringIO()
    varied = dict.fromkeys(name for trial in trials for name in trial.varied)
    writer = csv.DictWriter(text, [name for name in COLUMNS if name != "varied"] + [*varied])
    writer.writeheader()
    for trial in trials:
        row = asdict(trial)
        writer.writerow(row.pop("varied") | row)
    write_text(path, text.getvalue())


def read_trials(path: Path) -> list[Trial]:
    """The rows of a trials.csv, [] if there is no such file. Raises UnfreezeError if it is damaged."""
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            trials = [_trial_of(row) for row in csv.DictReader(file)]
        parents = {trial.trial: trial.parent for trial in trials}
        if len(parents) < len(trials):
            raise ValueError("two of its trials have the same number")
    except (OSError, ValueError, TypeError, LookupError, AttributeError, csv.Error) as error:
        raise _damaged(path, first_line(error)) from None
    for name in parents:
        ancestors(name, parents, path)
    return trials


def _trial_of(row: Mapping[str, str]) -> Trial:
    """The trial of a row. Raises ValueError, KeyError or TypeError if a column is missing or a number is not one."""
    if int(row["trial"]) < 0:
        raise ValueError(f"a trial has the number {row['trial']}")
    values = {name: row[name] for name in ("trial", "status", "best_stage", "message", "parent", "mark")}
    if None in values.values():
        raise ValueError(f"the row of trial {row['trial']} is cut short")
    whole = {
        name: int(row[name]) if row[name] else None for name in ("head_units", "unfreeze", "best_epoch", "parameters")
    }
    numbers = {name: _finite(row[name]) for name in ("dropout", "val_loss", "val_accuracy", "seconds")}
    numbers |= {name: _finite(row.get(name) or "") for name in ("score", "fold_spread")}  # earlier versions had none
    varied = {name: _value(name, text) for name, text in row.items() if name not in COLUMNS and text}
    return Trial(**values, **whole, **numbers, varied=varied)  # type: ignore[arg-type]  # each column by its name


def _value(name: str, text: str) -> bool | int | float | str:
    """The value of a setting, of whatever kind it is."""
    if text in ("True", "False"):
        return text == "True"
    for kind in () if name in ("backbone", "augment") else (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if math.isfinite(value) and str(value) == text:  # "1_000", "007" and "inf" are texts
            return value
    return text


def _finite(text: str) -> float | None:
    number = float(text) if text else None
    return number if number is not None and math.isfinite(number) else None


def ancestors(name: str, parents: Mapping[str, str], file: Path) -> list[str]:
    """The trials that a trial goes on from, the earliest first; [] if it started by itself.

    `parents`: each trial's parent, "" or None if it has none. Raises UnfreezeError, which names `file`, if a parent is
    not among the trials, or if a trial would go on from itself.
    """
    chain: list[str] = []
    while parent := parents[(chain or [name])[0]]:
        if parent not in parents:
            raise _damaged(file, f"trial {name} goes on from trial {parent}, which it does not have")
        if parent == name or parent in chain:
            raise _damaged(file, f"trial {name} goes on from itself, by way of trial {parent}")
        chain.insert(0, parent)
    return chain


def read_epochs(run: Path, trials: Sequence[Trial]) -> dict[str, int]:
    """trial -> the epoch at which the oracle ended it, from its record in the search's folder. Trials of a search
    without rungs, and trials whose record is lost, are left out."""
    found = {}
    for trial in trials:
        try:
            record = read_json(run / "search" / f"trial_{trial.trial}" / "trial.json")
            found[trial.trial] = int(record["hyperparameters"]["values"]["tuner/epochs"])
        except (UnfreezeError, LookupError, TypeError, ValueError, OverflowError):
            continue
    return found


def write_left_out(run: Path, left_out: str) -> None:
    """Keep what a search did not try for lack of time, in its folder; "" removes what an earlier call left out."""
    if left_out:
        write_text(run / LEFT_OUT, left_out + "\n")
    else:
        remove(run / LEFT_OUT)


def read_left_out(run: Path) -> str:
    """What `write_left_out` was given; "" if nothing was left out, or nobody knows."""
    try:
        return one_line((run / LEFT_OUT).read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        return ""


def _damaged(file: Path, why: str) -> UnfreezeError:
    return UnfreezeError(f"{file} is damaged ({why}); `unfreeze tune DATA RUN` writes it again")
