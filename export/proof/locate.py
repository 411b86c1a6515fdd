"""The first layer at which an artefact differs from the Keras model, with a picture and advice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from export.proof.layers import LayerError, first_divergent, layer_errors, threshold
from export.proof.parity import Divergence
from export.runtimes import worker
from export.runtimes.isolated import run_isolated
from toolkit.errors import short_reason
from toolkit.evaluation import plots


def locate(
    model: keras.Model,
    path: Path,
    images: np.ndarray,
    precision: str,
    *,
    to_input: Callable[[np.ndarray], np.ndarray] = lambda images: images,
    pixels: str | None = None,
    picture: Path | None = None,
    command: str = "",
) -> Divergence:
    """Compare the layers of an artefact, of `precision`, with those of the model.

    `images`: uint8 [N, S, S, channels]. `to_input`: converts them to what the model takes. `pixels`: the range of
    pixels that an artefact from elsewhere takes, as in `export.runtimes.runners.load`. `picture`: a PNG file to draw
    the errors into. `command`: the command that exports the artefact again, to which the advice adds `--float-layers`.
    If nothing can be compared, `error` of the result says why.
    """
    if path.is_dir():
        return _none("a SavedModel does not show what it computes in between")
    try:
        found = run_isolated(path, worker.intermediate_tensors, path, images, pixels)
        errors = layer_errors(model, to_input(images), found)
    except Exception as error:  # each runtime has exceptions of its own
        return _none(f"its layers cannot be compared ({short_reason(error)})")
    if not errors:
        return _none("none of its tensors can be paired with a layer")
    if picture is not None:
        plots.save(plots.layers([(e.name, e.own, e.total) for e in errors], threshold(errors, precision)), picture)
    return _divergence(errors, precision, command)


def _divergence(errors: Sequence[LayerError], precision: str, command: str) -> Divergence:
    first = first_divergent(errors, precision)
    ranked = sorted((error for error in errors if error.weighted), key=lambda error: -error.own)
    worst = tuple((error.name, error.own) for error in ranked)
    if first is None:
        advice = "the error grows evenly"
        if precision == "int8" and command:
            advice += f"; the worst in float: {command} --float-layers {','.join(name for name, _ in worst[:4])}"
    elif precision == "int8" and command:
        advice = f"leave it in float: {command} --float-layers {first.name}"
    else:
        advice = "what comes before it is as in the model: compare its weights, its order of channels, its scale"
    return Divergence(
        layer=first.name if first else "",
        layers=first.layers if first else (),
        own=first.own if first else None,
        limit=threshold(errors, precision),
        compared=len(errors),
        worst=worst,
        advice=advice,
    )


def _none(error: str) -> Divergence:
    return Divergence("", (), None, 0.0, 0, (), "", error)
