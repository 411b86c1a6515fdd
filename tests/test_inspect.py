"""What `inspect` tells of a file, against what the runtimes and Keras tell of it, and which pixels it proposes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from shlex import quote
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper, numpy_helper

from export.artefacts import read_manifest
from export.formats.tflite import _quiet
from export.formats.tflite_metadata import attach
from export.inspect.answers import EACH, PROBABILITIES, SCORES
from export.inspect.inspection import Inspection, inspect
from export.inspect.keras_layers import read_layers
from export.inspect.model_file import GUESS, LIKELY, STATED, End, ModelFile
from export.inspect.pixels import normalisation_name, pixel_hints
from tests.calibrate import shake
from tests.elsewhere import classifier, to_onnx, to_tflite
from tests.test_cli import typed
from tests.test_inspect_graphs import described, quantised_tflite

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
RANGES = {"0..255": (0.0, 255.0), "0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (12, 32, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def model(images: np.ndarray) -> keras.Model:
    keras.utils.set_random_seed(5)
    return shake(classifier(classes=3), images)


@pytest.fixture(scope="module")
def folder(model: keras.Model, images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("elsewhere")
    to_onnx(model, made / "plain.onnx")
    to_onnx(model, made / "nchw.onnx", channels_first=True, count=1)
    to_tflite(model, made / "plain.tflite")
    to_tflite(model, made / "int8.tflite", kind="int8", images=images)
    (made / "uint8.tflite").write_bytes(quantised_tflite(model, images, "int8", tf.uint8))
    (made / "float_ends.tflite").write_bytes(quantised_tflite(model, images, "int8"))
    model.save(made / "model.keras")
    model.save(made / "model.h5")
    model.save_weights(made / "model.weights.h5")
    model.export(made / "saved", verbose=False)
    return made


def shape(sizes: Sequence[Any]) -> tuple[Any, ...]:
    """As `inspect` shows it: "?" for what the runtimes leave open, whatever they call it."""
    return tuple(size if isinstance(size, int) and size >= 0 else "?" for size in sizes)


@cache
def looked(path: Path) -> Inspection:
    """Of a file that does not change."""
    return inspect(path)


def told_ends(told: Inspection) -> list[tuple[Any, ...]]:
    ends = (*told.file.inputs, *told.file.outputs)
    return [(end.name, end.dtype, None if end.shape is None else shape(end.shape)) for end in ends]


# Against the runtimes


@pytest.mark.parametrize("name", ["plain.tflite", "int8.tflite", "uint8.tflite"])
def test_tflite_is_as_its_interpreter_says(name: str, folder: Path) -> None:
    told, runtime = looked(folder / name), Interpreter(str(folder / name))
    details = [*runtime.get_input_details(), *runtime.get_output_details()]
    assert told_ends(told) == [
        (one["name"], np.dtype(one["dtype"]).name, shape([int(size) for size in one["shape_signature"]]))
        for one in details
    ]
    scales = [(end.scale or 0.0, end.zero_point or 0) for end in (*told.file.inputs, *told.file.outputs)]
    assert scales == [pytest.approx(one["quantization"]) for one in details]
    operators = [one["op_name"] for one in runtime._get_ops_details() if one["op_name"] != "DELEGATE"]
    assert told.file.operators == {kind: operators.count(kind) for kind in set(operators)}
    assert told.classes == 3
    assert told.image is not None
    assert (told.image.layout, told.image.height, told.image.width, told.image.batch) == ("NHWC", 32, 32, "?")
    assert told.file.bytes == (folder / name).stat().st_size


@pytest.mark.parametrize("name", ["plain.onnx", "nchw.onnx"])
def test_onnx_is_as_its_session_says(name: str, folder: Path) -> None:
    told = looked(folder / name)
    session = onnxruntime.InferenceSession(folder / name, providers=["CPUExecutionProvider"])
    assert told_ends(told) == [
        (one.name, {"tensor(float)": "float32"}[one.type], shape(one.shape))
        for one in (*session.get_inputs(), *session.get_outputs())
    ]
    stored = onnx.load(folder / name)
    floats = [numpy_helper.to_array(one) for one in stored.graph.initializer if one.data_type == TensorProto.FLOAT]
    assert told.file.parameters == sum(array.size for array in floats if array.ndim)
    assert told.file.weight_bytes == {"float32": sum(array.nbytes for array in floats if array.ndim)}
    assert sum(told.file.operators.values()) == len(stored.graph.node)
    assert told.file.versions["opset"] == "17"
    assert told.image is not None
    assert (told.image.layout, told.image.batch) == (("NHWC", "?") if name == "plain.onnx" else ("NCHW", 1))


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "saved"])
def test_keras_files_are_as_the_model(name: str, folder: Path, model: keras.Model) -> None:
    told = looked(folder / name)
    assert told.file.parameters == model.count_params()
    assert told.file.weight_bytes == {"float32": 4 * model.count_params()}
    entries = [(end.dtype, end.shape and shape(end.shape)) for end in (*told.file.inputs, *told.file.outputs)]
    assert entries == [("float32", shape(model.input_shape)), ("float32", shape(model.output_shape))]
    assert told.file.inputs[0].name == "photograph"
    assert told.classes == 3
    assert told.file.precision == "float32"
    largest = sorted((4 * int(np.prod(weight.shape)) for weight in model.weights), reverse=True)
    assert [weight.bytes for weight in told.largest] == largest[:10]
    if name != "saved":
        kinds = [type(layer).__name__ for layer in model.layers]
        assert told.file.operators == {kind: kinds.count(kind) for kind in set(kinds)}
        assert told.file.versions == {"Keras": keras.__version__}


def test_weights_alone(folder: Path, model: keras.Model) -> None:
    told = inspect(folder / "model.weights.h5")
    assert told.file.format == "Keras weights"
    assert told.file.parameters == model.count_params()
    assert (told.file.inputs, told.image, told.classes, told.next) == ((), None, None, "")


def test_nested_and_sequential_models(tmp_path: Path) -> None:
    """As Teachable Machine makes them; with an optimizer and random layers, whose variables are no parameters."""
    layers = keras.layers
    inner = keras.Sequential([keras.Input((24, 24, 1)), layers.RandomFlip(), layers.Conv2D(4, 3)], name="features")
    head = keras.Sequential([layers.GlobalAveragePooling2D(), layers.Dropout(0.1), layers.Dense(5)], name="head")
    made = keras.Sequential([inner, head, layers.Activation("softmax")])
    made.compile("adam", "sparse_categorical_crossentropy")
    made.fit(np.zeros((2, 24, 24, 1)), np.zeros(2), verbose=0)
    for name in ("nested.keras", "nested.h5"):
        made.save(tmp_path / name)
        told = inspect(tmp_path / name)
        assert told.file.parameters == made.count_params()
        assert told.classes == 5
        assert told.image is not None
        assert (told.image.colour, told.image.height) == ("grey", 24)


def test_a_model_without_channels_and_one_of_no_images(tmp_path: Path) -> None:
    for name, entry, wanted in (("grey", (28, 28), ("NHW", "grey")), ("table", (12,), None)):
        model = keras.Sequential([keras.Input(entry), keras.layers.Flatten(), keras.layers.Dense(4)])
        path = to_tflite(model, tmp_path / f"{name}.tflite")
        told = inspect(path)
        assert (told.image and (told.image.layout, told.image.colour)) == wanted
        assert told.classes == 4
        assert (told.next == "") == (wanted is None)


# Pixels


def pixels_of(told: Inspection) -> list[tuple[str, str]]:
    return [(hint.value, hint.kind) for hint in told.pixels]


@pytest.mark.parametrize("name", ["int8.tflite", "uint8.tflite", "float_ends.tflite"])
def test_pixels_by_the_quantisation_of_the_input(name: str, folder: Path) -> None:
    told = looked(folder / name)
    assert pixels_of(told) == [("-1..1", LIKELY)]
    as_bytes = "an app may pass each pixel's bytes as they are"
    assert (as_bytes in told.pixels[0].reason) == (name == "uint8.tflite")


@pytest.mark.parametrize("name", ["plain.tflite", "plain.onnx", "nchw.onnx", "model.keras", "model.h5", "saved"])
def test_pixels_are_not_told_where_the_file_does_not(name: str, folder: Path, capsys: pytest.CaptureFixture) -> None:
    code, out, _ = typed(capsys, "inspect", folder / name)
    assert code == 0
    assert "--pixels: cannot be told from the file: 0..255, 0..1, -1..1 (MobileNet), imagenet (PyTorch) or caffe" in out


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("name", RANGES)
def test_pixels_by_scale_and_zero_point(name: str, dtype: str) -> None:
    """An affine quantiser's own formula, from the range."""
    low, high = RANGES[name]
    limits = np.iinfo(dtype)
    scale = (high - low) / 255
    assert hints(End("x", dtype, (1, 8, 8, 3), scale, round(limits.min - low / scale))) == [(name, LIKELY)]
    assert hints(End("x", dtype, (1, 8, 8, 3), scale * 1.5, round(limits.min - low / scale))) == []


def test_raw_and_ambiguous_inputs() -> None:
    assert hints(End("x", "uint8", (1, 8, 8, 3))) == [("0..255", STATED)]
    assert hints(End("x", "float32", (1, 8, 8, 3))) == []
    assert hints(End("x", "int16", (1, 8, 8, 3), 1 / 32767, 0)) == [("0..1", LIKELY), ("-1..1", LIKELY)]


def hints(entry: End, **other: Any) -> list[tuple[str, str]]:
    file = ModelFile("TFLite", {}, "", "int8", "", (entry,), (), {}, (), 0, **other)
    return [(hint.value, hint.kind) for hint in pixel_hints(file)]


def test_pixels_by_normalisation() -> None:
    assert normalisation_name(((127.5,), (127.5,))) == "-1..1"
    assert normalisation_name(((0.0,), (255.0,))) == "0..1"
    assert normalisation_name(((0.0,) * 3, (1.0,))) == "0..255"
    assert normalisation_name((MEAN, DEVIATION)) == "imagenet"
    assert normalisation_name(((100.0, 110.0, 120.5), (50.0,))) == "100,110,120.5/50"
    entry = End("x", "float32", (1, 8, 8, 3))
    assert hints(entry, normalisation=((127.5,), (127.5,))) == [("-1..1", STATED)]


def test_pixels_by_names_are_a_guess() -> None:
    entry = End("x", "float32", (1, 8, 8, 3))
    assert hints(entry, names=("input", "mobilenetv2_1.00_224/Conv1")) == [("-1..1", GUESS)]
    assert hints(entry, names=("resnet50/conv1",)) == [("caffe", GUESS)]
    assert hints(entry, names=("resnet50v2/conv1",)) == [("-1..1", GUESS)]


NORMALISERS: dict[str, tuple[Callable[[Any], Any], list[tuple[str, str]]]] = {
    "tf": (lambda x: x / 127.5 - 1.0, [("0..255", LIKELY)]),
    "torch": (lambda x: (x - np.divide(MEAN, 255.0)) / np.divide(DEVIATION, 255.0), [("0..1", LIKELY)]),
    "imagenet": (lambda x: (x - np.array(MEAN)) / np.array(DEVIATION), [("0..255", LIKELY)]),
    "unit": (lambda x: x * (1 / 255), [("0..255", LIKELY)]),
    "double": (lambda x: x * 2.0 - 1.0, [("0..1", LIKELY)]),
    "back": (lambda x: (x + 1.0) * 127.5, [("-1..1", LIKELY)]),
    "odd": (lambda x: x * 3.0 + 7.0, []),
}


def normalised(name: str, model: keras.Model) -> Callable[[Any], Any]:
    change = NORMALISERS[name][0]
    return lambda x: model(tf.cast(change(tf.cast(x, tf.float32)), tf.float32), training=False)


@pytest.mark.parametrize("name", NORMALISERS)
def test_pixels_by_the_first_operations(name: str, model: keras.Model, tmp_path: Path) -> None:
    """The ReLU keeps the converters from folding them into the convolution."""
    after = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.ReLU(6.0), model])
    call = normalised(name, after)
    assert pixels_of(inspect(to_onnx(model, tmp_path / "m.onnx", call))) == NORMALISERS[name][1]
    if name not in ("back", "odd"):  # of these, the converter makes other operations
        assert pixels_of(inspect(to_tflite(model, tmp_path / "m.tflite", call))) == NORMALISERS[name][1]


def test_pixels_by_the_first_operations_of_a_saved_model(model: keras.Model, tmp_path: Path) -> None:
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", normalised("tf", model), [tf.TensorSpec((None, 32, 32, 3), tf.float32)])
    archive.write_out(tmp_path / "saved", verbose=False)
    assert pixels_of(inspect(tmp_path / "saved")) == [("0..255", LIKELY)]


def test_a_saved_model_of_another_signature(tmp_path: Path) -> None:
    """What Unfreeze would not run is described, and no command is proposed."""
    module = tf.Module()
    module.w = tf.Variable(tf.ones((192, 4)))
    entry = tf.TensorSpec((None, 8, 8, 3), tf.uint8, name="x")
    call = tf.function(lambda x: {"scores": tf.reshape(tf.cast(x, tf.float32), (-1, 192)) @ module.w}, [entry])
    tf.saved_model.save(module, tmp_path / "saved", signatures={"classify": call})
    told = inspect(tmp_path / "saved")
    assert (told.file.parameters, told.classes, told.next) == (768, 4, "")
    assert told.file.inputs == (End("x", "uint8", ("?", 8, 8, 3)),)
    assert told.file.support[0].answer == "no"


def test_pixels_by_the_first_layers_of_keras(model: keras.Model, tmp_path: Path) -> None:
    layers = keras.layers
    adapted = layers.Normalization()
    rows = np.random.default_rng(1).normal(MEAN, DEVIATION, (4000, 1, 1, 3))
    adapted.adapt(rows)
    first: dict[str, tuple[Callable[[Any], Any], list[tuple[str, str]]]] = {
        "rescaling": (layers.Rescaling(1 / 127.5, -1.0), [("0..255", LIKELY)]),
        "unit": (layers.Rescaling(1 / 255), [("0..255", LIKELY)]),
        "per channel": (layers.Normalization(mean=MEAN, variance=np.square(DEVIATION)), [("0..255", LIKELY)]),
        "adapted": (adapted, [("0..255", LIKELY)]),
        "arithmetic": (lambda x: x / 127.5 - 1.0, [("0..255", LIKELY)]),
        "pooling": (layers.AveragePooling2D(1), []),
    }
    for name, (layer, wanted) in first.items():
        entry = keras.Input((32, 32, 3))
        keras.Model(entry, model(layer(layers.RandomFlip()(entry)))).save(tmp_path / "m.keras")
        assert pixels_of(inspect(tmp_path / "m.keras")) == wanted, name


def test_the_configuration_of_keras_2() -> None:
    """As Keras 2 wrote it: names and places for calls, arithmetic as TFOpLambda, a Sequential in a Functional."""

    def layer(kind: str, name: str, source: str = "", **config: Any) -> dict[str, Any]:
        keywords = {"y": config.pop("y"), "name": None} if "y" in config else {}
        calls = [[[source, 0, 0, keywords]]] if source and not keywords else [[source, 0, 0, keywords]]
        config |= {"name": name}
        return {"class_name": kind, "name": name, "config": config, "inbound_nodes": calls if source else []}

    head = {"layers": [layer("Dropout", "drop"), layer("Dense", "dense", units=7, activation="softmax")]}
    layers = [
        layer("InputLayer", "photo", batch_input_shape=[None, 64, 48, 3], dtype="float32"),
        layer("TFOpLambda", "tf.math.truediv", "photo", function="math.truediv", y=127.5),
        layer("TFOpLambda", "tf.math.subtract", "tf.math.truediv", function="math.subtract", y=1.0),
        layer("Conv2D", "conv", "tf.math.subtract", filters=4, activation="relu"),
        layer("GlobalAveragePooling2D", "pool", "conv"),
        layer("Sequential", "head", "pool", **head),
    ]
    ends = {"input_layers": [["photo", 0, 0]], "output_layers": [["head", 0, 0]]}
    told = read_layers({"class_name": "Functional", "config": {"name": "m", "layers": layers, **ends}})
    assert told.inputs == (End("photo", "float32", ("?", 64, 48, 3)),)
    assert told.outputs[0].shape == ("?", 7)
    assert [(step.operation, step.numbers) for step in told.steps] == [("divide", (127.5,)), ("subtract", (1.0,))]
    assert told.last == "softmax"
    assert told.operators["TFOpLambda"] == 2
    assert "Sequential" not in told.operators


# Answers, labels, metadata, what runs it


@pytest.mark.parametrize(
    ("activation", "units", "wanted"),
    [
        ("softmax", 3, PROBABILITIES),
        ("sigmoid", 3, EACH),
        ("sigmoid", 1, "one probability, of the second of two classes"),
        (None, 3, SCORES),
    ],
)
def test_what_the_answers_are(activation: str | None, units: int, wanted: str, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Flatten(), layers.Dense(units, activation=activation)])
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    to_onnx(model, tmp_path / "m.onnx")
    to_tflite(model, tmp_path / "m.tflite")
    for name in ("m.keras", "m.h5", "m.onnx", "m.tflite"):
        assert inspect(tmp_path / name).answers.startswith(wanted), name


def test_metadata_and_labels_of_tflite(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "labelled.tflite"
    names = ["Katze", "Hund 🐕", "a, b"]
    path.write_bytes(attach((folder / "plain.tflite").read_bytes(), described(names)))
    told = inspect(path)
    assert told.file.labels == tuple(names)
    assert told.file.labels_from == "TFLite metadata"
    assert told.file.normalisation == ((0.0,), (1.0,))
    assert (told.file.colour, told.file.metadata["license"]) == ("RGB", "MIT")
    assert pixels_of(told) == [("0..255", STATED)]
    assert told.next == f"unfreeze predict {quote(str(path))} IMAGE"
    assert answers(told)["MediaPipe ImageClassifier"] == "yes"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("names", "{0: 'cat', 1: 'dog', 2: 'fox'}"),
        ("names", json.dumps(["cat", "dog", "fox"])),
        ("labels", "cat,dog,fox"),
        ("id2label", json.dumps({"0": "cat", "1": "dog", "2": "fox"})),
        ("classes", "cat\ndog\nfox"),
    ],
)
def test_labels_of_onnx(key: str, text: str, folder: Path, tmp_path: Path) -> None:
    stored = onnx.load(folder / "plain.onnx")
    helper.set_model_props(stored, {key: text, "Image.NominalPixelRange": "Normalized_0_1"})
    onnx.save(stored, tmp_path / "m.onnx")
    told = inspect(tmp_path / "m.onnx")
    assert told.file.labels == ("cat", "dog", "fox")
    assert told.file.labels_from == f"metadata {key}"
    assert pixels_of(told) == [("0..1", STATED)]


def answers(told: Inspection) -> dict[str, str]:
    return {one.where: one.answer for one in told.file.support}


def test_what_runs_tflite(folder: Path) -> None:
    """MediaPipe Tasks 1.2.3 itself took and refused files of these kinds so."""
    wanted = {
        "plain.tflite": ("yes", "yes", "no"),
        "int8.tflite": ("yes", "no", "no"),
        "uint8.tflite": ("yes", "no", "yes"),
        "float_ends.tflite": ("yes", "no", "no"),
    }
    for name, expected in wanted.items():
        told = answers(looked(folder / name))
        assert tuple(told.values()) == expected, name
    assert list(told) == ["TFLite runtime (CPU)", "GPU delegate", "MediaPipe ImageClassifier"]


def test_tensorflow_operators_in_tflite(tmp_path: Path) -> None:
    concrete = tf.function(
        lambda x: tf.reduce_sum(tf.linalg.inv(x), axis=-1), [tf.TensorSpec((1, 4, 4), tf.float32)]
    ).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    with _quiet():
        (tmp_path / "flex.tflite").write_bytes(converter.convert())
    told = inspect(tmp_path / "flex.tflite")
    assert "FlexMatrixInverse" in told.file.operators
    assert answers(told)["TFLite runtime (CPU)"] == "no"
    assert "Flex" in told.file.support[0].reason


def test_what_runs_onnx(folder: Path, tmp_path: Path) -> None:
    assert set(answers(inspect(folder / "plain.onnx")).values()) == {"yes"}
    for domain, name, wanted in (
        ("acme", "Secret", ("no", "no")),
        ("com.microsoft", "Gelu", ("yes", "perhaps")),
        ("", "NoSuchOperator", ("perhaps", "perhaps")),
    ):
        stored = onnx.load(folder / "plain.onnx")
        node = next(node for node in stored.graph.node if node.op_type == "Relu")
        node.op_type, node.domain = name, domain
        stored.opset_import.append(helper.make_opsetid(domain, 1)) if domain else None
        onnx.save(stored, tmp_path / "m.onnx")
        told = inspect(tmp_path / "m.onnx")
        assert tuple(answers(told).values()) == wanted
        assert name in told.file.support[0].reason


def test_weights_in_another_file(folder: Path, tmp_path: Path) -> None:
    """They are counted and not read."""
    stored = onnx.load(folder / "plain.onnx")
    onnx.save(stored, tmp_path / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=100)
    whole = inspect(folder / "plain.onnx").file
    here = inspect(tmp_path / "m.onnx").file
    assert (here.parameters, here.weight_bytes) == (whole.parameters, whole.weight_bytes)
    assert len(here.notes) == 1
    assert here.notes[0].endswith("bytes of its weights lie outside, in m.bin, which is there")
    (tmp_path / "m.bin").unlink()
    assert inspect(tmp_path / "m.onnx").file.notes[0].endswith("which is not there: get it, too")


def test_code_in_a_keras_file_is_named_and_not_run(tmp_path: Path) -> None:
    entry = keras.Input((8, 8, 3))
    made = keras.layers.Lambda(lambda x: x / 2)(entry)
    keras.Model(entry, keras.layers.Dense(2)(keras.layers.Flatten()(made))).save(tmp_path / "m.keras")
    told = inspect(tmp_path / "m.keras")
    assert told.file.operators["Lambda"] == 1
    assert "Lambda" in told.file.notes[0]
    assert answers(told)["unfreeze adopt"] == "no"
    assert told.next == ""


# As it is typed


def test_the_next_command(folder: Path) -> None:
    told = {path.name: looked(path).next for path in folder.iterdir()}
    plain, int8 = (f"unfreeze predict {quote(f'{folder}/{name}.tflite')} IMAGE" for name in ("plain", "int8"))
    assert told["plain.tflite"] == f"{plain} --pixels RANGE --labels LABELS.txt"
    assert told["int8.tflite"] == f"{int8} --pixels -1..1 --labels LABELS.txt"
    assert told["model.keras"] == f"unfreeze adopt {quote(f'{folder}/model.keras')} DATA RUN --pixels RANGE"
    assert told["saved"] == f"unfreeze predict {quote(f'{folder}/saved')} IMAGE --pixels RANGE --labels LABELS.txt"


def test_text_and_json(folder: Path, capsys: pytest.CaptureFixture) -> None:
    code, out, err = typed(capsys, "inspect", folder / "int8.tflite")
    assert code == 0
    for part in (
        "TFLite",
        "schema 3",
        "RGB or BGR, 32 x 32 px",
        "scale 0.0078",
        "CONV_2D",
        "GPU delegate",
        "--pixels -1..1: likely",
    ):
        assert part in out
    assert err.strip() == f"next: {inspect(folder / 'int8.tflite').next}"
    code, out, _ = typed(capsys, "inspect", folder / "int8.tflite", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["inputs"][0]["zero_point"] == -1
    assert told["image"] == {"layout": "NHWC", "colour": "RGB", "height": 32, "width": 32, "batch": "?"}
    assert told["pixels"][0]["value"] == "-1..1"
    assert (told["classes"], told["answers"]) == (3, "probabilities, which add up to 1")
    assert len(told["largest"]) == 8


def test_a_run_and_its_files(finished: Any, tmp_path: Path) -> None:
    names = finished.images.class_names
    manifest = read_manifest(finished.path / "export")
    assert inspect(finished.path).path == finished.path / "export" / "model.onnx"
    for artefact in manifest.artefacts:
        told = looked(manifest.folder / artefact.name)
        assert (told.file.labels, told.classes) == (tuple(names), len(names)), artefact.name
        assert told.file.precision in (artefact.precision, "mixed"), artefact.name
        assert pixels_of(told) == [("0..255", STATED)]
        assert told.next == f"unfreeze predict {quote(str(manifest.folder / artefact.name))} IMAGE"
        assert told.file.notes == ()
        assert told.file.colour == "RGB"
        if artefact.format == "tflite":
            assert answers(told)["MediaPipe ImageClassifier"] == "yes"
            assert answers(told)["GPU delegate"] == "no"
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "model.keras").write_bytes((finished.path / "model.keras").read_bytes())
    assert inspect(tmp_path).path == tmp_path / "model.keras"


def test_tflite_onnx_and_keras_files_load_no_tensorflow(folder: Path) -> None:
    for kind, name in {
        "TFLite": "plain.tflite",
        "ONNX": "plain.onnx",
        "Keras": "model.keras",
        "Keras HDF5": "model.h5",
    }.items():
        code = f"""
import sys
from pathlib import Path
from export.runtimes import worker
from export.inspect.answers import EACH, PROBABILITIES, SCORES
from export.inspect.inspection import _read
_read(Path({str(folder / name)!r}), {kind!r})
print([one for one in ("tensorflow", "keras", "onnxruntime") if one in sys.modules])
"""
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ended.stdout == "[]\n"
