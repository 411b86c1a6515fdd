"""What the commands do, as functions: one for each, by the same names; `import unfreeze` has them all.

Paths are strings or `Path`s; results are frozen records. A function raises `UnfreezeError` if the call or its input is
wrong, and `NoAnswerError` if there is no result. Nothing is printed: progress goes to a `Listener`. Functions that
train or convert load TensorFlow after the call was checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from export.limits import NO_LIMITS, Limits, Probe
from export.settings import EXPORT, ExportSettings, VerifySettings
from toolkit.data.settings import DATA_SETTINGS, DataSettings
from toolkit.errors import UnfreezeError
from toolkit.own.parts import NOTHING, Own
from toolkit.progress import SILENT, Listener
from toolkit.settings import Settings
from toolkit.storage.local_path import local_path
from toolkit.storage.lock import alone, check_run
from unfreeze import artefact_api
from unfreeze.after_search import leaves_no_time_for_latencies, without_latencies
from unfreeze.artefact_api import DATA, PathLike, load, start
from unfreeze.own_parts import with_own
from unfreeze.searching import prepared, searched

if TYPE_CHECKING:  # light at import: `--help` loads this module
    import keras

    from export.artefacts import Manifest
    from export.proof.parity import Parity
    from toolkit.data.image_set import ImageSet
    from toolkit.data.sources.write_csv import WrittenCsv
    from toolkit.run import Run
    from toolkit.stats.metrics import Evaluation
    from toolkit.training.history import History
    from tuning.results import SearchResult

SEARCH = Settings()
SINGLE = Settings(head_units=(0,), dropout=(0.2,), unfreeze=(2,))


@dataclass(frozen=True)
class Finished:
    """What `run` made. It is true if every artefact is proven to hold."""

    search: SearchResult
    evaluation: Evaluation
    manifest: Manifest
    parities: list[Parity]
    page: Path | None  # report.html
    trouble: UnfreezeError | OSError | None = None  # why report.html could not be written; all else is complete

    def __bool__(self) -> bool:
        return bool(self.parities) and all(self.parities)


def run(
    data: PathLike,
    run: PathLike,
    *,
    settings: Settings = SEARCH,
    limits: Limits = NO_LIMITS,
    export: ExportSettings = EXPORT,
    own: Own = NOTHING,
    strict: bool = False,
    listener: Listener = SILENT,
) -> Finished:
    """`tune`, `evaluate`, `export`, `verify` and `report` in one go. Call it again to continue after an interruption.

    `limits`, `own`: as in `tune`. `strict`: a file that has to be left out is an error. The files are verified
    with the export's margin. `settings.time_limit` is for all of it: the search ends early enough for the rest.
    """
    begun = monotonic()
    with alone(local_path(run)), with_own(settings, own, local_path(run)) as chosen:
        opened = prepared(data, run, chosen, own, strict, listener)
        result = searched(opened, limits, listener, begun=begun, export=export)
        return finish(run, result, export, begun=begun, limit=settings.time_limit, limits=limits, listener=listener)


def finish(
    run: PathLike,
    result: SearchResult,
    export: ExportSettings,
    *,
    begun: float,
    limit: float | None = None,
    limits: Limits = NO_LIMITS,
    data: PathLike | None = None,
    listener: Listener = SILENT,
) -> Finished:
    """Evaluate, export, verify and report the model that a search took. `begun`: when the command began, by
    `time.monotonic`; `limit`: the seconds that it may take. `limits`: those that the exported file is held to. `data`:
    where the images are now."""
    export = replace(export, within=limits.measured_here) if limits else export
    evaluation = _evaluated(load(run, data), listener)
    exporting = monotonic()
    manifest = _exported(run, export) or artefact_api.export(run, export, data=data, listener=listener)
    short = leaves_no_time_for_latencies(limit, monotonic() - begun, monotonic() - exporting)
    proof = VerifySettings(margin=export.margin, threads=() if short else None)
    result = without_latencies(result, local_path(run), limit) if short else result
    kinds = {"formats": export.formats, "precisions": export.precisions}
    parities = artefact_api.verify(run, proof, **kinds, data=data, listener=listener)
    sizes = [limits.broken(Probe(one.bytes / 1e6)) for one in manifest.artefacts if one.name == limits.variant.name]
    if sizes and sizes[0] and not result.broken:
        result = replace(result, file=limits.variant.name, broken=", ".join(sizes[0]))
    try:
        page, trouble = report(run, data=data)[0], None
    except (UnfreezeError, OSError) as error:
        page, trouble = None, error
    return Finished(result, evaluation, manifest, parities, page, trouble)


def _exported(run: PathLike, settings: ExportSettings) -> Manifest | None:
    """The manifest of an earlier identical export, if all that it wrote is still there and valid."""
    from export.write import finished
    from toolkit.run import load_run

    return finished(load_run(local_path(run)), settings)


def scan(
    data: PathLike, *, reading: DataSettings = DATA_SETTINGS, strict: bool = False, listener: Listener = SILENT
) -> ImageSet:
    """What is in DATA, and the split that a run would make: every image with its class and part, what was left out.

    `reading`: how DATA is read and divided. `strict`: a file that has to be left out is an error.
    """
    from toolkit.data import image_set
    from toolkit.data.split import divide_by

    found = image_set.scan(
        local_path(data, DATA), reading, strict=strict, progress=partial(listener.progress, "scanning")
    )
    return divide_by(found, reading, strict=strict)


def write_csv(
    data: PathLike, file: PathLike, *, reading: DataSettings = DATA_SETTINGS, strict: bool = False
) -> WrittenCsv:
    """Write a CSV `path,label,split` of DATA, to look at, edit and give instead of it. No image is opened. Where DATA
    does not say what is a class, the CSV has the classes that the files' names seem to name, or a column for each level
    of folders: `WrittenCsv.columns` says which. `strict`: an image that has to be left out is an error."""
    from toolkit.data.sources import write_csv as written

    return written.write_csv(local_path(data, DATA), local_path(file), reading, strict=strict)


def tune(
    data: PathLike,
    run: PathLike,
    *,
    settings: Settings = SEARCH,
    limits: Limits = NO_LIMITS,
    own: Own = NOTHING,
    strict: bool = False,
    listener: Listener = SILENT,
) -> SearchResult:
    """Search head size, dropout, unfreeze depth, what `settings.vary` names and what `own.space` adds, and keep the
    best model in RUN; or go on with the search there.

    `limits`: what the device allows; backbones, image sizes and heads that break them are left out. `own`: backbone,
    hyperparameters, head, loss, optimizer, metrics and augmentation of your own. A search goes on with the same ones
    only; all that comes after it works without them. `strict`: a file that has to be left out is an error.
    """
    with alone(local_path(run)), with_own(settings, own, local_path(run)) as chosen:
        begun = monotonic()
        return searched(prepared(data, run, chosen, own, strict, listener), limits, listener, begun=begun)


def train(
    data: PathLike,
    run: PathLike,
    *,
    settings: Settings = SINGLE,
    own: Own = NOTHING,
    strict: bool = False,
    listener: Listener = SILENT,
) -> History:
    """Train one model, without a search: one value of each setting. Returns its curve. `own`: as in `tune`, with one
    value of each hyperparameter."""
    if settings.point_count != 1:
        raise UnfreezeError(
            f"train makes one model and the settings name {settings.point_count}; give one value each of "
            f"{', '.join((*settings.vary, 'head_units, dropout and unfreeze'))}, or search with tune"
        )
    with alone(local_path(run)), with_own(settings, own, local_path(run)) as chosen:
        opened = prepared(data, run, chosen, own, strict, listener, searches=False)
        from toolkit.training.train import train_run

        return train_run(opened, listener)


def adopt(
    model: keras.Model | PathLike,
    data: PathLike,
    run: PathLike,
    *,
    pixels: str = "0..255",
    labels: PathLike | Sequence[str] | None = None,
    reading: DataSettings = DATA_SETTINGS,
    strict: bool = False,
    listener: Listener = SILENT,
) -> Run:
    """Make RUN of a model that was trained elsewhere; `evaluate`, `export`, `verify` and `predict` then work on it.

    `model`: a functional or Sequential keras.Model, or the path of its .keras or .h5 file. `pixels`: the range that it
    takes, "0..255", "0..1", "-1..1", "imagenet" or "caffe". `labels`: the class names in the model's order, or a file
    with one a line; without it the names of the folders, sorted. Logits and sigmoids become probabilities.
    """
    start(listener.progress)
    from export.foreign.adopt import adopt as adopted

    with alone(local_path(run)):
        opened = adopted(
            local_path(model) if isinstance(model, (str, Path)) else model,
            local_path(data, DATA),
            local_path(run),
            pixels=pixels,
            labels=local_path(labels) if isinstance(labels, (str, Path)) else labels,
            reading=reading,
            strict=strict,
            progress=listener.progress,
        )
        listener.on_images(opened.images)
        return opened


def evaluate(
    run: PathLike,
    data: PathLike | None = None,
    *,
    reading: DataSettings | None = None,
    listener: Listener = SILENT,
) -> Evaluation:
    """RUN's model on its test part: writes metrics.json and pictures. With DATA: on that folder's test part, or on all
    its images if it has none, and nothing is written; `trained_on` counts those that the model was trained or selected
    on. DATA is read as the run's data were, but for the columns, the folder and the suffix of a CSV that `reading`
    names."""
    check_run(local_path(run))
    with alone(local_path(run)) if data is None else nullcontext():  # nothing is written into RUN for other data
        opened = load(run)
        if data is None:
            return _evaluated(opened, listener)
        start(listener.progress)
        from toolkit.evaluation.evaluate_run import evaluate_folder

        return evaluate_folder(opened, local_path(data, DATA), reading, progress=listener.progress)


def _evaluated(run: Run, listener: Listener) -> Evaluation:
    start(listener.progress)
    from toolkit.evaluation.evaluate_run import evaluate_run
    from tuning.trial_plot import plot_trials

    evaluation = evaluate_run(run, progress=listener.progress)
    plot_trials(run)
    return evaluation


def report(run: PathLike, *, data: PathLike | None = None) -> tuple[Path, Path]:
    """Write what RUN holds so far as a self-contained page, report.html, and as a model card, report.md; their paths.

    `data`: where the images are now, if they were moved since the run.
    """
    opened = load(run, data)
    from unfreeze.pages.write_report import write_report

    return write_report(opened)


def track(run: PathLike, uri: str) -> str:
    """Log RUN as it is to an MLflow store: settings, trials, metrics, files. Returns the id of the MLflow run. Every
    call makes a new one; earlier ones are not changed. `uri`: sqlite:///mlflow.db, or a server's address.
    """
    from unfreeze.tracking.mlflow import log_to_mlflow
    from unfreeze.tracking.mlflow_store import check_store

    check_store(uri)
    return log_to_mlflow(load(run).path, uri)
