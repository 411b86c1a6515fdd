"""The ways to make an int8 file, in the order in which they are tried. Those that cost neither speed nor size come
first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from shlex import quote
from typing import Any

import keras
import numpy as np
import onnx

from export.formats.onnx import write_graph
from export.formats.tflite import write_tflite_int8, write_tflite_partly_int8
from export.inspect.tflite_graph import read_graph
from export.intermediates import Intermediates, onnx_properties
from export.proof.layers import LayerError, all_names, layer_errors
from export.quantise.first_that_holds import Way
from export.quantise.onnx import calibration_subset, nodes_behind, quantised
from export.runtimes.tensors import tensors
from export.variants import Variant
from toolkit.errors import UnfreezeError

COMPARED_IMAGES = 4  # calibration images on which layers are compared
SUGGESTIONS = 5  # names that are proposed for an unknown layer
FLOAT_LAYER_COUNTS = (4, 12)  # if all else failed, so many layers, those with the largest errors, stay in float
METHOD = {"entropy calibration": "entropy", "percentile calibration": "percentile"}  # all others: min-max


def onnx_ways(intermediates: Intermediates, variant: Variant) -> Iterator[Way]:
    """Ways from the folded float graph: three calibrations, signed activations, and the worst layers in float."""
    images, graph, first = intermediates.calibration_images, onnx.load(intermediates.folded_onnx), _FirstFile()

    @cache
    def pairs() -> list[LayerError]:
        few = _few(images)
        return layer_errors(intermediates.model, few, tensors(intermediates.folded_onnx, few))

    def way(name: str, more_layers: Sequence[str] = (), activations: str = "unsigned") -> Way:
        layers = _merged(intermediates.settings.float_layers, more_layers)

        def write(path: Path) -> None:
            keep = _nodes(graph, pairs(), {*layers}) if layers else set()
            made = quantised(graph, images, method=method_of(name), activations=activations, keep=keep)
            properties = onnx_properties(intermediates.describe(variant, **_how(intermediates, name, layers)))
            write_graph(made, path, properties, intermediates.model, math.inf, intermediates.samples)
            first.copy(path)

        return Way(_with_layers(name, layers), write, layers)

    yield way("min-max calibration")
    yield way("entropy calibration")
    yield way("percentile calibration")
    yield way("signed activations", activations="signed")
    yield from _worst_in_float(intermediates, first, way)


def tflite_ways(intermediates: Intermediates, variant: Variant) -> Iterator[Way]:
    """Fewer ways than for ONNX: TFLite's activations are signed, and its converter calibrates by min-max only.

    The second way is for a model whose uint8 input would not be the pixels as they are. That happens in grey where the
    first operation takes a mean off the pixels, as in ResNet50 and ConvNeXt: calibration seems to read what it takes
    after that was overwritten with what it gives (seen with TensorFlow 2.21), and the range goes on to the input, as
    the three equal channels share it.
    """
    images, first = intermediates.calibration_images, _FirstFile()

    @cache
    def pairs() -> list[LayerError]:
        few = _few(images)
        return layer_errors(intermediates.model, few, tensors(intermediates.tflite, few))

    def way(name: str, more_layers: Sequence[str] = (), *, cast: bool = False) -> Way:
        layers = _merged(intermediates.settings.float_layers, more_layers)

        def write(path: Path) -> None:
            described = intermediates.describe(variant, **_how(intermediates, name, layers))
            if layers or cast:
                keep = _tflite_tensors(intermediates.tflite, pairs(), {*layers})
                write_tflite_partly_int8(intermediates.saved_model, path, described, images, keep)
            else:
                write_tflite_int8(intermediates.float_saved_model, path, described, images)
            first.copy(path)

        return Way(_with_layers(name, layers), write, layers)

    yield way("min-max calibration")
    if first.path is None and not intermediates.settings.float_layers:
        yield way("min-max calibration, pixels cast to float", cast=True)
    yield from _worst_in_float(intermediates, first, way)


def method_of(way: str) -> str:
    """The calibration method of a way, a name of `export.quantise.onnx.METHODS`."""
    return METHOD.get(way.partition(",")[0], "min-max")


def calibrated_on(intermediates: Intermediates, way: str) -> np.ndarray:
    """int64: the rows of the training part that a way calibrates on."""
    return intermediates.calibration_rows[calibration_subset(len(intermediates.calibration_rows), method_of(way))]


def check_layers(model: keras.Model, names: Sequence[str], run: Path) -> None:
    """Raises UnfreezeError if the model has no layer of that name: the error proposes similar names and says how to
    list all."""
    there = all_names(model)
    for name in names:
        if name not in there:
            likely, near = get_close_matches(name, there, 1), get_close_matches(name, there, SUGGESTIONS, cutoff=0.0)
            others = [other for other in near if other not in likely]
            meant = f"did you mean {likely[0]}? Others like it" if likely else "those most like it"
            raise UnfreezeError(
                f"no layer {name!r}; {meant}: {', '.join(others)}; "
                f"`unfreeze verify {quote(str(run))} --layers --json` lists those with weights by their error"
            )


class _FirstFile:
    """A copy of the first file that was written. Its layers show which ones to leave in float."""

    def __init__(self) -> None:
        self.path: Path | None = None

    def copy(self, path: Path) -> None:
        if self.path is None:
            self.path = path.with_name(f"first{path.suffix}")
            self.path.write_bytes(path.read_bytes())


def _worst_in_float(intermediates: Intermediates, first: _FirstFile, way: Callable[..., Way]) -> Iterator[Way]:
    if first.path is None:
        return
    few = _few(intermediates.calibration_images)
    try:
        errors = layer_errors(intermediates.model, few, tensors(first.path, few))
    except Exception:  # the layers cannot be compared if the file does not run
        return
    ranked = [error.name for error in sorted(errors, key=lambda error: -error.own) if error.weighted]
    for count in FLOAT_LAYER_COUNTS:
        yield way("min-max calibration", ranked[:count])


def _how(intermediates: Intermediates, way: str, layers: Sequence[str]) -> dict[str, Any]:
    """The entries about quantisation in the file's description."""
    told = {"calibration": way, "calibration_images": len(calibrated_on(intermediates, way))}
    return told | ({"float_layers": list(layers)} if layers else {})


def _merged(layers: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*layers, *more]))


def _with_layers(way: str, layers: Sequence[str]) -> str:
    return f"{way}, float: {', '.join(layers)}" if layers else way


def _nodes(graph: onnx.ModelProto, pairs: Sequence[LayerError], layers: set[str]) -> set[str]:
    """The names of the nodes that compute these layers."""
    ends = {error.tensor for error in pairs}
    found: set[str] = set()
    for error in _pairs_of(pairs, layers):
        found |= nodes_behind(graph, error.tensor, ends - {error.tensor})
    return found


def _tflite_tensors(path: Path, pairs: Sequence[LayerError], layers: set[str]) -> list[str]:
    """The names of the tensors that the operations of these layers give. Of the last layer, whose tensor is the answer,
    they are those of its softmax and of what lies before it."""
    graph, ends = read_graph(path.read_bytes()).graphs[0], {pair.tensor for pair in pairs}
    makers = {output: one for one in graph.operators for output in one.outputs}
    names = [pair.tensor for pair in _pairs_of(pairs, layers)]
    ahead = [number for number in makers if graph.tensors[number] in graph.outputs]
    if not ahead or graph.tensors[ahead[0]].name not in names:
        return names
    while ahead:
        before = [number for number in makers[ahead.pop()].inputs if number in makers]
        ahead += [number for number in before if graph.tensors[number].name not in {*ends, *names}]
        names += [graph.tensors[number].name for number in before if graph.tensors[number].name not in ends]
    return names


def _pairs_of(pairs: Sequence[LayerError], layers: set[str]) -> list[LayerError]:
    """The pairs of these layers with tensors of the file. Raises UnfreezeError if a layer has none."""
    absent = layers - {name for pair in pairs for name in pair.layers}
    if absent:
        raise UnfreezeError(f"the file has no operation of {', '.join(sorted(absent))} that could stay in float")
    return [pair for pair in pairs if layers & {*pair.layers}]


def _few(images: np.ndarray) -> np.ndarray:
    """uint8 [<= 4, S, S, channels], evenly spread: calibration images stand class by class."""
    return images[np.linspace(0, len(images) - 1, min(COMPARED_IMAGES, len(images))).astype(int)]
