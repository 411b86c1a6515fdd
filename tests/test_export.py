from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from export.artefacts import digest, read_manifest, read_reference
from export.tflite_metadata import read_description
from export.write import export
from toolkit.data import load_part
from toolkit.errors import UnfreezeError
from toolkit.run import Run
from toolkit.train import load_model


@pytest.fixture
def folder(finished: Run) -> Path:
    return finished.path / "export"


@pytest.fixture
def images(finished: Run) -> np.ndarray:
    return np.asarray(load_part(finished, "test").images)


@pytest.fixture
def expected(finished: Run, images: np.ndarray) -> np.ndarray:
    return load_model(finished)[0].predict(images, verbose=0)


def test_the_manifest_says_what_is_there(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert {a.name: a.format for a in manifest.artefacts} == {
        "saved_model": "saved_model",
        "model.tflite": "tflite",
        "model.onnx": "onnx",
    }
    for artefact in manifest.artefacts:
        assert digest(folder / artefact.name) == artefact.sha256
    assert manifest.artefacts[2].bytes == (folder / "model.onnx").stat().st_size
    assert (folder / "labels.txt").read_text().split() == ["dots", "stripes"]


def test_the_reference_is_the_models_answers(folder: Path, finished: Run, expected: np.ndarray) -> None:
    reference = read_reference(read_manifest(folder))
    np.testing.assert_allclose(reference.probabilities, expected, atol=1e-6)
    assert reference.paths == finished.images.select("test").paths


def test_onnx_by_onnxruntime_alone(folder: Path, images: np.ndarray, expected: np.ndarray) -> None:
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    (entry,), (result,) = session.get_inputs(), session.get_outputs()
    assert (entry.name, entry.type, entry.shape) == ("image", "tensor(uint8)", ["batch", 32, 32, 3])
    assert (result.name, result.type, result.shape) == ("probabilities", "tensor(float)", ["batch", 2])
    for count in (1, 3, len(images)):
        (answer,) = session.run(None, {"image": images[:count]})
        np.testing.assert_allclose(answer, expected[:count], atol=1e-5)
    description = json.loads(session.get_modelmeta().custom_metadata_map["unfreeze"])
    assert description["class_names"] == ["dots", "stripes"]


def test_tflite_by_litert_alone(folder: Path, images: np.ndarray, expected: np.ndarray) -> None:
    runner = Interpreter(str(folder / "model.tflite")).get_signature_runner("serve")
    for count in (1, 3):
        answer = runner(image=images[:count])["probabilities"]
        np.testing.assert_allclose(answer, expected[:count], atol=1e-5)


def test_saved_model_by_tensorflow_alone(folder: Path, images: np.ndarray, expected: np.ndarray) -> None:
    loaded = tf.saved_model.load(str(folder / "saved_model"))
    answer = loaded.signatures["serve"](image=tf.constant(images))["probabilities"]
    np.testing.assert_allclose(answer.numpy(), expected, atol=1e-5)


def test_each_artefact_describes_itself(folder: Path) -> None:
    onnx = onnxruntime.InferenceSession(folder / "model.onnx").get_modelmeta().custom_metadata_map["unfreeze"]
    beside = json.loads((folder / "saved_model" / "unfreeze.json").read_text())
    inside = read_description((folder / "model.tflite").read_bytes())
    assert json.loads(onnx) == beside == inside == read_manifest(folder).description
    assert beside["input"]["shape"] == ["batch", 32, 32, 3]
    assert beside["input"]["resize"].startswith("bilinear, no antialias")


def test_the_tflite_file_carries_labels_and_the_metadata_that_other_readers_expect(folder: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    content = (folder / "model.tflite").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode().split() == ["dots", "stripes"]
    model = schema.Model.GetRootAsModel(content, 0)
    entries = [model.Metadata(n) for n in range(model.MetadataLength())]
    (entry,) = [entry for entry in entries if entry.Name() == b"TFLITE_METADATA"]
    assert bytes(model.Buffers(entry.Buffer()).DataAsNumpy())[4:8] == b"M001"


def test_only_the_formats_asked_for(finished: Run, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(finished.path, tmp_path / "run")
    run = Run(tmp_path / "run", finished.images, finished.settings)
    before = {artefact.name: artefact for artefact in read_manifest(run.path / "export").artefacts}
    after = {artefact.name: artefact for artefact in export(run, formats=("tflite",)).artefacts}
    assert after == before  # TFLite's bytes repeat, and the others were left alone
    with (run.path / "model.keras").open("ab") as file:
        file.write(b"another model")
    export(run, formats=("tflite",))
    names = sorted(path.name for path in (run.path / "export").iterdir())
    assert names == ["labels.txt", "manifest.json", "model.tflite", "reference.npz"]


def test_an_export_that_cannot_be_done_leaves_the_last_one(finished: Run, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("cache"))
    gone = replace(finished.images, root=tmp_path / "gone")
    with pytest.raises(UnfreezeError, match="cannot be read any more"):
        export(Run(tmp_path / "run", gone, finished.settings))
    assert len(read_manifest(tmp_path / "run" / "export").artefacts) == 3


@pytest.mark.parametrize(
    "content", ["", "{", "{}", "[]", '{"artefacts": [{}]}', '{"artefacts": [], "description": {}}']
)
def test_a_damaged_manifest_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UnfreezeError, match=r"manifest\.json"):
        read_manifest(tmp_path)
