"""The text that a user gives as a path -> Path. A URL is refused before `Path` removes one of its slashes."""

from __future__ import annotations

import os
import re
from pathlib import Path

from toolkit.errors import UnfreezeError, one_line

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # a scheme has two letters or more: C:/ is a drive of Windows


def local_path(value: str | Path, expected: str = "a file or folder on this machine") -> Path:
    """`Path(value)`. Raises UnfreezeError if it is a URL (`s3://bucket/x`) and not the name of something that exists.

    `expected`: what a user has to give instead, in words.
    """
    if _URL.match(str(value)) and not os.path.exists(value):
        raise UnfreezeError(f"{one_line(str(value))} is a URL; expected {expected}: copy it here and give its path")
    return Path(value)
