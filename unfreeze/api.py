"""What the commands do, as functions: one for each, by the same names.

    from unfreeze import api
    from toolkit.settings import Settings

    finished = api.run("photos", "runs/pets", settings=Settings(trials=4))
    print(finished.evaluation.accuracy, finished.parities)

Paths are strings or `Path`s; results are frozen records. `UnfreezeError` says what is wrong with a call,
`NoAnswerError` that there is no result. Nothing is printed: `progress`, `on_images`, `on_epoch` and `on_trials` are
told what goes on. TensorFlow is loaded by what trains or converts, when what can be wrong with the call was checked.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.settings import CALIBRATION, MARGIN, TOLERANCE
from toolkit.errors import UnfreezeError
from toolkit.models.applications import BACKBONES, Backbone
from toolkit.process.quiet import start_tensorflow
from toolkit.progress import Progress, silent
from toolkit.settings import Settings
from toolkit.storage.lock import alone, check_run

if TYPE_CHECKING:  # light at import: `--help` loads this module
    import keras

    from export.artefacts import Manifest
    from export.predict import Prediction
    from export.proof.client_pixels import Sensitivity
    from export.proof.parity import Parity
    from toolkit.data.image_set import ImageFolder
    from toolkit.run import Run
    from toolkit.stats.metrics import Evaluation
    from toolkit.training.history import History, Row
    from tuning.results import SearchResult, Trial

PathLike = str | Path
SEARCH = Settings()
SINGLE = Settings(head_units=(0,), dropout=(0.2,), unfreeze=(2,))


@dataclass(frozen=True)
class Finished:
    """What `run` made. True where every artefact is proven to hold."""

    search: SearchResult
    evaluation: Evaluation
    manifest: Manifest
    parities: list[Parity]
    page: Path | None  # report.html
    trouble: UnfreezeError | OSError | None = None  # why it could not be written: all else is there all the same

    def __bool__(self) -> bool:
        return bool(self.parities) and all(self.parities)


def run(
    data: PathLike,
    run: PathLike,
    *,
    settings: Settings = SEARCH,
    formats: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    calibration: int = CALIBRATION,
    float_layers: Sequence[str] = (),
    margin: float = MARGIN,
    license: str | None = None,
    strict: bool = False,
    progress: Progress = silent,
    on_images: Callable[[ImageFolder], None] = lambda images: None,
    on_epoch: Callable[[Row], None] = lambda row: None,
    on_trials: Callable[[list[Trial]], None] = lambda trials: None,
) -> Finished:
    """`tune`, `evaluate`, `export`, `verify` and `report` in one go. The same call again goes on where it stopped."""
    from export.variants import choose

    choose(formats, precisions)  # what cannot be made is said before anything starts
    _check_export(calibration, margin)
    with alone(Path(run)):
        result = tune(
            data,
            run,
            settings=settings,
            strict=strict,
            progress=progress,
            on_images=on_images,
            on_epoch=on_epoch,
            on_trials=on_trials,
        )
        evaluation = evaluate(run, progress=progress)
        how: Any = {"formats": formats, "precisions": precisions, "calibration": calibration}
        how |= {"float_layers": float_layers, "margin": margin, "license": license}
        manifest = _exported(run, how) or export(run, **how, progress=progress)
        parities = verify(run, formats=formats, precisions=precisions, margin=margin, progress=progress)
        try:
            page, trouble = report(run)[0], None
        except (UnfreezeError, OSError) as error:
            page, trouble = None, error
    return Finished(result, evaluation, manifest, parities, page, trouble)


def _exported(run: PathLike, how: dict[str, Any]) -> Manifest | None:
    """By this call, typed before."""
    from export.write import finished
    from toolkit.run import load_run

    return finished(load_run(Path(run)), **how)


_run = run  # where a parameter has its name


def scan(
    data: PathLike,
    *,
    val: float = SEARCH.val,
    test: float = SEARCH.test,
    seed: int = SEARCH.seed,
    strict: bool = False,
    progress: Progress = silent,
) -> ImageFolder:
    """What is in DATA, and the split that a run would make: every image with its class and part, what was left out.

    `val`, `test`: fractions, where DATA has no such part. `strict`: a file that has to be left out is an error.
    """
    from functools import partial

    from toolkit.data import image_set
    from toolkit.data.split import split

    Settings(val=val, test=test, seed=seed).check()
    found = image_set.scan(Path(data), strict=strict, progress=partial(progress, "scanning"))
    return split(found, val=val, test=test, seed=seed)


def tune(
    data: PathLike,
    run: PathLike,
    *,
    settings: Settings = SEARCH,
    strict: bool = False,
    progress: Progress = silent,
    on_images: Callable[[ImageFolder], None] = lambda images: None,
    on_epoch: Callable[[Row], None] = lambda row: None,
    on_trials: Callable[[list[Trial]], None] = lambda trials: None,
) -> SearchResult:
    """Search head size, dropout and unfreeze depth, and keep the best model in RUN; or go on with the search there.

    `on_images` is told of the images before anything is trained, `on_epoch` of each epoch, `on_trials` of all trials
    that have ended whenever one has.
    """
    with alone(Path(run)):
        opened = _open(data, run, settings, strict, progress, on_images)
        from tuning.search import search

        return search(opened, progress=progress, on_epoch=on_epoch, on_trials=on_trials)


def train(
    data: PathLike,
    run: PathLike,
    *,
    settings: Settings = SINGLE,
    strict: bool = False,
    progress: Progress = silent,
    on_images: Callable[[ImageFolder], None] = lambda images: None,
    on_epoch: Callable[[Row], None] = lambda row: None,
) -> History:
    """Train one model, no search: that of the one point that the settings name. Returns its learning curve."""
    if settings.points != 1:
        raise UnfreezeError(
            f"train makes one model and the settings name {settings.points}; give head_units, dropout and unfreeze "
            "one value each, such as (0,), (0.2,) and (2,), or search with tune"
        )
    with alone(Path(run)):
        opened = _open(data, run, settings, strict, progress, on_images, searches=False)
        from toolkit.training.train import train_run

        return train_run(opened, progress=progress, on_epoch=on_epoch)


def adopt(
    model: keras.Model | PathLike,
    data: PathLike,
    run: PathLike,
    *,
    pixels: str = "0..255",
    labels: PathLike | Sequence[str] | None = None,
    val: float = SEARCH.val,
    test: float = SEARCH.test,
    seed: int = SEARCH.seed,
    strict: bool = False,
    progress: Progress = silent,
    on_images: Callable[[ImageFolder], None] = lambda images: None,
) -> Run:
    """Make RUN of a model that was trained elsewhere; `evaluate`, `export`, `verify` and `predict` then work on it.

    `model`: a functional or Sequential keras.Model, or the path of its .keras file. `pixels`: the range that it takes,
    "0..255", "0..1", "-1..1", "imagenet" or "caffe". `labels`: the class names in the model's order, or a file with one
    a line; without it the names of the folders, sorted. Logits and a single sigmoid become probabilities.
    """
    _start(progress)
    from export.foreign.adopt import adopt as adopted

    with alone(Path(run)):
        opened = adopted(
            Path(model) if isinstance(model, (str, Path)) else model,
            Path(data),
            Path(run),
            pixels=pixels,
            labels=Path(labels) if isinstance(labels, (str, Path)) else labels,
            val=val,
            test=test,
            seed=seed,
            strict=strict,
            progress=progress,
        )
        on_images(opened.images)
        return opened


def evaluate(run: PathLike, data: PathLike | None = None, *, progress: Progress = silent) -> Evaluation:
    """RUN's model on its test part: writes metrics.json and pictures. With DATA on that folder's test part, or on all
    of it where it has none; `trained_on` then says how many of those images are none that test the model."""
    check_run(Path(run))
    with alone(Path(run)) if data is None else nullcontext():  # other data are not written of in RUN
        opened = _load(run)
        _start(progress)
        from toolkit.evaluation.evaluate_run import assess, assess_other

        if data is not None:
            return assess_other(opened, Path(data), progress=progress)
        from tuning.trial_plot import plot_trials

        evaluation = assess(opened, progress=progress)
        plot_trials(opened)
        return evaluation


def export(
    run: PathLike,
    *,
    formats: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    calibration: int = CALIBRATION,
    float_layers: Sequence[str] = (),
    margin: float = MARGIN,
    license: str | None = None,
    data: PathLike | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Write RUN's model as files: all variants, or some; those that could not be written stand in `failed`.

    `calibration`: training images that set the ranges of int8. `float_layers`: of the model, which int8 files keep in
    float. `margin`: points of accuracy that an int8 file may lose before it is made in another way. `license`: every
    artefact carries it. `data`: where the images are now, if they were moved since the run.
    """
    from export.variants import choose

    choose(formats, precisions)
    _check_export(calibration, margin)
    check_run(Path(run))
    with alone(Path(run)):
        opened = _load(run, data)
        _start(progress)
        from export.write import export as write

        return write(
            opened,
            formats=formats,
            precisions=precisions,
            calibration=calibration,
            float_layers=float_layers,
            margin=margin,
            license=license,
            progress=progress,
        )


def verify(
    run: PathLike,
    *,
    formats: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    margin: float = MARGIN,
    tolerance: float = TOLERANCE,
    threads: Sequence[int] | None = None,
    layers: bool = False,
    data: PathLike | None = None,
    progress: Progress = silent,
) -> list[Parity]:
    """Each artefact of RUN, or some, in its own runtime over the whole test part; a `Parity` is true where it holds.

    `margin`: points of accuracy that may be lost. `tolerance`: of a float32 file's probabilities. `threads`: how many
    each runtime is timed with; None: 1 and all; (): no times. `layers`: compare all files layer by layer. `data`: where
    the images are now, if they were moved since the run.
    """
    _check_verify(margin, tolerance, threads)
    check_run(Path(run))
    with alone(Path(run)):
        opened = _load(run, data)
        from export.proof.verify import verify as check

        return check(
            opened,
            formats=formats,
            precisions=precisions,
            margin=margin,
            tolerance=tolerance,
            threads=threads,
            layers=layers,
            progress=progress,
        )


def verify_foreign(
    reference: PathLike,
    artefacts: Sequence[PathLike],
    data: PathLike,
    *,
    pixels: str = "0..255",
    labels: PathLike | None = None,
    margin: float = MARGIN,
    tolerance: float = TOLERANCE,
    threads: Sequence[int] | None = None,
    layers: bool = False,
    out: PathLike | None = None,
    progress: Progress = silent,
) -> list[Parity]:
    """The same for a model from elsewhere: each artefact against `reference`, a .keras file, on the images of DATA.

    `pixels`: what both take, "0..255", "0..1", "-1..1", "imagenet" or "caffe". `labels`: a file with a class name a
    line, in the model's order; without it the names of the folders, sorted. `out`: a folder for the pictures.
    """
    _check_verify(margin, tolerance, threads)
    _start(progress)
    from export.foreign.verify import verify_foreign as check

    return check(
        Path(reference),
        [Path(artefact) for artefact in artefacts],
        Path(data),
        pixels=pixels,
        labels=None if labels is None else Path(labels),
        margin=margin,
        tolerance=tolerance,
        threads=threads,
        layers=layers,
        out=None if out is None else Path(out),
        progress=progress,
    )


def sensitivity(
    run: PathLike,
    artefact: str | None = None,
    *,
    margin: float = MARGIN,
    data: PathLike | None = None,
    progress: Progress = silent,
) -> list[Sensitivity]:
    """What RUN's artefact of that name, or the one that stands for all, loses if an app decodes or resizes the test
    part's images in another way. Writes resize.json and a picture."""
    _check_verify(margin)
    check_run(Path(run))
    with alone(Path(run)):
        opened = _load(run, data)
        from export.artefacts import read_manifest
        from export.predict import first_of
        from export.proof.client_pixels import sensitivity as measured
        from export.proof.client_pixels import write_sensitivity

        manifest = read_manifest(opened.path / "export")
        written = [one.name for one in manifest.artefacts]
        if not written or (artefact and artefact not in written):
            raise UnfreezeError(f"{run} has no artefact {artefact or ''}; `unfreeze export {run}` writes them")
        name, size = artefact or first_of(written), manifest.image_size
        path, images = opened.path / "export" / name, opened.images.select("test")
        rows = measured(path, images, size, margin=margin, progress=progress)
        write_sensitivity(opened.path, name, rows, margin)
        return rows


def report(run: PathLike, *, data: PathLike | None = None) -> tuple[Path, Path]:
    """Write what RUN holds so far as a self-contained page, report.html, and as a model card, report.md; their paths.

    `data`: where the images are now, if they were moved since the run.
    """
    opened = _load(run, data)
    from unfreeze.pages.write_report import write_report

    return write_report(opened)


def track(run: PathLike, uri: str) -> str:
    """Log RUN as it is to an MLflow store: settings, trials, metrics, files. Returns the id of the MLflow run.

    Every call makes a new one and leaves those that are there alone. `uri`: sqlite:///mlflow.db, or a server's address.
    """
    from unfreeze.tracking.mlflow import log_to_mlflow
    from unfreeze.tracking.mlflow_store import require

    require(uri)
    return log_to_mlflow(_load(run).path, uri)


def predict(source: PathLike, images: PathLike | Sequence[PathLike]) -> Iterator[Prediction]:
    """Class and probability of each image, as they come. An image may be a folder of them.

    `source`: an .onnx or .tflite file, a SavedModel folder, or a run, of which the first artefact is used.
    """
    if not Path(source).exists():
        raise UnfreezeError(
            f"{source} does not exist; give an .onnx or .tflite file, a SavedModel folder or a run folder"
        )
    from export.predict import predict as answer

    listed = [images] if isinstance(images, (str, Path)) else images
    return answer(Path(source), [Path(image) for image in listed])


def backbones() -> list[Backbone]:
    """The table: each backbone's default image size, and its cut layer at each unfreeze depth."""
    return list(BACKBONES.values())


def _open(
    data: PathLike,
    run: PathLike,
    settings: Settings,
    strict: bool,
    progress: Progress,
    on_images: Callable[[ImageFolder], None],
    searches: bool = True,
) -> Run:
    """The run folder for what trains; TensorFlow is loaded last, when all that can be wrong was checked."""
    from toolkit.run import prepare

    opened = prepare(Path(data), Path(run), settings, strict=strict, searches=searches, progress=progress)
    on_images(opened.images)
    _start(progress)
    return opened


def _load(run: PathLike, data: PathLike | None = None) -> Run:
    from toolkit.run import load_run

    return load_run(Path(run), None if data is None else Path(data))


def _check_export(calibration: int, margin: float) -> None:
    if calibration < 1:
        raise UnfreezeError(f"calibration is {calibration}; give the number of images that set the ranges, 1 or more")
    _check_verify(margin)


def _check_verify(margin: float, tolerance: float = TOLERANCE, threads: Sequence[int] | None = None) -> None:
    if not 0 < margin <= 100:
        raise UnfreezeError(f"margin is {margin}; give points of accuracy, above 0 and at most 100")
    if not 0 < tolerance < math.inf:
        raise UnfreezeError(f"tolerance is {tolerance}; give a positive difference of probabilities, such as 0.0001")
    if min(threads or (1,)) < 1:
        raise UnfreezeError(f"threads has {min(threads or ())}; a runtime needs one at least")


def _start(progress: Progress) -> None:
    """TensorFlow takes seconds to import, once."""
    if "tensorflow" in sys.modules:
        return
    progress("starting TensorFlow", 0, 1)
    start_tensorflow()
    progress("starting TensorFlow", 1, 1)
