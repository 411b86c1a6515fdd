"""Import TensorFlow and Keras as Unfreeze needs them, whatever variables and keras.json say for other work.

They may name another backend, put the channels first, compute in half precision or end each training early, and a
model would then be another one, or none, without an error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toolkit.errors import UnfreezeError, first_line, one_line
from toolkit.process.quiet import hushed

SET = {  # names of functions in `keras.config`, and what they have to give
    "backend": "tensorflow",
    "image_data_format": "channels_last",
    "floatx": "float32",
    "dtype_policy": "float32",
    "epsilon": 1e-7,
    "max_epochs": None,
    "max_steps_per_epoch": None,
}
VARIABLES = {"KERAS_BACKEND": "tensorflow"}  # while Keras is imported; every other that begins with PREFIX is not set
PREFIX = "KERAS_"
KEPT = ("KERAS_HOME",)  # where downloaded weights lie


def start_tensorflow() -> None:
    """Import TensorFlow without its start-up notes (oneDNN, no GPU) and its hints about retracing. It imports Keras,
    which is set for this process, unless the program that called Unfreeze had imported one of them. Raises
    UnfreezeError if keras.json, which both read, is damaged."""
    own = not {"tensorflow", "keras"} & sys.modules.keys()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with hushed(), _variables(), _naming_keras_json():
        import tensorflow

        tensorflow.get_logger().setLevel("ERROR")
    if own:
        config = _imported().config
        for name, value in SET.items():
            if name != "backend":
                getattr(config, f"set_{name}")(value)


def start_keras() -> None:
    """Import TensorFlow and Keras. Raises UnfreezeError if the program that called Unfreeze has set Keras otherwise, or
    if keras.json is damaged."""
    start_tensorflow()
    _refuse_otherwise_set(_imported().config)


def _imported() -> Any:
    """Keras. Raises UnfreezeError if TensorFlow had imported a part of it before, for a backend that is not there."""
    with _variables(), _naming_keras_json():
        try:
            import keras
        except ImportError as error:
            raise UnfreezeError(
                one_line(
                    f"Keras cannot be imported ({first_line(error)}); set the variable KERAS_BACKEND=tensorflow "
                    "before TensorFlow or Keras is imported"
                )
            ) from error
    return keras


@contextmanager
def _naming_keras_json() -> Iterator[None]:
    """Name keras.json in the exceptions that a wrong value in it raises while TensorFlow or Keras is imported."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, AssertionError) as error:
        if not (file := _keras_json()).is_file():
            raise
        raise UnfreezeError(
            one_line(f"{file} is not as Keras needs it ({first_line(error)}); correct it, or remove it")
        ) from error


def _refuse_otherwise_set(config: Any) -> None:
    """Raises UnfreezeError for the first setting of `keras.config` that is not that of `SET`."""
    for name, value in SET.items():
        found = getattr(config, name)()
        found = found.name if name == "dtype_policy" else found
        if found == value:
            continue
        remedy = (
            f"set the variable KERAS_BACKEND={value} before Keras is imported"
            if name == "backend"
            else f"call keras.config.set_{name}({value!r}) first"
        )
        raise UnfreezeError(
            one_line(
                f"Keras was imported with {name} {found}, and Unfreeze needs {value}: {remedy}, or use a process "
                "of its own for Unfreeze"
            )
        )


@contextmanager
def _variables() -> Iterator[None]:
    """Set Keras' variables for the block, and restore them."""
    own = {name: value for name, value in os.environ.items() if name.startswith(PREFIX) and name not in KEPT}
    for name in own:
        del os.environ[name]
    os.environ.update(VARIABLES)
    try:
        yield
    finally:
        for name in VARIABLES:
            del os.environ[name]
        os.environ.update(own)


def _keras_json() -> Path:
    """The file of settings, where Keras looks for it."""
    home = Path.home()
    folder = os.environ.get("KERAS_HOME") or (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"
    return Path(folder).expanduser() / "keras.json"
