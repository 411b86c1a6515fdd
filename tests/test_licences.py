"""docs/licences.md: as the installed packages' metadata say, and nothing in it without an explanation."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("licences", ROOT / "scripts" / "licences.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["licences"] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows() -> dict[str, list[str]]:
    """Package -> who names it, its licence."""
    lines = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return {package: rest for package, *rest in cells[1:]}


def test_every_dependency_of_ours_is_listed_with_its_licence(script: ModuleType, rows: dict[str, list[str]]) -> None:
    """Those that others bring change with their versions, and are not held here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    assert {package for package, (by, _) in rows.items() if by.split(",")[0] == "unfreeze"} == direct
    assert rows["keras-tuner"] == ["unfreeze", "Apache License 2.0"]
    packages = {package.name: package for package in script.installed()}
    assert direct <= set(packages)
    for name in direct:
        assert family(rows[name][1]) == family(packages[name].licence), "python scripts/licences.py writes it anew"


def family(licence: str) -> set[str]:
    """The same for `Apache-2.0` and `Apache Software License`, between which packages change with a version."""
    return set(re.findall("apache|bsd|mit|python|psf", licence.partition(": ")[0].lower()))


def test_what_is_unknown_or_copyleft_is_explained(script: ModuleType, rows: dict[str, list[str]]) -> None:
    for package, (_, licence) in rows.items():
        said, _, reason = licence.partition(": ")
        assert not (script.doubtful(said) and not reason), package
    assert not [package for package in script.installed() if script.STRONG.search(package.licence)]


@pytest.mark.parametrize(
    ("licence", "doubtful"),
    [
        ("MIT", False),
        ("BSD-3-Clause AND Zlib", False),
        ("unknown", True),
        ("GPL-3.0-only", True),
        ("GNU Affero General Public License v3", True),
        ("GNU Lesser General Public License v3 (LGPLv3)", True),
        ("MPL-2.0 AND MIT", True),
    ],
)
def test_which_licences_need_a_reason(script: ModuleType, licence: str, doubtful: bool) -> None:
    assert script.doubtful(licence) is doubtful
