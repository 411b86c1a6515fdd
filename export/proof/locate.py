"""Where an artefact that does not hold starts to differ from the Keras model, with a picture and what to do about
it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from export.proof.layers import LayerError, first_divergent, layer_errors, threshold
from export.proof.parity import Divergence
from export.runtimes import worker
from export.runtimes.isolated import apart
from toolkit.errors import short_reason
from toolkit.evaluation import plots

IMAGES = 4


def locate(
    model: keras.Model,
    path: Path,
    images: np.ndarray,
    precision: str,
    *,
    feed: Callable[[np.ndarray], np.ndarray] = lambda images: images,
    pixels: str | None = None,
    picture: Path | None = None,
    command: str = "",
) -> Divergence:
    """`images`: uint8 [N, S, S, 3]; `feed` gives of them what the model takes, `pixels` is the range that an artefact
    from elsewhere takes, as in `export.runtimes.runners.load`. `command`: what is typed to leave layers in float."""
    if path.is_dir():
        return _none("a SavedModel does not show what it computes in between")
    try:
        errors = layer_errors(model, feed(images), apart(path, worker.computed, path, images, pixels))
    except Exception as error:  # each runtime has exceptions of its own
        return _none(f"its layers cannot be compared ({short_reason(error)})")
    if not errors:
        return _none("none of its tensors can be paired with a layer")
    if picture is not None:
        plots.save(plots.layers([(e.name, e.own, e.total) for e in errors], threshold(errors, precision)), picture)
    return _divergence(errors, precision, command)


def telling_rows(reference: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """int64 [<= 4]: the images on which the two differ most; there a fault shows even behind a softmax."""
    return np.argsort(-np.nan_to_num(np.abs(answers - reference), nan=np.inf).max(1), kind="stable")[:IMAGES]


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
