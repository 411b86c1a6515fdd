"""TensorFlow's functions that a functional model of Keras 2 calls between its layers -> `keras.ops`.

`x / 127.5 - 1`, `preprocess_input(x)` or MobileNetV3's hard swish leave such calls in a model. The table is all that is
called; the arguments have TensorFlow's names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from toolkit.untrusted.keras2.part import ANEW, WITHOUT, NotRebuiltError

HALF = {"float16", "bfloat16", "float64", "half", "double"}  # computed in float32


def call_function(name: str, first: Any, more: dict[str, Any], where: str) -> Any:
    """What the TensorFlow function `name` gives for tensors and constants. `first`: its first argument, `more`: the
    others by name. Raises NotRebuiltError if it is none that is known, or is called in another way."""
    function = FUNCTIONS.get(name.removeprefix("compat.v1."))
    if function is None:
        raise NotRebuiltError(f"calls tf.{name[:60]} in {where}, which is none of the functions that are read; {ANEW}")
    given = {key: value for key, value in more.items() if key != "name" and value is not None}
    unknown = given.keys() - inspect.signature(function).parameters.keys()
    if unknown:
        raise NotRebuiltError(f"calls tf.{name} in {where} with {min(unknown)[:60]!a}, which is not read; {WITHOUT}")
    return function(first, **given)


def sliced(x: Any, slice_spec: Any) -> Any:
    """`x[slice_spec]`, as Keras 2 stores it."""
    spec = slice_spec if isinstance(slice_spec, list) else [slice_spec]
    return x[tuple(map(_index, spec))]


def _index(stored: Any) -> Any:
    if isinstance(stored, dict):
        if stored.get("class_name") == "__ellipsis__":
            return Ellipsis
        return slice(*(_whole(stored.get(key)) for key in ("start", "stop", "step")))
    return Ellipsis if stored == "..." else _whole(stored)


def _whole(value: Any) -> int | None:
    if value is not None and type(value) is not int:
        raise NotRebuiltError(f"takes part of a tensor by {str(value)[:60]!a}, which is no whole number")
    return value


def _ops() -> Any:
    import keras

    return keras.ops


def constant(value: Any, like: Any = None) -> Any:
    """A tensor as it is; a number or a list as an array, of the dtype of the tensor `like`, or else of float32 or
    integers."""
    import keras
    import numpy as np

    if keras.backend.is_keras_tensor(value):
        return value
    array = np.asarray(value)
    dtype = str(like.dtype) if keras.backend.is_keras_tensor(like) else "float32" if array.dtype.kind == "f" else None
    if array.dtype.kind not in "fiub" or (array.dtype.kind == "f" and "float" not in str(dtype)):
        raise NotRebuiltError(f"computes with {str(value)[:60]!a}, which is no number of that kind")
    return array.astype(dtype or array.dtype)


def _two(name: str) -> Callable[..., Any]:
    def call(x: Any, y: Any) -> Any:
        return getattr(_ops(), name)(constant(x, y), constant(y, x))

    return call


def _one(name: str, argument: str) -> Callable[..., Any]:
    """A function of one tensor. `argument`: what TensorFlow calls it."""

    def call(x: Any) -> Any:
        return getattr(_ops(), name)(constant(x))

    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(argument, inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    )
    return call


def _reduced(name: str) -> Callable[..., Any]:
    def call(input_tensor: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return getattr(_ops(), name)(input_tensor, axis=_axes(axis), keepdims=keepdims)

    return call


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _bias_add(value: Any, bias: Any, data_format: str = "NHWC") -> Any:
    bias = constant(bias, value)
    if data_format.startswith("NC"):
        bias = _ops().reshape(bias, (1, -1) + (1,) * (len(value.shape) - 2))
    return _ops().add(value, bias)


def _cast(x: Any, dtype: str) -> Any:
    return _ops().cast(x, "float32" if dtype in HALF else dtype)


def _clip(t: Any, clip_value_min: float, clip_value_max: float) -> Any:
    return _ops().clip(t, clip_value_min, clip_value_max)


def _concat(values: Any, axis: int) -> Any:
    return _ops().concatenate(values if isinstance(values, list) else [values], axis=axis)


def _stack(values: Any, axis: int = 0) -> Any:
    return _ops().stack(values if isinstance(values, list) else [values], axis=axis)


def _gelu(features: Any, approximate: bool = False) -> Any:
    return _ops().gelu(features, approximate=approximate)


def _leaky_relu(features: Any, alpha: float = 0.2) -> Any:
    return _ops().leaky_relu(features, negative_slope=alpha)


def _silu(features: Any, beta: float = 1.0) -> Any:
    return _ops().silu(features) if beta == 1.0 else features * _ops().sigmoid(constant(beta, features) * features)


def _softmax(logits: Any, axis: int = -1) -> Any:
    return _ops().softmax(logits, axis=axis)


def _log_softmax(logits: Any, axis: int = -1) -> Any:
    return _ops().log_softmax(logits, axis=axis)


def _reshape(tensor: Any, shape: Any) -> Any:
    return _ops().reshape(tensor, [-1, *shape[1:]])  # the first axis is that of the images


def _transpose(a: Any, perm: Any = None, conjugate: bool = False) -> Any:
    return _ops().transpose(a, perm)


def _expand_dims(input: Any, axis: int) -> Any:
    return _ops().expand_dims(input, axis)


def _squeeze(input: Any, axis: Any = None) -> Any:
    if axis is None:
        raise NotRebuiltError("calls tf.squeeze without an axis, which is not read; build the model with Reshape")
    return _ops().squeeze(input, _axes(axis))


def _l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12) -> Any:
    squares = _ops().sum(_ops().square(x), axis=_axes(axis), keepdims=True)
    return x * _ops().rsqrt(_ops().maximum(squares, epsilon))


def _reverse(tensor: Any, axis: Any) -> Any:
    return _ops().flip(tensor, axis=_axes(axis))


def _resize(images: Any, size: Any, method: str = "bilinear", antialias: bool = False) -> Any:
    if method not in ("bilinear", "nearest") or antialias:
        raise NotRebuiltError(f"calls tf.image.resize with {method[:60]!a}, which is not read; use Resizing")
    resized = _ops().image.resize(images, tuple(size), interpolation=method, data_format="channels_last")
    return resized if method == "nearest" else _ops().cast(resized, "float32")


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f"math.{name}": _two(name) for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum")},
    **{"math.truediv": _two("divide"), "math.pow": _two("power"), "math.floordiv": _two("floor_divide")},
    **{"__operators__.add": _two("add")},
    **{f"math.{name}": _one(name, "x") for name in ("sqrt", "rsqrt", "square", "exp", "abs", "negative", "round")},
    **{"math.log": _one("log", "x"), "math.sigmoid": _one("sigmoid", "x"), "nn.sigmoid": _one("sigmoid", "x")},
    **{"math.tanh": _one("tanh", "x"), "nn.tanh": _one("tanh", "x"), "math.reciprocal": _one("reciprocal", "x")},
    **{f"nn.{name}": _one(name, "features") for name in ("relu", "relu6", "elu", "selu", "softplus", "softsign")},
    **{"math.softplus": _one("softplus", "features"), "nn.gelu": _gelu, "nn.leaky_relu": _leaky_relu},
    **{"nn.silu": _silu, "nn.swish": _silu, "nn.softmax": _softmax, "nn.log_softmax": _log_softmax},
    **{f"math.reduce_{name}": _reduced(name) for name in ("mean", "sum", "max", "min", "prod", "std")},
    **{"math.reduce_variance": _reduced("var"), "nn.bias_add": _bias_add, "cast": _cast, "clip_by_value": _clip},
    **{"concat": _concat, "stack": _stack, "reshape": _reshape, "transpose": _transpose, "reverse": _reverse},
    **{"expand_dims": _expand_dims, "squeeze": _squeeze, "identity": lambda input: _ops().copy(input)},
    **{"stop_gradient": lambda input: _ops().stop_gradient(input), "image.resize": _resize},
    **{"math.l2_normalize": _l2_normalize, "nn.l2_normalize": _l2_normalize},
}
