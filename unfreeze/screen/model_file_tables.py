"""What is in a model file, for standard output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from toolkit.errors import one_line
from unfreeze.screen.terminal import print_table

if TYPE_CHECKING:
    from export.inspect.inspection import Inspection
    from export.inspect.model_file import End, ModelFile

MARKS = {"yes": "✓", "no": "✗", "perhaps": "?"}
KINDS = {"stated": "stated in the file", "likely": "likely", "guess": "a guess"}
LABELS, OPERATORS = 8, 12  # shown at most
UNKNOWN = "cannot be told from the file: 0..255, 0..1, -1..1 (MobileNet), imagenet (PyTorch) or caffe; try them"
DYNAMIC = {"dynamic": "dynamic (integer weights, computed in float)", "mixed": "mixed (integers, and parts in float)"}


def show_inspection(told: Inspection) -> None:
    file = told.file
    _say(f"{told.path}: {file.format}, {_size(file.bytes)}")
    versions = ", ".join(f"{name} {version}" for name, version in file.versions.items())
    _line("version", versions)
    _line("written by", file.producer)
    _line("precision", DYNAMIC.get(file.precision, file.precision))
    _line(
        "weights",
        f"{file.parameters:,} parameters: {_bytes(file.weight_bytes)}" if file.weights else "none in the file",
    )
    _line("activations", file.activations)
    _line("image", _image(told) if file.inputs else "")
    _line("classes", "" if told.classes is None else str(told.classes))
    _line("answers", told.answers)
    _line("labels", _labels(file) if file.outputs else "")
    for name, text in file.metadata.items():
        _line(name, text)
    for note in file.notes:
        _line("note", note)
    _show_ends(file)
    _show_weights(told)
    _show_support(file)
    _show_pixels(told)


def _line(name: str, text: str) -> None:
    if text:
        _say(f"  {name[:20]:<12} {text if len(text) <= 200 else text[:197] + '...'}")


def _say(text: str) -> None:
    click.echo(one_line(text))


def _size(size: int) -> str:
    return f"{size / 1e6:.2f} MB" if size >= 1e5 else f"{size:,} bytes"


def _bytes(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{_size(size)} {kind}" for kind, size in kinds.items())


def _image(told: Inspection) -> str:
    image = told.image
    if image is None:
        return "its input is no image, as far as the file tells"
    size = (
        "of any size" if "?" in (image.height, image.width) else f"{image.width} x {image.height} px (width x height)"
    )
    batch = f"{image.batch} at a time" if isinstance(image.batch, int) else "any number at a time"
    colour = told.file.colour or (image.colour if image.colour == "grey" else "RGB or BGR")
    return f"{colour}, {size}, {image.layout}, {batch}"


def _labels(file: ModelFile) -> str:
    if not file.labels:
        return "none in the file"
    more = f" and {len(file.labels) - LABELS:,} more" if len(file.labels) > LABELS else ""
    return f"{len(file.labels):,} ({file.labels_from}): {', '.join(file.labels[:LABELS])}{more}"


def _show_ends(file: ModelFile) -> None:
    rows = [[what, end.name, end.dtype, _shape(end.shape), _scale(end)] for what, ends in _ends(file) for end in ends]
    if rows:
        click.echo()
        print_table(["", "name", "type", "shape", "quantisation"], rows, left=5)


def _ends(file: ModelFile) -> list[tuple[str, Sequence[End]]]:
    return [("input", file.inputs[:20]), ("output", file.outputs[:20])]


def _shape(shape: Sequence[int | str] | None) -> str:
    return "any" if shape is None else f"[{', '.join(map(str, shape))}]"


def _scale(end: End) -> str:
    if end.scale is None:
        return ""
    return f"scale {end.scale:.6g}, zero point {end.zero_point}{', per channel' if end.per_channel else ''}"


def _show_weights(told: Inspection) -> None:
    counts = [f"{count} {name}" for name, count in list(told.file.operators.items())[:OPERATORS]]
    rest = len(told.file.operators) - OPERATORS
    if counts:
        click.echo()
        _say(f"operators: {', '.join(counts)}{f' and {rest} more kinds' if rest > 0 else ''}")
    if told.largest:
        click.echo()
        rows = [[one.name, one.dtype, _shape(one.shape), _size(one.bytes)] for one in told.largest]
        print_table(["largest weights", "type", "shape", "size"], rows, left=3)


def _show_support(file: ModelFile) -> None:
    if file.support:
        click.echo()
        rows = [[MARKS[one.answer], one.where, one.answer, one.reason] for one in file.support]
        print_table(["", "runs in", "", "because"], rows, left=4)


def _show_pixels(told: Inspection) -> None:
    if told.image is None:
        return
    click.echo()
    for hint in told.pixels:
        _say(f"--pixels {hint.value}: {KINDS[hint.kind]}; {hint.reason}")
    if not told.pixels:
        _say(f"--pixels: {UNKNOWN}")
