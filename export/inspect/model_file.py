"""The records of what is in a model file, whatever its format. Texts from the file are cut; whoever prints them escapes
what controls a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LONGEST = 200  # characters of a text from a file
DESCRIPTION = 2000  # of a description, a licence
LARGEST = 10  # weights that are listed
YES, NO, PERHAPS = "yes", "no", "perhaps"
STATED, LIKELY, GUESS = "stated", "likely", "guess"

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation of pixels 0..255
Size = int | str  # of a dimension; a name or "?" where it is open


@dataclass(frozen=True)
class End:
    """An input or an output of a model."""

    name: str
    dtype: str
    shape: tuple[Size, ...] | None  # None: of any rank
    scale: float | None = None  # of quantised numbers: real = scale * (number - zero_point); the first channel's
    zero_point: int | None = None
    per_channel: bool = False


@dataclass(frozen=True)
class Weight:
    """A constant or a variable."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int


@dataclass(frozen=True)
class Step:
    """What a model does first with its input: "add", "subtract", "multiply" or "divide" by a number, or by one for each
    channel."""

    operation: str
    numbers: tuple[float, ...]


def step(operation: str, values: Any) -> Step | None:
    """A step by one number, or by one for each of three channels; None if they are none to calculate with."""
    array = np.asarray(values, float).ravel()
    if array.size not in (1, 3) or not np.isfinite(array).all() or (operation == "divide" and not array.all()):
        return None
    return Step(operation, tuple(float(np.float32(number)) for number in array))


@dataclass(frozen=True)
class Support:
    """Whether something runs the file."""

    where: str
    answer: str  # YES, NO or PERHAPS
    reason: str


@dataclass(frozen=True)
class Hint:
    """A value of --pixels for which something speaks."""

    value: str
    kind: str  # STATED by the file, LIKELY by its numbers, GUESS by its names
    reason: str


@dataclass(frozen=True)
class ModelFile:
    """What is in a file. What it does not tell is empty or None."""

    format: str  # "TFLite", "ONNX", "SavedModel", "Keras", "Keras HDF5", "Keras weights"
    versions: dict[str, str]
    producer: str
    precision: str  # "float32", "float16", "dynamic", "int8", "int16x8", "mixed" or "unknown"
    activations: str
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    operators: dict[str, int]
    weights: tuple[Weight, ...]  # those that stand for real numbers
    bytes: int
    support: tuple[Support, ...] = ()
    labels: tuple[str, ...] | None = None
    labels_from: str = ""
    colour: str | None = None
    normalisation: Normalisation | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()  # what is done first with the input
    quantised: End | None = None  # the input in integers, where the file itself makes them of it before anything else
    hints: tuple[Hint, ...] = ()  # those of the format itself
    last: str = ""  # the operation that gives the only output, conversions aside
    names: tuple[str, ...] = ()  # of layers: an architecture may be told by them
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        return sum(numbers(weight.shape) for weight in self.weights)

    @property
    def weight_bytes(self) -> dict[str, int]:
        """Bytes of the weights by type, the largest first."""
        found: dict[str, int] = {}
        for weight in self.weights:
            found[weight.dtype] = found.get(weight.dtype, 0) + weight.bytes
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def numbers(shape: Iterable[int]) -> int:
    """How many numbers an array of this shape has."""
    product = 1
    for size in shape:
        product *= max(0, size)
    return product


def cut(text: Any, most: int = LONGEST) -> str:
    """A text from a file, cut to a length that can be shown."""
    text = str(text)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def cut_labels(labels: Iterable[Any]) -> tuple[str, ...]:
    return tuple(cut(label) for label in labels)


def mixed(precision: str, weights: Iterable[Weight]) -> str:
    """ "mixed" for a quantised file that has more than a tenth of its weights in floats. Else the precision."""
    counts = {True: 0, False: 0}
    for weight in weights:
        counts["float" in weight.dtype] += numbers(weight.shape)
    quantised = precision in ("int8", "int16x8", "dynamic")
    return "mixed" if quantised and counts[True] > 0.1 * sum(counts.values()) else precision


def frequent(kinds: Iterable[str]) -> str:
    """The types that at least a tenth of the tensors have, the most frequent first, as text."""
    counted = Counter(kinds)
    most = [kind for kind, count in counted.most_common() if count >= 0.1 * counted.total()]
    return " and ".join(most) or "unknown"
