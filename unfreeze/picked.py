"""What `pick` was asked for last, in RUN/pick.json: the report tells of it, and a pick that was interrupted goes on
with the same export."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.limits import NO_LIMITS, Limits
from export.settings import EXPORT, ExportSettings
from toolkit.errors import UnfreezeError
from toolkit.storage.files import read_json, remove, write_json
from unfreeze.device_limits import read_probes

if TYPE_CHECKING:  # light at import: `--help` loads this module
    from collections.abc import Sequence

    from tuning.selection import Candidate, Judge, Judged

PICK = "pick.json"


@dataclass(frozen=True)
class Picked:
    """A trial by its number, or the best one within limits."""

    trial: int | None = None
    limits: Limits = NO_LIMITS
    export: ExportSettings = EXPORT


def recorded(judge: Judge, run: Path, picked: Picked | None) -> Judge:
    """The same judge; what was asked for is written when it has found a trial, before the model is replaced. `picked`:
    None for a search, which takes a trial of its own."""

    def record(candidates: Sequence[Candidate], load: Any) -> Judged:
        judged = judge(candidates, load)
        if picked is None:
            remove(run / PICK)
        else:
            write_json(run / PICK, asdict(picked) | {"export": picked.export.to_json()})
        return judged

    return record


def limits_of(run: Path) -> Limits:
    """The limits by which the run's model was taken."""
    picked, probed = read_pick(run), read_probes(run)
    return picked.limits if picked else probed[0] if probed else NO_LIMITS


def read_pick(run: Path) -> Picked | None:
    """None if the run's model is the one that its search took. Raises UnfreezeError if the file is damaged."""
    if not (run / PICK).exists():
        return None
    told = read_json(run / PICK)
    try:
        trial = None if told["trial"] is None else int(told["trial"])
        return Picked(trial, Limits(**told["limits"]), ExportSettings.from_json(told["export"]))
    except (LookupError, TypeError, ValueError):
        raise UnfreezeError(f"{run / PICK} is damaged; remove it, and pick again") from None
