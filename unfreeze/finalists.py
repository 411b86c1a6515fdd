"""The finalists of a search: trained models as files, measured on the images that judged the trials. They are kept in
RUN/finalists.json; `unfreeze.finalist_files` measures them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from export.limits import Limits, Probe, scaled
from toolkit.errors import UnfreezeError
from toolkit.storage.files import read_json, write_json
from toolkit.storage.records import plain_fields, plain_record

FINALISTS = "finalists.json"
FAR = 1.5  # times a limit: no other way to int8 makes a file so much smaller or faster that it keeps it


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
    ways: int = 1  # to int8, that gave a file
    within: str = ""  # the limits that decided which of them was kept, as JSON; "": none did

    def is_kept_within(self, limits: Limits) -> bool:
        """Whether an export within these limits would keep the same way to int8. `limits`: of what is measured here."""
        if self.within or self.ways == 1:
            return self.within in ("", as_json(limits))
        return not 1 < limits.excess(scaled(self.probe, limits.latency_scale)) <= FAR


def as_json(limits: Limits) -> str:
    return json.dumps(asdict(limits))


def read_finalists(run: Path) -> list[Finalist]:
    """What was measured; [] if nothing was. Raises UnfreezeError if the file is damaged."""
    path = run / FINALISTS
    if not path.exists():
        return []
    try:
        return [
            Finalist(probe=plain_record(Probe, one["probe"]), **plain_fields(Finalist, one)) for one in read_json(path)
        ]
    except (LookupError, TypeError, ValueError):
        raise UnfreezeError(f"{path} is damaged; remove it, and the files are measured anew") from None


def write_finalists(run: Path, finalists: Sequence[Finalist]) -> None:
    write_json(run / FINALISTS, [asdict(one) for one in finalists])
