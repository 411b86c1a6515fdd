"""What a trial will take: as trials before it did, or as one forward pass makes expect. `tuning.time_limit` asks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from toolkit.settings import Settings
from tuning.search_space import base_of

OVERHEAD = 3.0  # seconds a trial takes beside its epochs: building, compiling, saving
SUFFIX, WHOLE = 0.7, 5.0  # a training step on one image, in forward passes through the whole model
FORWARD = 0.3  # the same for an image of the validation part, through the suffix
DEEPER = 2.0  # times the epochs of a depth: those of one twice as deep
HEAD = "head"  # in place of a depth: a trial that trains a head alone
Base = tuple[tuple[str, Any], ...]  # names and values of what activations depend on
Kind = tuple[Base, Any]  # (its base, its depth or HEAD) of a trial
Speed = tuple[float, float, int]  # seconds to trace the whole model, seconds of one image through it, its parameters


@dataclass(frozen=True)
class Work:
    """What is known of a search before a trial has ended; of its slowest model."""

    settings: Settings
    bases: Sequence[Mapping[str, Any]] = ({},)  # parts of points: the combinations on which activations depend
    train: int = 0  # images
    val: int = 0
    per_image: float = 0.0  # seconds of one image through the whole model
    saving: float = 0.0  # seconds that it takes to build, compare and save the model of the trial that is taken
    tracing: float = 0.0  # seconds to trace the whole model
    parameters: int = 0

    @property
    def speed(self) -> Speed:
        return self.tracing, self.per_image, self.parameters


class TrialCosts:
    """Measures trials and passes over a frozen prefix, and tells what others will take. `models`: label of a backbone,
    None for the only one -> seconds of one image through it, and the size of that image in pixels."""

    def __init__(self, work: Work, models: Mapping[str | None, tuple[float, int]] | None = None) -> None:
        self.work, self.models = work, dict(models or {})
        self.rates: dict[Kind, list[float]] = {}  # seconds an epoch of each trial
        self.passes: dict[Base, float] = {}  # seconds of the pass of each base that was made in this call

    def note(self, values: Mapping[str, Any], seconds: float, passed: float = 0.0) -> None:
        """A trial has taken so long, and the pass before it."""
        self.rates.setdefault(self.kind(values), []).append(seconds / max(1, trial_epochs(values, self.work.settings)))
        if passed:
            base = base_key(values)
            self.passes[base] = max(passed, self.passes.get(base, 0.0))

    def kind(self, values: Mapping[str, Any]) -> Kind:
        only_head = 0 < values.get("tuner/epochs", math.inf) <= self.work.settings.head_epochs
        return base_key(values), HEAD if only_head else values.get("unfreeze")

    def trial(self, kind: Kind, epochs: int) -> float:
        """Seconds of a trial: as those of its kind took; else as the slowest depth of its base did; else as that of
        other bases, by the time of an image; else what one forward pass makes expect."""
        base, depth = kind
        if own := self.rates.get(kind):
            return fmean(own) * epochs
        if depth == HEAD:
            return OVERHEAD
        tuned = [(other, fmean(rates)) for (other, its), rates in self.rates.items() if its != HEAD]
        if same := [rate for other, rate in tuned if other == base]:
            return max(same) * epochs
        if tuned:
            return max(rate * self._times(base, other) for other, rate in tuned) * epochs
        step = SUFFIX if self.work.settings.cache else WHOLE
        return OVERHEAD + epochs * self._per_image(base) * (self.work.train * step + self.work.val * FORWARD)

    def tuning(self, epochs: int) -> float:
        """Seconds of a fine-tuning whose base and depth are not known yet: the mean of the slower half of the bases,
        because those that go on are rather the larger ones."""
        return _slower_half([self.trial((base, None), epochs) for base in self._bases])

    def heads(self) -> list[float]:
        """Seconds of an epoch of each head that was trained; of all trials if there is none."""
        heads = [rate for (_, depth), rates in self.rates.items() if depth == HEAD for rate in rates]
        return heads or [rate for rates in self.rates.values() for rate in rates]

    def next_pass(self) -> float:
        """Seconds of the pass of a base that has none yet: the mean of the slower half of these; 0 if none is known."""
        tried = {base for base, _ in self.rates}  # which have their activations
        left = [base for base in self._bases if base not in tried]
        known = self.passes.items()
        return _slower_half([max(own * self._times(base, other) for other, own in known) for base in left if known])

    def deeper(self, values: Mapping[str, Any], whole: bool) -> float:
        """Seconds of a trial of this point that unfreezes twice as much, and of the pass that it needs. `whole`: it
        unfreezes all, and needs none."""
        settings, base = self.work.settings, base_key(values)
        own = self.trial(self.kind(values), settings.epochs)
        if whole:
            return own * WHOLE / SUFFIX
        images = self.work.train * settings.view_count + self.work.val
        passed = self.passes.get(base, self._per_image(base) * images)
        return DEEPER * own + passed

    @property
    def _bases(self) -> list[Base]:
        return [base_key(base) for base in self.work.bases]

    def _times(self, base: Base, other: Base) -> float:
        """How many times as long an image takes at `base` as at `other`."""
        there = self._per_image(other)
        return self._per_image(base) / there if there else 1.0

    def _per_image(self, base: Base) -> float:
        """Seconds of one image through the whole model of a base, in proportion to its pixels."""
        told = dict(base)
        seconds, measured = self.models.get(told.get("backbone"), (self.work.per_image, 0))
        return seconds * (told.get("image_size", measured) / measured) ** 2 if measured else seconds


def _slower_half(seconds: list[float]) -> float:
    return fmean(sorted(seconds)[len(seconds) // 2 :]) if seconds else 0.0


def base_key(values: Mapping[str, Any]) -> Base:
    return tuple(base_of(values).items())


def trial_epochs(values: Mapping[str, Any], settings: Settings) -> int:
    """The epochs that a trial trains; one that goes on from another trains the rest."""
    return int(values.get("tuner/epochs", settings.epochs) - values.get("tuner/initial_epoch", 0))
