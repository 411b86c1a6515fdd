"""The command with which a model file can be used, with the options that it does not make needless."""

from __future__ import annotations

import shlex
from pathlib import Path

from export.inspect.image_input import ImageInput
from export.inspect.model_file import NO, Hint, ModelFile
from export.runtimes.model_input import takes_bytes
from toolkit.errors import one_line

READ = ("Unfreeze's description", "TFLite metadata", "metadata ")  # where `predict` itself finds labels


def next_command(path: Path, file: ModelFile, image: ImageInput | None, hints: tuple[Hint, ...]) -> str:
    """The command to type; "" if no command takes this file."""
    name = shlex.quote(one_line(str(path)))
    if image is None or (file.support and file.support[0].answer == NO):
        return ""
    if file.format in ("Keras", "Keras HDF5"):
        fits = image.square and image.colour == "RGB" and len(file.outputs) == 1
        return f"unfreeze adopt {name} DATA RUN{_pixels(hints)}" if fits else ""
    told = f"unfreeze predict {name} IMAGE"
    if not (file.normalisation or file.labels_from == READ[0] or _takes_bytes(file)):
        told += _pixels(hints)
    if not file.labels_from.startswith(READ):
        inside = file.labels_from if file.format == "SavedModel" else ""
        told += f" --labels {shlex.quote(one_line(str(path / inside)))}" if inside else " --labels LABELS.txt"
    if not (isinstance(image.height, int) and isinstance(image.width, int)):
        told += " --image-size PIXELS"
    if len(file.outputs) > 1:
        told += " --output NAME"
    return told


def _pixels(hints: tuple[Hint, ...]) -> str:
    return f" --pixels {hints[0].value}" if hints else " --pixels RANGE"


def _takes_bytes(file: ModelFile) -> bool:
    """Whether the pixels go into the input as they are."""
    entry = file.inputs[0]
    return entry.dtype in ("uint8", "int8") and takes_bytes(entry.dtype, entry.scale or 0.0, entry.zero_point or 0)
