"""Models from elsewhere become runs: what the model says by itself is what the run, and its artefacts, say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
from scipy.special import expit, softmax

import unfreeze
from export.settings import ExportSettings, VerifySettings
from tests.test_cli import typed
from toolkit.errors import UnfreezeError
from toolkit.pixels.decode import decode
from toolkit.pixels.pixel_range import NAMED
from toolkit.run import Run
from toolkit.training.answers import probabilities
from toolkit.training.batches import load_part
from toolkit.training.model_file import load_model

SIZE = 32
layers = keras.layers


def network(units: int = 2, activation: str | None = None, *, nested: bool = True, name: str = "own") -> keras.Model:
    """Floats -> logits. Nested, with layers of one name in both models, and with a layer that augments."""
    inner = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(8, 3, strides=2, activation="relu", name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Conv2D(12, 3, strides=2, activation="relu", name="image"),
        ],
        name="features",
    )
    x = entry = keras.Input((SIZE, SIZE, 3), name="photograph")
    x = layers.RandomFlip(name="flip")(x)
    x = inner(x, training=True) if nested else inner(x)
    x = layers.Conv2D(8, 3, name="first")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(entry, layers.Dense(units, activation=activation, name="probabilities")(x), name=name)
    norm = inner.get_layer("norm")
    rng = np.random.default_rng(0)
    norm.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in norm.get_weights()])
    return model


def own_answers(
    model: keras.Model, run: Run, scale: Callable[[np.ndarray], np.ndarray], part: str = "val"
) -> np.ndarray:
    """What the model says of a part of the files, without the code under test."""
    images = run.images.select(part)
    pixels = np.stack([decode((images.root / path).read_bytes(), SIZE) for path in images.paths])
    return model(scale(pixels.astype(np.float64)).astype(np.float32), training=False).numpy()


@pytest.fixture(scope="module")
def trained(pictures: Path) -> keras.Model:
    """Takes -1..1, gives logits, and has learned stripes and dots, in the other order than their names'."""
    keras.utils.set_random_seed(1)
    model = network(nested=False)
    files = sorted(pictures.rglob("*.jpg"))
    images = np.stack([decode(file.read_bytes(), SIZE) for file in files]) / 127.5 - 1
    labels = np.array([file.parent.name == "dots" for file in files], np.int32)  # stripes 0, dots 1
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images.astype(np.float32), labels, batch_size=8, epochs=25, verbose=0)
    return model


def test_a_model_of_logits_is_adopted_exported_and_verified(
    trained: keras.Model, pictures: Path, tmp_path: Path
) -> None:
    run = unfreeze.adopt(trained, pictures, tmp_path / "run", pixels="-1..1", labels=["stripes", "dots"])
    assert run.images.class_names == ("stripes", "dots")
    logits = own_answers(trained, run, lambda pixels: pixels / 127.5 - 1, "test")
    evaluation = unfreeze.evaluate(tmp_path / "run")
    assert evaluation.accuracy == np.mean(logits.argmax(1) == run.images.select("test").labels)
    assert evaluation.accuracy > 0.8
    manifest = unfreeze.export(tmp_path / "run", ExportSettings(precisions=["float32"]))
    assert manifest.failed == {}
    parities = unfreeze.verify(tmp_path / "run", VerifySettings(threads=(), layers=True))
    assert [parity.artefact.name for parity in parities if parity] == ["saved_model", "model.tflite", "model.onnx"]
    found = parities[2].divergence
    assert found is not None
    assert found.compared >= 4  # the layers of the nested model are there to be compared
    assert found.layer == ""
    session = onnxruntime.InferenceSession(tmp_path / "run" / "export" / "model.onnx")
    pixels = load_part(run, "test").images
    np.testing.assert_allclose(session.run(None, {"image": np.asarray(pixels)})[0], softmax(logits, 1), atol=1e-5)
    answered = next(unfreeze.predict(tmp_path / "run", pictures / "dots" / "000.jpg"))
    assert set(answered.probabilities or ()) == {"stripes", "dots"}
    assert answered.answer == "dots"


def test_the_wrong_pixels_or_labels_show_in_the_accuracy(trained: keras.Model, pictures: Path, tmp_path: Path) -> None:
    def accuracy(name: str, **how: str | list[str]) -> float:
        run = unfreeze.adopt(trained, pictures, tmp_path / name, **how)  # type: ignore[arg-type]
        adopted = json.loads((run.path / "model.json").read_text())["adopted"]
        return float(adopted["val_accuracy"])

    right = accuracy("right", pixels="-1..1", labels=["stripes", "dots"])
    assert accuracy("labels", pixels="-1..1") == pytest.approx(1 - right)
    assert accuracy("pixels", pixels="0..255", labels=["stripes", "dots"]) < right


@pytest.mark.parametrize("pixels", NAMED)
def test_every_range_of_pixels(pixels: str, pictures: Path, tmp_path: Path) -> None:
    """Against `keras.applications`' own functions where it has one."""
    from keras.applications.imagenet_utils import preprocess_input

    oracles: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "0..255": lambda image: image,
        "0..1": lambda image: image / 255,
        "-1..1": lambda image: preprocess_input(image.copy(), mode="tf"),
        "imagenet": lambda image: preprocess_input(image.copy(), mode="torch"),
        "caffe": lambda image: preprocess_input(image.copy(), mode="caffe"),
    }
    keras.utils.set_random_seed(2)
    model = network(activation="softmax")
    run = unfreeze.adopt(model, pictures, tmp_path / "run", pixels=pixels)
    got = probabilities(load_model(run), load_part(run, "val").images)
    np.testing.assert_allclose(got, own_answers(model, run, oracles[pixels]), atol=1e-4)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_number_is_the_second_class(activation: str | None, pictures: Path, tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    model = network(1, activation)
    run = unfreeze.adopt(model, pictures, tmp_path / "run", pixels="0..1")
    raw = own_answers(model, run, lambda image: image / 255)
    second = raw if activation else expit(raw)
    got = probabilities(load_model(run), load_part(run, "val").images)
    np.testing.assert_allclose(got, np.concatenate([1 - second, second], axis=1), atol=1e-5)


def test_the_graph_is_flat_and_the_persons_model_stays_as_it_is(pictures: Path, tmp_path: Path) -> None:
    keras.utils.set_random_seed(4)
    model = network()
    before = [layer.name for layer in model.layers], [weight.copy() for weight in model.get_weights()]
    run = unfreeze.adopt(model, pictures, tmp_path / "run")
    whole = load_model(run)
    assert not [layer for layer in whole.layers if isinstance(layer, keras.Model)]
    assert len({layer.name for layer in whole.layers}) == len(whole.layers)
    assert [layer.name for layer in model.layers] == before[0]
    assert all(np.array_equal(one, other) for one, other in zip(model.get_weights(), before[1], strict=True))
    image = np.asarray(load_part(run, "val").images[:2])
    once, again = (whole(image).numpy() for _ in range(2))
    np.testing.assert_array_equal(once, again)  # without being told, nothing augments


HALVES = ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"]


def half(policy: str, model: keras.Model) -> keras.Model:
    """The same model with another policy, by Keras' own way: with the policy set where it is built. Its weights are
    those numbers that half precision can say, so that both compute the same function."""
    keras.config.set_dtype_policy(policy)
    try:
        copy = network(activation="softmax", name="half")
    finally:
        keras.config.set_dtype_policy("float32")
    copy.set_weights(model.get_weights())
    model.set_weights([np.asarray(weight, np.float32) for weight in copy.get_weights()])
    return copy


@pytest.mark.parametrize("policy", HALVES)
def test_half_precision_becomes_single(policy: str, pictures: Path, tmp_path: Path) -> None:
    """The run answers as the same model does that was built in float32."""
    single = network(activation="softmax")
    run = unfreeze.adopt(half(policy, single), pictures, tmp_path / "run", pixels="0..1")
    whole = load_model(run)
    assert {layer.compute_dtype for layer in whole.layers} <= {"float32", "uint8"}
    assert {weight.dtype for weight in whole.weights} == {"float32"}
    got = probabilities(whole, load_part(run, "val").images)
    np.testing.assert_allclose(got, own_answers(single, run, lambda image: image / 255), atol=1e-5)


def test_a_layer_that_is_used_twice_stays_one(pictures: Path, tmp_path: Path) -> None:
    entry, conv = keras.Input((SIZE, SIZE, 3)), layers.Conv2D(3, 3, padding="same", name="twice")
    x = layers.GlobalAveragePooling2D()(conv(conv(entry)))
    model = keras.Model(entry, layers.Dense(2, activation="softmax")(x))
    run = unfreeze.adopt(model, pictures, tmp_path / "run", pixels="0..1")
    assert [layer.name for layer in load_model(run).layers].count("twice") == 1
    got = probabilities(load_model(run), load_part(run, "val").images)
    np.testing.assert_allclose(got, own_answers(model, run, lambda image: image / 255), atol=1e-5)


def _dense(shape: tuple, units: int, activation: str | None = "softmax") -> keras.Model:
    entry = keras.Input(shape)
    return keras.Model(entry, layers.Dense(units, activation=activation)(layers.Flatten()(entry)), name="odd")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda: _dense((32, 24, 3), 2), "must take square ones"),
        (lambda: _dense((32, 32, 3), 5), "gives 5 classes and"),
    ],
    ids=["not square", "five classes"],
)
def test_what_cannot_be_adopted(model: Callable[[], keras.Model], said: str, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UnfreezeError, match=said) as error:
        unfreeze.adopt(model(), pictures, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "model.keras").exists()


def test_a_lambda_of_a_stranger_is_not_run(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = keras.Input((SIZE, SIZE, 3))
    x = layers.Lambda(lambda image: image / 255)(entry)
    path = tmp_path / "model.keras"
    keras.Model(entry, layers.Dense(2)(layers.GlobalAveragePooling2D()(x))).save(path)
    code, _, err = typed(capsys, "adopt", path, pictures, tmp_path / "run")
    assert code == 2
    assert err.splitlines()[-1].startswith(f"error: {path} uses 'keras.layers.Lambda'")
    assert not (tmp_path / "run").exists()


def test_as_it_is_typed(
    trained: keras.Model, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained.save(tmp_path / "own.keras")
    (tmp_path / "labels.txt").write_text("stripes\ndots\n")
    how = ("--pixels", "-1..1", "--labels", tmp_path / "labels.txt")
    code, out, err = typed(capsys, "adopt", tmp_path / "own.keras", pictures, tmp_path / "run", *how)
    assert code == 0, err
    assert "stripes, dots" in out
    assert "logits" in out
    assert f"next: unfreeze evaluate {tmp_path / 'run'}" in err
    code, out, _ = typed(capsys, "adopt", tmp_path / "own.keras", pictures, tmp_path / "run", *how, "--json")
    assert json.loads(out)["class_names"] == ["stripes", "dots"]
    assert typed(capsys, "evaluate", tmp_path / "run")[0] == 0
    code, _, err = typed(capsys, "tune", pictures, tmp_path / "run", "--weights", "none")
    assert code == 2
    assert "holds a model that was adopted" in err
    shutil.rmtree(tmp_path / "run" / "export", ignore_errors=True)
    code, _, err = typed(capsys, "adopt", tmp_path / "nowhere.keras", pictures, tmp_path / "run2")
    assert code == 2
    assert "nowhere.keras does not exist" in err
