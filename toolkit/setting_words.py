"""The settings in which two runs differ, in the words of command line options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from toolkit.settings import Settings
from toolkit.storage.files import file_digest

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


def weights_digest(settings: Settings) -> str | list[str]:
    """The digest of the weights file, or of those of all backbones; "" for weights that are no file."""
    digests = [file_digest(Path(one.weights)) for one in settings.backbones]
    return digests or file_digest(Path(settings.weights))


def as_typed(settings: Settings) -> dict[str, Any]:
    """The settings as JSON, each with all values that were given for it, as in the options. Of several backbones their
    labels, and what is no file: where files lie changes nothing, and `weights_digest` tells of their contents."""
    told = settings.to_json()
    told |= {name: list(values) for name, values in settings.varied.items()}
    for name in ("vary", *(("backbone", "weights", "alpha", "pixels") if settings.backbones else ())):
        del told[name]
    if settings.backbones:
        told["backbones"] = [one.typed_without_files for one in settings.backbones]
    return told
