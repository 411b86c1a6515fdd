"""Frees what a trial leaves in TensorFlow's memory.

Each time a training step is traced, Keras' optimizer calls `all_reduce`, a `tf.custom_gradient`, which adds an entry
`CustomGradient-N` to TensorFlow's global gradient registry. The entry keeps the whole training graph alive: 153 MB a
trial for MobileNetV2, and `clear_session` does not remove it (tensorflow issues 97697 and 27492).
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import keras


def custom_gradients() -> frozenset[str]:
    """The keys of the custom gradients that are in the registry now."""
    return frozenset(key for key in _registry() if key.startswith("CustomGradient-"))


@contextlib.contextmanager
def gc_frozen() -> Iterator[None]:
    """Freeze the objects that exist now (gc.freeze) while the block runs, so that collections skip them.

    KerasTuner and `free_graphs` collect three times a trial, which takes 0.15 s each time while TensorFlow and a
    backbone are in memory.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def free_graphs(keep: frozenset[str]) -> None:
    """Free the graphs of all that was trained since `keep = custom_gradients()`.

    To be called between trials, when no gradient of these graphs is needed any more.
    """
    keras.backend.clear_session(free_memory=False)  # without a collection: there is one below
    registry = _registry()
    for key in custom_gradients() - keep:
        registry.pop(key, None)
    gc.collect()


def _registry() -> dict[str, Any]:
    """TensorFlow's private registry. {} if this version keeps it elsewhere; then nothing is freed."""
    try:
        from tensorflow.python.framework import ops

        return ops.gradient_registry._registry
    except (ImportError, AttributeError):
        return {}
