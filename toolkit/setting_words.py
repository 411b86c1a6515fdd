"""A setting in which two runs differ, in the words of command line options."""

from __future__ import annotations

import numpy as np

DATA, WEIGHTS = "data (its images or their split)", "content of the weights file"


def difference(name: str, there: object, wanted: object) -> str:
    """One setting that differs, in the words of command line options."""
    if name in (DATA, WEIGHTS):
        return f"the {name} differs"
    option = f"--{name.replace('_', '-')}"
    if isinstance(wanted, bool):
        return f"{option if there else '--no-' + option[2:]} there, {option if wanted else '--no-' + option[2:]} here"
    return f"{option} is {_typed(there)} there, {_typed(wanted)} here"


def _typed(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(_typed, value))
    if value is None:
        return "not given"
    return np.format_float_positional(value, trim="-") if isinstance(value, float) else str(value)
