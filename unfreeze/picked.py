"""What `pick` was asked for last, in RUN/pick.json: the report tells of it, and a pick that was interrupted goes on
with the same export."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from export.limits import NO_LIMITS, Limits
from export.settings import EXPORT, ExportSettings
from toolkit.errors import UnfreezeError
from toolkit.storage.files import read_json, write_json

PICK = "pick.json"


@dataclass(frozen=True)
class Picked:
    """A trial by its number, or the best one within limits."""

    trial: int | None = None
    limits: Limits = NO_LIMITS
    export: ExportSettings = EXPORT


def write_pick(run: Path, picked: Picked) -> None:
    write_json(run / PICK, asdict(picked) | {"export": picked.export.to_json()})


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
