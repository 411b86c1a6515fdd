"""The environment of an ordinary user's terminal, for programs that a test starts.

Some machines set variables that hide faults: with PYTHONDONTWRITEBYTECODE nothing is compiled
into a temporary folder, and onnxruntime is silent where it knows a machine of CI.
"""

from __future__ import annotations

import os
from pathlib import Path

KEPT = ("PATH", "PYTHONPATH", "LANG", "LD_LIBRARY_PATH")


def environment(folder: Path) -> dict[str, str]:
    """Its `home` and its `temporary` files lie, empty at first, in `folder`."""
    for name in ("home", "temporary"):
        (folder / name).mkdir(parents=True)
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, "HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary")}
