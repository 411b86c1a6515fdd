"""The lowest versions that pyproject.toml allows, as pip's constraints: `python scripts/bounds.py > constraints.txt`.

Of our own dependencies and those of the extras `formats` and `mlflow`; what those bring is the newest that fits.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest(line: str) -> str:
    """`keras>=3.15,<3.16` -> `keras==3.15`."""
    asked = Requirement(line)
    (bound,) = (one.version for one in asked.specifier if one.operator == ">=")
    return f"{asked.name}=={bound}"


if __name__ == "__main__":
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for line in (*project["dependencies"], *extras["formats"], *extras["mlflow"]):
        print(lowest(line))
