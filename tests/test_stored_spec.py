"""The model's own spec says its size and backbone; the run's settings may say others."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pytest

import unfreeze
from export.artefacts import read_manifest, read_reference
from export.foreign.adopt import adopt
from export.proof.verify import verify
from export.settings import ExportSettings, VerifySettings
from export.write import export
from export.write import finished as written_before
from tests.tiny import SETTINGS
from toolkit.errors import UnfreezeError
from toolkit.evaluation.evaluate_run import evaluate_folder, evaluate_run
from toolkit.models.spec import ModelSpec
from toolkit.run import Run, load_run
from toolkit.storage.files import read_json, write_json
from toolkit.training.stored_spec import AdoptedSpec, read_spec


@pytest.fixture
def other(finished: Run, tmp_path: Path) -> Run:
    """A run whose settings say another size and backbone than its model has; nothing is decoded at either size."""
    shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("cache", "export"))
    stored = read_json(tmp_path / "run" / "run.json")
    stored["settings"] |= {"image_size": 48, "backbone": "MobileNetV2", "alpha": 1.0}
    write_json(tmp_path / "run" / "run.json", stored)
    run = load_run(tmp_path / "run")
    assert run.settings.image_size == 48
    return run


def test_it_is_evaluated_at_its_own_size(other: Run, finished: Run, pictures: Path) -> None:
    assert evaluate_run(other).to_json() == {
        name: value for name, value in read_json(finished.path / "metrics.json").items() if name != "part"
    }
    assert evaluate_folder(other, pictures).to_json() == evaluate_folder(finished, pictures).to_json()


def test_it_is_exported_and_verified_at_its_own_size(other: Run, finished: Run) -> None:
    asked = ExportSettings(formats=["onnx"], precisions=["float32", "int8"])
    manifest = export(other, asked)
    assert manifest.failed == {}
    assert manifest.image_size == SETTINGS.image_size == 32
    assert manifest.description["input"]["shape"] == ["batch", 32, 32, 3]
    expected = read_reference(read_manifest(finished.path / "export")).probabilities
    np.testing.assert_array_equal(read_reference(manifest).probabilities, expected)
    assert written_before(other, asked) is not None
    (parity,) = verify(other, VerifySettings(threads=()), precisions=["float32"])
    assert parity.max_difference is not None
    assert parity.max_difference < 1e-4
    assert len(unfreeze.sensitivity(other.path, "model.onnx")) > 1


def test_the_spec_is_that_of_the_model(other: Run) -> None:
    spec = read_spec(other)
    assert isinstance(spec, ModelSpec)
    assert asdict(spec) == read_json(other.path / "model.json")["spec"]
    assert (spec.backbone, spec.image_size) == ("Tiny", 32)


def test_a_model_from_elsewhere_has_its_own_size(pictures: Path, tmp_path: Path) -> None:
    image = keras.Input((24, 24, 3), dtype="uint8")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(x))
    run = adopt(model, pictures, tmp_path / "run")
    elsewhere = Run(run.path, run.images, replace(run.settings, image_size=48))
    assert read_spec(elsewhere) == AdoptedSpec(24)
    evaluate_run(elsewhere)
    described = read_json(run.path / "model.json")
    write_json(run.path / "model.json", {name: value for name, value in described.items() if name != "image_size"})
    assert read_spec(run) == AdoptedSpec(24), "as an earlier version wrote it"


@pytest.mark.parametrize(
    "content",
    ["3", "[]", "{}", '{"spec": 7}', '{"spec": {"image_size": 32}}', '{"adopted": {}, "image_size": "x"}', "damaged"],
)
def test_a_damaged_file_is_told(content: str, other: Run) -> None:
    (other.path / "model.json").write_text(content)
    with pytest.raises(UnfreezeError, match=r"model\.json"):
        read_spec(other)


@pytest.mark.parametrize("size", ["x", 0, -1, True, 32.0, None])
def test_a_size_that_is_none_is_told(size: object, other: Run) -> None:
    described = read_json(other.path / "model.json")
    described["spec"]["image_size"] = size
    (other.path / "model.json").write_text(json.dumps(described))
    with pytest.raises(UnfreezeError, match=r"model\.json is damaged"):
        read_spec(other)
