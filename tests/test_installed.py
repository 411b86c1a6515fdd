"""What the tests import: with UNFREEZE_FROM=wheel (`make test FROM=wheel`) the installed wheel, else the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WHEEL = os.environ.get("UNFREEZE_FROM") == "wheel"
CODE = "import toolkit, tuning, export; print(*(one.__file__ for one in (toolkit, tuning, export)), sep='\\n')"


@pytest.mark.skipif(not WHEEL, reason="make test FROM=wheel")
def test_every_package_is_the_installed_one() -> None:
    """Here, and in a program that a test starts as most do: in this folder, with it on PYTHONPATH."""
    site = Path(sysconfig.get_paths()["purelib"])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    lines = subprocess.check_output([sys.executable, "-c", CODE], cwd=ROOT, env=environment, text=True).splitlines()
    import export
    import toolkit
    import tuning

    found = {Path(line) for line in lines} | {Path(str(one.__file__)) for one in (toolkit, tuning, export)}
    assert found == {site / name / "__init__.py" for name in ("toolkit", "tuning", "export")}


@pytest.mark.skipif(not WHEEL, reason="make test FROM=wheel")
def test_the_wheel_holds_what_it_should_and_nothing_else() -> None:
    """Every file of the three packages that git knows; the Makefile leaves their list beside the wheel."""
    from importlib.metadata import files

    held = {str(path) for path in files("unfreeze") or [] if path.suffix != ".pyc"}
    held = {path for path in held if not path.startswith(("unfreeze-", "..")) and "__pycache__" not in path}
    assert held == set((ROOT.parent / "files.txt").read_text().splitlines())
