"""Cross-validation: K models of one architecture that are trained in turn, each judged on the images it has not seen.

They take turns in one keras.Model, so that its training step is traced once. A training without folds is one of one
fold, whose images for training and for validation are different parts; then nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np

from toolkit.training.batches import Source


@dataclass(frozen=True)
class Fold:
    """What one of the models is trained on, and what it is judged on."""

    train: Source
    val: Source
    rows: np.ndarray  # int64 [V]: the places of the images of `val` among all that are judged


def as_folds(train: Source, val: Source, numbers: np.ndarray | None = None) -> list[Fold]:
    """The folds of two sources of the same images. `numbers`, int64 [N]: the fold of each image, from 0; None: the two
    sources are different parts, for one model."""
    if numbers is None:
        return [Fold(train, val, np.arange(len(val.labels)))]
    return [_fold(train, val, numbers == number) for number in range(int(numbers.max()) + 1)]


def _fold(train: Source, val: Source, judged: np.ndarray) -> Fold:
    rows = np.flatnonzero(judged)
    return Fold(_subset(train, np.flatnonzero(~judged)), _subset(val, rows), rows)


def _subset(source: Source, rows: np.ndarray) -> Source:
    return Source(source.labels[rows], lambda epoch, chosen: source.inputs(epoch, rows[chosen]))


def judged_labels(folds: Sequence[Fold]) -> np.ndarray:
    """int32 [N]: the labels of all images that are judged, each in its place."""
    labels = np.zeros(sum(len(fold.rows) for fold in folds), np.int32)
    for fold in folds:
        labels[fold.rows] = fold.val.labels
    return labels


class Turns:
    """The variables of K models, each of which has its turn in one keras.Model. All start with those of that model."""

    def __init__(self, model: keras.Model, count: int = 1) -> None:
        self.model, self.count = model, count
        known = {id(variable) for variable in model.weights}
        seeds = [variable for variable in model.variables if id(variable) not in known]
        self.own = [*model.weights, *seeds]
        self.optimizer: keras.optimizers.Optimizer | None = None
        self.states = [self._read() for _ in range(count)] if count > 1 else []

    def start(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Give each model an optimizer of its own, in the state of this new one, whose variables are built."""
        self.optimizer = optimizer
        fresh = [np.array(variable) for variable in optimizer.variables]
        self.states = [[*state[: len(self.own)], *fresh] for state in self.states]

    @contextmanager
    def turn(self, number: int) -> Iterator[None]:
        """The model `number` is in the keras.Model while the block runs."""
        if self.states:
            self._write(self.states[number])
        yield
        if self.states:
            self.states[number] = self._read()

    def get_weights(self) -> list[list[np.ndarray]]:
        """The weights of each model, as `keras.Model.get_weights` gives them."""
        known = len(self.model.weights)
        return [state[:known] for state in self.states] if self.states else [self.model.get_weights()]

    def set_weights(self, weights: Sequence[list[np.ndarray]]) -> None:
        """Give each model the weights that `get_weights` gave. The keras.Model has the first one's then."""
        known = len(self.model.weights)
        self.states = [[*own, *state[known:]] for own, state in zip(weights, self.states, strict=bool(self.states))]
        self.model.set_weights(weights[0])

    def weights_of(self, part: keras.Model) -> list[list[np.ndarray]]:
        """The weights of each model's `part`, a keras.Model that shares layers with that of the turns."""
        found = []
        for number in range(self.count):
            with self.turn(number):
                found.append(part.get_weights())
        return found

    def set_weights_of(self, part: keras.Model, weights: Sequence[list[np.ndarray]]) -> None:
        """Give each model's `part` the weights that `weights_of` gave."""
        for number in range(self.count):
            with self.turn(number):
                part.set_weights(weights[number])

    def average(self) -> None:
        """Give the keras.Model the mean of the models' weights (Wortsman et al., 2022)."""
        columns = zip(*self.get_weights(), strict=True)
        self.model.set_weights([np.mean(column, axis=0, dtype=np.float64) for column in columns])

    def _variables(self) -> list[keras.Variable]:
        return [*self.own, *(self.optimizer.variables if self.optimizer else ())]

    def _read(self) -> list[np.ndarray]:
        return [np.array(variable) for variable in self._variables()]

    def _write(self, state: list[np.ndarray]) -> None:
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)
