"""KerasTuner's records of the trials: reading them from disk, which trials count, which failed, the seed of each.

KerasTuner writes JSON in place, so that a crash may leave a file empty or cut short, and the search cannot be resumed
any more. Here each file is written whole (`toolkit.storage.files`), and a trial's record is in two files, its own
`trial.json` and `oracle.json`; one of them is enough.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial as OracleTrial
from keras_tuner.engine.trial import TrialStatus

from toolkit.process.interrupt import AT_LEAVING
from toolkit.storage.files import remove, write_text

FINISHED = (TrialStatus.COMPLETED, TrialStatus.FAILED)
DEATHS = 5  # a trial in which so many processes were killed is marked as failed: it probably causes the crash
Record = dict[str, Any]  # what `OracleTrial.get_state()` gives


def trial_seed(seed: int, trial_id: str) -> int:
    """The seed of a trial, in [0, 2**32). It depends on the search's seed and the trial's number alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{int(trial_id)}".encode()).digest()[:4], "big")


def completed(oracle: keras_tuner.Oracle) -> list[OracleTrial]:
    """The trials with a finite objective, best first: see `rank`."""
    sign = 1.0 if oracle.objective.direction == "min" else -1.0
    trials = [trial for trial in oracle.trials.values() if _measured(trial)]
    return sorted(trials, key=lambda trial: (*rank(trial, sign), int(trial.trial_id)))


def rank(trial: OracleTrial, sign: float) -> tuple[float, float]:
    """What a trial is ordered by, the best first: its objective times `sign`, which is 1 where the smaller is better,
    and of equal ones the validation loss. Many trials have the same accuracy on a small validation part."""
    loss = trial.metrics.get_best_value("val_loss") if trial.metrics.exists("val_loss") else None
    return sign * trial.score, math.inf if loss is None else loss


def failures(oracle: keras_tuner.Oracle) -> list[tuple[str, str]]:
    """(trial id, what went wrong in one line) of each trial that raised or diverged, in the order of the ids.

    The trial's own `message` goes on with the traceback, if it raised.
    """
    trials = [t for t in oracle.trials.values() if t.status in FINISHED and not _measured(t)]
    trials.sort(key=lambda trial: int(trial.trial_id))
    return [(trial.trial_id, (trial.message or "it left no message").splitlines()[0]) for trial in trials]


def _measured(trial: OracleTrial) -> bool:
    """Whether a trial completed with an objective of its own. A trial that diverged is COMPLETED too, with the worst
    score, but it has a message."""
    finite = trial.score is not None and math.isfinite(trial.score)
    return bool(trial.status == TrialStatus.COMPLETED and finite and trial.message is None)


@contextlib.contextmanager
def count_starts(folder: Path) -> Iterator[None]:
    """Count the starts of the trial that runs in this block, in a file of its folder. A process that is killed leaves
    the file; any other end of the block, good or bad, removes it."""
    path = folder / "starts"
    write_text(path, str(starts(folder) + 1))
    forget = partial(remove, path)
    AT_LEAVING.append(forget)  # a process that ends itself, as after a second Ctrl-C, was not killed
    try:
        yield
    finally:
        AT_LEAVING.remove(forget)
        forget()


def starts(folder: Path) -> int:
    """The number of processes that were killed while they ran this trial."""
    try:
        return int((folder / "starts").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0


def read_record(path: Path) -> Record | None:
    """The object in a JSON file; None if it is missing, empty, cut, or holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def read_oracle_trials(project: Path) -> dict[str, OracleTrial]:
    """All trials in the folder of a search: id -> trial, in the order of the ids.

    A `trial.json` that can be read wins over `oracle.json`, because it is written first.
    """
    stored = (read_record(project / "oracle.json") or {}).get("trials")
    found = list(stored.values()) if isinstance(stored, dict) else []
    found += [read_record(path) for path in sorted(project.glob("trial_*/trial.json"))]
    trials = {trial.trial_id: trial for trial in map(_trial, found) if trial}
    return {name: trials[name] for name in sorted(trials, key=int)}


def _trial(record: Record | None) -> OracleTrial | None:
    """The trial of a record; None if it is not the record of a trial."""
    try:
        trial = OracleTrial.from_state(record)
        return trial if trial.trial_id == f"{int(trial.trial_id):04d}" else None
    except Exception:  # KerasTuner checks nothing, so that a damaged record raises anything
        return None
