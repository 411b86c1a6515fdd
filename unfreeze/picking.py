"""`pick`: another trial of a finished search becomes the run's model, and is exported and verified."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from export.limits import NO_LIMITS, Limits
from export.settings import EXPORT, ExportSettings
from toolkit.errors import UnfreezeError
from toolkit.own.parts import NOTHING, Own, refuse_others
from toolkit.progress import SILENT, Listener
from toolkit.storage.files import read_json
from toolkit.storage.local_path import local_path
from toolkit.storage.lock import alone, check_run
from unfreeze.after_search import keep_latencies
from unfreeze.api import Finished, finish
from unfreeze.artefact_api import PathLike, load, start
from unfreeze.device_limits import device_of, read_probes
from unfreeze.front_points import FrontPoint, read_front
from unfreeze.picked import Picked, read_pick, recorded

if TYPE_CHECKING:  # light at import: `--help` loads this module
    from collections.abc import Sequence

    from toolkit.run import Run
    from tuning.selection import Candidate, Judge, Judged

OF_DEVICE = ("runtime", "precision", "latency_scale", "latencies")  # limits that say which file, and where it runs


def front(run: PathLike) -> list[FrontPoint]:
    """What can be had of accuracy, latency, size and memory: the files that were measured of RUN's trials, by format,
    the most accurate first. Nothing is computed. Raises UnfreezeError if RUN holds no search that has ended."""
    opened = load(run)
    _check_searched(opened)
    return read_front(opened)


def limits_like(run: PathLike, **given: Any) -> Limits:
    """Limits of RUN's device: format, precision and where it is measured are those of its search, unless one of them is
    given."""
    told = read_probes(load(run).path)
    if told is not None and not given.keys() & set(OF_DEVICE):
        given = {name: getattr(told[0], name) for name in OF_DEVICE} | given
    return Limits(**given)


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
    model replaces RUN/model.keras and is evaluated, exported, verified and reported. What was exported before is
    exported of it, and the file that is held to the limits.

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

        picked = Picked(trial, limits, replace(_as_before(opened, limits), within=NO_LIMITS))
        inner = FileJudge(opened, limits, listener, picked.export, strict=True) if trial is None else _only(trial)
        judge = recorded(inner, opened.path, picked)
        told = read_probes(opened.path)
        device = device_of(opened, *told, judge) if told else Device(judge=judge)
        result = keep_latencies(search(opened, listener, device=device, more=False), opened.path)
        return finish(run, result, picked.export, begun=begun, limits=limits, data=data, listener=listener)


def _check_searched(run: Run) -> None:
    """Raises UnfreezeError if no trial of a search has ended. The model may be missing: it is while it is replaced."""
    from tuning.results import read_trials

    if not any(trial.status == "COMPLETED" for trial in read_trials(run.path / "trials.csv")):
        raise UnfreezeError(f"{run.path} holds no search that has ended; `unfreeze tune DATA {run.path}` makes one")


def _only(trial: int) -> Judge:
    """That one trial is taken."""

    def judge(candidates: Sequence[Candidate], load: object) -> Judged:
        from tuning.selection import Judged

        names = {int(one.trial): one.trial for one in candidates}
        if trial not in names:
            listed = ", ".join(map(str, sorted(names)))
            raise UnfreezeError(
                f"there is no trial {trial} to take: it failed, or another one went on from it; there are {listed}"
            )
        return Judged(candidates, taken=names[trial])

    return judge


def _as_before(run: Run, limits: Limits) -> ExportSettings:
    """What is exported: the formats and precisions that were, and the limits' file, as the last export wrote them."""
    from export.artefacts import UNSTATED, read_manifest
    from export.description import reject_below

    if not (run.path / "export" / "manifest.json").is_file():  # none yet, or an export that was interrupted
        before = read_pick(run.path)
        last, formats, precisions = before.export if before else EXPORT, None, None
        if last.formats is not None or last.precisions is not None:
            formats, precisions = ({getattr(one, kind) for one in last.variants} for kind in ("format", "precision"))
    else:
        manifest = read_manifest(run.path / "export")
        formats, precisions = ({getattr(one, kind) for one in manifest.artefacts} for kind in ("format", "precision"))
        last, stated = manifest.calls[-1] if manifest.calls else EXPORT, manifest.description.get("license", UNSTATED)
        chosen = next((one.wanted_accuracy for one in reversed(manifest.calls) if one.wanted_accuracy), None)
        threshold = None if chosen else reject_below(manifest.description) or None
        license = None if stated == UNSTATED else stated
        last = replace(last, license=license, wanted_accuracy=chosen, reject_below=threshold)
    if formats is None or precisions is None:
        return last
    if limits:
        formats, precisions = formats | {limits.runtime}, precisions | {limits.precision}
    return replace(last, formats=sorted(formats), precisions=sorted(precisions))
