"""A part of a model that is rebuilt: a layer, or a model with parts of its own. And what is not rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

NESTED = 20  # how deep models may be in models
ANEW = "build the model with Keras' own layers in its place, copy the weights, and save it anew"
WITHOUT = "build the model without it, copy the weights, and save it anew"


class NotRebuiltError(Exception):
    """Something in a file that is not read. Its text continues a sentence that begins with the file's name."""


@dataclass
class Part:
    """A layer or a model of a file."""

    name: str  # in the file
    kind: str  # its class in the file
    call: Callable[..., Any]  # tensors -> tensors, with Keras 3's layers
    layer: Any = None  # Keras 3's layer, which has the weights; None for a model and for a function
    parts: tuple[Part, ...] | None = None  # of a model, in the file's order; None for a layer
    model: Any = None  # Keras 3's model; None for a layer, and until the shape of its input is known
    trainable: bool = True

    @property
    def leaves(self) -> Iterator[Part]:
        """The layers with weights, those in models too."""
        if self.parts is None:
            if self.layer is not None and self.layer.weights:
                yield self
        else:
            for part in self.parts:
                yield from part.leaves


def of_class(layer: str, kind: str) -> NotRebuiltError:
    """What is said of a layer that is not read."""
    return NotRebuiltError(
        f"has the layer {layer[:60]!a} of the class {kind[:60]!a}, which is none of the layers that are read; {ANEW}"
    )


def named(entry: Any) -> tuple[str, str, dict[str, Any]]:
    """(name, class, configuration) of an object in a configuration. Raises NotRebuiltError if it is none."""
    config = entry.get("config") if isinstance(entry, dict) else None
    kind = entry.get("class_name") if isinstance(entry, dict) else None
    if isinstance(config, list):  # a Sequential of Keras before 2.2.3
        config = {"layers": config, "name": "sequential"}
    name = entry.get("name", config.get("name")) if isinstance(config, dict) else None
    if not isinstance(kind, str) or not isinstance(config, dict) or not isinstance(name, (str, type(None))):
        raise NotRebuiltError("has a layer without a class, a name or a configuration; it is damaged")
    return name or kind.lower(), kind.rpartition(">")[2], config
