"""Native libraries write to the process' standard error as they please; here their chatter is held back.

An exception that leaves the block says what went wrong.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Send file descriptor 2 nowhere while the block runs."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def start_tensorflow() -> None:
    """Import TensorFlow without its start-up notes (oneDNN, no GPU) and its hints about retracing."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with hushed():
        import tensorflow

        tensorflow.get_logger().setLevel("ERROR")
