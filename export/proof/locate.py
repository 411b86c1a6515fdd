"""The first layer at which an artefact differs from its reference, with a picture and advice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.proof.layer_error import LayerError, first_divergent, threshold
from export.proof.parity import Divergence
from export.proof.same_names import errors_by_name
from export.runtimes import worker
from export.runtimes.isolated import run_isolated
from export.settings import Conversion
from toolkit.errors import UnfreezeError, short_reason
from toolkit.evaluation import plots


def locate(
    model: Any,
    path: Path,
    images: np.ndarray,
    precision: str,
    *,
    to_input: Callable[[np.ndarray], np.ndarray] = lambda images: images,
    conversion: Conversion | None = None,
    picture: Path | None = None,
    command: str = "",
) -> Divergence:
    """Compare the layers of an artefact, of `precision`, with those of a Keras model.

    `images`: uint8 [N, H, W, C]. `to_input`: converts them to what the model takes. `conversion`: of an artefact from
    elsewhere, as in `export.runtimes.runners.load`. `picture`: a PNG file to draw the errors into. `command`: the
    command that exports the artefact again, to which the advice adds `--float-layers`. If nothing can be compared,
    `error` of the result says why.
    """

    def errors() -> list[LayerError]:
        from export.proof.layers import layer_errors

        found = run_isolated(path, worker.intermediate_tensors, path, images, conversion)
        return layer_errors(model, to_input(images), found)

    return _located(path, errors, precision, picture, command)


def locate_between(
    first: tuple[Path, Conversion],
    second: tuple[Path, Conversion],
    images: np.ndarray,
    precision: str,
    *,
    picture: Path | None = None,
) -> Divergence:
    """Compare two ONNX or TFLite files by the names of their tensors. `images`, `precision` and `picture` as for
    `locate`; each file with its own conversion."""

    def errors() -> list[LayerError]:
        one, other = (
            run_isolated(path, worker.intermediate_tensors, path, images, how) for path, how in (first, second)
        )
        return errors_by_name(one, other)

    return _located(second[0], errors, precision, picture, "")


def _located(
    path: Path, errors_of: Callable[[], list[LayerError]], precision: str, picture: Path | None, command: str
) -> Divergence:
    if path.is_dir():
        return _none("a SavedModel does not show what it computes in between")
    try:
        errors = errors_of()
    except UnfreezeError as error:
        return _none(f"its layers cannot be compared ({error})")
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
