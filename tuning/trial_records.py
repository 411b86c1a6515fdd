"""The trials of a search: as they are on disk, which of them count, which failed, and the seed of each.

KerasTuner writes JSON in place, and a file that a crash left empty or cut ends a search for good. Here each
file is whole (`toolkit.storage.files`), and a trial's record stands twice, in its own `trial.json` and in
`oracle.json`: either is enough.
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
from keras_tuner.engine.trial import Trial, TrialStatus

from toolkit.process.interrupt import AT_LEAVING
from toolkit.storage.files import remove, write_text

FINISHED = (TrialStatus.COMPLETED, TrialStatus.FAILED)
DEATHS = 5  # of the process, in the same trial, after which it is not the process
Record = dict[str, Any]  # what `Trial.get_state()` gives


def trial_seed(seed: int, trial_id: str) -> int:
    """The seed of a trial, in [0, 2**32): the same in any order of trials and in any process."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{int(trial_id)}".encode()).digest()[:4], "big")


def completed(oracle: keras_tuner.Oracle) -> list[Trial]:
    """The trials whose objective was measured and finite, best first; of equals the earlier one first."""
    sign = 1.0 if oracle.objective.direction == "min" else -1.0
    trials = [trial for trial in oracle.trials.values() if _measured(trial)]
    return sorted(trials, key=lambda trial: (sign * trial.score, int(trial.trial_id)))


def failures(oracle: keras_tuner.Oracle) -> list[tuple[str, str]]:
    """(trial id, one line) for each trial that raised or diverged, in the order of their ids.

    The traceback of one that raised follows in the trial's `message`.
    """
    trials = [t for t in oracle.trials.values() if t.status in FINISHED and not _measured(t)]
    trials.sort(key=lambda trial: int(trial.trial_id))
    return [(trial.trial_id, (trial.message or "it left no message").splitlines()[0]) for trial in trials]


def _measured(trial: Trial) -> bool:
    """A trial that diverged is COMPLETED too, with a made-up score: its message tells it from a good one."""
    finite = trial.score is not None and math.isfinite(trial.score)
    return bool(trial.status == TrialStatus.COMPLETED and finite and trial.message is None)


@contextlib.contextmanager
def count_starts(folder: Path) -> Iterator[None]:
    """A trial runs in here. A process that is killed in it leaves the count of its starts behind; any other end,
    good or bad, takes it away."""
    path = folder / "starts"
    write_text(path, str(starts(folder) + 1))
    forget = partial(remove, path)
    AT_LEAVING.append(forget)  # Ctrl-C twice, or a conversion that does not come back, is no fault of the trial
    try:
        yield
    finally:
        AT_LEAVING.remove(forget)
        forget()


def starts(folder: Path) -> int:
    """How many processes have begun with a trial and were killed in it."""
    try:
        return int((folder / "starts").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0


def read_record(path: Path) -> Record | None:
    """The object in a JSON file; None where it is missing, empty, cut, or holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def read_trials(project: Path) -> dict[str, Trial]:
    """Every trial of a project folder by its id, in the order of the ids.

    `trial.json` is written before `oracle.json`, so it is the newer one wherever it can be read.
    """
    stored = (read_record(project / "oracle.json") or {}).get("trials")
    found = list(stored.values()) if isinstance(stored, dict) else []
    found += [read_record(path) for path in sorted(project.glob("trial_*/trial.json"))]
    trials = {trial.trial_id: trial for trial in map(_trial, found) if trial}
    return {name: trials[name] for name in sorted(trials, key=int)}


def _trial(record: Record | None) -> Trial | None:
    """None where the record is that of no trial."""
    try:
        trial = Trial.from_state(record)
        return trial if trial.trial_id == f"{int(trial.trial_id):04d}" else None
    except Exception:  # KerasTuner takes apart whatever it is given
        return None
