"""What a trial leaves behind in TensorFlow, and how to get rid of it between trials.

Keras' optimizer calls `all_reduce`, a `tf.custom_gradient`, which enters a `CustomGradient-N` in
TensorFlow's global gradient registry each time a training step is traced. The entry holds the whole
training graph for ever: 153 MB a trial for MobileNetV2, whatever `clear_session` does (tensorflow issues
97697 and 27492).
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import keras


def custom_gradients() -> frozenset[str]:
    """The keys of the custom gradients that are registered now."""
    return frozenset(key for key in _registry() if key.startswith("CustomGradient-"))


@contextlib.contextmanager
def gc_frozen() -> Iterator[None]:
    """What is there now is no garbage while the block runs, so that collections need not look at it.

    KerasTuner and `free_graphs` collect three times a trial, 0.15 s each with TensorFlow and a backbone in memory.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def free_graphs(keep: frozenset[str]) -> None:
    """Frees the graphs of what was trained since `keep = custom_gradients()`.

    Only for moments when no gradient of such a graph is still to be taken: between trials.
    """
    keras.backend.clear_session(free_memory=False)  # collected below, with the graphs
    registry = _registry()
    for key in custom_gradients() - keep:
        registry.pop(key, None)
    gc.collect()


def _registry() -> dict[str, Any]:
    """TensorFlow's private registry; an empty one, so that nothing is freed, where it is kept elsewhere."""
    try:
        from tensorflow.python.framework import ops

        return ops.gradient_registry._registry
    except (ImportError, AttributeError):
        return {}
