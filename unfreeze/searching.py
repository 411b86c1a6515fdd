"""The search of `tune` and `run`: the run folder is prepared, what the device excludes is left out, trials run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from export.limits import Limits
from export.settings import EXPORT, ExportSettings
from toolkit.errors import UnfreezeError
from toolkit.own.parts import Own
from toolkit.progress import Listener
from toolkit.settings import Settings
from toolkit.storage.local_path import local_path
from unfreeze.after_search import After
from unfreeze.artefact_api import DATA, PathLike, start
from unfreeze.device_limits import PROBES, device_of, probe_search
from unfreeze.picked import recorded

if TYPE_CHECKING:  # light at import: `--help` loads this module
    from toolkit.run import Run
    from tuning.results import SearchResult


def searched(
    opened: Run, limits: Limits, listener: Listener, *, begun: float, export: ExportSettings | None = None
) -> SearchResult:
    """The search in a run folder. `begun`: when the command began, by `time.monotonic`. `export`: what is exported
    after it; None: nothing comes after it."""
    from tuning.device import ANY
    from tuning.search import search
    from tuning.time_limit import TimeLimit

    settings, device, measures = opened.settings, ANY, False
    files = len(export.variants) if export else 0
    if limits and opened.own.head is not None:
        raise UnfreezeError("limits are measured with the usual head; leave them out, or the head of your own")
    if limits or (opened.path / PROBES).exists():
        from unfreeze.file_judge import FileJudge

        probed = probe_search(opened, limits, listener.progress)
        listener.on_probes(limits, probed)
        device = device_of(opened, limits, probed, FileJudge(opened, limits, listener, export or EXPORT))
        measures = True
    device = replace(device, judge=recorded(device.judge, opened.path, None))
    judged, tested = (len(opened.images.select(*parts)) for parts in (settings.judged_on, ("test",)))
    after = After(files, judged + tested, judged if measures else 0)
    return search(opened, listener, TimeLimit(settings.time_limit, begun=begun, after=after), device)


def prepared(
    data: PathLike,
    run: PathLike,
    settings: Settings,
    own: Own,
    strict: bool,
    listener: Listener,
    searches: bool = True,
) -> Run:
    """Prepare the run folder of a training. TensorFlow is loaded last, after data and settings were checked."""
    from toolkit.run import prepare

    how: dict[str, Any] = {"strict": strict, "searches": searches, "progress": listener.progress}
    opened = prepare(local_path(data, DATA), local_path(run), settings, own, **how)
    listener.on_images(opened.images)
    for warning in opened.warnings:
        listener.on_warning(warning)
    start(listener.progress)
    return opened
