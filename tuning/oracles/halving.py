"""Successive halving (Jamieson and Talwalkar, 2016) in one bracket, whose first rung is the cheap head stage.

Every configuration trains its head. The better half fine-tunes for a third of the epochs and the better quarter to the
end, so that these two rungs cost about the same. The bracket is derived from the trials alone: `tuner/rung` says to
which rung a trial belongs, `tuner/trial_id` from which trial it goes on. Loading that trial's weights is left to
`tuning.tuner`; what does not depend on the rungs is `tuning.oracles.base`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from keras_tuner.engine.trial import Trial as OracleTrial
from keras_tuner.engine.trial import TrialStatus

from tuning.oracles.base import ResumableOracle
from tuning.search_space import OF, Values, base_of
from tuning.trial_records import FINISHED, completed, rank

SCHEDULE = ("tuner/epochs", "tuner/initial_epoch", "tuner/rung")  # trials of one point may differ in these


def rungs(count: int, head_epochs: int, max_epochs: int) -> list[tuple[int, int, int]]:
    """(configurations, first epoch, end epoch) of each rung, for `count` >= 1 configurations.

    The first rung ends with the head stage, the second after a third of the fine-tuning epochs, the last at
    `max_epochs`. Without a head stage they end after a quarter, half and all of the epochs. A rung that would have no
    epoch is left out. Each rung has half of the configurations of the one before, rounded up; of four or more
    configurations at least two reach the end.
    """
    tune = max_epochs - head_epochs
    ends = sorted({head_epochs or _part(tune, 4), head_epochs + _part(tune, 3 if head_epochs else 2), max_epochs})
    least = 2 if count >= 4 else 1
    sizes = [count, *(max(_part(count, 2**number), least) for number in range(1, len(ends)))]
    return [(size, *span) for size, span in zip(sizes, pairwise([0, *ends]), strict=True)]


def _part(whole: int, parts: int) -> int:
    """`whole / parts`, rounded up."""
    return -(-whole // parts)


class HalvingOracle(ResumableOracle):
    """Tries `max_trials` random points, or all if there are fewer. The better half goes on, then the better half of
    those.

    The best trials by the objective go on, as many as planned. Trials that differ from the last of them by at most
    `error(one, other)`, the standard error of the difference in the objective's unit, go on too, at most half as many
    again. After the head stage, whose results do not depend on the depth, only the planned number goes on, and equal
    trials are ordered so that the depths are balanced. A trial that fails or diverges later is replaced by the next
    best.

    Where `cost(trial)` is known, such as the latency of its file, the best trial of each backbone and image size that
    is cheaper than all that are better goes on, too, in the place of others: at most half of those that go on.

    After all of them, where `deeper(values)` names a depth, the point of the best trial is tried once more with it, as
    long as the best trial is a deeper one than the one before.

    `max_trials` may be raised until the second rung begins; from then on the bracket keeps its size.
    """

    def __init__(
        self,
        *,
        max_trials: int,
        head_epochs: int,
        max_epochs: int,
        error: Callable[[OracleTrial, OracleTrial], float] = lambda one, other: 0.0,
        cost: Callable[[OracleTrial], float | None] = lambda trial: None,
        **more: Any,
    ) -> None:
        super().__init__(**more)  # without a limit, because promoted trials do not count among the `max_trials`
        self.error, self.cost = error, cost
        self.fits: Callable[[int], bool] = lambda configurations: True  # whether there is time for so many
        self.deeper: Callable[[Values], int | None] = lambda values: None  # the depth that there is time for
        self.configurations = max_trials
        self.head_epochs, self.max_epochs = head_epochs, max_epochs

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        values = self.propose(trial_id)
        if values is not None:
            return {"status": TrialStatus.RUNNING, "values": values}
        return {"status": TrialStatus.IDLE if self.ongoing_trials else TrialStatus.STOPPED}

    def propose(self, trial_id: str) -> Values | None:
        return self._new_point() or self._promotion() or self._deepened()

    def _new_point(self) -> Values | None:
        """A new configuration for the first rung; None if the rung is full or every point was tried."""
        begun = len(self._rung(0))
        if self._rung(1) or begun >= self.configurations or not self.fits(begun + 1):
            return None
        point = self._random_values()
        if point is None:
            return None
        _, first, end = rungs(1, self.head_epochs, self.max_epochs)[0]
        return point | {"tuner/epochs": end, "tuner/initial_epoch": first, "tuner/rung": 0}

    def _promotion(self) -> Values | None:
        """The next trial that goes on with the weights of a trial of a finished rung; None if there is none at the
        moment."""
        plan = rungs(max(1, len(self._rung(0))), self.head_epochs, self.max_epochs)
        measured = {trial.trial_id for trial in completed(self)}
        for number, (planned, first, end) in enumerate(plan[1:], start=1):
            before, here = self._rung(number - 1), self._rung(number)
            if any(trial.status not in FINISHED for trial in before):
                return None
            room, order = self._ranked([trial for trial in before if trial.trial_id in measured], planned, number)
            begun = {trial.hyperparameters.values["tuner/trial_id"] for trial in here}
            left = [trial for trial in order if trial.trial_id not in begun]
            alive = [trial for trial in here if trial.trial_id in measured or trial.status not in FINISHED]
            if left and len(alive) < room:
                span = {"tuner/epochs": end, "tuner/initial_epoch": first, "tuner/rung": number}
                return left[0].hyperparameters.values | span | {"tuner/trial_id": left[0].trial_id}
        return None

    def _deepened(self) -> Values | None:
        """The point of the best trial with a greater depth, as a trial that begins anew; None if the best one is not as
        deep as any of its base, was not fine-tuned, or if a trial still runs."""
        running = any(trial.status not in FINISHED for trial in self.trials.values())
        if running or not completed(self):
            return None
        best = completed(self)[0].hyperparameters.values
        others = [values for trial in self.trials.values() if (values := trial.hyperparameters.values)]
        deepest = max(values.get("unfreeze", 0) for values in others if base_of(values) == base_of(best))
        if not best["tuner/rung"] or best.get("unfreeze") != deepest or (depth := self.deeper(best)) is None:
            return None
        last = len(rungs(1, self.head_epochs, self.max_epochs))
        own = {name: value for name, value in best.items() if name != "tuner/trial_id"}
        own |= {name: depth for name in own if name.partition(OF)[0] == "unfreeze"}
        return own | {"tuner/epochs": self.max_epochs, "tuner/initial_epoch": 0, "tuner/rung": last}

    def _order(self, trials: list[OracleTrial]) -> list[OracleTrial]:
        """Best first, by `rank`. Of equal trials, the one whose unfreeze depth occurs least among those before it, then
        the earlier one.

        While only heads were trained, configurations with the same head are equal, whatever their depth. Otherwise the
        order in which they were drawn would decide which depths go on.
        """
        sign = 1.0 if self.objective.direction == "min" else -1.0
        order: list[OracleTrial] = []
        depths: Counter[Any] = Counter()
        left = list(trials)
        while left:
            best = min(left, key=lambda trial: (*rank(trial, sign), depths[_depth(trial)], int(trial.trial_id)))
            left.remove(best)
            order.append(best)
            depths[_depth(best)] += 1
        return order

    def _ranked(self, trials: list[OracleTrial], planned: int, number: int) -> tuple[int, list[OracleTrial]]:
        """(how many trials go on to rung `number`, all trials in the order in which they go on): the planned ones,
        those within one standard error of the last planned one, then the rest, which replace trials that fail."""
        order = self._order(trials)
        if not order:
            return 0, []
        last, chosen = order[:planned][-1], self._with_front(order, order[:planned])
        rest = [trial for trial in order if trial not in chosen]
        if not (number == 1 and self.head_epochs):
            close = [trial for trial in rest if abs(trial.score - last.score) <= self.error(last, trial)]
            chosen += close[: planned // 2]
        return len(chosen), [*chosen, *(trial for trial in order if trial not in chosen)]

    def _with_front(self, order: list[OracleTrial], first: list[OracleTrial]) -> list[OracleTrial]:
        """The trials that go on, `first`, of which up to a half are replaced, the worst first, by the front."""
        front, replaced = self._front(order), list(first)
        for trial in [one for one in front if one not in first][: len(first) // 2]:
            others = [one for one in replaced if one not in front]
            if not others:
                break
            replaced.remove(others[-1])
            replaced.append(trial)
        return [trial for trial in order if trial in replaced]

    def _front(self, order: list[OracleTrial]) -> list[OracleTrial]:
        """The best trial of each base, as far as it is cheaper than all that are better; [] if no cost is known."""
        best: dict[tuple, OracleTrial] = {}
        for trial in order:
            best.setdefault(tuple(base_of(trial.hyperparameters.values).items()), trial)
        front: list[OracleTrial] = []
        least = math.inf
        for trial in best.values():
            cost = self.cost(trial)
            if cost is not None and cost < least:
                front.append(trial)
                least = cost
        return front

    def _rung(self, number: int) -> list[OracleTrial]:
        return [trial for trial in self.trials.values() if trial.hyperparameters.values.get("tuner/rung") == number]

    def _compute_values_hash(self, values: Values) -> str:
        hashed: str = super()._compute_values_hash({name: v for name, v in values.items() if name not in SCHEDULE})
        return hashed


def _depth(trial: OracleTrial) -> Any:
    return trial.hyperparameters.values.get("unfreeze")
