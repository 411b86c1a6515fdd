"""A whole run in grey: every file, the proof of it, and the code that apps are given."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from export.artefacts import read_manifest, read_reference
from export.predict import predict
from export.proof.clients import GREY_CLIENTS
from export.proof.locate import locate
from export.proof.pixel_sensitivity import measure_run, read_sensitivity
from export.proof.verify import verify
from export.runtimes.runners import load
from export.settings import ExportSettings, VerifySettings
from export.targets.snippets import Snippet
from export.variants import ALL_VARIANTS, ON_REQUEST, VARIANTS
from export.write import export
from tests.tiny import ROW, SETTINGS
from toolkit.evaluation.evaluate_run import evaluate_folder, evaluate_run
from toolkit.models.applications import BACKBONES
from toolkit.pixels.decode import recipe
from toolkit.pixels.grey import to_grey
from toolkit.pixels.resize import resize
from toolkit.run import Run, prepare
from toolkit.storage.files import read_json
from toolkit.training.batches import load_part
from toolkit.training.model_file import load_model
from toolkit.training.train import train_run
from tuning.search import search
from unfreeze.pages.how_to_load import snippets_of
from unfreeze.pages.run_facts import RunFacts, read_run_facts
from unfreeze.pages.thumbnails import mistakes
from unfreeze.pages.write_report import write_report
from unfreeze.tracking.mlflow import whole_run

pytestmark = pytest.mark.long

TOLERANCE = {"float32": 1e-5, "float16": 0.05, "float16_gpu": 0.05, "dynamic": 0.1, "int8": 0.15, "int16x8": 0.1}
EVERY = [variant.name for variant in ALL_VARIANTS]
PRECISION = {variant.name: variant.precision for variant in ALL_VARIANTS} | {"model.keras": "float32"}
GREY: dict[str, Any] = {"colour": "grey", "head_epochs": 6, "tune_epochs": 2, "trials": 2}


@pytest.fixture(scope="module")
def run(tiny: str, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with all done and every file written; do not change it."""
    made = prepare(pictures, tmp_path_factory.mktemp("grey") / "run", replace(SETTINGS, **GREY))
    search(made)
    evaluate_run(made)
    export(made)
    export(made, ExportSettings(formats=("tflite",), precisions=ON_REQUEST))
    verify(made, VerifySettings(threads=(), layers=True))
    return made


@pytest.fixture(scope="module")
def images(run: Run) -> np.ndarray:
    """uint8 [N, 32, 32, 1]: the test part."""
    return np.asarray(load_part(run, "test").images)


@pytest.fixture(scope="module")
def expected(run: Run) -> np.ndarray:
    answers = read_reference(read_manifest(run.path / "export")).only("test").probabilities
    assert np.ptp(answers) > 0.05, "answers that are all alike prove nothing"
    return answers


# The files


@pytest.mark.parametrize("name", EVERY)
def test_every_file_takes_one_channel_and_gives_the_models_answers(
    name: str, run: Run, images: np.ndarray, expected: np.ndarray
) -> None:
    runner = load(run.path / "export" / name)
    assert (runner.input.layout, runner.input.size, runner.input.channels) == ("NHWC", (32, 32), 1)
    assert runner.loaded.description is not None
    entry = runner.loaded.description["input"]
    kind = "float32" if PRECISION[name] == "float16_gpu" else "uint8"
    assert entry == recipe(1, profiles="srgb") | {"name": "image", "dtype": kind, "shape": ["batch", 32, 32, 1]}
    for count in (1, 3, len(images)):
        np.testing.assert_allclose(runner.predict(images[:count]), expected[:count], atol=TOLERANCE[PRECISION[name]])


def test_runtimes_by_themselves_take_it(run: Run, images: np.ndarray, expected: np.ndarray) -> None:
    session = onnxruntime.InferenceSession(run.path / "export" / "model.onnx")
    assert session.get_inputs()[0].shape == ["batch", 32, 32, 1]
    np.testing.assert_allclose(session.run(None, {"image": images})[0], expected, atol=1e-5)
    runner = Interpreter(str(run.path / "export" / "model_int8.tflite")).get_signature_runner()
    np.testing.assert_allclose(runner(image=images[:3])["probabilities"], expected[:3], atol=0.15)


def test_no_file_fails_and_the_layers_of_each_are_compared(run: Run) -> None:
    parities = {parity["artefact"]["name"]: parity for parity in read_json(run.path / "parity.json")}
    assert set(parities) == set(EVERY)
    assert all(parity["ran"] and parity["verdict"] in ("holds", "undecided") for parity in parities.values())
    assert {parities[name]["verdict"] for name in ("saved_model", "model.tflite", "model.onnx")} == {"holds"}
    for name in EVERY[1:]:
        assert parities[name]["divergence"]["compared"] >= 5, parities[name]["divergence"]
        assert parities[name]["divergence"]["layer"] == ""


def test_the_first_layer_that_differs_is_found(run: Run, images: np.ndarray, tmp_path: Path) -> None:
    model = onnx.load(run.path / "export" / "model.onnx")
    weights = [array for array in model.graph.initializer if list(array.dims) == [12, 8, 3, 3]]  # of second_conv
    (second,) = weights
    second.CopyFrom(onnx.numpy_helper.from_array(1.5 * onnx.numpy_helper.to_array(second), second.name))
    onnx.save(model, tmp_path / "model.onnx")
    found = locate(load_model(run), tmp_path / "model.onnx", images[:4], "float32")
    assert found.layer == "second_conv"


@pytest.mark.parametrize("name", ["model.onnx", "model_int8.tflite", "saved_model"])
def test_predict_answers_for_files_in_colour(name: str, run: Run, expected: np.ndarray) -> None:
    test = run.images.select("test")
    got = list(predict(run.path / "export" / name, [test.root / path for path in test.paths]))
    answers = [list((one.probabilities or {}).values()) for one in got]
    np.testing.assert_allclose(answers, expected, atol=TOLERANCE[PRECISION[name]])


def test_another_folder_is_evaluated(run: Run, pictures: Path) -> None:
    seen = evaluate_folder(run, pictures)
    assert seen.images == 40
    assert seen.trained_on == 32


def test_a_model_trained_without_a_search_or_without_the_shared_prefix(
    run: Run, pictures: Path, tmp_path: Path
) -> None:
    single = replace(SETTINGS, colour="grey", head_units=(4,), dropout=(0.0,), unfreeze=(2,))
    train_run(prepare(pictures, tmp_path / "train", single, searches=False))
    search(prepare(pictures, tmp_path / "tune", replace(single, cache=False)))
    for name in ("train", "tune"):
        assert load_model(Run(tmp_path / name, run.images, single)).input_shape == (None, 32, 32, 1)


@pytest.mark.parametrize("mode", ["imagenet", "caffe"])
def test_every_normalisation_is_exported_in_int8(
    mode: str, tiny: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKBONES, tiny, replace(ROW, pixels=mode))
    single = replace(SETTINGS, colour="grey", head_units=(4,), dropout=(0.0,), unfreeze=(2,))
    other = prepare(pictures, tmp_path / "run", single, searches=False)
    train_run(other)
    manifest = export(other, ExportSettings(precisions=("int8",)))
    assert manifest.failed == {}
    expected = read_reference(manifest).only("test").probabilities
    images = np.asarray(load_part(other, "test").images)
    for name in ("model_int8.tflite", "model_int8.onnx"):
        got = load(manifest.folder / name).predict(images)
        np.testing.assert_allclose(got, expected, atol=0.15)
    (tflite,) = (artefact for artefact in manifest.artefacts if artefact.format == "tflite")
    (kept,) = (attempt for attempt in tflite.attempts if attempt["kept"])
    assert kept["difference"] < 0.05, "of what the model gives"


# What the TFLite file says to others


def colour_space(path: Path) -> int:
    """The ColorSpaceType of the image, read by the field numbers of metadata_schema.fbs: 1 is RGB, 2 is grey."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
    from flatbuffers.number_types import Int8Flags

    model = schema.Model.GetRootAsModel(path.read_bytes(), 0)
    entries = [model.Metadata(number) for number in range(model.MetadataLength())]
    (entry,) = [entry for entry in entries if entry.Name() == b"TFLITE_METADATA"]
    data = bytes(model.Buffers(entry.Buffer()).DataAsNumpy())

    def inside(table: flatbuffers.table.Table, slot: int, *, vector: bool = False) -> flatbuffers.table.Table:
        at = table.Offset(4 + 2 * slot)
        place = table.Indirect(table.Vector(at)) if vector else table.Indirect(table.Pos + at)
        return flatbuffers.table.Table(data, place)

    root = flatbuffers.table.Table(data, flatbuffers.encode.Get(flatbuffers.packer.uoffset, data, 0))
    image = inside(inside(root, 3, vector=True), 2, vector=True)
    properties = inside(inside(image, 3), 1)
    return properties.Get(Int8Flags, properties.Pos + properties.Offset(4))


def test_its_metadata_say_grey(run: Run, finished: Run) -> None:
    assert colour_space(run.path / "export" / "model.tflite") == 2
    assert colour_space(finished.path / "export" / "model.tflite") == 1


# The golden pack


@pytest.fixture
def golden(run: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run.path / "export", tmp_path / "export")) / "golden"


def shown(golden: Path) -> list[np.ndarray]:
    """uint8 [32, 32] each: the files, which have one channel."""
    return [np.asarray(Image.open(golden / f"{number}.png")) for number in range(8)]


@pytest.mark.parametrize("name", ["model.onnx", "model.tflite"])
def test_its_checker_tells_right_from_wrong(name: str, golden: Path) -> None:
    assert {image.shape for image in shown(golden)} == {(32, 32)}
    command = [sys.executable, "check.py", f"../{name}"]
    ended = subprocess.run(command, cwd=golden, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.splitlines()[-1].endswith(": ok")) == (0, True), ended.stderr
    for number, image in enumerate(shown(golden)):
        Image.fromarray(255 - image).save(golden / f"{number}.png")
    assert subprocess.run(command, cwd=golden, capture_output=True, check=False).returncode == 1


BROWSER = """
import { readFile } from "node:fs/promises";
import { check } from "./golden/check.mjs";
globalThis.fetch = async (url) => ({
  ok: true, json: async () => JSON.parse(await readFile(url, "utf8")),
  blob: async () => readFile(new URL(`${url}.rgba`)),
});
globalThis.createImageBitmap = async (bytes) => bytes;
globalThis.OffscreenCanvas = class { getContext() { let drawn; return {
  drawImage(bitmap) { drawn = bitmap; }, getImageData: () => ({ data: new Uint8ClampedArray(drawn) }) }; } };
const answers = JSON.parse(await readFile(new URL("answers.json", import.meta.url), "utf8"));
const predict = async (pixels, ...shape) => {
  if (String(shape) !== "32,32,1") throw new Error(`of shape ${shape}`);
  return Float32Array.from(answers[Buffer.from(pixels).toString("base64")]);
};
console.log(JSON.stringify(await check(predict)));
"""


def test_its_checker_in_a_browser_hands_on_one_channel(golden: Path) -> None:
    answers = {}
    for number, image in enumerate(shown(golden)):
        rgba = np.concatenate([np.repeat(image[..., None], 3, axis=-1), np.full((32, 32, 1), 255, np.uint8)], axis=-1)
        (golden / f"{number}.png.rgba").write_bytes(rgba.tobytes())
        (share,) = load(golden.parent / "model.onnx").predict(image[None, ..., None])
        answers[base64.b64encode(image.tobytes()).decode()] = share.tolist()
    (golden.parent / "answers.json").write_text(json.dumps(answers))
    told = json.loads(in_node(BROWSER, golden.parent))
    assert told["ok"] is True
    assert told["worst"] < 1e-5


# The code that apps are given


@pytest.fixture(scope="module")
def facts(run: Run) -> RunFacts:
    return read_run_facts(run)


def codes(facts: RunFacts, language: str) -> list[Snippet]:
    forms = {"saved_model": "saved_model", "model.tflite": "tflite", "model.onnx": "onnx", "model.keras": "keras"}
    found = [one for name, form in forms.items() for one in snippets_of(facts, name, form)]
    return [one for one in found if one.language == language]


def photograph(size: int = 32) -> np.ndarray:
    """uint8 [size, size, 3], of many colours."""
    return np.random.default_rng(3).integers(0, 256, (size, size, 3), np.uint8)


def in_node(code: str, folder: Path) -> str:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (folder / "code.mjs").write_text(code, encoding="utf-8")
    ended = subprocess.run([node, str(folder / "code.mjs")], capture_output=True, text=True, check=False, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(("name", "form"), [(variant.name, variant.format) for variant in VARIANTS] + [("", "keras")])
def test_python_makes_the_same_grey(
    name: str, form: str, run: Run, facts: RunFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path if form == "keras" else run.path / "export")
    (code,) = [one.code for one in snippets_of(facts, name or "model.keras", form) if one.language == "python"]
    Image.fromarray(photograph()).save(tmp_path / "photo.png")
    found: dict[str, Any] = {}
    exec(code.replace("photo.jpg", str(tmp_path / "photo.png")), found)
    np.testing.assert_array_equal(found["batch"], to_grey(photograph())[None])
    assert found["batch"].dtype == np.uint8
    wanted = load(run.path / "export" / "model.onnx").predict(found["batch"])[0]
    np.testing.assert_allclose(found["probabilities"], wanted, atol=TOLERANCE[PRECISION[name or "model.keras"]])


@pytest.mark.parametrize("form", ["tflite", "onnx"])
def test_javascript_makes_the_same_grey_in_a_browser(form: str, facts: RunFacts, tmp_path: Path) -> None:
    name = {"tflite": "model_int8.tflite", "onnx": "model.onnx"}[form]
    (code,) = [one.code for one in snippets_of(facts, name, form) if one.title.startswith("Browser")]
    function = code[code.index("async function pixelsOf") : code.index("export async function classify")]
    rgba = np.concatenate([photograph(), np.full((32, 32, 1), 255, np.uint8)], axis=-1)
    canvas = f"""
    globalThis.createImageBitmap = async () => null;
    globalThis.OffscreenCanvas = class {{ getContext() {{ return {{
      fillRect() {{}}, drawImage() {{}},
      getImageData: () => ({{ data: Uint8ClampedArray.from({rgba.ravel().tolist()}) }}) }}; }} }};
    """
    told = in_node(f"{canvas}\n{function}\nconsole.log(JSON.stringify(Array.from(await pixelsOf(null))))", tmp_path)
    np.testing.assert_array_equal(json.loads(told), to_grey(photograph()).ravel())
    assert "[1, 32, 32, 1]" in code


def test_javascript_makes_the_same_grey_in_node(facts: RunFacts, tmp_path: Path) -> None:
    (code,) = [one.code for one in codes(facts, "javascript") if one.title.startswith("Node")]
    functions = code[code.index("export function resize") : code.index("export async function classify")]
    call = f"grey(resize({photograph(48).ravel().tolist()}, 48, 48))"
    got = np.array(json.loads(in_node(f"{functions}\nconsole.log(JSON.stringify(Array.from({call})))", tmp_path)))
    wanted = to_grey(resize(photograph(48), 32)).ravel().astype(int)
    assert np.abs(got - wanted).max() <= 1
    assert (got == wanted).mean() > 0.9  # the rest are ties, which JavaScript rounds up
    assert '"uint8", grey(resize(data, info.width, info.height)), [1, 32, 32, 1]' in code


def test_kotlin_makes_the_same_grey(facts: RunFacts) -> None:
    """Its integer arithmetic, evaluated in Python."""
    for one in codes(facts, "kotlin"):
        (parts,) = re.findall(r"val \(red, green, blue\) = listOf\((.+)\)\n", one.code)
        (luma,) = re.findall(r"input\.put\((.+)\.toByte\(\)\)", one.code)
        for red, green, blue in photograph().reshape(-1, 3)[:200].tolist():
            argb = (0xFF << 24 | red << 16 | green << 8 | blue) - (1 << 32)  # an Int of Kotlin is signed
            split = eval(f"[{in_python(parts)}]", {"pixel": argb})
            assert split == [red, green, blue]
            found = eval(in_python(luma), dict(zip(("red", "green", "blue"), split, strict=True)))
            assert found == to_grey(np.uint8([red, green, blue]))[0]
        assert "ByteBuffer.allocateDirect(32 * 32) // grey" in one.code
        assert "longArrayOf(1, 32, 32, 1)" in one.code or "InterpreterApi" in one.code


def in_python(kotlin: str) -> str:
    return kotlin.replace(" shr ", " >> ").replace(" and ", " & ")


def test_swift_makes_the_same_grey(facts: RunFacts) -> None:
    for one in codes(facts, "swift"):
        (luma,) = re.findall(r"result\.append\(UInt8\((.+)\)\) //", one.code)
        for rgb in photograph().reshape(-1, 3)[:200].tolist():
            assert eval(luma, {"rgb": rgb}) == to_grey(np.uint8(rgb))[0]
        assert "Data(capacity: 32 * 32 * 1)" in one.code
        assert "shape: [1, 32, 32, 1]" in one.code or "TensorFlowLite" in one.code


@pytest.mark.parametrize("language", ["python", "javascript", "kotlin", "swift"])
def test_nothing_is_left_of_the_template_and_rgb_code_has_no_grey(
    language: str, facts: RunFacts, finished: Run
) -> None:
    for one, other in zip(codes(facts, language), codes(read_run_facts(finished), language), strict=True):
        assert not re.search(r"\$(rgb|grey|channels|colour|size)|32, 32, 3\]|RGB, 0 to 255, \[", one.code)
        assert not re.search(r"\$(rgb|grey|channels|colour|size)|grey|luma|32, 32, 1\]", other.code)
        assert max(map(len, one.code.splitlines())) <= 140


# Page, card, store


def test_the_resize_table_has_the_ways_to_make_grey(run: Run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")), run.images, run.settings)
    rows = measure_run(copy, None, margin=0.5)
    assert [row.client for row in rows] == [client.name for client in GREY_CLIENTS]
    assert rows[0].flips == 0
    stored = read_sensitivity(copy.path)
    assert stored is not None
    assert stored.rows == tuple(rows)
    page, card = (path.read_text(encoding="utf-8") for path in write_report(copy))
    assert "raw grey of 0 to 255, <code>uint8 [1, 32, 32, 1]</code>" in page
    assert "MediaPipe Tasks takes RGB only" in page
    assert "raw `uint8` grey `[N, 32, 32, 1]` in" in card
    assert "at 32 px in grey, fine-tuned" in card
    for text in (page, card):
        assert "luma of ITU-R 601" in text
        assert "--colour grey" in text


def test_an_rgb_page_says_nothing_of_grey(finished: Run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(finished.path, tmp_path / "run")), finished.images, finished.settings)
    page, card = (path.read_text(encoding="utf-8") for path in write_report(copy))
    for text in (page, card):
        assert "luma" not in text
        assert "--colour" not in text
    assert "raw RGB of 0 to 255, <code>uint8 [1, 32, 32, 3]</code>" in page
    assert "raw `uint8` RGB `[N, 32, 32, 3]` in" in card
    assert "MediaPipe" not in page


def test_mistakes_are_shown_when_the_files_are_gone(run: Run, facts: RunFacts, tmp_path: Path) -> None:
    assert facts.answers is not None
    gone = replace(facts.answers.images, root=tmp_path / "gone", labels=1 - facts.answers.images.labels)
    found = mistakes(replace(facts, answers=replace(facts.answers, images=gone)))
    assert found
    for one in found:
        content = base64.b64decode(one.picture.partition("base64,")[2])
        (tmp_path / "shown.jpg").write_bytes(content)
        with Image.open(tmp_path / "shown.jpg") as picture:
            assert (picture.mode, picture.size) == ("L", (32, 32))


def test_mlflow_gets_the_colour(run: Run) -> None:
    assert whole_run(run.path).params["colour"] == "grey"
