"""A model from elsewhere and what others' converters made of it: floats of -1 to 1, any layout, integers throughout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from onnxruntime.transformers.float16 import convert_float_to_float16
from PIL import Image

from export.foreign.verify import verify_foreign
from export.proof.parity import Parity
from export.runtimes.model_input import model_input
from export.runtimes.precision import precision
from export.runtimes.runners import load
from export.settings import Conversion, VerifySettings
from tests.calibrate import shake
from tests.elsewhere import SIZE, Call, classifier, copied, fit_answer, to_onnx, to_tflite
from tests.pictures import write_pictures
from tests.warm import warm_processes
from toolkit.data.image_set import scan
from toolkit.errors import UnfreezeError
from toolkit.pixels.decode import decode
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED
from unfreeze import cli

GOOD = {
    "plain.onnx": "float32",
    "nchw.onnx": "float32",
    "half.onnx": "float16",
    "plain.tflite": "float32",
    "half.tflite": "float16",
    "int8.tflite": "int8",
    "saved": "float32",
}
pytestmark = pytest.mark.long
FAULTS = {"scaled": "second", "bgr": "first", "classes": "answer", "normalised": "first"}  # and the layer to look at


@pytest.fixture(scope="module", autouse=True)
def warm() -> Iterator[None]:
    with warm_processes():
        yield


@pytest.fixture(scope="module")
def data(pictures: Path) -> tuple[np.ndarray, np.ndarray]:
    """float32 [40, 32, 32, 3] of -1 to 1, and labels, in the order of the folder."""
    images = scan(pictures)
    pixels = np.stack([decode(pictures / path, SIZE) for path in images.paths])
    return (pixels / 127.5 - 1).astype(np.float32), images.labels


@pytest.fixture(scope="module")
def model(data: tuple[np.ndarray, np.ndarray]) -> keras.Model:
    keras.utils.set_random_seed(3)
    made = shake(classifier(), data[0])
    fit_answer(made, *data)
    answers = made(data[0]).numpy()
    assert (answers.argmax(1) == data[1]).mean() >= 0.8
    assert answers.std(0).min() > 0.1, "answers that hardly differ prove nothing"
    return made


@pytest.fixture(scope="module")
def folder(model: keras.Model, data: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference and what was made of it, rightly and wrongly."""
    made = tmp_path_factory.mktemp("elsewhere")
    model.save(made / "reference.keras")
    to_onnx(model, made / "plain.onnx")
    to_onnx(model, made / "nchw.onnx", channels_first=True)
    onnx.save(convert_float_to_float16(onnx.load(made / "plain.onnx"), keep_io_types=False), made / "half.onnx")
    to_tflite(model, made / "plain.tflite")
    to_tflite(model, made / "half.tflite", kind="float16")
    to_tflite(model, made / "int8.tflite", kind="int8", images=data[0])
    model.export(made / "saved", verbose=False)
    swapped = copied(model, "answer", lambda array: array[..., ::-1])
    swapped.save(made / "swapped.keras")
    wrong: dict[str, tuple[keras.Model, Call]] = {
        "scaled": (scaled := copied(model, "second", lambda array: 1.3 * array), lambda x: scaled(x, training=False)),
        "bgr": (model, lambda x: model(x[..., ::-1], training=False)),
        "classes": (swapped, lambda x: swapped(x, training=False)),
        "normalised": (model, lambda x: model(x / 2 + 0.5, training=False)),
    }
    for name, (which, call) in wrong.items():
        to_onnx(which, made / f"{name}.onnx", call)
        to_tflite(which, made / f"{name}.tflite", call)
    return made


def verified(folder: Path, names: Sequence[str], data: Path, **how: Any) -> dict[str, Parity]:
    """By name; neither is timed."""
    limits = ("margin", "tolerance", "layers", "evidence", "max_flips", "retrained")
    settings = VerifySettings(
        **{"threads": (), "margin": 0.5, **{name: how.pop(name) for name in limits if name in how}}
    )
    taken = ("pixels", "labels", "image_size", "output")
    conversion = Conversion(**{"pixels": "-1..1", **{name: how.pop(name) for name in taken if name in how}})
    how = {"reference": folder / "reference.keras", "conversion": conversion, "settings": settings, **how}
    parities = verify_foreign(artefacts=[folder / name for name in names], data=data, **how)
    assert [parity.artefact.name for parity in parities] == list(names)
    return {parity.artefact.name: parity for parity in parities}


# What was made rightly


@pytest.fixture(scope="module")
def good(folder: Path, pictures: Path) -> dict[str, Parity]:
    """With a margin that forty images can show to be kept."""
    return verified(folder, list(GOOD), pictures, margin=10.0)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_file_holds(name: str, good: dict[str, Parity], data: tuple[np.ndarray, np.ndarray], model) -> None:
    parity = good[name]
    assert parity.verdict == HOLDS, parity.reason
    assert parity.artefact.precision == GOOD[name]
    assert parity.artefact.format == {"saved": "saved_model"}.get(name, name.rpartition(".")[2])
    assert parity.images == 40
    assert parity.reference_accuracy == (model(data[0]).numpy().argmax(1) == data[1]).mean()
    assert parity.divergence is None
    assert parity.timings == ()
    assert parity.max_difference is not None
    assert parity.max_difference < {"float32": 1e-5, "float16": 0.01, "int8": 0.1}[GOOD[name]]
    assert (parity.max_difference > 1e-4) == (GOOD[name] != "float32")


@pytest.mark.parametrize("name", GOOD)
def test_precision_is_read_from_the_file(name: str, folder: Path) -> None:
    assert precision(folder / name) == GOOD[name]


def test_the_files_take_what_they_are_said_to(folder: Path) -> None:
    zeros = np.zeros((2, SIZE, SIZE, 3), np.uint8)
    entries = {name: load(folder / name, conversion=Conversion("-1..1")).to_input(zeros) for name in GOOD}
    assert {name: entry.dtype for name, entry in entries.items()} == {
        name: {"half.onnx": np.float16, "int8.tflite": np.int8}.get(name, np.float32) for name in GOOD
    }
    assert {name for name, entry in entries.items() if entry.shape[1] == 3} == {"nchw.onnx"}


@pytest.mark.parametrize("name", ["nchw.onnx", "plain.tflite", "int8.tflite"])
def test_batches_do_not_change_answers(name: str, folder: Path, model, data: tuple[np.ndarray, np.ndarray]) -> None:
    predict = load(folder / name, conversion=Conversion("-1..1")).predict
    images = np.rint((data[0] + 1) * 127.5).astype(np.uint8)
    entry = model_input(model.input_shape, "float32")
    np.testing.assert_allclose(entry.convert(images, entry.check_pixels("-1..1")), data[0], atol=1e-6)
    parts = [predict(images[start:stop]) for start, stop in ((0, 1), (1, 5), (5, 6), (6, 40))]
    np.testing.assert_allclose(np.concatenate(parts), predict(images), atol=1e-6)
    assert np.abs(predict(images) - model(data[0]).numpy()).max() < 0.1


def test_too_few_images_tell_nothing_of_int8(folder: Path, pictures: Path) -> None:
    (parity,) = verified(folder, ["int8.tflite"], pictures, margin=0.5).values()
    assert parity.verdict == UNDECIDED
    assert not parity.broken


# What was made wrongly


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out") / "evidence"


@pytest.fixture(scope="module")
def bad(folder: Path, pictures: Path, out: Path) -> dict[str, Parity]:
    names = [f"{fault}.{kind}" for fault in FAULTS for kind in ("onnx", "tflite")]
    return verified(folder, [*names, "plain.onnx"], pictures, out=out)


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_where_it_is(fault: str, kind: str, bad: dict[str, Parity]) -> None:
    parity = bad[f"{fault}.{kind}"]
    assert parity.verdict == FAILS
    assert parity.broken
    assert parity.max_difference is not None
    assert parity.max_difference > 1e-3
    assert parity.divergence is not None
    assert parity.divergence.error == ""
    assert parity.divergence.compared >= 4
    assert parity.divergence.layer == FAULTS[fault]
    assert parity.divergence.own is not None
    assert parity.divergence.own > parity.divergence.limit


def test_a_good_file_among_them_holds(bad: dict[str, Parity]) -> None:
    assert bad["plain.onnx"]
    assert bad["plain.onnx"].divergence is None


def test_swapped_classes_turn_every_answer(bad: dict[str, Parity]) -> None:
    for kind in ("onnx", "tflite"):
        parity = bad[f"classes.{kind}"]
        assert parity.agreement == 0
        assert len(parity.flips) == 40
        assert {(flip.reference, flip.artefact) for flip in parity.flips} == {("dots", "stripes"), ("stripes", "dots")}


def test_the_evidence_is_written(bad: dict[str, Parity], out: Path) -> None:
    stored = json.loads((out / "parity.json").read_text())
    assert [entry["artefact"]["name"] for entry in stored] == list(bad)
    assert [entry["verdict"] == HOLDS for entry in stored] == [False] * 8 + [True]
    assert stored[0]["divergence"]["layer"] == "second"
    names = {path.name for path in out.iterdir()}
    flipped = {f"flips_{name}.png" for name, parity in bad.items() if parity.flips}
    assert names == {"parity.json", *flipped, *(f"layers_{name}.png" for name in list(bad)[:8])}
    assert {"flips_classes.onnx.png", "flips_classes.tflite.png"} <= flipped
    for path in out.glob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 100


def test_layers_of_good_files_are_compared_when_asked_for(folder: Path, pictures: Path) -> None:
    parities = verified(folder, ["nchw.onnx", "half.onnx", "int8.tflite"], pictures, layers=True)
    for name, parity in parities.items():
        assert parity.divergence is not None
        assert (parity.divergence.layer, parity.divergence.error) == ("", ""), name
        assert parity.divergence.compared >= 4


@pytest.mark.parametrize("count", [1, 3])
def test_files_that_take_so_many_images_and_no_more(
    count: int, model: keras.Model, data: tuple[np.ndarray, np.ndarray], pictures: Path, folder: Path, tmp_path: Path
) -> None:
    """As PyTorch and TFLite converters write them at their defaults; 40 images are no multiple of 3, nor are 4."""
    made = [
        to_onnx(model, tmp_path / "good.onnx", count=count),
        to_tflite(model, tmp_path / "good.tflite", count=count),
    ]
    if count == 1:
        made.append(to_tflite(model, tmp_path / "int8.tflite", kind="int8", images=data[0], count=1))
    scaled = copied(model, "second", lambda array: 1.3 * array)
    bad = [to_onnx(scaled, tmp_path / "bad.onnx", count=count), to_tflite(scaled, tmp_path / "bad.tflite", count=count)]
    parities = verify_foreign(
        folder / "reference.keras",
        [*made, *bad],
        pictures,
        conversion=Conversion("-1..1"),
        settings=VerifySettings(threads=(), margin=10.0),
    )
    assert [parity.verdict for parity in parities] == [HOLDS] * len(made) + [FAILS] * 2
    assert [parity.divergence.layer for parity in parities if parity.divergence] == ["second", "second"]


def test_files_of_an_open_batch_that_are_made_for_one_image_inside(
    model: keras.Model, pictures: Path, folder: Path, tmp_path: Path
) -> None:
    def call(x: Any) -> Any:
        return model(keras.ops.reshape(x, (1, SIZE, SIZE, 3)), training=False)

    to_tflite(model, tmp_path / "one.tflite", call)
    to_onnx(model, tmp_path / "one.onnx", call)
    how: dict[str, Any] = {"reference": folder / "reference.keras"}
    results = verified(tmp_path, ["one.tflite", "one.onnx"], pictures, **how)
    assert all(results.values()), [parity.reason for parity in results.values()]


def test_a_file_holds_against_itself_on_the_same_pixels_alone(folder: Path, pictures: Path) -> None:
    how: dict[str, Any] = {"reference": folder / "plain.onnx"}
    assert all(verified(folder, ["plain.onnx"], pictures, **how).values())
    with pytest.raises(UnfreezeError, match=r"plain\.onnx is reference and artefact, and cannot take two ranges"):
        verified(folder, ["plain.onnx"], pictures, reference_conversion=Conversion("0..1"), **how)


def labelled(path: Path, to: Path, names: Sequence[str], **more: str) -> Path:
    """The ONNX file with class names, and more metadata, inside."""
    loaded = onnx.load(path)
    onnx.helper.set_model_props(loaded, {"names": json.dumps(list(names)), **more})
    onnx.save(loaded, to)
    return to


def test_class_names_in_the_files_count_whichever_has_them(folder: Path, pictures: Path, tmp_path: Path) -> None:
    """The model's order is another than that of the folders' names, and the artefact says so."""
    labelled(folder / "classes.onnx", tmp_path / "named.onnx", ["stripes", "dots"])
    labelled(folder / "classes.onnx", tmp_path / "other.onnx", ["dots", "stripes"])
    right = verified(folder, ["plain.tflite"], pictures)["plain.tflite"].accuracy
    for reference, artefact in ((folder / "classes.onnx", "named.onnx"), (tmp_path / "named.onnx", "classes.onnx")):
        where = folder if artefact == "classes.onnx" else tmp_path
        (parity,) = verified(where, [artefact], pictures, reference=reference).values()
        assert parity, parity.reason
        assert parity.accuracy == right
    with pytest.raises(UnfreezeError, match="have different class names in them"):
        verified(tmp_path, ["named.onnx", "other.onnx"], pictures, reference=folder / "classes.onnx")


def test_too_many_class_names_are_told_before_the_folders_are_blamed(folder: Path, pictures: Path) -> None:
    with pytest.raises(UnfreezeError, match=r"gives 2 classes and --labels names 3"):
        verified(folder, ["plain.tflite"], pictures, reference=folder / "plain.onnx", labels=["a", "b", "c"])


def test_pixels_in_the_metadata_count_unless_their_order_is_another(folder: Path, pictures: Path, tmp_path) -> None:
    nominal = {"Image.NominalPixelRange": "Normalized_1_1"}
    path = labelled(folder / "plain.onnx", tmp_path / "rgb.onnx", ["dots", "stripes"], **nominal)
    assert load(path, conversion=Conversion()).loaded.pixels == "-1..1"
    nominal |= {"Image.BitmapPixelFormat": "Bgr8"}
    path = labelled(folder / "plain.onnx", tmp_path / "bgr.onnx", ["dots", "stripes"], **nominal)
    with pytest.raises(UnfreezeError, match="does not say which values pixels have"):
        load(path, conversion=Conversion())


def test_another_model_on_purpose_is_judged_by_its_accuracy(
    folder: Path, pictures: Path, model, tmp_path: Path
) -> None:
    """One whose answers are a little less sure, and right where the first is right."""
    to_onnx(copied(model, "answer", lambda array: 0.9 * array), tmp_path / "cooler.onnx")
    how: dict[str, Any] = {"reference": folder / "reference.keras", "margin": 10.0}
    assert verified(tmp_path, ["cooler.onnx"], pictures, **how)["cooler.onnx"].verdict == FAILS
    assert verified(tmp_path, ["cooler.onnx"], pictures, retrained=True, **how)["cooler.onnx"].verdict == HOLDS
    how = {"reference": folder / "reference.keras", "margin": 10.0, "retrained": True}
    assert verified(folder, ["classes.onnx"], pictures, **how)["classes.onnx"].verdict == FAILS


def test_layers_that_augment_do_not_when_layers_are_compared(
    model: keras.Model, folder: Path, pictures: Path, tmp_path: Path
) -> None:
    entry = keras.Input((SIZE, SIZE, 3))
    keras.Model(entry, model(keras.layers.RandomFlip()(entry))).save(tmp_path / "nested.keras")
    how: dict[str, Any] = {"reference": tmp_path / "nested.keras", "layers": True}
    good, bad = verified(folder, ["plain.onnx", "scaled.onnx"], pictures, **how).values()
    assert good.divergence is not None
    assert good.divergence.layer == ""
    assert bad.divergence is not None
    assert bad.divergence.layer == "second"


def test_one_logit_is_one_in_the_last_batch_too(
    model: keras.Model, data: tuple[np.ndarray, np.ndarray], pictures: Path, tmp_path: Path
) -> None:
    """33 images in batches of 32: of the last one alone nobody could say that 0.5 is no probability."""
    rows = [*range(32), 39]
    for row in rows:
        path = scan(pictures).paths[row]
        (tmp_path / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pictures / path, tmp_path / "data" / path)
    kernel, bias = model.get_layer("answer").get_weights()
    pool = model.get_layer("pool").output
    one = keras.Model(model.input, keras.layers.Dense(1, name="one")(pool))
    one.get_layer("one").set_weights([kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]])
    last = float(one(data[0][39:])[0, 0])
    one.get_layer("one").set_weights([kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1] + 0.5 - last])
    keras.Model(model.input, keras.layers.Activation("sigmoid")(one.output)).save(tmp_path / "sigmoid.keras")
    path = to_onnx(one, tmp_path / "logit.onnx")
    (parity,) = verify_foreign(
        tmp_path / "sigmoid.keras",
        [path],
        tmp_path / "data",
        conversion=Conversion("-1..1"),
        settings=VerifySettings(threads=()),
    )
    assert parity.images == 33
    assert parity, parity.reason


def test_the_wrong_range_is_not_the_artefacts_fault(folder: Path, pictures: Path) -> None:
    """Both get it, so they agree: it shows in the accuracy of the two."""
    (parity,) = verified(folder, ["plain.onnx"], pictures, pixels="0..255").values()
    assert parity


# Classes and data


def test_labels_in_the_models_own_order(folder: Path, pictures: Path, tmp_path: Path, good: dict[str, Parity]) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("stripes\n\n dots \n", encoding="utf-8")
    how: dict[str, Any] = {"reference": folder / "swapped.keras", "layers": True}
    (named,) = verified(folder, ["classes.onnx"], pictures, labels=labels, **how).values()
    assert named
    assert named.reference_accuracy == named.accuracy == good["plain.onnx"].accuracy
    (unnamed,) = verified(folder, ["classes.onnx"], pictures, **how).values()
    assert unnamed.accuracy == pytest.approx(1 - good["plain.onnx"].accuracy)


def test_the_test_part_alone_where_there_is_one(folder: Path, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "data" / "train")
    write_pictures(tmp_path / "data" / "test", per_class=3, seed=5)
    (parity,) = verified(folder, ["plain.onnx"], tmp_path / "data").values()
    assert parity.images == 6
    shutil.rmtree(tmp_path / "data" / "train")  # nothing is trained
    (parity,) = verified(folder, ["plain.onnx"], tmp_path / "data").values()
    assert parity.images == 6


def test_more_classes_than_answers(folder: Path, tmp_path: Path) -> None:
    three = write_pictures(tmp_path / "three", classes=("a", "b", "c"), per_class=2)
    with pytest.raises(UnfreezeError, match=r"gives 2 classes and .*three has 3; give --labels"):
        verified(folder, ["plain.onnx"], three)


def test_labels_that_are_not_there_or_do_not_fit(folder: Path, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UnfreezeError, match=r"labels\.txt cannot be read .*; give --labels"):
        verified(folder, ["plain.onnx"], pictures, labels=tmp_path / "labels.txt")
    (tmp_path / "labels.txt").write_text("dots\nrings\n")
    with pytest.raises(UnfreezeError, match="no class stripes"):
        verified(folder, ["plain.onnx"], pictures, labels=tmp_path / "labels.txt")


def test_labels_as_windows_saves_them(folder: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("dots\r\nstripes\r\n", encoding="utf-8-sig")
    assert all(verified(folder, ["plain.onnx"], pictures, labels=tmp_path / "labels.txt").values())


@pytest.mark.parametrize(("content", "said"), [(b"dots\nstr\xe4pes\n", "not UTF-8"), (b"", "is empty")])
def test_labels_that_cannot_be_read(content: bytes, said: str, folder: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(UnfreezeError, match=said):
        verified(folder, ["plain.onnx"], pictures, labels=tmp_path / "labels.txt")


def test_no_artefact_is_no_success(folder: Path, pictures: Path) -> None:
    with pytest.raises(UnfreezeError, match="no artefact"):
        verified(folder, [], pictures)


def test_an_artefact_with_another_number_of_answers_has_failed(folder: Path, pictures: Path, tmp_path: Path) -> None:
    path = to_onnx(classifier(classes=3), tmp_path / "three.onnx")
    (parity,) = verified(tmp_path, ["three.onnx"], pictures, reference=folder / "reference.keras").values()
    assert path.exists()
    assert (parity.verdict, parity.ran) == (FAILS, False)
    assert "(40, 3)" in parity.reason


def test_each_file_gets_images_of_its_own_size(folder: Path, pictures: Path, model, tmp_path: Path) -> None:
    """A file that halves its image first answers as its model does on images of half the size, resized likewise."""
    small = classifier(size=16)
    small.set_weights(model.get_weights())
    path = to_onnx(small, tmp_path / "small.onnx")
    how: dict[str, Any] = {"reference": folder / "reference.keras", "layers": True}
    (parity,) = verified(tmp_path, [path.name], pictures, **how).values()
    halves = np.stack([decode((pictures / name).read_bytes(), 16) for name in scan(pictures).paths])
    expected = small((halves / 127.5 - 1).astype(np.float32)).numpy().argmax(1)
    assert parity.accuracy == (expected == scan(pictures).labels).mean()
    assert parity.divergence is None


# The reference


def with_lambda(folder: Path) -> Path:
    entry = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Flatten()(keras.layers.Lambda(lambda pixels: pixels / 2)(entry))
    path = folder / "lambda.keras"
    keras.Model(entry, keras.layers.Dense(2)(x)).save(path)
    return path


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_reference_in_half_precision_accuses_no_right_file(
    policy: str, model: keras.Model, folder: Path, pictures: Path, tmp_path: Path
) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        half = classifier()
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(model.get_weights())
    half.save(tmp_path / "half.keras")
    settings = {"reference": tmp_path / "half.keras", "margin": 10.0}
    good, bad = verified(folder, ["plain.onnx", "scaled.onnx"], pictures, **settings).values()
    assert good.verdict == HOLDS, good.reason
    assert good.max_difference is not None
    assert good.max_difference < 1e-5
    assert bad.verdict == FAILS


def test_code_in_a_reference_is_not_run(folder: Path, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UnfreezeError, match=r"lambda\.keras uses 'keras.layers.Lambda'") as caught:
        verified(folder, ["plain.onnx"], pictures, reference=with_lambda(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"garbage"])
def test_a_reference_that_is_no_model(content: bytes | None, folder: Path, pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnfreezeError, match=r"model\.keras (does not exist|is no \.keras file)") as caught:
        verified(folder, ["plain.onnx"], pictures, reference=path)
    assert "\n" not in str(caught.value)


def test_a_reference_of_words_is_refused(folder: Path, pictures: Path, tmp_path: Path) -> None:
    entry = keras.Input((192,))
    keras.Model(entry, keras.layers.Dense(2)(entry)).save(tmp_path / "words.keras")
    with pytest.raises(UnfreezeError, match="must take RGB or grey"):
        verified(folder, ["plain.onnx"], pictures, reference=tmp_path / "words.keras")


def test_of_several_outputs_one_is_named(folder: Path, pictures: Path, model, tmp_path: Path) -> None:
    two = keras.Model(model.input, [model.get_layer("pool").output, model.output])
    two.save(tmp_path / "two.keras")
    to_onnx(two, tmp_path / "two.onnx")
    for name in ("two.keras", "two.onnx"):
        with pytest.raises(UnfreezeError, match=rf"{name}: it has 2 outputs: [^ ]+, [^ ]+; give --output with one"):
            verified(folder, ["plain.onnx"], pictures, reference=tmp_path / name)
    with pytest.raises(UnfreezeError, match="no output is named 'other'; it has 2 outputs"):
        verified(folder, ["plain.onnx"], pictures, reference=tmp_path / "two.keras", output="other")
    how: dict[str, Any] = {"reference": tmp_path / "two.keras", "output": "answer"}
    assert all(verified(folder, ["plain.onnx", "plain.tflite"], pictures, **how).values())


# As it is typed


def typed(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = cli._main([str(argument) for argument in ("verify", *arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_exit_0_where_all_hold(folder: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    which = ["--reference", folder / "reference.keras", "--artefact", folder / "plain.onnx", "--data", pictures]
    code, out, err = typed(capsys, *which, "--pixels", "-1..1", "--no-times", "--json")
    assert code == 0, err
    (entry,) = json.loads(out)
    assert entry["verdict"] == HOLDS
    assert entry["artefact"]["name"] == "plain.onnx"
    assert entry["timings"] == []


def test_exit_1_where_one_does_not(
    folder: Path, pictures: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    which = [part for name in ("plain.tflite", "scaled.onnx") for part in ("--artefact", folder / name)]
    which += ["--reference", folder / "reference.keras", "--data", pictures, "--out", tmp_path / "out"]
    code, out, err = typed(capsys, *which, "--pixels", "-1..1", "--no-times", "--json")
    assert code == 1
    assert [entry["verdict"] for entry in json.loads(out)] == [HOLDS, FAILS]
    assert json.loads(out)[1]["divergence"]["layer"] == "second"
    assert err.endswith("error: scaled.onnx does not hold\n")
    assert json.loads((tmp_path / "out" / "parity.json").read_text()) == json.loads(out)


@pytest.mark.parametrize("left_out", ["--reference", "--artefact", "--data"])
@pytest.mark.parametrize("absent", [False, True], ids=["left out", "absent"])
def test_exit_2_where_a_piece_is_missing(
    left_out: str, absent: bool, folder: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pieces = {"--reference": folder / "reference.keras", "--artefact": folder / "plain.onnx", "--data": pictures}
    del pieces[left_out]
    gone = [left_out, folder / "gone"] if absent else []
    code, out, err = typed(capsys, *[part for piece in pieces.items() for part in piece], *gone)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert ("gone does not exist; give" if absent else "--reference FILE, --artefact FILE and --data DIR") in err


def test_exit_2_where_a_run_is_given_too(folder: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value in (("--reference", "reference.keras"), ("--artefact", "plain.onnx")):
        code, _, err = typed(capsys, pictures, option, folder / value)
        assert code == 2
        assert f"{option} goes without RUN" in err
