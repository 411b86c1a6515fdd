"""TensorFlow's operations in a model as TensorFlow 2.0 to 2.3 stored them: a node of a graph, and its constants.

They become the functions that later versions stored in their place.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from toolkit.untrusted.keras2.operations import call_function, sliced
from toolkit.untrusted.keras2.part import NotRebuiltError, of_class

TWO = {
    **{"RealDiv": "math.truediv", "Sub": "math.subtract", "Mul": "math.multiply", "Add": "math.add"},
    **{"AddV2": "math.add", "Maximum": "math.maximum", "Minimum": "math.minimum", "Pow": "math.pow"},
}
ONE = {
    **{"Relu": "nn.relu", "Relu6": "nn.relu6", "Elu": "nn.elu", "Selu": "nn.selu", "Sigmoid": "nn.sigmoid"},
    **{"Softmax": "nn.softmax", "Softplus": "nn.softplus", "Tanh": "nn.tanh", "Neg": "math.negative"},
    **{"Square": "math.square", "Sqrt": "math.sqrt", "Rsqrt": "math.rsqrt", "Exp": "math.exp", "Abs": "math.abs"},
    **{"Identity": "identity", "Log": "math.log"},
}
REDUCED = {"Mean": "math.reduce_mean", "Sum": "math.reduce_sum", "Max": "math.reduce_max", "Min": "math.reduce_min"}


def call_node(config: dict[str, Any], inputs: Any, where: str) -> Any:
    """What the operation gives for its tensors and the constants that are stored with it."""
    node, constants = config.get("node_def"), config.get("constants") or {}
    if not isinstance(node, dict) or not isinstance(constants, dict):
        raise of_class(where, "TensorFlowOpLayer")
    given = list(inputs) if isinstance(inputs, list) else [inputs]
    for place in sorted(constants, key=int):
        given.insert(int(place), _plain(constants[place]))
    kind, options = str(node.get("op")), node.get("attr") or {}

    def call(name: str, **more: Any) -> Any:
        return call_function(name, given[0], more, where)

    if kind in TWO:
        return call(TWO[kind], y=given[1])
    if kind in ONE:
        return call(ONE[kind])
    if kind in REDUCED:
        return call(REDUCED[kind], axis=given[1], keepdims=bool(_option(options, "keep_dims", "b")))
    if kind in OTHERS:
        return OTHERS[kind](call, given, options)
    raise of_class(where, f"TensorFlowOpLayer of {kind}")


def _plain(constant: Any) -> Any:
    """A constant as numbers; files differ in how they store an array."""
    inside = constant.get("config") if isinstance(constant, dict) else None
    return inside.get("value") if isinstance(inside, dict) else constant


def _option(options: dict[str, Any], name: str, form: str) -> Any:
    """An attribute of a node, as JSON stores it."""
    return (options.get(name) or {}).get(form)


def _bias_add(call: Callable[..., Any], given: list[Any], options: dict[str, Any]) -> Any:
    layout = base64.b64decode(_option(options, "data_format", "s") or "TkhXQw==").decode("ascii", "replace")
    return call("nn.bias_add", bias=given[1], data_format=layout)


def _cast(call: Callable[..., Any], given: list[Any], options: dict[str, Any]) -> Any:
    names = {"DT_FLOAT": "float32", "DT_HALF": "float32", "DT_BFLOAT16": "float32", "DT_DOUBLE": "float32"}
    stored = str(_option(options, "DstT", "type"))
    return call("cast", dtype=names.get(stored, stored.removeprefix("DT_").lower()))


def _squeeze(call: Callable[..., Any], given: list[Any], options: dict[str, Any]) -> Any:
    stored = (_option(options, "squeeze_dims", "list") or {}).get("i") or []
    return call("squeeze", axis=[int(one) for one in stored] or None)


def _concat(call: Callable[..., Any], given: list[Any], options: dict[str, Any]) -> Any:
    return call_function("concat", given[:-1], {"axis": given[-1]}, "tf.concat")


def _strided_slice(call: Callable[..., Any], given: list[Any], options: dict[str, Any]) -> Any:
    x, begin, end, strides = given
    masks = {
        name: int(_option(options, f"{name}_mask", "i") or 0)
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    spec: list[Any] = []
    for bit in range(len(begin)):
        has = {name: bool(mask >> bit & 1) for name, mask in masks.items()}
        if has["ellipsis"]:
            spec.append({"class_name": "__ellipsis__"})
        elif has["new_axis"]:
            spec.append(None)
        elif has["shrink_axis"]:
            spec.append(begin[bit])
        else:
            start, stop = (None if has[n] else one[bit] for n, one in (("begin", begin), ("end", end)))
            spec.append({"start": start, "stop": stop, "step": strides[bit]})
    if not all(isinstance(one, list) for one in (begin, end, strides)):
        raise NotRebuiltError("takes part of a tensor by what is no constant")
    return sliced(x, spec)


OTHERS: dict[str, Callable[[Callable[..., Any], list[Any], dict[str, Any]], Any]] = {
    **{"BiasAdd": _bias_add, "Cast": _cast, "Squeeze": _squeeze, "ConcatV2": _concat, "StridedSlice": _strided_slice},
    "Reshape": lambda call, given, options: call("reshape", shape=given[1]),
    "ExpandDims": lambda call, given, options: call("expand_dims", axis=given[1]),
    "Transpose": lambda call, given, options: call("transpose", perm=given[1]),
}
