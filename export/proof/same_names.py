"""Two files compared by the names of their tensors: a float file and a quantised one of it, or two exports of a model.

Unlike with a Keras model, no tensor of the second file can be put into the first. So the error that a layer adds is
taken to be what its error exceeds all errors before it by.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from export.proof.layer_error import LayerError, relative_error
from export.runtimes.tensors import Tensor

ROUNDED = "_DequantizeLinear_Output"  # onnxruntime's quantiser names a tensor so behind its rounding


def errors_by_name(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[LayerError]:
    """The errors at the tensors of the second file that have the name and the shape of one of the first, in the order
    of the first. The last tensors, the answers, are compared whatever their names."""
    expected, named = _by_name(first[:-1]), _by_name(second[:-1])
    pairs = [(name, value, named.get(name)) for name, value in expected.items()]
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


def _by_name(tensors: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """The tensors behind their rounding, where there is any: it may clip what a ReLU did, which is left out then."""
    found = {tensor.name: tensor.value for tensor in tensors if not tensor.name.endswith(ROUNDED)}
    rounded = {tensor.name.removesuffix(ROUNDED): tensor.value for tensor in tensors if tensor.name.endswith(ROUNDED)}
    return found | {name: value for name, value in rounded.items() if name in found}
