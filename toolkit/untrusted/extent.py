"""How much memory a model would take, found without taking it.

The model is built without its variables, and its graph is traced without computing.

A config of a few bytes may describe a layer of terabytes, and building it would end this process.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from toolkit.errors import UnfreezeError

SLACK = 16 << 20  # bytes of variables that need not be in the file, such as those of random generators
ACTIVATIONS = 1 << 30  # how many numbers a layer may give for one image: 4 GB of float32


def check_size(build: Callable[[], Any], weights: int, path: Path) -> None:
    """Let `build` make the model without its variables. Refuse it if the file, with `weights` bytes, has too few for
    them, or if a layer gives more numbers than memory holds."""
    import keras
    from keras.src.backend.common import global_state

    try:
        with keras.StatelessScope(initialize_variables=False), _uncompiled():
            model = build()
    finally:  # Keras would create the variables later, and offers no public way to drop them
        global_state.set_global_attribute("uninitialized_variables", [])
    needed = sum(_size(variable) for variable in getattr(model, "variables", ()))
    if needed > weights + SLACK:
        raise _refused(path, f"describes {needed / 1e6:,.0f} MB of weights and holds {weights / 1e6:,.0f} MB")
    _check_given((_numbers(one) for one in getattr(model, "operations", ())), path)


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Meanwhile, models of classes that the program registered do not compile themselves, as those of KerasHub do when
    they are made: an optimizer's variables cannot be left out."""
    from unittest.mock import patch

    import keras

    with ExitStack() as stack:
        for one in keras.saving.get_custom_objects().values():
            if isinstance(one, type) and issubclass(one, keras.Model):
                stack.enter_context(patch.object(one, "compile", lambda self, *args, **kwargs: None))
        yield


def check_inside(model: Any, path: Path) -> None:
    """Check how many numbers every operation gives for one image, inside nested models and wrapped layers too. The
    model is traced as a graph; nothing is computed."""
    import tensorflow as tf

    inputs: Any = getattr(model, "inputs", None) or ()
    if _is_plain(model) or len(inputs) != 1 or None in inputs[0].shape[1:]:
        return  # nothing is nested in it; or it takes no image, and is refused later
    entry = tf.TensorSpec((1, *inputs[0].shape[1:]), inputs[0].dtype)
    drawn = tf.function(lambda image: model(image, training=False), autograph=False).get_concrete_function(entry)
    shapes = (tensor.shape for operation in drawn.graph.get_operations() for tensor in operation.outputs)
    _check_given((shape.num_elements() for shape in shapes if shape.is_fully_defined()), path)


def _check_given(numbers: Iterable[int], path: Path) -> None:
    given = max(numbers, default=0)
    if given > ACTIVATIONS:
        raise _refused(path, f"has a layer that gives {given:,} numbers for an image")


def _is_plain(model: Any) -> bool:
    """Whether `check_size` has checked everything: all operations are layers without layers inside. (An operation that
    is no layer may turn the numbers of an image into further images.) Tracing the graph, which is not needed then,
    takes a quarter of the time that loading a model takes."""
    import keras

    operations = getattr(model, "operations", ())
    return bool(operations) and all(isinstance(one, keras.Layer) and not one._layers for one in operations)


def _size(variable: Any) -> int:
    bits = re.search(r"\d+", variable.dtype)
    return math.prod(variable.shape) * int(bits[0] if bits else 8) // 8


def _numbers(operation: Any) -> int:
    """How many numbers an operation gives for one image; axes of unknown size count as 1."""
    outputs = getattr(operation, "output", None)
    shapes = [getattr(one, "shape", ()) for one in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]
    return max((math.prod(size or 1 for size in shape) for shape in shapes), default=0)


def _refused(path: Path, what: str) -> UnfreezeError:
    return UnfreezeError(f"{path} {what}; it was not loaded")
