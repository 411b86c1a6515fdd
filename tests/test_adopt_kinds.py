"""Models from elsewhere of other kinds: of grey images, with a sigmoid for each class, with dicts, that compile
themselves; and data that has test images alone."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

import unfreeze
from export.foreign.verify import verify_foreign
from export.settings import Conversion, ExportSettings, VerifySettings
from tests.test_cli import typed
from toolkit.errors import UnfreezeError
from toolkit.pixels.decode import decode
from toolkit.pixels.grey import to_grey
from toolkit.run import Run, load_run
from toolkit.training.answers import probabilities
from toolkit.training.batches import load_part
from toolkit.training.model_file import load_model
from toolkit.untrusted.keras_file import read_model

SIZE = 32
layers = keras.layers
FLOAT32 = ExportSettings(precisions=["float32"])


def network(
    shape: tuple[int, ...] = (SIZE, SIZE, 3),
    activation: str | None = "softmax",
    dtype: str = "float32",
    levels: bool = False,
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Input and output of two convolutions. `levels`: whether it takes 0..255."""
    entry = keras.Input(shape, dtype=dtype, name="image")
    x = layers.Rescaling(1 / 255)(entry) if levels else entry
    x = layers.Permute((2, 3, 1))(x) if shape[0] < 4 else x
    x = layers.Reshape((SIZE, SIZE, 1))(x) if len(shape) == 2 else x
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(layers.Conv2D(6, 3, strides=2, activation="relu")(x))
    return entry, layers.Dense(2, activation=activation)(layers.GlobalMaxPooling2D()(x))


def photographs(run: Run, part: str = "val") -> np.ndarray:
    """uint8 [n, S, S, 3]: a part of the files, without the code under test."""
    images = run.images.select(part)
    return np.stack([decode((images.root / path).read_bytes(), SIZE) for path in images.paths])


def answers(run: Run, part: str = "val") -> np.ndarray:
    return probabilities(load_model(run), load_part(run, part).images)


def exported(run: Run) -> None:
    """All float32 files answer as the run's model."""
    manifest = unfreeze.export(run.path, FLOAT32)
    assert manifest.failed == {}
    parities = unfreeze.verify(run.path, VerifySettings(threads=()))
    assert [parity.artefact.name for parity in parities if parity] == ["saved_model", "model.tflite", "model.onnx"]
    assert max(parity.max_difference or 0.0 for parity in parities) < 1e-5


# Grey images


def test_grey_is_pillows() -> None:
    steps = np.arange(0, 256, 5, dtype=np.uint8)
    every = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, steps.size, 3)
    pixels = np.concatenate([every, np.random.default_rng(0).integers(0, 256, every.shape, np.uint8)])
    np.testing.assert_array_equal(to_grey(pixels)[..., 0], np.asarray(Image.fromarray(pixels).convert("L")))


def grey_to_the_bit(run: Run) -> None:
    """The layers before the model's own give the numbers that Pillow gives."""
    model = load_model(run)
    at = next(one for one in model.operations if one.name == "floor" or "floor" in one.name)
    pixels = np.random.default_rng(1).integers(0, 256, (8, SIZE, SIZE, 3), np.uint8)
    got = keras.Model(model.input, at.output)(pixels).numpy()
    grey = np.stack([np.asarray(Image.fromarray(one).convert("L")) for one in pixels])
    np.testing.assert_array_equal(got[..., 0], grey)


@pytest.mark.parametrize(
    ("shape", "pixels", "dtype"),
    [
        ((SIZE, SIZE, 1), "0..255", "float32"),
        ((SIZE, SIZE, 1), "-1..1", "float32"),
        ((SIZE, SIZE), "0..1", "float32"),
        ((1, SIZE, SIZE), "0..1", "float32"),
        ((SIZE, SIZE, 1), "0..255", "uint8"),
    ],
    ids=str,
)
def test_a_model_of_grey_images(
    shape: tuple[int, ...], pixels: str, dtype: str, pictures: Path, tmp_path: Path
) -> None:
    model = keras.Model(*network(shape, dtype=dtype, levels=pixels == "0..255"))
    run = unfreeze.adopt(model, pictures, tmp_path / "run", pixels=pixels)
    grey = np.stack([np.asarray(Image.fromarray(one).convert("L"), np.float32) for one in photographs(run)])
    scaled = {"0..255": grey, "0..1": grey / 255, "-1..1": grey / 127.5 - 1}[pixels]
    expected = model(scaled.reshape(-1, *shape).astype(dtype)).numpy()
    assert expected.std(0).max() > 1e-3
    np.testing.assert_allclose(answers(run), expected, atol=1e-5)
    grey_to_the_bit(run)
    assert json.loads((run.path / "model.json").read_text())["adopted"]["grey"] is True


@pytest.mark.long
def test_files_of_a_grey_model(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keras.Model(*network((SIZE, SIZE, 1))).save(tmp_path / "m.keras")
    code, out, _ = typed(capsys, "adopt", tmp_path / "m.keras", pictures, tmp_path / "run", "--pixels", "0..1")
    assert code == 0
    assert "takes 32 px grey, 0..1; gives probabilities" in out
    exported(load_run(tmp_path / "run"))


@pytest.mark.parametrize("pixels", ["imagenet", "caffe"])
def test_grey_has_no_range_of_three_channels(pixels: str, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UnfreezeError, match="no pixel range of three channels; give another than"):
        unfreeze.adopt(keras.Model(*network((SIZE, SIZE, 1))), pictures, tmp_path / "run", pixels=pixels)


# A sigmoid for each class


@pytest.mark.long
def test_a_sigmoid_for_each_class(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = keras.Model(*network(activation="sigmoid"))
    model.save(tmp_path / "m.keras")
    code, out, _ = typed(capsys, "adopt", tmp_path / "m.keras", pictures, tmp_path / "run", "--pixels", "0..1")
    assert code == 0
    assert "gives a sigmoid for each class, divided by their sum" in out
    run = load_run(tmp_path / "run")
    sigmoids = model(photographs(run) / np.float32(255)).numpy()
    assert np.abs(sigmoids.sum(1) - 1).max() > 1e-3
    np.testing.assert_allclose(answers(run), sigmoids / sigmoids.sum(1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(answers(run).argmax(1), sigmoids.argmax(1))
    adopted = json.loads((run.path / "model.json").read_text())["adopted"]
    assert (adopted["answers"], adopted["logits"]) == ("sigmoids", False)
    unfreeze.evaluate(run.path)
    exported(run)
    assert unfreeze.export(run.path, ExportSettings(precisions=["float16"])).failed == {}
    unfreeze.report(run.path)
    assert "from sigmoids to probabilities" in (run.path / "report.md").read_text()


def test_sigmoids_too_small_for_a_float_are_numbers(pictures: Path, tmp_path: Path) -> None:
    entry, x = network(activation="sigmoid")
    model = keras.Model(entry, x)
    model.layers[-1].set_weights([np.zeros((8, 2)), np.array([-200.0, -200.0])])
    run = unfreeze.adopt(model, pictures, tmp_path / "run")
    assert np.isfinite(answers(run)).all()


# Structures


def structures() -> dict[str, Any]:
    def made(entry: Any, out: Any) -> keras.Model:
        return keras.Model(entry, out, name="structured")

    return {
        "dict out": lambda one, other: made(one, {"probs": other}),
        "dict in": lambda one, other: made({"image": one}, other),
        "dict in and out": lambda one, other: made({"image": one}, {"probs": other}),
        "lists": lambda one, other: made([one], [other]),
    }


@pytest.mark.parametrize("kind", structures())
@pytest.mark.parametrize("activation", ["softmax", None])
def test_an_input_or_output_in_a_dict(kind: str, activation: str | None, pictures: Path, tmp_path: Path) -> None:
    entry, x = network(activation=activation)
    plain, model = keras.Model(entry, x), structures()[kind](entry, x)
    run = unfreeze.adopt(model, pictures, tmp_path / "run", pixels="0..1")
    raw = plain(photographs(run) / np.float32(255)).numpy()
    expected = raw if activation else np.exp(raw) / np.exp(raw).sum(1, keepdims=True)
    np.testing.assert_allclose(answers(run), expected, atol=1e-5)


def test_a_dict_inside_a_model(pictures: Path, tmp_path: Path) -> None:
    entry, x = network()
    inner = keras.Model({"image": entry}, {"probs": x}, name="inner")
    outer = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(outer, inner({"image": outer})["probs"])
    run = unfreeze.adopt(model, pictures, tmp_path / "run", pixels="0..1")
    np.testing.assert_allclose(answers(run), model(photographs(run) / np.float32(255)), atol=1e-5)


@pytest.mark.long
def test_a_dict_as_reference(pictures: Path, tmp_path: Path) -> None:
    entry, x = network()
    keras.Model({"image": entry}, {"probs": x}).save(tmp_path / "m.keras")
    keras.Model(entry, x).export(tmp_path / "saved", verbose=False)
    settings = VerifySettings(threads=(), margin=50.0)
    how = {"conversion": Conversion("0..1"), "settings": settings}
    (parity,) = verify_foreign(tmp_path / "m.keras", [tmp_path / "saved"], pictures, **how)
    assert parity.max_difference is not None
    assert parity.max_difference < 1e-5


# Models that compile themselves


class CompilesItself(keras.Model):
    """A functional model of a class of its own, which compiles itself when it is made, as KerasHub's do."""

    def __init__(self, units: int = 2, **kwargs: Any) -> None:
        entry, x = network()
        super().__init__(entry, x, **kwargs)
        self.units = units
        self.compile()

    def compile(self, optimizer: Any = "auto", loss: Any = "auto", **kwargs: Any) -> None:
        optimizer = keras.optimizers.Adam(5e-5) if optimizer == "auto" else optimizer
        loss = keras.losses.SparseCategoricalCrossentropy() if loss == "auto" else loss
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> CompilesItself:
        return cls(**config)


@pytest.fixture
def registered() -> Iterator[None]:
    keras.saving.register_keras_serializable("tests")(CompilesItself)
    yield
    keras.saving.get_custom_objects().pop("tests>CompilesItself")


def test_a_model_that_compiles_itself(registered: None, pictures: Path, tmp_path: Path) -> None:
    model = CompilesItself()
    assert model.optimizer is not None
    run = unfreeze.adopt(model, pictures, tmp_path / "run", pixels="0..1")
    np.testing.assert_allclose(answers(run), model(photographs(run) / np.float32(255)), atol=1e-5)
    assert CompilesItself.compile.__qualname__ == "CompilesItself.compile"  # it was put back
    path = _too_large(model, tmp_path)
    with pytest.raises(UnfreezeError, match="MB of weights and holds"):
        read_model(path)


def _too_large(model: keras.Model, tmp_path: Path) -> Path:
    """The same weights with a configuration of terabytes, which is refused while a class is registered, too."""
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d", "units": 10**10}}
    entry = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, SIZE, SIZE, 3]}}
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [entry, dense]}}
    with zipfile.ZipFile(tmp_path / "large.keras", "w") as archive:
        for name, content in (members | {"config.json": json.dumps(config).encode()}).items():
            archive.writestr(name, content)
    return tmp_path / "large.keras"


@pytest.mark.filterwarnings("ignore")
def test_a_classifier_of_keras_hub(pictures: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("keras_hub")
    backbone = hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(SIZE, SIZE, 3),
    )
    converter = hub.layers.ResNetImageConverter(scale=1 / 255, image_size=(SIZE, SIZE))
    preprocessor = hub.models.ResNetImageClassifierPreprocessor(converter)
    model = hub.models.ResNetImageClassifier(
        backbone=backbone, preprocessor=preprocessor, num_classes=2, activation="softmax"
    )
    run = unfreeze.adopt(model, pictures, tmp_path / "run", pixels="0..1")
    assert model.preprocessor is preprocessor
    expected = model(photographs(run) / np.float32(255), training=False)
    np.testing.assert_allclose(answers(run), expected, atol=1e-5)


# Test images alone


@pytest.mark.long
def test_data_that_has_test_images_alone(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(pictures, tmp_path / "data" / "test")
    model, run = keras.Model(*network()), tmp_path / "run"
    model.save(tmp_path / "m.keras")
    code, out, err = typed(capsys, "adopt", tmp_path / "m.keras", tmp_path / "data", run, "--pixels", "0..1")
    assert code == 0, err
    assert "0 train, 0 val, 40 test" in out
    assert "test accuracy" in out
    assert "int8 and int16x8 files need training images" in out
    code, out, err = typed(capsys, "evaluate", run)
    assert code == 0, err
    own = load_run(run)
    right = model(photographs(own, "test") / np.float32(255)).numpy().argmax(1) == own.images.select("test").labels
    assert json.loads((run / "metrics.json").read_text())["accuracy"] == right.mean()
    adopted = json.loads((run / "model.json").read_text())["adopted"]
    assert adopted["test_accuracy"] == right.mean()
    code, _, err = typed(capsys, "export", run, "--formats", "saved_model,tflite,onnx")
    assert code == 1
    failed = json.loads((run / "export" / "manifest.json").read_text())["failed"]
    assert {name: why for name, why in failed.items() if "adopt the model into a new run" not in why} == {}
    assert sorted(failed) == ["model_int8.onnx", "model_int8.tflite"]
    code, _, err = typed(capsys, "verify", run, "--threads", "1")
    assert code == 1
    assert err.strip().endswith("error: model_int8.tflite, model_int8.onnx could not run")
    code, _, err = typed(capsys, "report", run)
    assert code == 0, err
    code, out, err = typed(capsys, "predict", run, pictures / "dots" / "000.jpg")
    assert code == 0, err


def test_to_train_on_test_images_is_refused_as_before(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "data" / "test")
    with pytest.raises(UnfreezeError, match="no train/ with a sub-folder per class"):
        unfreeze.scan(tmp_path / "data")
    shutil.move(tmp_path / "data" / "test", tmp_path / "data" / "val")
    with pytest.raises(UnfreezeError, match="has val/ but no train/"):
        unfreeze.adopt(keras.Model(*network()), tmp_path / "data", tmp_path / "run")
