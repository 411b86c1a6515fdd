"""The starter backbone, and the pictures it was trained on."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toolkit.errors import UnfreezeError
from toolkit.models.spec import STARTER_MODEL, STARTER_SIZE, ModelSpec
from toolkit.models.weights import STARTER_FILE
from toolkit.settings import Settings

SPEC = ModelSpec(*STARTER_MODEL, STARTER_SIZE, classes=10, head_units=0, dropout=0.0, unfreeze=0)
SCRIPTS = Path(__file__).parents[1] / "scripts"


def test_the_file_holds_every_weight_of_the_backbone_and_is_small() -> None:
    import keras

    backbone = keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, include_top=False, weights=None)
    expected = {
        f"{layer.name}/{weight.name}": tuple(weight.shape) for layer in backbone.layers for weight in layer.weights
    }
    with np.load(STARTER_FILE, allow_pickle=False) as arrays:
        assert {name: arrays[name].shape for name in arrays} == expected
        assert {arrays[name].dtype for name in arrays} == {np.dtype("float16")}
        assert all(np.isfinite(arrays[name]).all() for name in arrays)
        assert all((arrays[name] > 0).all() for name in arrays if name.endswith("moving_variance"))
    assert STARTER_FILE.stat().st_size < 1e6


def test_a_model_gets_them_and_its_head_does_not() -> None:
    import keras

    from toolkit.models.build import build_model

    keras.utils.set_random_seed(0)
    random = build_model(SPEC)
    keras.utils.set_random_seed(0)
    model = build_model(SPEC, "starter")
    with np.load(STARTER_FILE, allow_pickle=False) as arrays:
        for layer in model.layers:
            for weight in layer.weights:
                if layer.name != "probabilities":
                    np.testing.assert_array_equal(weight, arrays[f"{layer.name}/{weight.name}"].astype(np.float32))
    for one, other in zip(model.layers[-1].get_weights(), random.layers[-1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_its_features_tell_digits_apart_far_better_than_random_ones() -> None:
    """On 400 digits to learn from and 400 others; scikit-learn's nearest neighbour on the pooled features."""
    import keras
    from sklearn.datasets import load_digits
    from sklearn.neighbors import KNeighborsClassifier

    from toolkit.models.build import build_model

    digits = load_digits()
    small = np.repeat(np.rint(digits.images[:800] * 15.9)[..., None], 3, axis=-1).astype(np.uint8)
    images = np.kron(small, np.ones((1, 12, 12, 1), np.uint8))
    shares = {}
    for weights in ("starter", "none"):
        model = build_model(SPEC, weights)
        features = keras.Model(model.input, model.get_layer("pool").output).predict(images, verbose=0)
        features = (features - features.mean(0)) / (features.std(0) + 1e-6)
        nearest = KNeighborsClassifier(1).fit(features[:400], digits.target[:400])
        shares[weights] = nearest.score(features[400:], digits.target[400:800])
    assert shares["starter"] > shares["none"] + 0.1, shares


@pytest.mark.parametrize(
    "change",
    [{"alpha": 0.5}, {"alpha": 1.0}, {"backbone": "MobileNet", "alpha": 0.5}, {"backbone": "VGG16", "alpha": 1.0}],
)
def test_another_backbone_is_refused(change: dict) -> None:
    settings = Settings(backbone=STARTER_MODEL[0], alpha=STARTER_MODEL[1], weights="starter")
    with pytest.raises(UnfreezeError, match=r"MobileNetV2, alpha 0\.35; got"):
        replace(settings, **change)


def test_without_its_alpha_too() -> None:
    with pytest.raises(UnfreezeError, match="the starter weights are those of MobileNetV2"):
        Settings(backbone="VGG16", weights="starter")


@pytest.fixture
def procedural(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    yield importlib.import_module("procedural")
    sys.modules.pop("procedural", None)


def test_a_hundred_classes_and_more_none_of_them_a_digit(procedural) -> None:
    assert len(set(procedural.CLASSES)) == len(procedural.CLASSES) >= 100
    assert not set("0123456789") & set(procedural.CLASSES)


def test_pictures_differ_repeat_and_are_drawn_in_every_class(procedural) -> None:
    for number in range(len(procedural.CLASSES)):
        first, again, other = (procedural.picture(number, 48, np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert first.shape == (48, 48, 3)
        assert first.dtype == np.uint8
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other), procedural.CLASSES[number]
        assert first.std() > 1, procedural.CLASSES[number]


@pytest.mark.slow
def test_the_script_writes_a_file_of_this_form(tmp_path: Path) -> None:
    import subprocess

    target = tmp_path / "made.npz"
    call = [sys.executable, SCRIPTS / "pretrain_starter.py", target, "--work", tmp_path / "w", "--count", "256"]
    subprocess.run([*call, "--epochs", "1"], check=True, env={"PYTHONPATH": str(SCRIPTS.parent)}, capture_output=True)
    with np.load(target, allow_pickle=False) as made, np.load(STARTER_FILE, allow_pickle=False) as shipped:
        assert {name: made[name].shape for name in made} == {name: shipped[name].shape for name in shipped}
