"""Configurations of Keras 2 that are not rebuilt: each is refused in one line that names what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import pytest

from toolkit.errors import UnfreezeError
from toolkit.untrusted.keras_file import read_model

Layer = dict[str, Any]
ENTRY: Layer = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 16, 16, 3], "name": "entry"}}


def stored_layer(kind: str, **config: Any) -> Layer:
    return {"class_name": kind, "config": {"name": kind.lower(), "trainable": True, "dtype": "float32"} | config}


def file_of(path: Path, layers: list[Layer], *, keras: str = "2.9.0") -> Path:
    """An HDF5 file of a Sequential, without weights."""
    config = {"class_name": "Sequential", "config": {"name": "odd", "layers": [ENTRY, *layers]}}
    return hdf5_of(path, config, keras)


def hdf5_of(path: Path, config: Any, keras: str = "2.9.0") -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(config), keras
        file.create_group("model_weights")
    return path


def called(kind: str, function: str, node: Any, **config: Any) -> Any:
    """A functional model that calls something of TensorFlow's."""
    layers = [
        ENTRY | {"name": "e", "inbound_nodes": []},
        {"class_name": kind, "config": {"function": function, **config}, "name": "f", "inbound_nodes": [node]},
    ]
    config = {"name": "odd", "layers": layers, "input_layers": [["e", 0, 0]], "output_layers": [["f", 0, 0]]}
    return {"class_name": "Functional", "config": config}


FUNCTION = "TFOpLambda"
REFUSED: dict[str, tuple[Any, str]] = {
    "Lambda": ([stored_layer("Lambda", function=["4wAA", None, None])], "class 'Lambda', which is none of the layers"),
    "custom": ([stored_layer("Custom>Mine")], "class 'Mine', which is none"),
    "TFSMLayer": ([stored_layer("TFSMLayer", filepath="/tmp/x")], "'TFSMLayer', which is none"),
    "StringLookup": ([stored_layer("StringLookup", vocabulary="/etc/passwd")], "'StringLookup', which is none"),
    "an argument": ([stored_layer("Conv2D", filters=2, kernel_size=3, odd=5)], "'conv2d' .*with odd=5, for which"),
    "groups": ([stored_layer("DepthwiseConv2D", kernel_size=3, groups=3)], "with groups=3, for which"),
    "virtual": ([stored_layer("BatchNormalization", virtual_batch_size=4)], "with virtual_batch_size=4, for which"),
    "activation": ([stored_layer("Dense", units=2, activation="os.system")], "the activation 'os.system'"),
    "activation with weights": (
        [stored_layer("Dense", units=2, activation=stored_layer("PReLU"))],
        "class 'PReLU', which is none",
    ),
    "terabytes": ([stored_layer("Dense", units=10**10)], "describes [0-9,]+ MB of weights and holds 0"),
    "a huge layer": ([stored_layer("UpSampling2D", size=[10**5, 10**5])], "gives [0-9,]+ numbers for an image"),
    "no class": ([{"config": {}}], "without a class"),
    "no layers": ({"class_name": "Sequential", "config": {}}, "no list of layers"),
    "subclass": ({"class_name": "MyModel", "config": {"name": "x"}}, "class 'MyModel', which is code of its own"),
    "function": (called(FUNCTION, "io.write_file", [["e", 0, 0, {"contents": "x"}]]), "calls tf.io.write_file"),
    "py_function": (called(FUNCTION, "py_function", [["e", 0, 0, {}]]), "calls tf.py_function"),
    "argument of a function": (called(FUNCTION, "cast", [["e", 0, 0, {"dtype": "float32", "odd": 1}]]), "with 'odd'"),
    "resize": (called(FUNCTION, "image.resize", [["e", 0, 0, {"size": [10**6, 10**6]}]]), "gives [0-9,]+ numbers"),
    "constants": (called(FUNCTION, "math.add", [["_CONSTANT_VALUE", -1, 1, {"y": 2}]]), "of constants only"),
    "text": (called(FUNCTION, "math.add", [["e", 0, 0, {"y": "x"}]]), "which is no number"),
    "slice": (called("SlicingOpLambda", "x", [["e", 0, 0, {"slice_spec": ["x"]}]]), "which is no whole number"),
    "another layer": (called(FUNCTION, "math.abs", [["g", 0, 0, {}]]), "of the layer 'g', which is not there"),
    "a circle": (called(FUNCTION, "math.abs", [["f", 0, 0, {}]]), "'f', whose input no layer gives"),
    "another output": (called(FUNCTION, "math.abs", [["e", 0, 7, {}]]), "of the layer 'e' that it does not give"),
    "node": (called("TensorFlowOpLayer", "", [["e", 0, 0, {}]], node_def={"op": "WriteFile"}), "of WriteFile"),
    "training": (called("Dropout", "", [["e", 0, 0, {"training": True}]], rate=0.5), "'f' with training=True"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_rebuilt_is_named(name: str, tmp_path: Path) -> None:
    stored, said = REFUSED[name]
    if name == "training":
        stored["config"]["layers"][1]["config"].pop("function")
    make = file_of if isinstance(stored, list) else hdf5_of
    path = make(tmp_path / "m.h5", stored)
    with pytest.raises(UnfreezeError, match=said) as error:
        read_model(path)
    assert str(error.value).startswith(str(path))
    assert str(error.value).isprintable()


def test_models_in_models_have_an_end(tmp_path: Path) -> None:
    inner = stored_layer("Flatten")
    for number in range(25):
        inner = {"class_name": "Sequential", "config": {"name": f"s{number}", "layers": [inner]}}
    with pytest.raises(UnfreezeError, match="models in models, more than 20 deep"):
        read_model(file_of(tmp_path / "m.h5", [inner]))


def test_a_long_chain_in_the_wrong_order(tmp_path: Path) -> None:
    """As files have them whose layers are called twice."""
    config = called(FUNCTION, "math.abs", [["e", 0, 0, {}]])
    entry, one = config["config"]["layers"]
    many = [one | {"name": f"f{n}", "inbound_nodes": [[[f"f{n - 1}" if n else "e", 0, 0, {}]]]} for n in range(200)]
    config["config"] |= {"layers": [entry, *many[::-1]], "output_layers": [["f199", 0, 0]]}
    model = read_model(hdf5_of(tmp_path / "m.h5", config))
    assert len(model.operations) == 201


def test_a_lambda_of_keras_3_in_hdf5(tmp_path: Path) -> None:
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [stored_layer("Lambda", function="x")]}}
    with pytest.raises(UnfreezeError, match=r"uses 'keras\.layers\.Lambda'"):
        read_model(hdf5_of(tmp_path / "m.h5", config, "3.5.0"))
