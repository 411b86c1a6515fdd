"""A model from elsewhere -> a run folder, in which `evaluate`, `export`, `verify` and `predict` work as on any other.

The conversion of uint8 pixels to what the model takes, and of its answers to probabilities, becomes part of the model.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np

from export.foreign import answers
from export.foreign.entry import entry_of
from export.foreign.load_keras import load_keras
from export.foreign.wrap import wrap
from export.runtimes.labels import class_names
from export.settings import Conversion
from toolkit.data.settings import DATA_SETTINGS, DataSettings
from toolkit.errors import NoAnswerError, UnfreezeError, short_reason
from toolkit.pixels.pixel_range import pixel_range
from toolkit.process.tf32 import without_tf32
from toolkit.progress import Progress, silent
from toolkit.run import Run, open_run, read_images
from toolkit.settings import ADOPTED, Settings
from toolkit.storage.files import file_digest
from toolkit.training.answers import probabilities
from toolkit.training.batches import Part, load_part
from toolkit.training.model_file import put_model

SAMPLE = 64  # images that show whether answers are logits, and that check the wrapped model
SAME = 1e-4  # largest difference of the wrapped model's probabilities from the model's own


def adopt(
    model: keras.Model | Path,
    data: Path,
    run: Path,
    *,
    pixels: str = "0..255",
    labels: Path | Sequence[str] | None = None,
    reading: DataSettings = DATA_SETTINGS,
    strict: bool = False,
    progress: Progress = silent,
) -> Run:
    """Make a run folder of a model that was trained elsewhere, and of images of its classes.

    `model`: functional or Sequential, or a Keras file of one; square images of a fixed size in, of colours or grey; a
    number for each class out, a probability, a logit or a sigmoid (or one number, a sigmoid or a logit, for two).
    `pixels`: the range that it takes, as `toolkit.pixels.pixel_range` reads it; a model of uint8 takes them as they
    are. `labels`: the class names in the model's order, or a file of them; without it the folders' names, sorted.
    Images that the model was trained on do not test it: give `data` a test/ folder with others, or test images alone.

    Writes run.json, model.keras and model.json. Raises UnfreezeError if the model is none of these or has other
    classes. Raises NoAnswerError if the wrapped model does not answer as the model does.
    """
    pixel_range(pixels)  # raises UnfreezeError if it is none
    own, name, digest = _own(model)
    names = class_names(Conversion(labels=labels))
    try:
        taken = entry_of(own, pixels)
    except UnfreezeError as error:
        raise UnfreezeError(f"{name}: {error}") from None
    size = taken.size[0]
    settings = Settings(backbone=ADOPTED, image_size=size, weights="none", calibrate=False, **asdict(reading))
    images = read_images(data, run, settings, strict=strict, classes=names, trains=False, progress=progress)
    units = int(np.prod(own.output_shape[1:]))
    if max(units, 2) != len(images.class_names):
        raise UnfreezeError(
            f"{name} gives {max(units, 2)} classes and {data} has {len(images.class_names)}; "
            "give the class names in the model's order as labels"
        )
    opened = open_run(run, images, settings)
    seen, part = _sample(opened, progress)
    try:
        fed = taken.convert(np.asarray(part.images[:SAMPLE]), taken.check_pixels(pixels))
        raw = _raw_answers(own, name, fed, pixels)
        kind = answers.kind_of(own, raw)
        wrapped = wrap(own, taken, pixels, kind)
        _check_same(wrapped, part, answers.as_arrays(raw, kind))
        right = probabilities(wrapped, part.images).argmax(1) == part.labels
    except (UnfreezeError, NoAnswerError):
        raise
    except Exception as error:  # layers raise classes of their own
        raise UnfreezeError(f"{name} does not run on images of {taken.size[0]} px ({short_reason(error)})") from None
    adopted = {"model": name, "sha256": digest, "pixels": pixels, "grey": taken.channels == 1}
    adopted |= {"logits": kind == answers.LOGITS, "answers": kind, f"{seen}_accuracy": float(right.mean())}
    put_model(opened, wrapped, {"adopted": adopted, "image_size": taken.size[0], "best_epoch": None})
    return opened


def _own(model: keras.Model | Path) -> tuple[keras.Model, str, str]:
    """(a copy of the model, its name in messages, its file's SHA-256)."""
    if isinstance(model, Path):
        return load_keras(model, "a model to adopt"), str(model), file_digest(model)
    with tempfile.TemporaryDirectory() as scratch:  # what cannot be saved and loaded cannot be exported later either
        path = Path(scratch) / f"{model.name}.keras"
        try:
            with _without_preprocessor(model):
                model.save(path)
        except Exception as error:  # Keras raises whatever its layers do
            raise UnfreezeError(f"the model {model.name} cannot be saved ({error}); build it of Keras layers") from None
        return load_keras(path, "a model to adopt"), f"the model {model.name}", file_digest(path)


@contextmanager
def _without_preprocessor(model: keras.Model) -> Iterator[None]:
    """Meanwhile, a classifier of KerasHub has no preprocessor: `predict` alone runs it, and no file that is safe to
    load can name it."""
    given = getattr(model, "preprocessor", None)
    if given is None or not type(model).__module__.startswith("keras_hub."):
        yield
        return
    model.preprocessor = None
    try:
        yield
    finally:
        model.preprocessor = given


def _sample(run: Run, progress: Progress) -> tuple[str, Part]:
    """(name, images) of the part that is looked at: validation, or what there is."""
    name = next(one for one in ("val", "train", "test") if one in run.images.parts)
    return name, load_part(run, name, progress=progress)


def _raw_answers(model: keras.Model, name: str, fed: np.ndarray, pixels: str) -> np.ndarray:
    """float32 [n, units]: what the model itself gives, image by image."""
    with without_tf32():
        raw = np.concatenate([np.asarray(model(fed[i : i + 1], training=False)) for i in range(len(fed))])
    raw = raw.reshape(len(raw), -1).astype(np.float32)
    if not np.isfinite(raw).all():
        raise UnfreezeError(f"{name} answers with what is no number; are its pixels {pixels}?")
    return raw


def _check_same(wrapped: keras.Model, part: Part, own: np.ndarray) -> None:
    difference = float(np.abs(probabilities(wrapped, np.asarray(part.images[: len(own)])) - own).max())
    if not difference <= SAME:
        raise NoAnswerError(
            "with the pixel conversion inside, the model's probabilities differ from its own by up to "
            f"{difference:.2g}; {SAME:g} is allowed"
        )
