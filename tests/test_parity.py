from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from export import artefacts
from export.artefacts import Artefact, Reference, digest
from export.measure import Measurement, measure
from export.parity import compare, verify
from export.runners import NoRuntimeError
from toolkit.errors import UnfreezeError
from toolkit.run import Run, load_run

NAMES = ("cat", "dog")
ARTEFACT = Artefact("model.onnx", "onnx", "float32", 1, "")


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Run:
    """A copy that a test may damage."""
    shutil.copytree(finished.path, tmp_path / "run")
    return load_run(tmp_path / "run")


def sure(*dog: float) -> np.ndarray:
    return np.array([[1 - p, p] for p in dog], np.float32)


def verdict(expected: np.ndarray, got: np.ndarray):
    reference = Reference(tuple(f"{n}.jpg" for n in range(len(expected))), np.ones(len(expected), np.int32), expected)
    return compare(ARTEFACT, reference, Measurement(got, 0.0, 0.001, 0.002, 1), NAMES)


def test_equal_answers_hold() -> None:
    parity = verdict(sure(0.9, 0.2), sure(0.9, 0.2))
    assert parity
    assert (parity.agreement, parity.max_difference, parity.accuracy, parity.reference_accuracy) == (1, 0, 0.5, 0.5)


def test_a_flip_is_listed_with_both_probabilities() -> None:
    parity = verdict(sure(0.9, 0.6, 0.9), sure(0.9, 0.3, 0.9))
    assert not parity
    (flip,) = parity.flips
    assert (flip.path, flip.reference, flip.artefact, flip.tie) == ("1.jpg", "dog", "cat", False)
    assert (flip.reference_probability, flip.artefact_probability) == pytest.approx((0.6, 0.7))
    assert parity.agreement == pytest.approx(2 / 3)
    assert parity.max_difference == pytest.approx(0.3)
    assert parity.mean_difference == pytest.approx(0.1)


def test_a_flip_at_a_tie_holds() -> None:
    parity = verdict(sure(0.50004), sure(0.49996))
    assert [flip.tie for flip in parity.flips] == [True]
    assert parity


@pytest.mark.parametrize(("off", "holds"), [(9e-5, True), (2e-4, False), (np.nan, False)])
def test_the_tolerance_without_any_flip(off: float, holds: bool) -> None:
    assert bool(verdict(sure(0.9), sure(0.9 + off))) == holds


def test_nothing_compared_does_not_hold() -> None:
    assert not verdict(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32))


def test_another_number_of_classes_does_not_hold() -> None:
    assert "shape" in verdict(sure(0.9), np.ones((1, 3), np.float32)).reason


def test_every_artefact_of_a_run_holds(finished: Run) -> None:
    stored = json.loads((finished.path / "parity.json").read_text())
    assert [entry["artefact"]["name"] for entry in stored] == ["saved_model", "model.tflite", "model.onnx"]
    for entry in stored:
        assert entry["holds"], entry
        assert entry["images"] == 8
        assert entry["agreement"] == 1
        assert entry["latency_ms"] > 0


def damage_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    path.write_bytes((path.parent / ("model.onnx" if path.suffix == ".tflite" else "model.tflite")).read_bytes())


def forbidden(*args: object) -> Measurement:
    raise AssertionError("a damaged file was run")


@pytest.mark.parametrize("damage", [damage_byte, cut_short, empty, swap, Path.unlink])
@pytest.mark.parametrize("name", ["model.tflite", "model.onnx", "saved_model/saved_model.pb"])
def test_a_damaged_artefact_is_told_and_not_run(name: str, damage, run: Run, finished: Run) -> None:
    if damage is swap and name.startswith("saved_model"):
        damage = empty
    damage(run.path / "export" / name)

    def only_whole(path: Path, *rest: object) -> Measurement:
        if path.name == name.partition("/")[0]:
            forbidden()
        return measured(finished)

    results = {parity.artefact.name: parity for parity in verify(run, measure=only_whole)}  # type: ignore[arg-type]
    spoilt = results.pop(name.partition("/")[0])
    assert not spoilt
    assert "export it again" in spoilt.reason
    assert all(results.values())


def measured(run: Run) -> Measurement:
    reference = artefacts.read_reference(artefacts.read_manifest(run.path / "export"))
    return Measurement(reference.probabilities, 0.0, 0.001, 0.001, 1)


def forge(run: Run, name: str) -> None:
    """Put the digest of what is there now into the manifest."""
    path = run.path / "export" / "manifest.json"
    manifest = json.loads(path.read_text())
    for entry in manifest["artefacts"]:
        if entry["name"] == name:
            entry["sha256"] = digest(run.path / "export" / name)
    path.write_text(json.dumps(manifest))


def test_another_models_file_is_caught_even_with_a_forged_manifest(run: Run) -> None:
    path = run.path / "export" / "model.onnx"
    model = onnx.load(path)
    for weights in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.ndim == 2:
            weights.CopyFrom(onnx.numpy_helper.from_array(values[:, ::-1].copy(), weights.name))
    onnx.save(model, path)
    forge(run, "model.onnx")
    (parity,) = [parity for parity in verify(run) if parity.artefact.name == "model.onnx"]
    assert not parity
    assert parity.max_difference is not None
    assert parity.max_difference > 1e-3
    assert "the model's" in parity.reason


@pytest.mark.parametrize("name", ["model.tflite", "model.onnx"])
def test_garbage_with_a_forged_manifest_does_not_take_the_caller_down(name: str, run: Run) -> None:
    cut_short(run.path / "export" / name)
    garbage = np.random.default_rng(0).bytes(5000)
    (run.path / "export" / name).write_bytes((run.path / "export" / name).read_bytes()[:2000] + garbage)
    forge(run, name)
    images = next((run.path / "cache").glob("images-*.npy"))
    with pytest.raises(UnfreezeError, match="export it again"):
        measure(run.path / "export" / name, images, np.arange(4), 1)


def test_images_that_moved(run: Run, tmp_path: Path) -> None:
    shutil.rmtree(run.path / "cache")
    shutil.copytree(run.images.root, tmp_path / "moved")
    seen = []

    def look(path: Path, images: Path, rows: np.ndarray, threads: int) -> Measurement:
        seen.append(np.load(images, mmap_mode="r")[rows])
        return measured(run)

    stored = json.loads((run.path / "run.json").read_text())
    stored["data"]["root"] = str(tmp_path / "gone")
    (run.path / "run.json").write_text(json.dumps(stored))
    with pytest.raises(UnfreezeError, match=r"cannot be read any more.* --data"):
        verify(load_run(run.path), measure=look)
    assert all(verify(load_run(run.path, tmp_path / "moved"), measure=look))
    assert seen[0].shape == (8, 32, 32, 3)


def test_an_artefact_that_answers_nan_does_not_hold_and_is_written(run: Run) -> None:
    answers = measured(run).probabilities.copy()
    answers[3] = np.nan
    results = verify(run, measure=lambda *call: Measurement(answers, 0.0, 0.001, 0.001, 1))
    assert not any(results)
    stored = json.loads((run.path / "parity.json").read_text())
    assert stored[0]["max_difference"] is None
    assert stored[0]["reason"]


def test_the_export_of_another_model_is_refused(run: Run) -> None:
    damage_byte(run.path / "model.keras")
    with pytest.raises(UnfreezeError, match="another model"):
        verify(run)


def test_some_formats_alone(run: Run) -> None:
    results = verify(run, formats=("onnx",), measure=lambda *call: measured(run))
    assert [parity.artefact.name for parity in results] == ["model.onnx"]


def test_a_format_that_was_not_exported_is_a_wrong_call(run: Run) -> None:
    stored = json.loads((run.path / "export" / "manifest.json").read_text())
    stored["artefacts"] = [entry for entry in stored["artefacts"] if entry["format"] != "tflite"]
    (run.path / "export" / "manifest.json").write_text(json.dumps(stored))
    with pytest.raises(UnfreezeError, match="tflite was not exported, only saved_model, onnx"):
        verify(run, formats=("tflite",))


def test_a_runtime_that_is_not_installed_is_no_verdict(run: Run) -> None:
    def absent(*call: object) -> Measurement:
        raise NoRuntimeError("model.tflite needs ai_edge_litert, which is not installed")

    with pytest.raises(NoRuntimeError):
        verify(run, measure=absent)


def test_a_changed_reference_is_refused(run: Run) -> None:
    damage_byte(run.path / "export" / "reference.npz")
    with pytest.raises(UnfreezeError, match=r"reference\.npz"):
        verify(run)
