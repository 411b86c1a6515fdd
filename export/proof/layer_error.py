"""The error that a layer of an artefact adds, and when it stands out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OWN_ERROR = {  # relative error of one layer that rounding does not explain
    "float32": 1e-3,
    "float16": 2e-2,
    "float16_gpu": 2e-2,
}
INTEGER_OWN_ERROR = 0.1  # integer files: a layer stands out if its own error exceeds both this
MEDIAN_MULTIPLE = 5.0  # and so many times the median layer's
GAIN = 0.05  # a layer also stands out if its output is scaled by more: rounding has no preferred direction


@dataclass(frozen=True)
class LayerError:
    """The error at one tensor that was compared, and the layers that it comprises: converters fuse several into one."""

    layers: tuple[str, ...]  # Keras names, in order; the last one's output was compared
    weighted: tuple[str, ...]  # those of them that have weights
    tensor: str  # the artefact's name for it; "" if none was paired
    own: float  # relative error that these layers add: |artefact - layers(artefact's input)| / |layers(...)|
    total: float  # relative error against the model's own activations
    gain: float  # factor by which these layers scale the output; 1: none. Another one points to wrong weights

    @property
    def name(self) -> str:
        """The layer to look at: the first with weights."""
        return (self.weighted or self.layers)[0]


def first_divergent(errors: Sequence[LayerError], precision: str) -> LayerError | None:
    """The first layer whose own error stands out; None if there is none."""
    limit = threshold(errors, precision)
    return next((error for error in errors if not (error.own <= limit and abs(error.gain - 1) <= GAIN)), None)


def threshold(errors: Sequence[LayerError], precision: str) -> float:
    """The error of its own above which a layer stands out in a file of this precision."""
    if precision in OWN_ERROR:
        return OWN_ERROR[precision]
    return max(INTEGER_OWN_ERROR, MEDIAN_MULTIPLE * float(np.median([error.own for error in errors])))


def gain(got: np.ndarray, expected: np.ndarray) -> float:
    """The multiple of `expected` that is nearest to `got`."""
    scale = float(np.vdot(expected, expected))
    return float(np.vdot(got, expected)) / scale if scale else 1.0


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    scale = float(np.linalg.norm(expected))
    return float(np.linalg.norm(got - expected)) / scale if scale else float(np.linalg.norm(got) > 0)
