"""Models and runs of strangers: nothing of theirs is executed, read or written elsewhere, and each has one line.

Keras, onnxruntime and LiteRT refuse some of these themselves: that is held here too, for a later release may not.
"""

from __future__ import annotations

import ast
import ctypes
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import toolkit
from tests.test_cli import typed
from toolkit.errors import UnfreezeError
from toolkit.run import Run

ROOT = Path(__file__).parents[1]
SIZE = 8
KERNEL = "layers/conv2d/vars/0"
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Members:
    """What is in a harmless .keras file."""
    import keras

    layers, path = keras.layers, tmp_path_factory.mktemp("good") / "model.keras"
    entry = keras.Input((SIZE, SIZE, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(entry))
    keras.Model(entry, layers.Dense(2, activation="softmax")(x)).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, members: Members, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def with_layer(members: Members, **other: Any) -> Members:
    """The convolution becomes another object, or is given other settings."""
    config = json.loads(members["config.json"])
    layer = config["config"]["layers"][1]
    layer["config"] |= other.pop("config", {})
    return members | {"config.json": json.dumps(config | {"x": layer.update(other)}).encode()}


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line with which a command ends."""
    code, out, err = typed(capsys, *arguments)
    assert code == 2, err
    assert out == ""
    lines = [line for line in err.splitlines() if line.strip()]
    assert lines[-1].startswith("error: ")
    assert sum("error" in line.lower() for line in lines) == 1
    assert lines[-1].isprintable()
    return lines[-1]


def function(module: str, name: str) -> dict[str, str]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


CALLS = {  # module, name: some would run code, some download or write, some leave a state behind
    "os.system": ("os", "system"),
    "eval": ("builtins", "eval"),
    "get_file": ("keras.utils", "get_file"),  # CVE-2025-8747
    "the same, by another path": ("keras.src.utils.file_utils", "get_file"),
    "unsafe": ("keras.config", "enable_unsafe_deserialization"),  # CVE-2025-9906
    "load_data": ("keras.datasets.mnist", "load_data"),
    "MobileNetV2": ("keras.applications.mobilenet_v2", "MobileNetV2"),
    "plot_model": ("keras.utils", "plot_model"),
    "set_floatx": ("keras.config", "set_floatx"),
    "deserialize": ("keras.activations", "deserialize"),
}
LAYERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "another module": ("evil", "Layer", {}),  # CVE-2025-1550
    "Popen": ("subprocess", "Popen", {"args": "id"}),
    "Lambda": ("keras.layers", "Lambda", {"function": {"class_name": "__lambda__", "config": {"code": "4wAA"}}}),
    "Lambda of Keras": ("keras.layers", "Lambda", {"function": function("keras.ops", "relu")}),
    "Lambda, private": ("keras.src.layers.core.lambda_layer", "Lambda", {}),
    "Lambda, before Keras 3": (None, "Lambda", {}),  # type: ignore[dict-item]
    "TFSMLayer": ("keras.layers", "TFSMLayer", {"filepath": "/tmp/saved"}),
    "TorchModuleWrapper": ("keras.layers", "TorchModuleWrapper", {"module": "gASV"}),
    "vocabulary": ("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),  # CVE-2025-12058
    "vocabulary of a URL": ("keras.layers", "IntegerLookup", {"vocabulary": "http://127.0.0.1:9/"}),
    "a function for a layer": ("keras.models", "load_model", {}),
    "hub": ("keras_hub.models", "Backbone", {}),
    "a name of hub's": ("keras.layers", "keras_hub>BertTokenizer", {}),
    "a name of hub's for a setting": ("keras.layers", "Conv2D", {"activation": "keras_nlp>BertTokenizer"}),
    "an end of such a name": ("keras.layers", "Conv2D", {"activation": function("builtins", "BertTokenizer")}),
    "a name that is none": ("keras.layers", ["Dense"], {}),  # type: ignore[dict-item]
    "control characters": ("evil\n\x1b[2J", "Layer", {}),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_layer_calls_no_function_but_those_of_layers(
    name: str, members: Members, tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = packed(tmp_path / "m.keras", with_layer(members, config={"activation": function(*CALLS[name])}))
    assert str(path) in refused(capsys, "adopt", path, pictures, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_of_keras_and_runs_nothing(
    name: str, members: Members, tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module, kind, config = LAYERS[name]
    path = packed(tmp_path / "m.keras", with_layer(members, module=module, class_name=kind, config=config))
    said = refused(capsys, "verify", "--reference", path, "--artefact", path, "--data", pictures)
    assert "none of the layers that are safe to load" in said


@pytest.mark.parametrize("known", ["keras_hub>BertTokenizer", "keras_nlp>BertTokenizer", "Custom>Dense"])
def test_a_layer_of_keras_has_no_registered_name(known: str, members: Members, tmp_path: Path) -> None:
    """Keras looks a layer up by it first, and it may be registered later, by another layer of the file."""
    from toolkit.untrusted.allowed import check_config

    config = json.loads(with_layer(members, registered_name=known)["config.json"])
    with pytest.raises(UnfreezeError, match="none of the layers that are safe to load"):
        check_config(config, (), tmp_path)
    if known.startswith("keras_"):  # the program cannot have registered that
        with pytest.raises(UnfreezeError, match="none of the layers that are safe to load"):
            check_config(config, ("Conv2D", known), tmp_path)
    config["config"]["layers"][1]["registered_name"] = "Conv2D"
    check_config(config, (), tmp_path)


def test_what_the_caller_registered_is_loaded(tmp_path: Path) -> None:
    import keras

    from toolkit.untrusted.keras_file import read_model

    class Mine(keras.layers.Conv2D):
        pass

    entry, path = keras.Input((SIZE, SIZE, 3)), tmp_path / "m.keras"
    with keras.saving.custom_object_scope({"Custom>Mine": Mine}):
        keras.Model(entry, keras.layers.GlobalAveragePooling2D()(Mine(2, 3)(entry))).save(path)
    with pytest.raises(UnfreezeError, match="Mine', which is none of the layers"):
        read_model(path)
    keras.saving.get_custom_objects()["Mine"] = Mine
    try:
        assert type(read_model(path).layers[1]) is Mine
    finally:
        keras.saving.get_custom_objects().pop("Mine")


ARCHIVES: dict[str, tuple[Callable[[Members], Members], str]] = {
    "slip": (lambda m: m | {"../../slipped": b"x"}, "holds '../../slipped'"),
    "absolute": (lambda m: m | {"/tmp/slipped": b"x"}, "holds '/tmp/slipped'"),
    "asset": (lambda m: m | {"assets/vocabulary.txt": b"x"}, "holds 'assets/vocabulary.txt'"),
    "bomb in config": (lambda m: m | {"config.json": b" " * (33 << 20)}, "inflates config.json"),
    "bomb in metadata": (lambda m: m | {"metadata.json": b" " * (33 << 20)}, "inflates metadata.json"),
    "bomb in weights": (lambda m: m | {"model.weights.h5": b"\0" * (65 << 20)}, "inflates model.weights.h5"),
    "no weights": (lambda m: {"config.json": m["config.json"]}, "has no model.weights.h5"),
    "deep": (lambda m: m | {"config.json": b"[" * 200_000}, "recursion"),
    "no model": (lambda m: m | {"config.json": b"[]"}, "describes no model"),
    "no JSON": (lambda m: m | {"config.json": b"\xff{"}, "cannot be loaded"),
    "no HDF5": (lambda m: m | {"model.weights.h5": b"x"}, "cannot be read as HDF5"),
    "terabytes of weights": (lambda m: with_layer(m, config={"kernel_size": [10**5, 10**5]}), "cannot be loaded"),
    "more weights than it has": (lambda m: with_layer(m, config={"groups": 1, "filters": 10**8}), "cannot be loaded"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_what_is_in_the_archive(
    name: str, members: Members, tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, expected = ARCHIVES[name]
    path = packed(tmp_path / "m.keras", change(members), zipfile.ZIP_DEFLATED)
    assert expected in refused(capsys, "adopt", path, pictures, tmp_path / "run")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.keras"]


def test_a_model_larger_than_its_file(members: Members, tmp_path: Path) -> None:
    """Keras would make 80 GB of random numbers first."""
    from toolkit.untrusted.keras_file import read_model

    config = json.loads(members["config.json"])
    config["config"]["layers"][-1]["config"]["units"] = 5 * 10**9
    path = packed(tmp_path / "m.keras", members | {"config.json": json.dumps(config).encode()})
    with pytest.raises(UnfreezeError, match="describes 100,000 MB of weights and holds 0 MB"):
        read_model(path)
    config = json.loads(members["config.json"])
    config["config"]["layers"][0]["config"]["batch_shape"] = [None, 10**6, 10**6, 3]
    path = packed(tmp_path / "m.keras", members | {"config.json": json.dumps(config).encode()})
    with pytest.raises(UnfreezeError, match="gives 3,999,984,000,016 numbers for an image"):
        read_model(path)
    assert read_model(packed(tmp_path / "good.keras", members)).count_params() == 122


def test_no_keras_file_at_all(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in {"empty": b"", "noise": os.urandom(500)}.items():
        path = tmp_path / f"{name}.keras"
        path.write_bytes(content)
        assert "is no .keras file" in refused(capsys, "adopt", path, pictures, tmp_path / "run")
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 90)
    assert "cannot be read as HDF5" in refused(capsys, "adopt", path, pictures, tmp_path / "run")
    said = refused(capsys, "adopt", tmp_path, pictures, tmp_path / "run")
    assert "is a folder; give a model to adopt as one file" in said
    packed(path, {"labels.txt": b"a", "converted/keras_model.h5": b"x"})  # as Teachable Machine gives it
    said = refused(capsys, "adopt", path, pictures, tmp_path / "run")
    assert said.endswith("unpack it, and give the converted/keras_model.h5 that is in it")
    os.mkfifo(tmp_path / "pipe.keras")  # waits for ever if it is opened
    assert "is not a file" in refused(capsys, "adopt", tmp_path / "pipe.keras", pictures, tmp_path / "run")


def _external(file: h5py.File, other: Path) -> None:
    file.create_dataset(KERNEL, (3, 3, 3, 4), "float32", external=[(str(other), 0, 432)])


def _virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((3, 3, 3, 4), "float32")
    layout[...] = h5py.VirtualSource(str(other), "x", (3, 3, 3, 4))
    file.create_virtual_dataset(KERNEL, layout)


WEIGHTS: dict[str, tuple[Callable[[h5py.File, Path], Any], str]] = {
    "external link": (lambda f, o: f.__setitem__(KERNEL, h5py.ExternalLink(str(o), "/x")), "a link to elsewhere"),
    "soft link": (lambda f, o: f.__setitem__(KERNEL, h5py.SoftLink("/layers")), "a link to elsewhere"),
    "external storage": (_external, "numbers are in another file"),
    "virtual": (_virtual, "numbers are in another file"),
    "shape bomb": (
        lambda f, o: f.create_dataset(KERNEL, (1 << 28,), "float32", chunks=(1024,), compression="gzip"),
        "an array of 1.1 GB in 0.0 KB",
    ),
    "objects": (lambda f, o: f.create_dataset(KERNEL, data=["x"], dtype=h5py.string_dtype()), "not of numbers"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_lie_elsewhere_or_nowhere(
    name: str, members: Members, tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inside a .keras file, and as a file for --weights."""
    from toolkit.untrusted.hdf5 import check_hdf5

    change, expected = WEIGHTS[name]
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.zeros((3, 3, 3, 4), "float32")
    content = io.BytesIO(members["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        del file[KERNEL]
        change(file, tmp_path / "other.h5")
    (tmp_path / "w.weights.h5").write_bytes(content.getvalue())
    path = packed(tmp_path / "m.keras", members | {"model.weights.h5": content.getvalue()})
    assert expected in refused(capsys, "adopt", path, pictures, tmp_path / "run")
    with pytest.raises(UnfreezeError, match=expected):
        check_hdf5(tmp_path / "w.weights.h5", "w.weights.h5")
    for file_name in ("w.weights.h5", "m.keras") if name == "external link" else ():
        assert expected in refused(capsys, "train", pictures, tmp_path / "run", "--weights", tmp_path / file_name)


def test_weights_in_a_cycle_end(members: Members, tmp_path: Path) -> None:
    from toolkit.untrusted.hdf5 import check_hdf5

    path = tmp_path / "w.h5"
    path.write_bytes(members["model.weights.h5"])
    once = check_hdf5(path, "w.h5")
    with h5py.File(path, "r+") as file:
        file["layers/again"] = file["layers"]
    assert check_hdf5(path, "w.h5") == once == 4 * 122


def test_weights_named_by_a_json_are_refused(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.weights.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": {"/": "../other.h5"}}))
    assert "does not end in .h5" in refused(capsys, "train", pictures, tmp_path / "run", "--weights", path)


def description(classes: int = 2, **other: Any) -> dict[str, Any]:
    names = [f"class {number}" for number in range(classes)]
    return {"class_names": names, "input": {"shape": ["batch", SIZE, SIZE, 3]}} | other


def onnx_model(
    path: Path,
    said: Any = None,
    *,
    location: str = "",
    inside: bool = False,
    classes: int = 2,
    entry: tuple[Any, ...] = ("batch", SIZE, SIZE, 3),
    kind: str = "UINT8",
    operation: str = "Cast",
    domain: str = "",
    inputs: int = 1,
    outputs: int = 1,
) -> Path:
    """Pixels -> their means times weights, which may be external, in the graph or in a graph inside it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.arange(3 * classes, dtype=np.float32).reshape(3, classes), "w")
    if location:
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, "offset": "0", "length": str(12 * classes)}.items():
            weights.external_data.add(key=key, value=value)
    node, info = helper.make_node, helper.make_tensor_value_info
    answer = [info("p", TensorProto.FLOAT, ["batch", classes])]
    nodes = [
        node(operation, ["image"], ["f"], domain=domain, **({"to": TensorProto.FLOAT} if operation == "Cast" else {})),
        node("ReduceMean", ["f"], ["m"], axes=[1, 2], keepdims=0),
    ]
    first = [weights]
    if inside:
        branches = [
            helper.make_graph(
                [node("MatMul", ["m", "w"], [name])], name, [], [info(name, TensorProto.FLOAT, None)], [one]
            )
            for name, one in (("then", weights), ("else", weights))
        ]
        nodes.append(node("If", ["c"], ["p"], then_branch=branches[0], else_branch=branches[1]))
        first = [numpy_helper.from_array(np.array(True), "c")]
    else:
        nodes.append(node("MatMul", ["m", "w"], ["p"]))
    given = [info(name, getattr(TensorProto, kind), entry) for name in ("image", "second")[:inputs]]
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    graph = helper.make_graph(nodes, "g", given, [*answer, info("m", TensorProto.FLOAT, None)][:outputs], first)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    if said is not None:
        text = said if isinstance(said, str) else json.dumps(said)
        model.metadata_props.append(onnx.StringStringEntryProto(key="unfreeze", value=text))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def image(pictures: Path) -> Path:
    return pictures / "dots" / "000.jpg"


@pytest.mark.parametrize("inside", [False, True], ids=["graph", "sub-graph"])
def test_external_data_outside_the_folder(inside: bool, tmp_path: Path) -> None:
    """By onnxruntime, which loads by path, and by onnx, for the comparison of layers and the precision."""
    from export.runtimes.precision import precision
    from export.runtimes.runners import load
    from export.runtimes.tensors import tensors

    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(np.arange(6, dtype=np.float32).tobytes())
    (folder / "data").write_bytes(np.arange(6, dtype=np.float32).tobytes())
    (folder / "link").symlink_to("../secret")
    images = np.ones((1, SIZE, SIZE, 3), np.uint8)
    good = onnx_model(folder / "good.onnx", description(), location="data")
    assert load(good).predict(images).tolist() == [[6.0, 9.0]]
    for location in ("../secret", str(tmp_path / "secret"), "link", "/dev/zero", "*/_ORT_MEM_ADDR_/*"):
        path = onnx_model(folder / "m.onnx", description(), location=location, inside=inside)
        with pytest.raises(UnfreezeError, match="cannot be loaded"):
            load(path)
        with pytest.raises(Exception, match=r"directory|absolute|symbolic|regular"):
            tensors(path, images)
        assert precision(path) == "float32"  # without a look at it


ODD: dict[str, tuple[dict[str, Any], str]] = {
    "no metadata": ({}, "does not say which classes"),
    "no JSON": ({"said": "{"}, "its description is no JSON"),
    "no object": ({"said": "[1]"}, "its description is no JSON object"),
    "deep": ({"said": "[" * 100_000}, "its description is no JSON"),
    "10 MB": ({"said": description(x="y" * (10 << 20))}, "more than 4,194,304"),
    "no names": ({"said": description(class_names="ab")}, "no list of class names"),
    "a name twice": ({"said": description(class_names=["a", "a"])}, "names a class twice"),
    "other number of names": ({"said": description(3)}, "answers with 2 numbers and there are names of 3 classes"),
    "huge input": ({"said": description(input={"shape": [1, 10**9, 10**9, 3]})}, "gives no input of"),
    "no shape": ({"said": description(input=None)}, "gives no input of"),
    "rank": ({"said": description(), "entry": ("batch", SIZE)}, "does not run|cannot be loaded"),
    "channels first": ({"said": description(), "entry": ("batch", 3, SIZE, SIZE)}, "cannot be loaded"),
    "grey": ({"said": description(), "entry": ("batch", SIZE, SIZE, 1)}, "cannot be loaded"),
    "float16": ({"said": description(), "kind": "FLOAT16"}, "does not say which values"),
    "int64": ({"said": description(), "kind": "INT64"}, "does not say which values"),
    "strings": ({"said": description(), "kind": "STRING"}, "does not run|cannot be loaded"),
    "two inputs": ({"said": description(), "inputs": 2}, "it has 2 inputs"),
    "two outputs": ({"said": description(), "outputs": 2}, "it has 2 outputs: p, m; give --output"),
    "no output": ({"said": description(), "outputs": 0}, "it has no output"),
    "custom domain": ({"said": description(), "operation": "Run", "domain": "evil"}, "cannot be loaded"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_onnx_file_that_is_no_classifier_of_ours(
    name: str, tmp_path: Path, image: Path, in_process: None, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    how, expected = ODD[name]
    said = refused(capsys, "predict", onnx_model(tmp_path / "m.onnx", **how), image)
    assert re.search(expected, said), said


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """`predict` without its process, which takes a second to start: for files that crash nothing."""
    from export.runtimes import worker
    from export.runtimes.processes import ArtefactProcess

    def call(self: ArtefactProcess, function: Callable[..., Any], *arguments: Any, limit: float | None = None) -> Any:
        if function is not worker.start_up:
            return function(*arguments)
        worker._path, worker._adapted = arguments[0], lambda answers: answers
        worker._reload = lambda: worker.load(arguments[0], conversion=arguments[2])
        worker.reload()
        return worker._class_names(worker._runner)

    monkeypatch.setattr(ArtefactProcess, "call", call)


def test_ten_thousand_classes(tmp_path: Path, image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = onnx_model(tmp_path / "m.onnx", description(10_000), classes=10_000)
    code, out, _ = typed(capsys, "predict", path, image, "--json")
    (answer,) = json.loads(out)
    assert code == 0
    assert (len(answer["probabilities"]), answer["answer"]) == (10_000, "class 9999")


def test_labels_command_no_terminal(
    tmp_path: Path, image: Path, in_process: None, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["a\x1b]0;title\x07\r\n", "b\x1b[2J\u202e<b>"]
    code, out, _ = typed(capsys, "predict", onnx_model(tmp_path / "m.onnx", description(class_names=names)), image)
    assert code == 0
    assert out.rstrip("\n").isprintable()
    assert r"b\x1b[2J\u202e<b>" in out


def test_broken_files_are_told_of(
    finished: Run, tmp_path: Path, image: Path, in_process: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cut short, noise, a claim of 2 GB, and names that are no text, of which onnxruntime prints on standard output."""
    for name in ("model.onnx", "model.tflite"):
        content = (finished.path / "export" / name).read_bytes()
        claim = b"\x3a\xff\xff\xff\xff\x07" + content[:100]  # protobuf: a graph of 2 GB
        names = content.replace(b"probabilities", b"\xf7\x1b[2J\xffilities")
        for broken in (
            b"",
            content[: len(content) // 2],
            os.urandom(5000),
            claim,
            names if name == "model.onnx" else b"",
        ):
            (tmp_path / name).write_bytes(broken)
            assert "cannot be loaded" in refused(capsys, "predict", tmp_path / name, image)


@pytest.mark.parametrize("crash", [(os.abort,), (ctypes.string_at, 0)], ids=["abort", "segmentation fault"])
def test_a_crash_of_a_runtime_is_one_line(
    crash: tuple[Any, ...], tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The process of `predict` and that of `verify --reference` die where the file is loaded; the command does not."""
    from export.runtimes.isolated import run_isolated
    from export.runtimes.processes import ArtefactProcess

    monkeypatch.setattr(ArtefactProcess, "load", lambda self, *_: self.call(*crash))
    said = refused(capsys, "predict", onnx_model(tmp_path / "m.onnx", description()), image)
    assert "the process that ran it ended" in said
    with pytest.raises(UnfreezeError, match="the process that ran it ended"):
        run_isolated(tmp_path / "m.onnx", *crash)


class _Program:
    """SavedModels that do more than compute."""

    @staticmethod
    def save(folder: Path, act: Callable[[], Any]) -> Path:
        import tensorflow as tf

        module = tf.Module()
        module.v = tf.Variable(1.0)

        @tf.function(input_signature=[tf.TensorSpec((None, SIZE, SIZE, 3), tf.uint8, name="image")])
        def serve(image: Any) -> Any:
            done = act()
            with tf.control_dependencies([done] if done is not None else []):
                return {"p": tf.reduce_mean(tf.cast(image, tf.float32), [1, 2])[:, :2] * module.v}

        module.serve = serve
        tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})
        return folder


def test_a_saved_model_that_reads_or_writes_is_not_run(
    tmp_path: Path, image: Path, in_process: None, capsys: pytest.CaptureFixture[str]
) -> None:
    import tensorflow as tf

    written, raw = tmp_path / "written", tf.raw_ops

    @tf.function
    def nested() -> Any:
        with tf.control_dependencies([raw.WriteFile(filename=str(written), contents="x")]):
            return tf.constant(1.0)

    acts: dict[str, Callable[[], Any]] = {
        "WriteFile": lambda: raw.WriteFile(filename=str(written), contents="x"),
        "ReadFile": lambda: raw.ReadFile(filename="/etc/passwd"),
        "MatchingFiles": lambda: raw.MatchingFiles(pattern="/*"),
        "PrintV2": lambda: raw.PrintV2(input="x", output_stream=f"file://{written}"),
        "SaveV2": lambda: raw.SaveV2(prefix=str(written), tensor_names=["a"], shape_and_slices=[""], tensors=[1.0]),
        "the same in a branch": lambda: tf.cond(tf.constant(True), nested, lambda: 0.0),
    }
    for name, act in acts.items():
        folder = _Program.save(tmp_path / "saved", act)
        said = refused(capsys, "predict", folder, image)
        assert "reads or writes more than the model" in said
        assert name in said or "WriteFile" in said
        shutil.rmtree(folder)
    assert not written.exists()


def test_a_saved_model_holds_its_own_files(tmp_path: Path, in_process: None) -> None:
    from export.runtimes.runners import load

    folder = _Program.save(tmp_path / "saved", lambda: None)
    assert load(folder).predict(np.full((1, SIZE, SIZE, 3), 7, np.uint8)).tolist() == [[7.0, 7.0]]
    data = next(folder.glob("variables/*.data*"))
    data.symlink_to(data.rename(tmp_path / "elsewhere"))
    with pytest.raises(UnfreezeError, match="a link that leads out of the folder"):
        load(folder)


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "..", "saved_model/../..", "model.onnx"])
def test_a_manifest_names_files_of_its_own_folder(
    name: str, finished: Run, tmp_path: Path, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished.path, tmp_path / "run"))
    path = run / "export" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["artefacts"][0]["name"] = name
    path.write_text(json.dumps(manifest))
    if name == "model.onnx":
        (run / "export" / name).rename(tmp_path / name)
        (run / "export" / name).symlink_to(tmp_path / name)
    for arguments in (("predict", run, image), ("verify", run, "--no-times")):
        assert "manifest.json is damaged" in refused(capsys, *arguments)


def test_a_runs_model_is_checked_too(
    finished: Run, members: Members, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished.path, tmp_path / "run"))
    packed(run / "model.keras", with_layer(members, module="os", class_name="system"))
    assert "'os.system'" in refused(capsys, "evaluate", run)


def _with_files(content: bytes, files: dict[str, bytes]) -> bytes:
    """A TFLite file with other metadata files at its end."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        out.write(content[: min(member.header_offset for member in archive.infolist())])
        kept = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (kept | files).items():
            archive.writestr(name, text)
    return out.getvalue()


def test_what_a_tflite_file_says_of_itself(
    finished: Run, tmp_path: Path, image: Path, in_process: None, capsys: pytest.CaptureFixture[str]
) -> None:
    content = (finished.path / "export" / "model.tflite").read_bytes()
    path = tmp_path / "model.tflite"
    cases = {
        "names of 3 classes": {"labels.txt": b"a\nb\nc\n"},
        "names a class twice": {"labels.txt": b"a\na\n"},
        "no JSON object": {"unfreeze.json": b"[1]"},
        "cannot be loaded": {"unfreeze.json": b"\xff"},
        "its description has 64,000,": {"unfreeze.json": b" " * 64_000_000},  # a zip bomb of 62 KB
        "cannot be read (maximum recursion": {"unfreeze.json": b"[" * 100_000},
    }
    for expected, files in cases.items():
        path.write_bytes(_with_files(content, files))
        assert expected in refused(capsys, "predict", path, image)
    path.write_bytes(_with_files(content, {}))
    assert typed(capsys, "predict", path, image)[0] == 0


RECORDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "a licence that is none": ("export/manifest.json", lambda v: v["description"].update(license=None)),
    "an output without a name": ("export/manifest.json", lambda v: v["description"]["output"].update(name=[])),
    "a number for files": ("export/manifest.json", lambda v: v.update(artefacts=5)),
    "a format that is none": ("export/manifest.json", lambda v: v["artefacts"][2].update(format=True)),
    "versions that are none": ("run.json", lambda v: v.update(versions=[1])),
    "text for a number": ("parity.json", lambda v: v[0].update(images="<img src=x onerror=alert(1)>")),
    "a number for times": ("parity.json", lambda v: v[0].update(timings=5)),
    "times without numbers": ("parity.json", lambda v: v[0].update(timings=[{"threads": "<b>", "median": 1}])),
    "a list for reasons": ("export/manifest.json", lambda v: v.update(failed=[1])),
    "a number for a description": ("export/manifest.json", lambda v: v.update(description=5)),
    "calls that are none": ("export/manifest.json", lambda v: v.update(calls=[{"formats": 5}])),
    "a count without end": ("export/manifest.json", lambda v: v["calls"][0].update(calibration=float("inf"))),
    "text for a size": ("model.json", lambda v: v["spec"].update(image_size="x")),
    "a number for a model": ("model.json", lambda v: v.update(spec=7)),
    "a list for a search": ("model.json", lambda v: v.update(search=[1])),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_report_of_records_that_are_none(
    name: str, finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("search", "cache")))
    file, change = RECORDS[name]
    record = json.loads((run / file).read_text())
    change(record)
    (run / file).write_text(json.dumps(record))
    assert f"{file} is damaged" in refused(capsys, "report", run)


COLUMNS: dict[str, Callable[[Any], Any]] = {
    "labels too few": lambda data: data["labels"].pop(),
    "a label of no class": lambda data: data["labels"].__setitem__(0, 99),
    "a label below all": lambda data: data["labels"].__setitem__(0, -1),
    "numbers for paths": lambda data: data.update(paths=[1] * len(data["paths"])),
    "parts that are none": lambda data: data.update(parts=["x"] * len(data["parts"])),
    "numbers for digests": lambda data: data.update(sha256=[5] * len(data["sha256"])),
    "NUL in a path": lambda data: data.update(root="\0"),
    "text for a number": lambda data: data.update(ignored="many"),
    "a number of many digits": lambda data: data["sizes"].__setitem__(0, [10**30, 1]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_run_whose_columns_do_not_fit(
    name: str, finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("search", "cache")))
    stored = json.loads((run / "run.json").read_text())
    COLUMNS[name](stored["data"])
    for file in ("run.json", ".run.json"):
        (run / file).write_text(json.dumps(stored))
    for command in ("evaluate", "report"):
        assert "is not of format 1" in refused(capsys, command, run)


def test_a_pipe_for_a_record_is_not_waited_for(
    finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("search", "cache")))
    (run / "run.json").unlink()
    os.mkfifo(run / "run.json")
    assert typed(capsys, "evaluate", run)[0] == 0  # from its copy
    (run / "run.json").write_text("{")
    (run / ".run.json").unlink()
    os.mkfifo(run / ".run.json")
    assert "run.json cannot be read" in refused(capsys, "evaluate", run)
    for file in ("model.json", "metrics.json", "parity.json", "export/manifest.json"):
        shutil.copy(finished.path / "run.json", run / "run.json")
        (run / file).unlink()
        os.mkfifo(run / file)
        assert typed(capsys, "report", run)[0] in (0, 2)


def endless(path: Path) -> Path:
    """A model whose loop goes on for ever, whatever the image."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def info(name: str, kind: int, shape: list[Any]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["old"], ["new"])],
        "body",
        [info("number", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("old", TensorProto.FLOAT, None)],
        [info("on", TensorProto.BOOL, []), info("new", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Slice", ["mean", "zero", "two", "one"], ["both"]),
        helper.make_node("Loop", ["", "true", "both"], ["probabilities"], body=body),
    ]
    constants = {"axes": [1, 2], "zero": [0], "two": [2], "one": [1]}
    given = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in constants.items()]
    given.append(numpy_helper.from_array(np.array(True), "true"))
    image = info("image", TensorProto.UINT8, ["n", SIZE, SIZE, 3])
    answer = info("probabilities", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph(nodes, "endless", [image], [answer], given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    model.metadata_props.append(onnx.StringStringEntryProto(key="unfreeze", value=json.dumps(description())))
    path.write_bytes(model.SerializeToString())
    return path


def test_a_model_that_never_answers_is_left(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("export.predict.FIRST_ANSWER_LIMIT", 2.0)
    assert "does not answer within 2 s" in refused(capsys, "predict", endless(tmp_path / "endless.onnx"), image)


def test_a_huge_layer_inside_others(tmp_path: Path) -> None:
    """In a Sequential, in a nested model whose own input is open, in a wrapper: found where nothing is computed."""
    import keras

    from toolkit.untrusted.keras_file import read_model

    layers = keras.layers
    large = keras.Sequential([keras.Input((None, None, 3)), layers.UpSampling2D(4000), layers.GlobalAveragePooling2D()])
    models = {
        "sequential": keras.Sequential([keras.Input((SIZE, SIZE, 3)), *large.layers]),
        "nested": keras.Sequential([keras.Input((SIZE, SIZE, 3)), large]),
        "wrapped": keras.Sequential(
            [keras.Input((SIZE, SIZE, 3)), layers.Reshape((1, SIZE, SIZE, 3)), layers.TimeDistributed(large)]
        ),
    }
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
        with pytest.raises(UnfreezeError, match=f"gives {3 * (4000 * SIZE) ** 2:,} numbers for an image"):
            read_model(tmp_path / f"{name}.keras")


def test_a_report_shows_no_file_but_the_images_that_were_scanned(
    finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run.json that names other files, as data or as a cache: each image is compared with its SHA-256."""
    from PIL import Image

    run = Path(shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("search", "cache")))
    Image.new("RGB", (32, 32), "red").save(tmp_path / "private.png")
    stored = json.loads((run / "run.json").read_text())
    stored["data"]["root"] = str(tmp_path)
    stored["settings"]["cache_dir"] = str(tmp_path / "absent")
    (run / "run.json").write_text(json.dumps(stored))
    for path in stored["data"]["paths"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).symlink_to(tmp_path / "private.png")
    assert typed(capsys, "report", run)[0] == 0
    page = (run / "report.html").read_text()
    assert "data:image/jpeg" not in page
    assert not (tmp_path / "absent").exists()


LOADS = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle", "torch"}
INSTALLED = Path(toolkit.__file__).parents[1]  # the checkout, or where the wheel was installed
SOURCES = [path for name in ("toolkit", "tuning", "export") for path in sorted((INSTALLED / name).rglob("*.py"))]
assert SOURCES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(INSTALLED)))
def test_nothing_is_unpickled_or_executed(path: Path) -> None:
    """multiprocessing pickles between our own processes: what passes there was made by this program."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & LOADS
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in LOADS
        elif isinstance(node, ast.Call):
            _check_call(ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords})


def _check_call(called: str, words: dict[str | None, str]) -> None:
    assert called not in ("eval", "exec", "compile", "__import__", "os.system", "yaml.load", "yaml.unsafe_load")
    if called in ("np.load", "numpy.load", "np.lib.format.open_memmap"):
        assert called.endswith("open_memmap") or words.get("allow_pickle") == "False"
    if called.endswith(("saving.load_model", "models.load_model", "deserialize_keras_object")):
        assert words.get("safe_mode") == "True"
    assert "enable_unsafe_deserialization" not in called
    assert words.get("shell", "False") == "False"


def test_object_arrays_are_not_loaded(tmp_path: Path) -> None:
    """What would unpickle them raises ValueError, which each reader tells of as damage."""
    np.savez(tmp_path / "a.npz", paths=np.array([print], dtype=object))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays, pytest.raises(ValueError, match="allow_pickle"):
        arrays["paths"]
