"""The one direction of imports, and what each command may load. Names modules, never seconds."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import toolkit

ROOT = Path(toolkit.__file__).parents[1]  # the checkout, or where the wheel is installed
HEAVY_PACKAGES = {"tensorflow", "keras", "keras_tuner", "tf2onnx", "onnx", "onnxruntime", "ai_edge_litert"}
HEAVY = {  # our modules that import one of them at the top; all others are light
    "toolkit.fit", "toolkit.model", "toolkit.weights", "toolkit.train", "toolkit.assess",
    "toolkit.onnx_graph", "toolkit.onnx_repairs", "toolkit.onnx_canonical",
    "tuning.space", "tuning.hardened", "tuning.halving", "tuning.oracles", "tuning.points", "tuning.trials",
    "tuning.tuner", "tuning.trial", "tuning.search", "tuning.cache", "tuning.passes", "tuning.prefix", "tuning.memory",
    "tuning.board", "tuning.checkpoints",
    "export.saved_model", "export.tflite", "export.tflite_metadata", "export.onnx", "export.onnx_int8", "export.int8",
    "export.layers", "export.locate", "export.write", "export.foreign", "export.adopt",
}  # fmt: skip
APPLICATION = ("toolkit.api", "toolkit.cli", "toolkit.commands")  # may know all three packages, in bodies
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in ("toolkit", "tuning", "export")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imported(tree: ast.AST) -> set[str]:
    """The modules that the nodes of a tree import, TYPE_CHECKING blocks left out."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def at_top(path: Path) -> set[str]:
    """What is imported when the module is."""
    body = ast.parse(path.read_text()).body
    kept = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom, ast.Try, ast.With))]
    return imported(ast.Module(body=kept, type_ignores=[]))


def anywhere(path: Path) -> set[str]:
    """What is imported, in functions too, but not for type checking."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return imported(tree)


def packages(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("name", MODULES)
def test_packages_import_in_one_direction(name: str) -> None:
    forbidden = {"toolkit": {"tuning", "export"}, "tuning": {"export"}, "export": {"tuning"}}[name.partition(".")[0]]
    if name.startswith(APPLICATION):
        assert not packages(at_top(MODULES[name])) & forbidden
    else:
        assert not packages(anywhere(MODULES[name])) & forbidden
        assert name == "toolkit.__main__" or not [one for one in anywhere(MODULES[name]) if one.startswith(APPLICATION)]


def test_the_application_is_of_three_layers() -> None:
    """cli -> commands -> api."""
    for name, path in MODULES.items():
        if name == "toolkit.api":
            assert not {one for one in anywhere(path) if one.startswith(("toolkit.cli", "toolkit.commands"))}
        elif name.startswith("toolkit.commands"):
            assert "toolkit.cli" not in anywhere(path)


def test_every_command_is_a_public_function() -> None:
    from toolkit import api, cli

    assert [name for name in cli.cli.commands if not callable(getattr(api, name, None))] == []


@pytest.mark.parametrize("name", MODULES)
def test_light_modules_import_nothing_heavy(name: str) -> None:
    top = at_top(MODULES[name])
    assert (name in HEAVY) == bool(packages(top) & HEAVY_PACKAGES or top & HEAVY)


def test_every_heavy_module_exists() -> None:
    assert set(MODULES) >= HEAVY


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["run", "nowhere", "RUN"],
        ["tune", "nowhere", "RUN"],
        ["verify", "nowhere"],
        ["report", "nowhere"],
    ],
    ids=" ".join,
)
def test_help_and_wrong_paths_load_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    heavy = [*sorted(HEAVY_PACKAGES), "matplotlib", "sklearn", "scipy", "cv2", "jinja2"]
    code = f"""
import sys
from toolkit import cli
code = cli._main({arguments!r})
loaded = [name for name in {heavy!r} if name in sys.modules]
print(loaded, file=sys.stderr)
sys.exit(9 if loaded else code)
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == (0 if "--help" in arguments else 2), ended.stderr
