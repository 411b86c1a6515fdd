"""What a TFLite file says of itself: its metadata (schema M001), and the files in the zip that is appended to it."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from export.description import LONGEST_DESCRIPTION
from export.inspect.flatbuffer import Table, root

MARK = b"M001"
NORMALISATION = 1  # ProcessUnitOptions
AXIS_LABELS = 2  # AssociatedFileType
COLOURS = {1: "RGB", 2: "grey"}  # ColorSpaceType
IMAGE = 2  # ContentProperties
CHANNELS = 16  # numbers of a mean or a deviation at most

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation of pixels 0..255


@dataclass(frozen=True)
class TfliteDescription:
    """The metadata of a TFLite file. What it does not tell is empty or None."""

    texts: dict[str, str] = field(default_factory=dict)  # name, description, model version, author, license
    colour: str | None = None
    normalisation: Normalisation | None = None
    label_files: tuple[str, ...] = ()  # of the first output


def read_description(metadata: bytes) -> TfliteDescription:
    """The metadata. Raises ValueError if it is damaged."""
    if not metadata:
        return TfliteDescription()
    model = root(metadata, MARK)
    named = {"name": 0, "description": 1, "model version": 2, "author": 4, "license": 5}
    texts = {name: text for name, number in named.items() if (text := model.text(number))}
    entry, result = _first_tensor(model, 2), _first_tensor(model, 3)
    files = result.tables(6) if result else []
    labels = tuple(one.text(0) for one in files if one.number(2, "<b") == AXIS_LABELS)
    return TfliteDescription(texts, _colour(entry), _normalisation(entry), labels)


def normalisation_in(metadata: bytes) -> Normalisation | None:
    """The mean and the deviation by which the first input's pixels 0..255 are to be normalised."""
    return read_description(metadata).normalisation


def output_labels(content: bytes, metadata: bytes) -> tuple[str, ...] | None:
    """The lines of the first file of labels that the metadata names for the first output, without empty ones at its
    end. Raises ValueError if it is damaged or longer than labels are."""
    for name in read_description(metadata).label_files:
        text = packed_file(content, name)
        if text is not None:
            return tuple(text.rstrip().splitlines()) or None
    return None


def packed_names(content: bytes) -> list[str]:
    """The names of the files in the zip that is appended to a TFLite file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError):
        return []


def packed_file(content: bytes, name: str) -> str | None:
    """The text of a file in that zip; None if there is none. Raises ValueError if it is damaged or too long."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(name) as file:
            text = file.read(LONGEST_DESCRIPTION + 1)
    except (zipfile.BadZipFile, KeyError):
        return None
    except (NotImplementedError, RuntimeError, EOFError, zlib.error, OSError) as error:
        raise ValueError(f"its file {name[:80]!a} cannot be read ({error})") from None
    if len(text) > LONGEST_DESCRIPTION:
        raise ValueError(f"its file {name[:80]!a} has more than {LONGEST_DESCRIPTION:,} bytes")
    return text.decode("utf-8-sig", errors="replace")


def _first_tensor(model: Table, number: int) -> Table | None:
    """The metadata of the first input (2) or output (3) of the first graph."""
    return next((tensor for graph in model.tables(3)[:1] for tensor in graph.tables(number)[:1]), None)


def _colour(entry: Table | None) -> str | None:
    content = entry.table(3) if entry else None
    image = content.table(1) if content and content.number(0, "<B") == IMAGE else None
    return COLOURS.get(image.number(0, "<b")) if image else None


def _normalisation(entry: Table | None) -> Normalisation | None:
    for options in _normalisations(entry):
        mean, deviation = options.numbers(0, "<f4"), options.numbers(1, "<f4")
        usable = 0 < len(mean) <= CHANNELS and 0 < len(deviation) <= CHANNELS
        if usable and np.isfinite([*mean, *deviation]).all() and (deviation > 0).all():
            return tuple(map(_short, mean)), tuple(map(_short, deviation))
    return None


def _normalisations(entry: Table | None) -> Iterator[Table]:
    for unit in entry.tables(4) if entry else []:
        options = unit.table(1) if unit.number(0, "<B") == NORMALISATION else None
        if options:
            yield options


def _short(number: np.float32) -> float:
    """The shortest decimal number that is this float32: 123.68, not 123.68000030517578."""
    return float(str(number))
