"""The one direction of imports, and what each command may load. Names modules, never seconds."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import toolkit

ROOT = Path(toolkit.__file__).parents[1]  # the checkout, or where the wheel is installed
HEAVY_PACKAGES = {"tensorflow", "keras", "keras_tuner", "tf2onnx", "onnx", "onnxruntime", "ai_edge_litert"}
HEAVY = {  # our modules that import one of them at the top; all others are light
    "toolkit.models.hub.make",
    *("toolkit.models.build", "toolkit.models.weights", "toolkit.evaluation.evaluate_run"),
    *(
        "toolkit.models.hub.make",
        "toolkit.models.backbone_file",
        "toolkit.models.cuts",
        "toolkit.models.flatten",
        "toolkit.models.layer_weights",
    ),
    *("toolkit.training.answers", "toolkit.training.staged_training", "toolkit.training.fit", "toolkit.training.folds"),
    *("toolkit.training.model_file", "toolkit.training.train", "toolkit.training.recipe"),
    *("toolkit.own.space", "toolkit.own.head", "toolkit.own.try_out"),
    *("toolkit.to_onnx.graph", "toolkit.to_onnx.repairs", "toolkit.to_onnx.canonical"),
    *(
        "tuning.oracles.base",
        "tuning.oracles.halving",
        "tuning.time_limit",
        "tuning.left_out",
        "tuning.trial_costs",
        "tuning.oracles.make",
        "tuning.oracles.bayesian",
        "tuning.oracles.hyperband",
    ),
    *("tuning.activations.cache", "tuning.activations.passes", "tuning.activations.prefix"),
    *(
        "tuning.search_space",
        "tuning.trial_records",
        "tuning.tuner",
        "tuning.trial_model",
        "tuning.search",
        "tuning.base_model",
        "tuning.device",
    ),
    *(
        "tuning.memory",
        "tuning.trial_curves",
        "tuning.trial_files",
        "tuning.retrain",
        "tuning.save_taken",
        "tuning.checkpoints",
    ),
    *("export.formats.saved_model", "export.formats.tflite", "export.formats.tflite_metadata", "export.formats.onnx"),
    *("export.formats.onnx_rewrites", "export.formats.tflite_rewrites"),
    *("export.quantise.onnx", "export.quantise.ways", "export.proof.layers"),
    *("export.write", "export.write_variants", "export.intermediates", "export.foreign.adopt"),
    *("export.probe", "export.finalists", "unfreeze.finalist_files", "unfreeze.file_judge"),
    *("export.foreign.load_keras", "export.foreign.entry", "export.foreign.answers", "export.foreign.wrap"),
}
MAY_IMPORT = {  # the one direction: an application on two packages that do not know each other, on a library
    "toolkit": {"toolkit"},
    "tuning": {"tuning", "toolkit"},
    "export": {"export", "toolkit"},
    "unfreeze": {"unfreeze", "tuning", "export", "toolkit"},
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in MAY_IMPORT
    for path in sorted((ROOT / package).rglob("*.py"))
    if not {"checkers", "device_scripts"} & {*path.parts}  # scripts that travel with an export or to a device
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


def outer(name: str) -> set[str]:
    """A module and the packages that it is in, which are imported before it whoever imports it."""
    parts = name.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts) + 1)}


def packages(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("name", MODULES)
def test_packages_import_in_one_direction(name: str) -> None:
    """In the bodies of functions too."""
    own = packages(anywhere(MODULES[name])) & set(MAY_IMPORT)
    assert own <= MAY_IMPORT[name.partition(".")[0]]


def test_modules_import_in_no_circle() -> None:
    """Neither at the top nor in the bodies of functions; the order that this finds is one floor on another."""
    graph = {name: anywhere(path) & set(MODULES) - outer(name) for name, path in MODULES.items()}
    assert len([*graphlib.TopologicalSorter(graph).static_order()]) == len(MODULES)


def test_a_package_is_a_map_of_its_folder() -> None:
    """`__init__.py` is a docstring that lists each module and folder beside it once. `unfreeze` is what people import,
    and `toolkit` sets one switch before anything else is imported."""
    for name, path in MODULES.items():
        if path.name != "__init__.py":
            continue
        tree = ast.parse(path.read_text())
        told = ast.get_docstring(tree) or ""
        inside = [one for one in MODULES if one.rpartition(".")[0] == name and not one.endswith("__main__")]
        assert [one for one in inside if one.rpartition(".")[2] not in told.split()] == [], name
        entries = re.findall(r"^ *(\w+)  +\S", told, re.MULTILINE)
        assert len(entries) == len(set(entries)), f"{name} lists a module twice: {entries}"
        assert len(tree.body) == 1 or name in ("unfreeze", "toolkit")


@pytest.mark.parametrize("name", MODULES)
def test_files_and_calls_are_short(name: str) -> None:
    """A file has at most 300 lines, a function at most 8 parameters; imports are absolute, so that the rules above see
    them."""
    text = MODULES[name].read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, ast.ImportFrom) or node.level == 0
        if isinstance(node, ast.FunctionDef):
            one = node.args
            names = [argument.arg for argument in (*one.posonlyargs, *one.args, *one.kwonlyargs)]
            assert len([n for n in names if n != "self"]) + bool(one.vararg) + bool(one.kwarg) <= 8, node.name


def test_the_library_has_few_files_beside_its_folders() -> None:
    assert len([*(ROOT / "toolkit").glob("*.py")]) <= 10


def test_the_tree_in_contributing_names_every_folder() -> None:
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tree = text.partition("this tree names every folder:")[2].split("```")[1]
    named, above = set(), [""] * 9
    for indent, folder in re.findall(r"^( *)([\w]+)/ ", tree, re.MULTILINE):
        depth = len(indent) // 2
        above[depth] = folder
        named.add(".".join(above[: depth + 1]))
    packages_here = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    assert {name for name in named if name.partition(".")[0] in MAY_IMPORT} == packages_here
    arrows = text.partition("## Where things are")[2].split("```")[1]
    assert [line.split()[0] for line in arrows.splitlines() if re.match(r"\s*[a-z]", line)] == [
        "unfreeze", "tuning", "toolkit",
    ]  # fmt: skip
    assert "tuning   export" in arrows


def test_the_application_is_of_three_layers() -> None:
    """cli -> commands -> api."""
    for name, path in MODULES.items():
        if name == "unfreeze.api":
            assert not {one for one in anywhere(path) if one.startswith(("unfreeze.cli", "unfreeze.commands"))}
        elif name.startswith("unfreeze.commands"):
            assert "unfreeze.cli" not in anywhere(path)


def test_every_command_is_a_public_function() -> None:
    import unfreeze
    from unfreeze import cli

    assert [name for name in cli.cli.commands if not callable(getattr(unfreeze, name, None))] == []


def test_unfreeze_is_light_and_completes_in_an_editor(tmp_path: Path) -> None:
    """`import unfreeze` loads no heavy package, and says what it offers."""
    heavy = [*sorted(HEAVY_PACKAGES), "numpy", "matplotlib", "sklearn", "scipy", "cv2", "PIL", "jinja2", "click"]
    code = f"import sys, unfreeze; print([one for one in {heavy!r} if one in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
    import unfreeze

    assert all(hasattr(unfreeze, name) for name in unfreeze.__all__)
    assert (ROOT / "unfreeze" / "py.typed").is_file()


def test_no_module_has_the_name_of_a_public_function() -> None:
    """Importing it would put the module in the function's place."""
    import unfreeze

    assert {name.removeprefix("unfreeze.") for name in MODULES if name.startswith("unfreeze.")} & set(
        unfreeze.__all__
    ) == set()


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
from unfreeze import cli
code = cli._main({arguments!r})
loaded = [name for name in {heavy!r} if name in sys.modules]
print(loaded, file=sys.stderr)
sys.exit(9 if loaded else code)
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == (0 if "--help" in arguments else 2), ended.stderr
