"""Two files compared by the names of their tensors: a float file and a quantised one of it, or two exports of a model.

Unlike with a Keras model, no tensor of the second file can be put into the first. So the error that a layer adds is
taken to be what its error exceeds all errors before it by.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from export.proof.layer_error import LayerError, relative_error
from export.runtimes.tensors import Tensor


def errors_by_name(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[LayerError]:
    """The errors at the tensors of the second file that have the name and the shape of one of the first, in the order
    of the first. The last tensors, the answers, are compared whatever their names."""
    named = {tensor.name: tensor.value for tensor in second[:-1]}
    pairs = [(tensor.name, tensor.value, named.get(tensor.name)) for tensor in first[:-1]]
    pairs.append((first[-1].name, first[-1].value, second[-1].value))
    found: list[LayerError] = []
    largest = 0.0
    for name, right, got in pairs:
        if got is None or got.shape != right.shape or not np.isfinite(right).all():
            continue
        total = relative_error(got, right)
        found.append(LayerError((name,), (name,), name, max(0.0, total - largest), total, 1.0))
        largest = max(largest, total)
    return found
