"""TF32 off while answers are computed.

On NVIDIA cards since Ampere TensorFlow computes float32 convolutions and matrix products in TF32 by default, whose
mantissa has 10 bits instead of 23. Training may use it; answers that other answers are compared with may not.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class _Blocks:
    """The blocks that are open now, in all threads. The first one switches TF32 off, the last one restores it."""

    lock = threading.Lock()
    open = 0
    before = True  # TensorFlow's setting when the first block was opened


@contextlib.contextmanager
def without_tf32() -> Iterator[None]:
    """Compute float32 in full precision while the block runs; then TensorFlow's setting is what it was before.

    TensorFlow reads its setting, which is one for the whole process, each time an operation runs, not when a
    `tf.function` is traced. So the block has to contain the calls.
    """
    from tensorflow.config import experimental

    with _Blocks.lock:
        if not _Blocks.open:
            _Blocks.before = experimental.tensor_float_32_execution_enabled()
            experimental.enable_tensor_float_32_execution(False)
        _Blocks.open += 1
    try:
        yield
    finally:
        with _Blocks.lock:
            _Blocks.open -= 1
            if not _Blocks.open:
                experimental.enable_tensor_float_32_execution(_Blocks.before)
