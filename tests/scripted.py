"""Searches without training: a tuner whose trials answer what a script says, ours and KerasTuner's own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner

from tuning.oracles.make import make_oracle
from tuning.tuner import ResumableTuner

Script = Callable[[dict[str, Any]], float]


class Cut(BaseException):
    """The process is gone: like a kill, it passes everything that catches an Exception."""


class _Scripted:
    """`script` gets a trial's point and gives its objective; `ran` keeps (trial id, point) of all trials begun."""

    def __init__(self, script: Script, *args: Any, **kwargs: Any) -> None:
        self.script = script
        self.ran: list[tuple[str, dict[str, Any]]] = []
        super().__init__(*args, **kwargs)

    def run_trial(self, trial: Any, **_: Any) -> dict[str, float]:
        self.ran.append((trial.trial_id, plain(trial)))
        return {self.oracle.objective.name: self.script(dict(trial.hyperparameters.values))}


class Ours(_Scripted, ResumableTuner):
    pass


class Stock(_Scripted, keras_tuner.Tuner):
    pass


def plain(trial: Any) -> dict[str, Any]:
    """A trial's point without what Hyperband adds to it."""
    return {name: value for name, value in trial.hyperparameters.values.items() if "/" not in name}


def grid(**sizes: int) -> keras_tuner.HyperParameters:
    """A space with `sizes[name]` values, 0, 1, ..., for each name."""
    space = keras_tuner.HyperParameters()
    for name, size in sizes.items():
        space.Choice(name, list(range(size)))
    return space


def oracle(kind: str, space: keras_tuner.HyperParameters, **changes: Any) -> keras_tuner.Oracle:
    settings = {"objective": "val_loss", "max_trials": 100, "max_epochs": 9, "seed": 0}
    return make_oracle(kind, space=space, **(settings | changes))


def ours(folder: Path, script: Script, kind: str, space: keras_tuner.HyperParameters, **changes: Any) -> Ours:
    return Ours(script, oracle(kind, space, **changes), None, directory=folder, project_name="search")


STOCK = {
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "hyperband": keras_tuner.oracles.HyperbandOracle,
    "grid": keras_tuner.oracles.GridSearchOracle,
}


def stock(folder: Path, script: Script, kind: str, space: keras_tuner.HyperParameters, **changes: Any) -> Stock:
    """KerasTuner's own classes. A test of what they do wrong fails when a release puts it right: then drop our cure."""
    settings: dict[str, Any] = {"objective": keras_tuner.Objective("val_loss", "min"), "seed": 1}
    made = STOCK[kind](hyperparameters=space, **(settings | changes))
    return Stock(script, oracle=made, directory=str(folder), project_name="search")


def search(tuner: Any) -> Any:
    """Runs the search, or as much of it as is not cut; the tuner."""
    with contextlib.suppress(Cut):
        tuner.search(verbose=0)
    return tuner


def cut_after(count: int, script: Script = lambda point: 1.0) -> Script:
    """`script` for `count` trials; the next one is cut."""
    left = iter(range(count))

    def limited(point: dict[str, Any]) -> float:
        if next(left, None) is None:
            raise Cut
        return script(point)

    return limited
