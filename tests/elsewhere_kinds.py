"""A small file of each kind of model that people have, each with the answers that it should give.

All classify stripes and dots. Those of a family compute the same function of an image, whatever they take and are
stored as: its oracle is a Keras model that is fed by hand.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
import onnx
import tensorflow as tf
from onnxruntime.quantization import quantize_dynamic, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16

from export.formats import tflite_metadata
from tests.calibrate import shake
from tests.elsewhere import SIZE, Images, classifier, copied, fit_answer, to_onnx, to_tflite
from toolkit.data.image_set import scan
from toolkit.pixels.decode import decode
from toolkit.pixels.grey import to_grey

TALL = (40, 24)  # height and width of the images that are no squares
CLASSES = ("dots", "stripes")
LABELS, SIDE, OUTPUT = "--labels", "--image-size", "--output"
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@dataclass(frozen=True)
class Kind:
    """A row of the table in docs/recipes/elsewhere.md, and the file that it is tried on."""

    name: str
    file: str
    pixels: str = "-1..1"  # "": the file says it, or there is nothing to say
    needs: tuple[str, ...] = (LABELS,)  # options beside --pixels
    family: str = "colour"  # of `Families`; "": it has no answers
    close: float = 1e-5  # largest difference of its probabilities from the oracle's


ROUNDED = {"float16": 0.01, "int8": 0.1}
SPOKEN: tuple[str, ...] = ()  # the file has its class names
KINDS = (
    Kind("`.keras`, Keras 3", "k3.keras", "0..1"),
    Kind("`.keras`, computes in mixed_float16", "half.keras"),
    Kind("`.keras`, answers with a dict", "dict.keras"),
    Kind("`.keras`, Keras 2", "keras2.keras"),
    Kind("`.h5`, Keras 2", "keras2.h5"),
    Kind("`.h5`, Keras 3", "k3.h5"),
    Kind("`.h5`, weights alone", "alone.weights.h5", family=""),
    Kind("`.keras`, with a Lambda", "lambda.keras", family=""),
    Kind("`.keras`, takes 784 numbers", "numbers.keras", family=""),
    Kind("SavedModel", "saved"),
    Kind("SavedModel, its augmentation active", "random", family=""),
    Kind("TFLite, float32", "plain.tflite"),
    Kind("TFLite, float16", "half.tflite", close=ROUNDED["float16"]),
    Kind("TFLite, dynamic range", "dynamic.tflite", close=ROUNDED["int8"]),
    Kind("TFLite, int8 at both ends", "int8.tflite", close=ROUNDED["int8"]),
    Kind("TFLite, uint8 at both ends", "uint8.tflite", close=ROUNDED["int8"]),
    Kind("TFLite, named `.lite`", "plain.lite"),
    Kind("TFLite, with metadata", "metadata.tflite", "", SPOKEN),
    Kind("TFLite, grey `[1, H, W, 1]`", "grey.tflite", family="grey"),
    Kind("TFLite, grey `[1, H, W]`", "flat.tflite", family="grey"),
    Kind("TFLite, 4 images at a time", "four.tflite"),
    Kind("TFLite, no square", "tall.tflite", family="tall"),
    Kind("ONNX, float32", "plain.onnx"),
    Kind("ONNX, `[N, 3, H, W]` of PyTorch", "torch.onnx", "imagenet"),
    Kind("ONNX, float16", "half.onnx", close=ROUNDED["float16"]),
    Kind("ONNX, int8 (QDQ)", "qdq.onnx", close=ROUNDED["int8"]),
    Kind("ONNX, dynamic range", "dynamic.onnx", close=ROUNDED["int8"]),
    Kind("ONNX, of any size", "open.onnx", needs=(LABELS, SIDE)),
    Kind("ONNX, two outputs", "two.onnx", needs=(LABELS, OUTPUT)),
    Kind("ONNX, one sigmoid", "sigmoid.onnx"),
    Kind("ONNX, a sigmoid for each class", "sigmoids.onnx", family="sigmoids"),
    Kind("ONNX, logits", "logits.onnx"),
    Kind("ONNX, weights in a file beside it", "outside.onnx"),
    Kind("ONNX, that file missing", "missing.onnx", family=""),
    Kind("ONNX, names as of Ultralytics", "names.onnx", "0..1", SPOKEN),
    Kind("TFLite, int8, exported here", "own/export/model_int8.tflite", "", SPOKEN, close=ROUNDED["int8"]),
    Kind("TFLite, dynamic range, exported here", "own/export/model_dynamic.tflite", "", SPOKEN, close=ROUNDED["int8"]),
    Kind("Git LFS pointer", "pointer.onnx", family=""),
    Kind("a text file", "notes.txt", family=""),
)
BY_NAME = {kind.name: kind for kind in KINDS}
PARTNER_OF_ITSELF = "plain.tflite"  # of the file that is the others' partner
PARTNERS = {"colour": "plain.onnx", "grey": "grey.onnx", "tall": "tall.onnx", "sigmoids": "sigmoids.tflite"}


def options(kind: Kind, folder: Path) -> dict[str, list[str]]:
    """The options that `predict` needs for the file, by their names, each with its value."""
    values = {LABELS: str(folder / "labels.txt"), SIDE: str(SIZE), OUTPUT: "answer"}
    given = {"--pixels": kind.pixels} if kind.pixels else {}
    return {name: [name, value] for name, value in (given | {name: values[name] for name in kind.needs}).items()}


# Models that compute the same


def taking(model: keras.Model, change: Callable[[Any], Any], shape: tuple[int, ...] | None = None) -> keras.Model:
    """The model behind `change`, a function of its images."""
    entry = keras.Input(shape or model.input_shape[1:], name="photograph")
    return keras.Model(entry, model(change(entry)))


def ending(model: keras.Model, units: int, activation: str | None) -> keras.Model:
    """With another last layer: of one unit, the difference of the two."""
    kernel, bias = model.get_layer("answer").get_weights()
    made = keras.layers.Dense(units, activation=activation, name="other")
    whole = keras.Model(model.input, made(model.get_layer("pool").output))
    made.set_weights([kernel, bias] if units == 2 else [kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]])
    return whole


def of_size(model: keras.Model, size: int | None, width: int | None = None) -> keras.Model:
    """The same weights for images of another size; None: of any."""
    made = classifier(size, width=width)
    made.set_weights(model.get_weights())
    return made


@dataclass(frozen=True)
class Families:
    """What the files compute: a Keras model for each family, which takes -1..1."""

    root: Path  # of the pictures
    models: dict[str, keras.Model]

    def fed(self, family: str) -> np.ndarray:
        """float32 [N, H, W, 3 or 1] of -1..1: all pictures, in the order of `paths`."""
        size = TALL if family == "tall" else (SIZE, SIZE)
        pixels = np.stack([decode(self.root / path, size) for path in self.paths])
        fed: np.ndarray = (to_grey(pixels) if family == "grey" else pixels) / np.float32(127.5) - np.float32(1)
        return fed

    def answers(self, family: str) -> np.ndarray:
        """float64 [N, 2], of all pictures."""
        given = self.models[family](self.fed(family), training=False).numpy().astype(np.float64)
        return given / given.sum(1, keepdims=True)

    @property
    def paths(self) -> tuple[str, ...]:
        return scan(self.root).paths

    @property
    def images(self) -> np.ndarray:
        return self.fed("colour")


def families(root: Path) -> Families:
    """Models that are right on most pictures and certain of none."""
    keras.utils.set_random_seed(3)
    base = Families(root, {})
    model = shake(classifier(), base.images)
    fit_answer(model, base.images, scan(root).labels)
    three = keras.layers.Concatenate()
    models = {
        "colour": model,
        "grey": taking(model, lambda x: three([x, x, x]), (SIZE, SIZE, 1)),
        "tall": of_size(model, *TALL),
        "sigmoids": ending(model, 2, "sigmoid"),
    }
    fit_answer(models["tall"], base.fed("tall"), scan(root).labels)
    return Families(root, models)


# Their files


def write_kinds(folder: Path, made: Families) -> None:
    """The files of KINDS, but those that are exported here, and of PARTNERS; base.keras, the model; labels.txt."""
    (folder / "labels.txt").write_text("\n".join(CLASSES), encoding="utf-8")
    _keras(folder, made.models["colour"])
    _keras_2(folder, made.models["colour"])
    _saved_models(folder, made.models["colour"])
    _tflite(folder, made)
    _onnx(folder, made)
    (folder / "pointer.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n")
    (folder / "notes.txt").write_text("Buy milk.\n")


def _keras(folder: Path, model: keras.Model) -> None:
    layers = keras.layers
    keras.Sequential([keras.Input((SIZE, SIZE, 3)), layers.Rescaling(2.0, -1.0), model]).save(folder / "k3.keras")
    model.save(folder / "base.keras")
    model.save(folder / "k3.h5")
    model.save_weights(folder / "alone.weights.h5")
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = of_size(model, SIZE)
    finally:
        keras.config.set_dtype_policy("float32")
    half.save(folder / "half.keras")
    keras.Model(model.input, {"scores": model.output}).save(folder / "dict.keras")
    taking(model, layers.Lambda(lambda x: x)).save(folder / "lambda.keras")
    keras.Sequential([keras.Input((784,)), layers.Dense(2, activation="softmax")]).save(folder / "numbers.keras")


def _keras_2(folder: Path, model: keras.Model) -> None:
    arrays = {f"{one.name}.{place}": array for one in model.layers for place, array in enumerate(one.get_weights())}
    np.savez(folder / "weights.npz", **arrays)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_USE", "KERAS"))}
    command = [sys.executable, "-m", "tests.keras2_classifier", str(folder), str(folder / "weights.npz")]
    subprocess.run(command, cwd=Path(__file__).parents[1], env=kept, capture_output=True, check=True)


def _saved_models(folder: Path, model: keras.Model) -> None:
    model.export(folder / "saved", verbose=False)
    moved = taking(model, keras.layers.RandomTranslation(0.4, 0.4))
    archive = keras.export.ExportArchive()
    archive.track(moved)
    entry = tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32)
    archive.add_endpoint("serving_default", lambda x: moved(x, training=True), [entry])
    archive.write_out(folder / "random", verbose=False)


def _tflite(folder: Path, made: Families) -> None:
    model, images = made.models["colour"], made.images
    to_tflite(model, folder / "plain.tflite")
    (folder / "plain.lite").write_bytes((folder / "plain.tflite").read_bytes())
    (folder / "metadata.tflite").write_bytes(with_metadata((folder / "plain.tflite").read_bytes()))
    to_tflite(model, folder / "half.tflite", kind="float16")
    to_tflite(model, folder / "dynamic.tflite", kind="dynamic")
    to_tflite(model, folder / "int8.tflite", kind="int8", images=images)
    to_tflite(model, folder / "uint8.tflite", kind="uint8", images=np.minimum(images, 127 / 128))
    to_tflite(model, folder / "four.tflite", count=4)
    to_tflite(made.models["tall"], folder / "tall.tflite")
    to_tflite(made.models["sigmoids"], folder / "sigmoids.tflite")
    to_tflite(made.models["grey"], folder / "grey.tflite", count=1)
    flat = taking(made.models["grey"], keras.layers.Reshape((SIZE, SIZE, 1)), (SIZE, SIZE))
    to_tflite(flat, folder / "flat.tflite", count=1)


def with_metadata(content: bytes) -> bytes:
    """With labels and a normalisation of -1..1, as TensorFlow's metadata writer left them."""
    described = {"class_names": list(CLASSES), "unfreeze": "1", "license": "MIT", "output": {"name": "answer"}}
    described |= {"input": {"name": "photograph", "shape": ["batch", SIZE, SIZE, 3], "resize": "bilinear"}}

    def unit(builder: Any) -> int:
        floats = tflite_metadata._floats
        options = tflite_metadata._table(builder, 2, {0: floats(builder, [127.5]), 1: floats(builder, [127.5])})
        return tflite_metadata._table(builder, 2, {0: ("uint8", tflite_metadata.NORMALIZATION), 1: options})

    labels = {tflite_metadata.LABELS: "\n".join(CLASSES)}
    with patch.multiple(tflite_metadata, _process_unit=unit, _files=lambda described: labels):
        return tflite_metadata.attach(content, described)


def _onnx(folder: Path, made: Families) -> None:
    model = made.models["colour"]
    for family in ("colour", "grey", "tall", "sigmoids"):
        to_onnx(made.models[family], folder / f"{'plain' if family == 'colour' else family}.onnx")
    plain = folder / "plain.onnx"
    back = taking(model, lambda x: (x * DEVIATION.astype("float32") + MEAN.astype("float32")) * 2.0 - 1.0)
    to_onnx(back, folder / "torch.onnx", channels_first=True)
    onnx.save(convert_float_to_float16(onnx.load(plain), keep_io_types=False), folder / "half.onnx")
    # seven bits: with eight, sums of products overflow on processors without VNNI, and answers are far off
    quantize_static(plain, folder / "qdq.onnx", Images(made.images), per_channel=True, reduce_range=True)
    quantize_dynamic(plain, folder / "dynamic.onnx", per_channel=True, reduce_range=True)
    to_onnx(of_size(model, None), folder / "open.onnx")
    both = keras.Model(model.input, [model.get_layer("pool").output, model.output])
    to_onnx(model, folder / "two.onnx", lambda x: dict(zip(("pool", "answer"), both(x, training=False), strict=True)))
    for name, ends in {"sigmoid": (1, "sigmoid"), "logits": (2, None)}.items():
        to_onnx(ending(model, *ends), folder / f"{name}.onnx")
    how: dict[str, Any] = {"save_as_external_data": True, "size_threshold": 100}
    for name in ("outside", "missing"):
        onnx.save(onnx.load(plain), folder / f"{name}.onnx", location=f"{name}.bin", **how)
    (folder / "missing.bin").unlink()
    to_onnx(taking(model, lambda x: x * 2.0 - 1.0), folder / "names.onnx", channels_first=True)
    stored = onnx.load(folder / "names.onnx")
    told = {"description": "Ultralytics YOLOv8n-cls", "task": "classify", "imgsz": "[32, 32]", "stride": "1"}
    onnx.helper.set_model_props(stored, told | {"names": str(dict(enumerate(CLASSES)))})
    onnx.save(stored, folder / "names.onnx")


def write_scaled(folder: Path, made: Families) -> None:
    """bad/: the same models with one layer scaled by 1.3, in the four formats."""
    wrong = copied(made.models["colour"], "second", lambda array: 1.3 * array)
    (folder / "bad").mkdir()
    wrong.save(folder / "bad" / "bad.keras")
    wrong.export(folder / "bad" / "bad_saved", verbose=False)
    to_onnx(wrong, folder / "bad" / "bad.onnx")
    to_tflite(wrong, folder / "bad" / "bad.tflite")
    to_tflite(wrong, folder / "bad" / "bad_int8.tflite", kind="int8", images=made.images)
