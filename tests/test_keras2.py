"""Files of whole models that Keras 2 wrote: what is rebuilt answers as Keras 2 itself does (tf_keras, the oracle)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from toolkit.errors import UnfreezeError
from toolkit.untrusted.keras_file import read_model

MODELS = [
    *("plain", "teachable_machine", "one_logit", "sequential_without_a_shape", "transfer_learning", "partly_frozen"),
    *("preprocessing_of_caffe", "preprocessing_of_torch", "functions", "functions_named_as_layers"),
    *("operations_of_tensorflow_2_0", "shared_layers", "several_outputs_inside", "every_layer"),
    *("activations_inside_layers", "adapted_normalisation", "augmentation", "attention", "half_precision"),
    *("channels_first", "slashes_in_names", "compiled_and_fitted"),
]
pytestmark = pytest.mark.long
QUICK = ["MobileNetV2", "MobileNetV3Small"]
OTHERS = [
    *("MobileNet", "EfficientNetB0"),
    *("EfficientNetV2B0", "ResNet50", "ResNet50V2", "DenseNet121", "VGG16", "InceptionV3", "Xception"),
    *("NASNetMobile", "ConvNeXtTiny", "RegNetX002"),
]


def made(folder: Path, *names: str) -> Path:
    """The folder, with files of these models and their answers."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_USE", "KERAS"))}
    kept["TF_ENABLE_ONEDNN_OPTS"] = "1"  # off on some processors, and then NCHW cannot be convolved
    command = [sys.executable, "-m", "tests.keras2_models", str(folder), *names]
    root = Path(__file__).parents[1]
    ended = subprocess.run(command, cwd=root, env=kept, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("keras2"))


def check(folder: Path, name: str, suffix: str, atol: float = 1e-5) -> keras.Model:
    model = read_model(folder / f"{name}.{suffix}")
    oracle = np.load(folder / f"{name}.npz")
    answers = model(oracle["images"], training=False).numpy()
    assert answers.shape == oracle["answers"].shape
    assert oracle["answers"].std(0).max() > 20 * atol, "answers that hardly differ prove nothing"
    np.testing.assert_allclose(answers, oracle["answers"], atol=atol, rtol=1e-4)
    layers = [layer for layer in model._flatten_layers() if not isinstance(layer, keras.Model)]
    assert {layer.compute_dtype for layer in layers} == {"float32"}
    return model


def convolves_channels_first() -> bool:
    """Whether TensorFlow's kernels here take NCHW: those of oneDNN do, which it does not use on every processor."""
    try:
        tf.nn.conv2d(tf.zeros((1, 3, 4, 4)), tf.zeros((1, 1, 3, 2)), 1, "VALID", data_format="NCHW")
    except tf.errors.UnimplementedError:
        return False
    return True


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("name", MODELS)
def test_it_answers_as_keras_2_does(name: str, suffix: str, folder: Path) -> None:
    if not (folder / f"{name}.{suffix}").exists():
        assert (name, suffix) == ("preprocessing_of_caffe", "keras")
        return
    if name == "channels_first" and not convolves_channels_first():
        pytest.skip("on this processor TensorFlow convolves channels-last images alone")
    check(folder, name, suffix)


def test_the_suffix_does_not_matter(folder: Path, tmp_path: Path) -> None:
    for stored, name in {"plain.h5": "plain.keras", "plain.keras": "plain"}.items():
        shutil.copy(folder / stored, tmp_path / name)
        shutil.copy(folder / "plain.npz", tmp_path)
        oracle = np.load(folder / "plain.npz")
        answers = read_model(tmp_path / name)(oracle["images"], training=False)
        np.testing.assert_allclose(answers, oracle["answers"], atol=1e-5)


@pytest.mark.parametrize("name", ["teachable_machine", "functions", "shared_layers", "transfer_learning"])
def test_it_stays_the_same_where_it_is_saved_anew(name: str, folder: Path, tmp_path: Path) -> None:
    model = check(folder, name, "h5")
    model.save(tmp_path / f"{name}.keras")
    shutil.copy(folder / f"{name}.npz", tmp_path)
    check(tmp_path, name, "keras")


# HDF5 files of Keras 3


def network(policy: str = "float32") -> keras.Model:
    """With operations, which Keras 3 itself does not find again in such a file, and a model in the model."""
    layers = keras.layers
    keras.config.set_dtype_policy(policy)
    try:
        steps = [keras.Input((16, 16, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.DepthwiseConv2D(3)]
        inner, entry = keras.Sequential(steps, name="inner"), keras.Input((16, 16, 3))
        x = inner((layers.RandomFlip()(entry) / 127.5 - 1.0)[..., ::-1])
        x = layers.Add()([x, keras.ops.relu(x)])
        model = keras.Model(entry, layers.Dense(3, dtype="float32")(layers.GlobalAveragePooling2D()(x)))
    finally:
        keras.config.set_dtype_policy("float32")
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    inner.layers[0].trainable = False
    return model


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.filterwarnings("ignore:.*legacy:UserWarning")
def test_an_hdf5_file_of_keras_3(policy: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model, single = network(policy), network()
    single.set_weights(model.get_weights())
    model.save(tmp_path / "m.h5")
    images = np.random.default_rng(2).uniform(0, 255, (4, 16, 16, 3)).astype("float32")
    answers = single(images, training=False).numpy()
    assert answers.std(0).max() > 1e-3
    np.testing.assert_allclose(read_model(tmp_path / "m.h5")(images, training=False), answers, atol=1e-5)


# Weights


def edited(folder: Path, tmp_path: Path, name: str, change: Callable[[h5py.File], None]) -> Path:
    path = tmp_path / f"{name}.h5"
    shutil.copy(folder / f"{name}.h5", path)
    shutil.copy(folder / f"{name}.npz", tmp_path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def renamed(group: h5py.Group, names: dict[str, str]) -> None:
    """Give weights of a group other names, in the same order."""
    stored = [str(name) for name in group.attrs["weight_names"]]
    arrays = [group[name][()] for name in stored]
    for name in [*group]:
        del group[name]
    for name, array in zip(stored, arrays, strict=True):
        group[names.get(name, name)] = array
    group.attrs["weight_names"] = [names.get(name, name).encode() for name in stored]


def test_names_that_tensorflow_1_numbered(folder: Path, tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        group = file["model_weights/sequential_1"]
        renamed(group, {name: name.replace("/", "_1/", 1) for name in map(str, group.attrs["weight_names"])})

    check(edited(folder, tmp_path, "teachable_machine", change).parent, "teachable_machine", "h5")


def test_names_that_were_exchanged(folder: Path, tmp_path: Path) -> None:
    """Layers that were renamed after they were built: the order is right, one of the names is that of another layer."""

    def change(file: h5py.File) -> None:
        for old, new in {"dense/": "old/", "dense_1/": "dense/"}.items():
            for group in file["model_weights"].values():
                renamed(group, {name: name.replace(old, new) for name in map(str, group.attrs["weight_names"])})

    check(edited(folder, tmp_path, "plain", change).parent, "plain", "h5")


def _without(file: h5py.File) -> None:
    group = file["model_weights/conv2d"]
    del group["conv2d/bias:0"]
    group.attrs["weight_names"] = [b"conv2d/kernel:0"]


def _more(file: h5py.File) -> None:
    file["model_weights/conv2d/conv2d/more:0"] = np.zeros(3, "float32")


def _shape(file: h5py.File) -> None:
    del file["model_weights/conv2d/conv2d/bias:0"]
    file["model_weights/conv2d/conv2d/bias:0"] = np.zeros(3, "float32")


def _another_order(file: h5py.File) -> None:
    """Names of no layer, and an order in which two layers share the weights of one name."""
    group = file["model_weights/sequential_1"]
    names = [str(name) for name in group.attrs["weight_names"]]
    norms = [name for name in names if "bn_" in name]
    swapped = {name: f"other_{name}" for name in names}
    swapped[norms[0]], swapped[norms[2]] = swapped[norms[2]], swapped[norms[0]]
    renamed(group, swapped)


def _no_numbers(file: h5py.File) -> None:
    del file["model_weights/conv2d/conv2d/bias:0"]
    file["model_weights/conv2d/conv2d/bias:0"] = np.zeros(4, "complex64")


DAMAGES: dict[str, tuple[str, Callable[[h5py.File], None], str]] = {
    "a weight is missing": ("plain", _without, "has 1 weights for the layer 'conv2d', which takes 2"),
    "a weight is left over": ("plain", _more, "has the weights 'conv2d/conv2d/more:0', which no layer takes"),
    "another shape": ("plain", _shape, "weights for the layer 'conv2d'"),
    "another order": ("teachable_machine", _another_order, "weights for the layer 'sequential_1'"),
    "no numbers": ("plain", _no_numbers, "the weight 'bias' of the layer 'conv2d' in the dtype complex64"),
    "no weights": ("plain", lambda file: file.__delitem__("model_weights"), "holds weights without a model"),
    "theano": ("plain", lambda file: file.attrs.__setitem__("backend", "theano"), "made by Keras on theano"),
    "Keras 1": ("plain", lambda file: file.attrs.__setitem__("keras_version", "1.2.2"), "was made by Keras 1; open"),
    "no JSON": ("plain", lambda file: file.attrs.__setitem__("model_config", "{"), "cannot be loaded"),
    "many texts": ("plain", lambda file: file.attrs.__setitem__("model_config", ["{}"] * 9), "is not one text"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_weights_that_do_not_fit_are_named(name: str, folder: Path, tmp_path: Path) -> None:
    model, change, said = DAMAGES[name]
    path = edited(folder, tmp_path, model, change)
    with pytest.raises(UnfreezeError, match=said) as error:
        read_model(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_weights_alone(folder: Path, tmp_path: Path) -> None:
    read_model(folder / "plain.h5").save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(UnfreezeError, match=r"holds weights without a model; .*model.load_weights\('m.weights.h5'\)"):
        read_model(tmp_path / "m.weights.h5")


@pytest.mark.parametrize("kind", ["missing", "more", "another class"])
def test_weights_in_an_archive_that_do_not_fit(kind: str, folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(folder / "teachable_machine.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (tmp_path / "w.h5").write_bytes(members["model.weights.h5"])
    with h5py.File(tmp_path / "w.h5", "r+") as file:
        layers = file["layers/sequential/layers/functional/layers"]
        if kind == "missing":
            del layers["batch_normalization"]
        elif kind == "more":
            layers["conv2d/vars/1"] = np.zeros(6, "float32")
        else:
            layers.move("conv2d", "dense")
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"model.weights.h5": (tmp_path / "w.h5").read_bytes()}).items():
            archive.writestr(name, content)
    with pytest.raises(UnfreezeError, match=r"m\.keras has \d weights? for|has weights for"):
        read_model(path)


# The models that people have


def test_applications(tmp_path: Path) -> None:
    made(tmp_path, *QUICK)
    for name in QUICK:
        for suffix in ("h5", "keras"):
            check(tmp_path, name, suffix, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_applications(name: str, tmp_path: Path) -> None:
    made(tmp_path, name)
    for suffix in ("h5", "keras"):
        check(tmp_path, name, suffix, atol=2e-4)
