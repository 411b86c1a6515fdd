"""The ways to an int8 file, in the order in which they are tried: what costs nothing first, what costs speed or size
last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from shlex import quote

import keras
import numpy as np
import onnx

from export.proof.layers import LayerError, all_names, layer_errors
from export.quantise.first_that_holds import Step
from export.quantise.onnx import nodes_behind, quantised
from export.runtimes.tensors import tensors
from toolkit.errors import UnfreezeError

COMPARED = 4  # calibration images on which layers are compared
NEAR = 5  # names that are proposed
WORST = (4, 12)  # layers that are left in float when all else has failed


def onnx_steps(
    model: keras.Model,
    folded: Path,
    images: np.ndarray,
    float_layers: Sequence[str],
    save: Callable[[onnx.ModelProto, Path, str, Sequence[str]], None],
) -> Iterator[Step]:
    """Of the folded float graph; `save` writes a graph, told the way and the layers that were left in float."""
    graph, first = onnx.load(folded), _Kept()

    @cache
    def pairs() -> list[LayerError]:
        few = _few(images)
        return layer_errors(model, few, tensors(folded, few))

    def step(name: str, layers: Sequence[str] = (), **how: str) -> Step:
        wanted = _merged(float_layers, layers)

        def write(path: Path) -> None:
            keep = _nodes(graph, pairs(), {*wanted}) if wanted else set()
            save(quantised(graph, images, keep=keep, **how), path, name, wanted)
            first.keep(path)

        return Step(_named(name, wanted), write, wanted)

    yield step("min-max calibration")
    yield step("entropy calibration", method="entropy")
    yield step("percentile calibration", method="percentile")
    yield step("signed activations", activations="signed")
    yield step("16-bit activations", activations="16 bits")
    yield from _worst(model, first, images, step)


def tflite_steps(
    model: keras.Model,
    floating: Path,
    images: np.ndarray,
    float_layers: Sequence[str],
    save: Callable[[Path, str, Sequence[str], Sequence[str]], None],
    save_wide: Callable[[Path, str], None],
) -> Iterator[Step]:
    """`save` converts, told the way, the layers that stay in float, and the names of their tensors, as the float32 file
    `floating` calls them; `save_wide` with 16-bit activations. TFLite's activations are signed, and its converter
    calibrates by min-max only."""
    first = _Kept()

    @cache
    def pairs() -> list[LayerError]:
        few = _few(images)
        return layer_errors(model, few, tensors(floating, few))

    def step(name: str, layers: Sequence[str] = ()) -> Step:
        wanted = _merged(float_layers, layers)

        def write(path: Path) -> None:
            keep = [pair.tensor for pair in _of(pairs(), {*wanted})] if wanted else []
            save(path, name, wanted, keep)
            first.keep(path)

        return Step(_named(name, wanted), write, wanted)

    yield step("min-max calibration")
    if not float_layers:  # with 16-bit activations the converter leaves none in float
        yield Step("16-bit activations", lambda path: save_wide(path, "16-bit activations"))
    yield from _worst(model, first, images, step)


def check_layers(model: keras.Model, names: Sequence[str], run: Path) -> None:
    """UnfreezeError where the model has no layer of that name: with those most like it, and how to list them."""
    there = all_names(model)
    for name in names:
        if name not in there:
            likely, near = get_close_matches(name, there, 1), get_close_matches(name, there, NEAR, cutoff=0.0)
            others = [other for other in near if other not in likely]
            meant = f"did you mean {likely[0]}? Others like it" if likely else "those most like it"
            raise UnfreezeError(
                f"no layer {name!r}; {meant}: {', '.join(others)}; "
                f"`unfreeze verify {quote(str(run))} --layers --json` lists those with weights by their error"
            )


class _Kept:
    """A copy of the first file that was written: what comes later is compared with it."""

    def __init__(self) -> None:
        self.path: Path | None = None

    def keep(self, path: Path) -> None:
        if self.path is None:
            self.path = path.with_name(f"first{path.suffix}")
            self.path.write_bytes(path.read_bytes())


def _worst(model: keras.Model, first: _Kept, images: np.ndarray, step: Callable[..., Step]) -> Iterator[Step]:
    if first.path is None:
        return
    few = _few(images)
    try:
        errors = layer_errors(model, few, tensors(first.path, few))
    except Exception:  # a file that does not run has no worst layers; what was tried before stands
        return
    ranked = [error.name for error in sorted(errors, key=lambda error: -error.own) if error.weighted]
    for count in WORST:
        yield step("min-max calibration", layers=ranked[:count])


def _merged(layers: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*layers, *more]))


def _named(name: str, layers: Sequence[str]) -> str:
    return f"{name}, float: {', '.join(layers)}" if layers else name


def _nodes(graph: onnx.ModelProto, pairs: Sequence[LayerError], layers: set[str]) -> set[str]:
    """The nodes that compute these layers."""
    ends = {error.tensor for error in pairs}
    found: set[str] = set()
    for error in _of(pairs, layers):
        found |= nodes_behind(graph, error.tensor, ends - {error.tensor})
    return found


def _of(pairs: Sequence[LayerError], layers: set[str]) -> list[LayerError]:
    """The pairs that stand for these layers; UnfreezeError where one of them has none."""
    absent = layers - {name for pair in pairs for name in pair.layers}
    if absent:
        raise UnfreezeError(f"the file has no operation of {', '.join(sorted(absent))} that could stay in float")
    return [pair for pair in pairs if layers & {*pair.layers}]


def _few(images: np.ndarray) -> np.ndarray:
    return images[np.linspace(0, len(images) - 1, min(COMPARED, len(images))).astype(int)]
