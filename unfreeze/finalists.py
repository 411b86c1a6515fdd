"""The finalists of a search: trained models as files, measured on the images that judged the trials. They are kept in
RUN/finalists.json; `unfreeze.finalist_files` measures them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from export.limits import Limits, Probe, scaled
from toolkit.errors import UnfreezeError
from toolkit.storage.files import read_json, write_json
from toolkit.storage.records import plain_fields, plain_record

FINALISTS = "finalists.json"


@dataclass(frozen=True)
class Finalist:
    """A trial, and what was measured of its file."""

    trial: str
    weights: str  # SHA-256 of those that the file was made of
    file: str  # name of its format and precision
    made: str  # digest of the settings of the export that change the file
    features: int  # channels of the pooled features
    accuracy: float  # of the file on the validation images; with folds, of the folds' models, each on its own fold
    probe: Probe  # on one thread of this machine
    within: str = "?"  # the limits under which it was made, as JSON; "?": an earlier version did not tell
    least: Probe | None = None  # size and latency, each the least of the files that ways to int8 gave; None: no int8
    decided: bool = False  # whether the limits left out one of them

    def is_kept_within(self, limits: Limits) -> bool:
        """Whether an export within these limits would keep the same way to int8. `limits`: of what is measured here."""
        if self.within == as_json(limits) or (self.least is None and self.within != "?"):
            return True
        if self.decided or self.least is None:
            return False
        fits, others_fit = (not limits.broken(scaled(one, limits.latency_scale)) for one in (self.probe, self.least))
        return fits or not others_fit


def as_json(limits: Limits) -> str:
    return json.dumps(asdict(limits))


def read_finalists(run: Path) -> list[Finalist]:
    """What was measured; [] if nothing was. Raises UnfreezeError if the file is damaged."""
    path = run / FINALISTS
    if not path.exists():
        return []
    try:
        return [_finalist(one) for one in read_json(path)]
    except (LookupError, TypeError, ValueError):
        raise UnfreezeError(f"{path} is damaged; remove it, and the files are measured anew") from None


def _finalist(told: dict[str, Any]) -> Finalist:
    least = plain_record(Probe, told["least"]) if told.get("least") else None
    return Finalist(probe=plain_record(Probe, told["probe"]), least=least, **plain_fields(Finalist, told))


def write_finalists(run: Path, finalists: Sequence[Finalist]) -> None:
    write_json(run / FINALISTS, [asdict(one) for one in finalists])
