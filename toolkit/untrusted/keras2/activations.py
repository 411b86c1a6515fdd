"""Keras 2's activations, by the names that it stores."""

from __future__ import annotations

from typing import Any

from toolkit.untrusted.keras2.part import ANEW, NotRebuiltError

SAME = {  # those that Keras 3 computes in the same way
    *("linear", "relu", "relu6", "elu", "selu", "softmax", "softplus", "softsign", "tanh", "sigmoid", "exponential"),
    *("gelu", "mish", "silu", "leaky_relu", "log_softmax"),
}
RENAMED = {"swish": "silu", "softmax_v2": "softmax", "log_softmax_v2": "log_softmax"}
HARD_SIGMOID = "hard_sigmoid"  # Keras 2's is clip(x / 5 + 1 / 2), Keras 3's is clip(x / 6 + 1 / 2)


def activation_name(value: Any, where: str) -> str:
    """The name of an activation that is stored by its name: a name of Keras 3, or HARD_SIGMOID. `where`: the layer, for
    messages."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value.get("config")
    name = "linear" if value is None else RENAMED.get(value, value) if isinstance(value, str) else None
    if name not in SAME and name != HARD_SIGMOID:
        raise NotRebuiltError(f"has the activation {str(value)[:60]!a} in {where}, which is none of Keras' own; {ANEW}")
    return str(name)
