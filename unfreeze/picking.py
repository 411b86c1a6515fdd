"""`pick`: another trial of a finished search becomes the run's model, and is exported and verified."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from export.limits import NO_LIMITS, Limits
from export.settings import EXPORT, ExportSettings
from toolkit.errors import UnfreezeError
from toolkit.own.parts import NOTHING, Own, refuse_others
from toolkit.progress import SILENT, Listener
from toolkit.storage.files import read_json
from toolkit.storage.local_path import local_path
from toolkit.storage.lock import alone, check_run
from unfreeze.api import Finished, finish
from unfreeze.artefact_api import PathLike, load, start
from unfreeze.device_limits import device_of, read_probes
from unfreeze.front_points import FrontPoint, read_front

if TYPE_CHECKING:  # light at import: `--help` loads this module
    from collections.abc import Sequence

    from toolkit.run import Run
    from tuning.selection import Candidate, Judge, Judged


def front(run: PathLike) -> list[FrontPoint]:
    """What can be had of accuracy, latency, size and memory: the files that were measured of RUN's trials, by format,
    the most accurate first. Nothing is computed. Raises UnfreezeError if RUN holds no search that has ended."""
    return _front(load(run))


def pick(
    run: PathLike,
    limits: Limits = NO_LIMITS,
    *,
    trial: int | None = None,
    own: Own = NOTHING,
    data: PathLike | None = None,
    listener: Listener = SILENT,
) -> Finished:
    """Take another trial of RUN's search: the one whose file is the best within `limits`, or the one of a number. Its
    model replaces RUN/model.keras and is evaluated, exported as the last export was, verified and reported.

    Files of the finalists that were not measured yet in this format and precision are written and measured first; no
    trial is run. `tune` and `run`, called again, take the trial of their own limits. `own`: the parts of one's own with
    which the search was begun. `data`: where the images are now, if they were moved since the run. Raises UnfreezeError
    if no trial keeps the limits; nothing is changed then.
    """
    begun = monotonic()
    if bool(limits) == (trial is not None):
        raise UnfreezeError("give limits or the number of a trial: one of them, not both")
    check_run(local_path(run))
    with alone(local_path(run)):
        opened = replace(load(run, data), own=own)
        _check_searched(opened)
        refuse_others(opened.path, read_json(opened.path / "run.json"), own)
        start(listener.progress)
        from tuning.device import Device
        from tuning.search import search
        from unfreeze.file_judge import FileJudge

        judge = FileJudge(opened, limits, listener, strict=True) if trial is None else _only(opened, trial)
        told = read_probes(opened.path)
        device = device_of(opened, *told, judge) if told else Device(judge=judge)
        result = search(opened, listener, device=device, more=False)
        return finish(run, result, _last_export(opened), begun=begun, listener=listener)


def _front(run: Run) -> list[FrontPoint]:
    _check_searched(run)
    return read_front(run)


def _check_searched(run: Run) -> None:
    if not any((run.path / "search").glob("trial_*")) or not (run.path / "model.json").is_file():
        raise UnfreezeError(f"{run.path} holds no search that has ended; `unfreeze tune DATA {run.path}` makes one")


def _only(run: Run, trial: int) -> Judge:
    """That one trial is left to choose from."""

    def judge(candidates: Sequence[Candidate], load: object) -> Judged:
        from tuning.selection import Judged

        found = [one for one in candidates if int(one.trial) == trial]
        if not found:
            names = ", ".join(str(number) for number in sorted(int(one.trial) for one in candidates))
            raise UnfreezeError(
                f"{run.path} has no trial {trial} to take: it failed, or another one went on from it; there are {names}"
            )
        return Judged(found)

    return judge


def _last_export(run: Run) -> ExportSettings:
    """The settings of the last export; the defaults where there was none."""
    from export.artefacts import read_manifest

    if not (run.path / "export" / "manifest.json").is_file():
        return EXPORT
    calls = read_manifest(run.path / "export").calls
    return calls[-1] if calls else EXPORT
