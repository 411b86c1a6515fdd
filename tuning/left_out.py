"""What a search with a time limit did not do, in words."""

from __future__ import annotations

import math

import keras_tuner
from keras_tuner.engine.trial import Trial as OracleTrial

from tuning.oracles.halving import HalvingOracle, rungs
from tuning.search_space import point_count
from tuning.trial_records import FINISHED


def left_out(oracle: keras_tuner.Oracle, limit: float | None) -> str:
    """ "time limit 30m: 5 of 8 heads, 2 of 4 fine-tunings"; "" if nothing was left out. `limit`: the seconds that ended
    the search; None: it ended by itself.

    Under halving, heads that were left out before the fine-tunings began are not made later, whatever the limit is.
    """
    if isinstance(oracle, HalvingOracle):
        told, heads_stay = _left_of_halving(oracle)
        if heads_stay and limit is None:
            return f"{heads_stay}; the fine-tunings began without the others"
    elif limit is not None:
        told = _left_of_trials(oracle)
    return "" if limit is None else f"time limit {duration(limit)}: {told}"


def _left_of_halving(oracle: HalvingOracle) -> tuple[str, str]:
    """(what was done of the whole, the same of the heads alone if there will be no more of them)."""
    trials = list(oracle.trials.values())
    asked = min(oracle.configurations, point_count(oracle.hyperparameters))
    ended = [trial for trial in trials if trial.status in FINISHED]
    first, later = (sum((_rung(trial) > 0) == more for trial in ended) for more in (False, True))
    begun = sum(_rung(trial) > 0 for trial in trials)
    plan = rungs(max(1, first if begun else asked), oracle.head_epochs, oracle.max_epochs)
    heads = f"{first} of {asked} {'heads' if oracle.head_epochs else 'first trainings'}"
    tuned = f"{later} of {max(begun, sum(size for size, *_ in plan[1:]))} fine-tunings"
    return f"{heads}, {tuned}", heads if begun and first < asked else ""


def _left_of_trials(oracle: keras_tuner.Oracle) -> str:
    ended = sum(trial.status in FINISHED for trial in oracle.trials.values())
    limit = getattr(oracle, "limit", None)
    if limit is None:
        return f"hyperband's schedule ended after {ended} trials"
    return f"{ended} of {min(limit, point_count(oracle.hyperparameters))} trials"


def _rung(trial: OracleTrial) -> int:
    return int(trial.hyperparameters.values.get("tuner/rung", 0))


def duration(seconds: float) -> str:
    """Seconds as `--time-limit` takes them, a part of one rounded up: "30s", "30m", "1h30m", "2m5s"."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = {"h": hours, "m": minutes, "s": rest}
    return "".join(f"{number}{unit}" for unit, number in parts.items() if number) or "0s"
