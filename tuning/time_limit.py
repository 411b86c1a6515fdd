"""`TimeLimit`: ends a search in time, so that what comes after it ends in time, too.

It measures what trials take and asks, before each one, whether it still fits. One that does not is not begun; one that
takes longer than it should is cut, and runs again when the search goes on. Under halving the first rung gets as many
configurations as leave time for the later rungs. What was left out is said. `tuning.tuner` and `tuning.search` call it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial as OracleTrial

from toolkit.errors import NoAnswerError, UnfreezeError
from toolkit.progress import Progress
from toolkit.run import Run
from toolkit.training.answers import inference_function
from toolkit.training.batches import Part
from tuning.activations.cache import PASS
from tuning.left_out import duration, left_out
from tuning.oracles.halving import HalvingOracle, rungs
from tuning.trial_costs import OVERHEAD, SUFFIX, WHOLE, Speed, TrialCosts, Work, base_key, trial_epochs
from tuning.trial_records import FINISHED, completed

SLACK = 0.05  # fraction of the limit by which a trial may overrun before it is cut
LEAST_SECONDS = 2.0  # of a pass over the prefix, before its speed is believed
SAVING = 6.0  # times the tracing of the model: the model of the trial that is taken is built, compared and saved
IMAGES = 32  # on which the machine's speed is measured
TRIED = 2  # times that it is measured
MORE = 1.1  # times the time that is needed: what is told to type
Clock = Callable[[], float]
After = Callable[[Speed, int, int], float]


class TimeOverError(UnfreezeError):
    """The search has to end now. Its text is for the user where no trial was completed."""


class TimeLimit:
    """The time of one command.

    `seconds`: None for no limit. `begun`: when they began, on the `clock`; None: now. `after(speed, points, bases)`: an
    estimate of the seconds that the command takes after a search that tried so many points, of so many combinations of
    backbone and image size.
    """

    def __init__(
        self,
        seconds: float | None = None,
        *,
        begun: float | None = None,
        after: After = lambda speed, points, bases: 0.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self.seconds, self.after, self.clock = seconds, after, clock
        self.begun = clock() if begun is None else begun
        self.costs: TrialCosts | None = None  # of the search; None before it begins, and without a limit
        self.tried: set[tuple] = set()  # the points that have a trial
        self.stopped = False  # whether something was left out
        self._trial = self._pass = self._passed = 0.0
        self._ran = False  # whether a trial has ended in this call
        self._first = self._done = self._epochs = 0
        self._steady: tuple[float, int] | None = None  # when the pass had done its first images, and how many

    def open(
        self,
        run: Run,
        backbone: keras.Model,
        train: Part,
        val: Part,
        label: str | None = None,
        bases: Sequence[Mapping[str, Any]] = ({},),
    ) -> None:
        """The search of a run begins. One forward pass is measured, if there is a limit. If it is called for several
        backbones, each with its label and the largest of its images, the slowest counts. `bases`: the combinations of
        the search, as parts of points."""
        if self.seconds is None:
            return
        tracing, per_image = self._speed(backbone, val.images[:IMAGES])
        settings, images, judged = run.settings, len(train.labels), len(val.labels)
        step = SUFFIX if settings.cache else WHOLE
        again = settings.refit * WHOLE + (settings.epochs * step if settings.fold_count > 1 else 0)  # or retrained
        saving = SAVING * tracing + per_image * (judged * (1 + settings.refit) + images * again)
        trained = images * max(1, settings.fold_count - 1)  # in an epoch: each fold's model leaves out a fold
        work = Work(settings, bases, trained, judged, per_image, saving, tracing, backbone.count_params())
        known = self.costs or TrialCosts(work)

        def rest(one: Work) -> tuple[float, float]:
            return one.saving + self.after(one.speed, 1, 1), one.per_image

        models = known.models | {label: (per_image, val.images.shape[1])}
        self.costs = TrialCosts(max(known.work, work, key=rest), models)

    def _speed(self, model: keras.Model, images: np.ndarray) -> tuple[float, float]:
        """(seconds to trace the model, seconds of one image through it): how fast the machine is now."""
        traced, taken = math.inf, math.inf
        for _ in range(TRIED):  # the fastest of them: a busy moment says little of the next minutes
            infer, begun = inference_function(model), self.clock()
            infer(images).numpy()
            middle = self.clock()
            infer(images).numpy()
            traced, taken = min(traced, middle - begun), min(taken, self.clock() - middle)
        return max(0.0, traced - taken), taken / len(images)

    @property
    def end(self) -> float:
        """When the search has to have ended, on the clock."""
        return self._end_after(len(self.tried), self._bases_tried)

    @property
    def _bases_tried(self) -> int:
        return len({base for base, _ in self.tried})

    def _end_after(self, points: int, bases: int) -> float:
        """The same, if it tries so many points, of so many combinations of backbone and image size."""
        if self.seconds is None or self.costs is None:
            return math.inf
        return self.begun + self.seconds - self.costs.work.saving - self.after(self.costs.work.speed, points, bases)

    def resume(self, oracle: keras_tuner.Oracle, seconds: dict[str, float | None]) -> None:
        """Take over what trials took in earlier calls (`seconds`, by their ids), and plan the rungs of halving."""
        if isinstance(oracle, HalvingOracle):
            oracle.fits = self.fits
        for name, taken in seconds.items():
            values = oracle.trials[name].hyperparameters.values
            self.tried.add(_point(values))
            if taken is not None and self.costs is not None:
                self.costs.note(values, taken + OVERHEAD)

    def fits(self, configurations: int) -> bool:
        """Whether the first rung may have so many configurations, so that the later rungs fit, too."""
        if configurations < 2 or self.costs is None or not (heads := self.costs.heads()):
            return True
        settings = self.costs.work.settings
        (_, _, head), *later = rungs(configurations, settings.head_epochs, settings.epochs)
        needed = fmean(heads) * head + sum(size * self.costs.tuning(end - first) for size, first, end in later)
        if configurations <= len(self.costs.work.bases):  # each base has its first trial before any has a second one
            needed += self.costs.next_pass()
        bases = min(configurations, len(self.costs.work.bases))
        fits = self.clock() + needed <= self._end_after(configurations, bases)
        self.stopped |= not fits
        return fits

    def fits_deeper(self, values: Mapping[str, Any], whole: bool) -> bool:
        """Whether there is a limit, and time for a trial of this point that unfreezes twice as much; `whole`: all. Not
        where this call has run no trial: a search that had ended stays as it is."""
        if self.costs is None or not self._ran:
            return False
        end = self._end_after(len(self.tried) + 1, self._bases_tried)
        return self.clock() + self.costs.deeper(values, whole) <= end

    def begin(self, oracle: keras_tuner.Oracle, trial: OracleTrial) -> None:
        """A trial is about to run. Raises TimeOverError if it does not fit; the first one always does, if there is time
        at all."""
        if self.costs is None:
            return
        self._trial, self._pass, self._passed, self._steady = self.clock(), 0.0, 0.0, None
        self._done = self._first = 0
        values = trial.hyperparameters.values
        self.tried.add(_point(values))
        self._epochs = trial_epochs(values, self.costs.work.settings)
        expected = self.costs.trial(self.costs.kind(values), self._epochs)
        if self.clock() >= self.end or (completed(oracle) and self.clock() + expected > self.end):
            self._stop(expected)

    def epoch(self) -> None:
        """An epoch has ended. Raises TimeOverError if its trial takes so long that it has to be cut."""
        self._done += 1
        if self.seconds is not None and self.clock() > self.end + SLACK * self.seconds:
            taken = self.clock() - self._trial - self._passed
            self._stop(taken / self._done * max(1, self._epochs - self._done))

    def ended(self, trial: OracleTrial) -> None:
        """A trial has ended, well or not."""
        if self.costs is not None and trial.status in FINISHED:
            taken, self._ran = self.clock() - self._trial - self._passed, True
            self.costs.note(trial.hyperparameters.values, taken, self._passed)

    def watched(self, progress: Progress) -> Progress:
        """The same function, which raises TimeOverError when the pass over the frozen prefix is seen not to fit."""

        def watch(what: str, done: int, total: int) -> None:
            progress(what, done, total)
            if not what.startswith(PASS) or self.costs is None:
                return
            now = self.clock()
            if not self._pass:
                self._pass, self._first = now, done
            self._passed = now - self._pass
            if done > self._first and not self._steady:  # what came before is mostly the runtime's own start
                self._steady = now, done
            if self._steady and done > self._steady[1] and now - self._steady[0] >= LEAST_SECONDS:
                since, before = self._steady
                left = (now - since) / (done - before) * (total - done)
                if now + left > self.end:
                    self._stop(left + self.costs.tuning(self._epochs))

        return watch

    @contextmanager
    def ending(self, oracle: keras_tuner.Oracle) -> Iterator[None]:
        """The search runs in this block. That its time is over ends the block. Raises NoAnswerError if no trial was
        completed until then."""
        try:
            yield
        except TimeOverError as over:
            if not completed(oracle):
                raise NoAnswerError(str(over)) from None

    def left_out(self, oracle: keras_tuner.Oracle) -> str:
        """What the search did not do, in words (`tuning.left_out`); "" if nothing was left out."""
        return left_out(oracle, self.seconds if self.stopped else None)

    def _stop(self, left: float) -> None:
        """`left`: seconds until the first trial is complete."""
        assert self.costs is not None
        assert self.seconds is not None
        self.stopped = True
        rest = self.begun + self.seconds - self.end
        needed = MORE * (self.clock() - self.begun + left + rest)
        after = f", {duration(_rounded(rest))} of them for what comes after the search" if rest else ""
        raise TimeOverError(
            f"--time-limit {duration(self.seconds)} is too short for the first trial: about "
            f"{duration(_rounded(needed))} would do{after}. What was computed is kept; repeat the command with a "
            "higher --time-limit, or give fewer epochs or --views, or a smaller --image-size"
        )


def _point(values: Mapping[str, Any]) -> tuple:
    """(the values of its base, all of its values) of a trial, the same for one that goes on from another."""
    own = sorted((name, value) for name, value in values.items() if not name.startswith("tuner/"))
    return base_key(values), tuple(own)


def _rounded(seconds: float) -> float:
    """An estimate, rounded up to ten seconds, or to a minute from two on."""
    step = 10 if seconds <= 120 else 60
    return math.ceil(seconds / step) * step
