"""What the commands do with exported files, as functions: write, prove, ask. The others are in `unfreeze.api`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from export.runtimes.kind import EXPECTED
from export.settings import AS_IN_THE_FILE, EXPORT, MARGIN, VERIFY, Conversion, ExportSettings, VerifySettings
from toolkit.errors import UnfreezeError
from toolkit.process.keras_start import start_keras
from toolkit.progress import SILENT, Listener, Progress
from toolkit.storage.local_path import local_path
from toolkit.storage.lock import alone, check_run
from unfreeze.picked import limits_of

if TYPE_CHECKING:  # light at import: `--help` loads this module
    from export.artefacts import Manifest
    from export.inspect.inspection import Inspection
    from export.predict import Prediction
    from export.proof.parity import Parity
    from export.proof.pixel_sensitivity import Sensitivity
    from toolkit.run import Run

PathLike = str | Path
DATA = "a local folder or CSV"  # for the error message if a URL is given


def export(
    run: PathLike,
    settings: ExportSettings = EXPORT,
    *,
    data: PathLike | None = None,
    listener: Listener = SILENT,
) -> Manifest:
    """Write RUN's model as files: all variants, or some. Variants that could not be written are listed in `failed`.

    `data`: where the images are now, if they were moved since the run. The file of the device whose limits the search
    kept is made so that it keeps them, if there is a way.
    """
    check_run(local_path(run))
    with alone(local_path(run)):
        opened = load(run, data)
        settings = settings if settings.within else replace(settings, within=limits_of(opened.path).measured_here)
        start(listener.progress)
        from export.write import export as write

        return write(opened, settings, listener.progress)


def verify(
    run: PathLike,
    settings: VerifySettings = VERIFY,
    *,
    formats: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    data: PathLike | None = None,
    listener: Listener = SILENT,
) -> list[Parity]:
    """Run each artefact of RUN, or some, in its own runtime over the whole test part. A `Parity` is true if it holds.

    `formats`, `precisions`: those of the artefacts; None: all. `data`: where the images are now, if they were moved
    since the run.
    """
    check_run(local_path(run))
    with alone(local_path(run)):
        opened = load(run, data)
        from export.proof.verify import verify as check

        return check(opened, settings, formats=formats, precisions=precisions, progress=listener.progress)


def verify_foreign(
    reference: PathLike,
    artefacts: Sequence[PathLike],
    data: PathLike,
    *,
    conversion: Conversion = AS_IN_THE_FILE,
    reference_conversion: Conversion | None = None,
    settings: VerifySettings = VERIFY,
    out: PathLike | None = None,
    listener: Listener = SILENT,
) -> list[Parity]:
    """Compare each artefact with `reference`, model files of any runtime, on the images of DATA.

    `conversion`: how they take images, and their class names, as far as the files do not say.
    `reference_conversion`: the same of the reference, if it differs. `out`: a folder for the pictures.
    """
    from export.foreign.verify import verify_foreign as check

    return check(
        local_path(reference),
        [local_path(artefact) for artefact in artefacts],
        local_path(data, DATA),
        conversion=conversion,
        reference_conversion=reference_conversion,
        settings=settings,
        out=None if out is None else local_path(out),
        progress=listener.progress,
    )


def sensitivity(
    run: PathLike,
    artefact: str | None = None,
    *,
    margin: float = MARGIN,
    data: PathLike | None = None,
    listener: Listener = SILENT,
) -> list[Sensitivity]:
    """The accuracy that an artefact (None: the default one) loses if an app decodes or resizes the test images in
    another way. Writes resize.json and plots/resize.png. `margin`: points of accuracy."""
    VerifySettings(margin=margin)  # raises UnfreezeError if it is not a margin
    check_run(local_path(run))
    with alone(local_path(run)):
        opened = load(run, data)
        from export.proof.pixel_sensitivity import measure_run

        return measure_run(opened, artefact, margin=margin, progress=listener.progress)


def predict(
    source: PathLike, images: PathLike | Sequence[PathLike], conversion: Conversion = AS_IN_THE_FILE
) -> Iterator[Prediction]:
    """Yield class and probability of each image. An image may be a folder of images. `source`: a model file of any
    runtime, a SavedModel folder, or a run, whose default artefact is used. `conversion`: how a model from elsewhere
    takes images, and its class names, as far as its file does not say.
    """
    if not local_path(source).exists():
        raise UnfreezeError(f"{source} does not exist; give {EXPECTED}, or a run folder")
    from export.predict import predict as answer

    listed = [images] if isinstance(images, (str, Path)) else images
    return answer(local_path(source), [local_path(image) for image in listed], conversion)


def inspect(path: PathLike) -> Inspection:
    """What is in a model file from anywhere, a SavedModel folder, or the file of a run that `predict` would take.
    Nothing in it runs. `file` of the result has inputs, outputs, labels, precision, operators, weights and what runs
    the file; `pixels` the plausible ranges of pixel values."""
    from export.inspect.inspection import inspect as look

    return look(local_path(path))


def load(run: PathLike, data: PathLike | None = None) -> Run:
    from toolkit.run import load_run

    return load_run(local_path(run), None if data is None else local_path(data, DATA))


def start(progress: Progress) -> None:
    """Import TensorFlow and Keras, which takes seconds, once."""
    if "keras" in sys.modules:
        start_keras()  # it is set as Unfreeze needs it
        return
    progress("starting TensorFlow", 0, 1)
    start_keras()
    progress("starting TensorFlow", 1, 1)
