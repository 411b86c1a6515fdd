"""The golden pack: which images are in it, and that its checkers tell a right pipeline from a wrong one."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from export.artefacts import Reference, read_manifest, read_reference
from export.runtimes.runners import load
from export.targets import golden as module
from export.targets.golden import CHECKERS, COUNT, GOLDEN_TOLERANCE, MOST, golden_rows, write_golden
from export.variants import VARIANTS
from toolkit.run import Run
from toolkit.training.batches import load_part
from toolkit.training.model_file import load_model

# Which images


def reference(*rows: tuple[int, float]) -> Reference:
    """Of (label, probability of class 0 out of three; what is left goes to class 1)."""
    first = np.array([share for _, share in rows])
    probabilities = np.stack([first, 1 - first, 0 * first], axis=1).astype(np.float32)
    return Reference(tuple(f"{n}.jpg" for n in range(len(rows))), np.array([label for label, _ in rows]), probabilities)


def test_the_nearest_to_four_fifths_come_first_and_wrong_ones_last() -> None:
    known = reference((0, 1.0), (0, 0.62), (1, 0.9), (0, 0.82), (0, 0.95))
    assert golden_rows(known).tolist() == [3, 4, 1, 0, 2]  # 2 is answered wrongly, however near


def test_classes_take_turns() -> None:
    """Class 0 is answered at 0.8 throughout, class 1 without any doubt: it has its turn all the same."""
    zeros = [(0, 0.80 + n / 1000) for n in range(10)]
    ones = [(1, 0.001 * n) for n in range(10)]
    assert golden_rows(reference(*zeros, *ones)).tolist() == [0, 19, 1, 18, 2, 17, 3, 16]


def test_a_class_that_runs_out_leaves_its_turns_to_the_others() -> None:
    known = reference((1, 0.2), *[(0, 0.99 - n / 1000) for n in range(10)])
    assert golden_rows(known).tolist() == [0, 10, 9, 8, 7, 6, 5, 4]


def test_wrong_answers_only_fill_up() -> None:
    right = [(0, 0.99), (0, 0.98), (1, 0.4), (1, 0.3)]
    wrong = [(2, 0.8), (2, 0.9), (1, 0.81), (0, 0.21), (0, 0.22), (2, 0.99)]
    rows = golden_rows(reference(*wrong, *right)).tolist()
    assert rows[:6] == [9, 7, 6, 8, 0, 1]  # then those of the class of which none is right
    assert set(rows[6:]) == {2, 3}
    assert len(rows) == len(set(rows)) == COUNT


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9])
def test_never_more_than_there_are(count: int) -> None:
    rows = golden_rows(reference(*[(n % 2, 0.7 - 0.4 * (n % 2)) for n in range(count)]))
    assert len(rows) == len(set(rows.tolist())) == min(count, COUNT)
    assert set(rows.tolist()) <= set(range(count))


# The pack


@pytest.fixture
def golden(finished: Run, tmp_path: Path) -> Path:
    """A copy, beside the artefacts, that a test may change."""
    return Path(shutil.copytree(finished.path / "export", tmp_path / "export")) / "golden"


def expected_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "expected.json").read_text(encoding="utf-8"))


def pixels_of(folder: Path) -> np.ndarray:
    """uint8 [8, S, S, 3], as they are in the files."""
    return np.stack([np.asarray(Image.open(folder / entry["file"])) for entry in expected_of(folder)["images"]])


def test_the_images_are_the_test_images_without_any_loss(golden: Path, finished: Run) -> None:
    known = read_reference(read_manifest(golden.parent)).only("test")
    rows = [known.paths.index(entry["source"]) for entry in expected_of(golden)["images"]]
    assert rows == golden_rows(known).tolist()
    assert len(set(rows)) == COUNT
    np.testing.assert_array_equal(pixels_of(golden), load_part(finished, "test").images[rows])
    names = {path.name for path in golden.iterdir()}
    assert names == {
        "expected.json",
        *(path.name for path in CHECKERS.iterdir() if path.is_file()),  # an installation compiles check.py
        *(f"{number}.png" for number in range(COUNT)),
    }


def test_expected_are_the_models_answers_and_each_artefacts_own(golden: Path) -> None:
    pack, manifest = expected_of(golden), read_manifest(golden.parent)
    known = read_reference(manifest)
    assert pack["class_names"] == manifest.description["class_names"]
    assert pack["input"] == manifest.description["input"]
    for entry in pack["images"]:
        row = known.paths.index(entry["source"])
        assert entry["label"] == Path(entry["source"]).parent.name
        np.testing.assert_array_equal(np.float32(entry["probabilities"]), known.probabilities[row])
    assert list(pack["artefacts"]) == [variant.name for variant in VARIANTS]
    for variant in VARIANTS:
        wanted = pack["artefacts"][variant.name]
        assert wanted["tolerance"] == GOLDEN_TOLERANCE[variant.precision]
        np.testing.assert_allclose(
            load(golden.parent / variant.name).predict(pixels_of(golden)), wanted["probabilities"], atol=1e-6
        )


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_images_that_amplify_rounding_come_last(
    share: float, finished: Run, golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With kernels of another runtime, a right pipeline would fail on them. `share`: of the images that do so here."""
    manifest, part = read_manifest(golden.parent), load_part(finished, "train")  # which has more images than a pack
    images = np.asarray(part.images)
    assert len(images) >= 2 * COUNT
    answers = load_model(finished).predict(images, verbose=0)
    known = Reference(tuple(f"{row}.jpg" for row in range(len(images))), answers.argmax(1), answers)  # none is wrong
    pixels = {row: images[row].tobytes() for row in range(len(images))}
    shaken = set(golden_rows(known, count=len(images))[: round(share * len(images))].tolist())

    def plain(path: Path, batch: np.ndarray) -> np.ndarray:
        off = [next((0.2 for row in shaken if pixels[row] == image.tobytes()), 0.0) for image in batch]
        return load(path).predict(batch) + np.array(off, np.float32)[:, np.newaxis]

    monkeypatch.setattr(module, "predict_plainly", plain)
    write_golden(golden.parent, manifest.description, manifest.artefacts, known, images)
    told = expected_of(golden)
    taken = {known.paths.index(entry["source"]) for entry in told["images"]}
    assert len(taken) == COUNT
    steady = len(images) - len(shaken)
    assert len(taken & shaken) == max(0, COUNT - steady)
    tolerance = told["artefacts"]["model_int8.onnx"]["tolerance"]
    assert tolerance == (GOLDEN_TOLERANCE["int8"] if steady >= COUNT else MOST)
    assert told["artefacts"]["model.onnx"]["tolerance"] == GOLDEN_TOLERANCE["float32"]
    assert check(golden, "../model_int8.onnx").returncode == 0
    replace_pixels(golden, 255 - pixels_of(golden))
    assert check(golden, "../model.onnx").returncode == 1


# check.py


def check(golden: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "check.py", *arguments]
    return subprocess.run(command, cwd=golden, capture_output=True, text=True, check=False)


def replace_pixels(golden: Path, pixels: np.ndarray) -> None:
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(golden / f"{number}.png")


@pytest.mark.parametrize("name", ["", "model.onnx", "model.tflite", "model_int8.tflite"])
def test_a_right_pipeline_is_ok(name: str, golden: Path) -> None:
    ended = check(golden, *([f"../{name}"] if name else []))
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [f"{number}.png" for number in range(COUNT)]
    assert lines[-1].startswith(f"{name or 'model.onnx'}: largest difference ")
    assert lines[-1].endswith(": ok")
    assert ended.stderr == ""  # TFLite tells of its delegate there


@pytest.mark.parametrize("name", ["model.onnx", "model.tflite"])
def test_swapped_channels_are_wrong(name: str, golden: Path) -> None:
    replace_pixels(golden, np.ascontiguousarray(pixels_of(golden)[..., ::-1]))
    ended = check(golden, f"../{name}")
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout.endswith("WRONG\n")


def test_one_wrong_image_of_eight_is_wrong(golden: Path) -> None:
    pixels = pixels_of(golden)
    pixels[4] = 255 - pixels[4]
    replace_pixels(golden, pixels)
    assert check(golden).returncode == 1


def test_no_numbers_are_wrong(golden: Path) -> None:
    path = golden.parent / "model.onnx"
    model = onnx.load(path)
    softmax = next(node for node in model.graph.node if "probabilities" in node.output)
    softmax.output[0] = "right"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32([np.nan]), "nothing"))
    model.graph.node.append(onnx.helper.make_node("Add", ["right", "nothing"], ["probabilities"]))
    onnx.save(model, path)
    ended = check(golden)
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout.endswith("WRONG\n")
    assert "largest difference nan" in ended.stdout


def cut(golden: Path) -> None:
    path = golden.parent / "model.tflite"
    path.write_bytes(path.read_bytes()[:2000])


def garble(golden: Path) -> None:
    (golden.parent / "model.tflite").write_bytes(b"no flatbuffer" * 99)


def from_elsewhere(golden: Path) -> None:
    """By the same name, with other ends."""
    path = golden.parent / "model.onnx"
    model = onnx.load(path)
    for node in model.graph.node:
        node.input[:] = ["photograph" if name == "image" else name for name in node.input]
    model.graph.input[0].name = "photograph"
    onnx.save(model, path)


def rename(golden: Path) -> None:
    shutil.copy(golden.parent / "model.onnx", golden.parent / "other.onnx")


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("nowhere/model.onnx", lambda golden: None, "there is no such file"),
        ("nowhere.onnx", lambda golden: None, "there is no such file"),
        ("model.tflite", cut, "model.tflite cannot be run"),
        ("model.tflite", garble, "model.tflite cannot be run"),
        ("model.onnx", from_elsewhere, "photograph"),
        ("other.onnx", rename, "knows no such model, only"),
        ("saved_model", lambda golden: None, "give an .onnx or a .tflite file"),
        ("model.onnx", lambda golden: (golden / "3.png").unlink(), "3.png"),
        ("model.onnx", lambda golden: (golden / "3.png").write_bytes(b"no image"), "the golden pack is damaged"),
        ("model.onnx", lambda golden: (golden / "expected.json").write_text("{"), "the golden pack is damaged"),
        ("model.onnx", lambda golden: (golden / "expected.json").unlink(), "expected.json"),
    ],
)
def test_what_is_missing_or_damaged_is_one_line_and_exit_2(name: str, damage: Any, said: str, golden: Path) -> None:
    damage(golden)
    ended = check(golden, f"../{name}")
    assert ended.returncode == 2, ended.stderr
    assert said in ended.stderr
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1


# check.mjs, in Node, with stand-ins for what only a browser has

BROWSER = """
import { readFile } from "node:fs/promises";
import { check } from "./golden/check.mjs";

const side = %(side)d; globalThis.fetch = async (url) => ({ ok: true,
json: async () => JSON.parse(await readFile(url, "utf8")), blob: async () => url });
globalThis.createImageBitmap = async (url) => readFile(new URL(url.href.replace("/golden/",
"/decoded/") + ".rgba")); globalThis.OffscreenCanvas = class {
  constructor(width, height) { if (width !== side || height !== side) throw new Error(`a canvas of
  ${width}x${height}`); } getContext() {
    let drawn;
    return {
      drawImage(bitmap, x, y) { if (x || y) throw new Error("beside the canvas"); drawn = bitmap; },
      getImageData: (x, y, width, height) => ({ data: new Uint8ClampedArray(drawn), width, height }),
    };
  }
};
const answers = JSON.parse(await readFile(new URL("answers.json", import.meta.url), "utf8")); // by the RGB bytes
let calls = 0;
const predict = async (pixels, height, width) => {
  if (!(pixels instanceof Uint8Array) || height !== side || width !== side) throw new Error("not what it is to get");
  const answer = answers[Buffer.from(pixels).toString("base64")];
  if (!answer) throw new Error("pixels that are none of the images");
  calls += 1;
  return Float32Array.from(answer, (share) => share ?? NaN);
};
console.log(JSON.stringify({ ...(await check(predict, ...process.argv.slice(2))), calls }));
"""


def browser(
    golden: Path, answers: np.ndarray, *arguments: str, damage: Any = lambda golden: None
) -> subprocess.CompletedProcess[str]:
    """check.mjs in a browser whose model answers so."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on PATH")
    folder, pixels = golden.parent, pixels_of(golden)
    (folder / "decoded").mkdir()
    known = {}
    for number, (image, shares) in enumerate(zip(pixels, answers.tolist(), strict=True)):
        rgba = np.concatenate([image, np.full((*image.shape[:2], 1), 255, np.uint8)], axis=2)
        (folder / "decoded" / f"{number}.png.rgba").write_bytes(rgba.tobytes())
        known[base64.b64encode(image.tobytes()).decode()] = [None if np.isnan(share) else share for share in shares]
    (folder / "answers.json").write_text(json.dumps(known))
    damage(golden)
    (folder / "browser.mjs").write_text(BROWSER % {"side": pixels.shape[1]})
    return subprocess.run([node, "browser.mjs", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def told_by(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize("name", ["model.onnx", "model_int8.onnx"])
def test_a_right_pipeline_is_ok_in_a_browser(name: str, golden: Path) -> None:
    answers = load(golden.parent / name).predict(pixels_of(golden))
    told = told_by(browser(golden, answers, *([] if name == "model.onnx" else [name])))
    assert told["model"] == name
    assert told["ok"] is True
    assert told["calls"] == COUNT
    assert told["worst"] < 1e-5
    assert told["tolerance"] == expected_of(golden)["artefacts"][name]["tolerance"]


@pytest.mark.parametrize(("row", "fault"), [(0, 0.002), (7, -0.002), (3, np.nan)])
def test_one_changed_answer_is_wrong_in_a_browser(row: int, fault: float, golden: Path) -> None:
    answers = load(golden.parent / "model.onnx").predict(pixels_of(golden))
    answers[row, 1] += fault
    told = told_by(browser(golden, answers))
    assert told["ok"] is False
    assert told["calls"] == COUNT
    assert told["worst"] is None if np.isnan(fault) else told["worst"] == pytest.approx(0.002, abs=1e-4)


@pytest.mark.parametrize(
    ("damage", "model", "said"),
    [
        (lambda golden: None, "other.onnx", "the golden pack knows no other.onnx, only saved_model, model.tflite"),
        (lambda golden: (golden / "expected.json").write_text("{"), "model.onnx", "expected.json of the golden pack"),
        (lambda golden: (golden.parent / "decoded" / "3.png.rgba").unlink(), "model.onnx", "3.png of the golden pack"),
    ],
)
def test_what_is_missing_is_said_in_a_browser(damage: Any, model: str, said: str, golden: Path) -> None:
    answers = load(golden.parent / "model.onnx").predict(pixels_of(golden))
    ended = browser(golden, answers, model, damage=damage)
    assert said in ended.stderr


def test_too_few_shares_are_no_answer_in_a_browser(golden: Path) -> None:
    answers = load(golden.parent / "model.onnx").predict(pixels_of(golden))
    assert "model.onnx: 1 numbers where 2 probabilities were expected" in browser(golden, answers[:, :1]).stderr


# Check.kt, which only an Android project can compile


def test_kotlin_reads_what_is_there(golden: Path) -> None:
    text = (golden / "Check.kt").read_text(encoding="utf-8")
    keys = set(re.findall(r'\.get\w+\("(\w+)"\)', text))
    assert keys == {"artefacts", "images", "file", "probabilities", "tolerance"}
    pack = expected_of(golden)
    assert {"artefacts", "images"} <= set(pack)
    assert all("file" in entry for entry in pack["images"])
    assert all({"probabilities", "tolerance"} <= set(wanted) for wanted in pack["artefacts"].values())
    (model,) = re.findall(r'model: String = "([\w.]+)"', text)
    assert model in pack["artefacts"]
    assert re.findall(r'open\("golden/([^"]+)"\)', text) == ["expected.json", "$file"]
