"""Code that a report gives away: Python is run, JavaScript is checked, and no class name can break out of a literal."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.targets.snippets import LITERALS, WAYS, Snippet
from toolkit.pixels.resize import resize
from toolkit.run import Run
from toolkit.training.batches import load_part
from unfreeze.pages.how_to_load import snippets_of
from unfreeze.pages.run_facts import RunFacts, read_run_facts

NAMES = (
    "plain",
    'it\'s "quoted"',
    "line\nbreak\r\t\f\0",
    "\\(1) ${1} $x `a`",
    "😀 é \u2028",
    "</script><b>",
    "x" * 255,
)
TOLERANCE = {"float32": 1e-5, "float16": 0.05, "dynamic": 0.1, "int8": 0.15}


@pytest.fixture
def facts(finished: Run) -> RunFacts:
    return read_run_facts(finished)


def of(facts: RunFacts, name: str, form: str, language: str) -> list[Snippet]:
    return [one for one in snippets_of(facts, name, form) if one.language == language]


FILES = {
    "saved_model": ("saved_model", "float32"),
    "model.tflite": ("tflite", "float32"),
    "model_fp16.tflite": ("tflite", "float16"),
    "model_dynamic.tflite": ("tflite", "dynamic"),
    "model_int8.tflite": ("tflite", "int8"),
    "model.onnx": ("onnx", "float32"),
    "model_fp16.onnx": ("onnx", "float16"),
    "model_int8.onnx": ("onnx", "int8"),
    "model.keras": ("keras", "float32"),
}


@pytest.mark.parametrize("name", FILES)
def test_python_gives_the_models_answers(
    name: str,
    facts: RunFacts,
    finished: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    """On images at model size, where no resize blurs what is compared."""
    form, precision = FILES[name]
    assert facts.answers is not None
    monkeypatch.chdir(finished.path if form == "keras" else finished.path / "export")
    (snippet,) = of(facts, name, form, "python")
    part = load_part(finished, "test")
    for row in (0, len(part.labels) - 1):
        Image.fromarray(np.asarray(part.images[row])).save(tmp_path / "photo.png")
        found: dict = {}
        exec(compile(snippet.code.replace("photo.jpg", str(tmp_path / "photo.png")), name, "exec"), found)
        wanted = facts.answers.probabilities[row]
        np.testing.assert_allclose(found["probabilities"], wanted, atol=TOLERANCE[precision])
        printed = ast.literal_eval(capsys.readouterr().out)
        assert list(printed) == list(facts.class_names)


def test_python_decodes_and_resizes_as_the_model_was_trained(
    facts: RunFacts, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the files themselves, within what OpenCV's rounding moves."""
    assert facts.answers is not None
    monkeypatch.chdir(finished.path / "export")
    (snippet,) = of(facts, "model.onnx", "onnx", "python")
    images = facts.answers.images
    for row in range(len(images)):
        found: dict = {}
        exec(snippet.code.replace("photo.jpg", str(images.root / images.paths[row])), found)
        np.testing.assert_allclose(found["probabilities"], facts.answers.probabilities[row], atol=0.02)


@pytest.mark.parametrize("form", WAYS)
def test_every_snippet_names_its_file_and_shape(form: str, facts: RunFacts) -> None:
    name = next(name for name, (of_form, _) in FILES.items() if of_form == form)
    for snippet in snippets_of(facts, name, form):
        assert name.rpartition(".")[0] in snippet.code or name in snippet.code
        assert str(facts.image_size) in snippet.code
        assert all(class_name in snippet.code for class_name in facts.class_names)
        assert not re.search(r"\$(file|stem|size|classes|names|entry|answer)", snippet.code)
        assert max(map(len, snippet.code.splitlines())) <= 140


def node() -> str:
    found = shutil.which("node")
    if not found:
        pytest.skip("node is not installed")
    return found


def in_node(code: str, tmp_path: Path) -> str:
    (tmp_path / "code.mjs").write_text(code, encoding="utf-8")
    ended = subprocess.run([node(), str(tmp_path / "code.mjs")], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_javascript_has_no_error_of_syntax(facts: RunFacts, tmp_path: Path) -> None:
    hostile = replace(facts, description=facts.description | {"class_names": list(NAMES)})
    files = (("model.onnx", "onnx"), ("model_int8.tflite", "tflite"))
    found = [one for name, form in files for one in of(hostile, name, form, "javascript")]
    assert [one.title.partition(",")[0] for one in found] == ["Browser", "Node", "Browser"]
    for number, snippet in enumerate(found):
        path = tmp_path / f"{number}.mjs"
        path.write_text(snippet.code, encoding="utf-8")
        ended = subprocess.run([node(), "--check", str(path)], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(("height", "width"), [(48, 48), (7, 90), (200, 33), (1, 1)])
def test_javascript_resizes_as_the_model_was_trained(height: int, width: int, facts: RunFacts, tmp_path: Path) -> None:
    code = next(one.code for one in of(facts, "model.onnx", "onnx", "javascript") if one.title.startswith("Node"))
    function = code[code.index("export function resize") : code.index("export async function classify")]
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    call = f"console.log(JSON.stringify(Array.from(resize({image.ravel().tolist()}, {width}, {height}))))"
    size = facts.image_size
    got = np.array(json.loads(in_node(f"{function}\n{call}", tmp_path))).reshape(size, size, 3)
    assert np.abs(got - resize(image, size).astype(int)).max() <= 1
    assert (got == resize(image, size)).mean() > 0.9  # the rest are ties, which JavaScript rounds up


@pytest.mark.parametrize("name", NAMES)
def test_a_literal_is_the_name_and_nothing_else(name: str, tmp_path: Path) -> None:
    assert ast.literal_eval(LITERALS["python"](name)) == name
    assert json.loads(LITERALS["javascript"](name)) == name
    kotlin = LITERALS["kotlin"](name)
    assert kotlin.isascii()
    assert kotlin.isprintable()
    assert "$" not in kotlin
    assert not re.search(r"\\[^u]", kotlin)
    assert json.loads(kotlin) == name  # of JSON's escapes only \\u is used, which Kotlin shares
    swift = LITERALS["swift"](name)
    assert swift.isascii()
    assert swift.isprintable()
    assert not re.search(r"\\(?!u\{[0-9a-f]{1,8}\})", swift)
    assert re.sub(r"\\u\{(\w+)\}", lambda found: chr(int(found[1], 16)), swift[1:-1]) == name
    for literal in (kotlin, swift, LITERALS["javascript"](name)):
        assert literal.count('"') - literal.count('\\"') == 2


def test_javascript_reads_the_names_as_they_are(tmp_path: Path) -> None:
    literals = ", ".join(LITERALS["javascript"](name) for name in NAMES)
    assert json.loads(in_node(f"console.log(JSON.stringify([{literals}]))", tmp_path)) == list(NAMES)
