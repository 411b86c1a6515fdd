"""What apps do to a file, each against the library that does it; and what becomes of the accuracy."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from export.artefacts import read_manifest, read_reference
from export.proof.clients import CLIENTS, TRAINED, Client
from export.proof.pixel_sensitivity import sensitivity, write_sensitivity
from tests.pictures import draw, encode
from toolkit.data.image_set import ImageSet
from toolkit.errors import UnfreezeError
from toolkit.pixels.decode import decode, decode_whole
from toolkit.run import Run
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED
from toolkit.storage.files import file_digest

SIZE = 24
SHAPES = [(96, 144), (61, 90), (144, 60)]  # height and width
DIVISIBLE = SHAPES[:1]  # by SIZE, into whole blocks


def client(name: str) -> Client:
    (found,) = (client for client in CLIENTS if name in client.name)
    return found


def photograph(height: int, width: int, *, turned: bool = False) -> bytes:
    """A JPEG of an image that no turn, mirror or swap of channels leaves as it was; `turned`: taken upside down,
    as it says."""
    rng = np.random.default_rng(height)
    picture = np.where(np.arange(width)[:, None] < 40, draw(2, width, rng), draw(0, width, rng))[:height]
    whole = np.resize(picture, (height, width, 3)) if len(picture) < height else picture
    tags = Image.Exif()
    tags[0x0112] = 3 if turned else 1
    return encode(np.ascontiguousarray(whole), quality=95, exif=tags.tobytes())


def tensorflow(rgb: np.ndarray, antialias: bool = False) -> np.ndarray:
    import tensorflow as tf

    return tf.image.resize(rgb, (SIZE, SIZE), "bilinear", antialias=antialias).numpy()


def tensorflow_1(rgb: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    return tf.raw_ops.ResizeBilinear(images=rgb[None], size=(SIZE, SIZE), half_pixel_centers=False).numpy()[0]


def fitted(rgb: np.ndarray, side: int) -> np.ndarray:
    import tensorflow as tf

    return tf.image.resize_with_crop_or_pad(rgb, side, side).numpy()


def means(rgb: np.ndarray, down: int, across: int) -> np.ndarray:
    """The mean of each block of so many pixels."""
    height, width = rgb.shape[0] // down, rgb.shape[1] // across
    return rgb.reshape(height, down, width, across, 3).mean((1, 3))


def pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def half_size(data: bytes) -> np.ndarray:
    """OpenCV asks libjpeg for it as Android does."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_COLOR_2)[..., ::-1]


def keras_nearest(data: bytes, folder: Path) -> np.ndarray:
    import keras

    (folder / "image.jpg").write_bytes(data)
    return np.asarray(keras.utils.load_img(folder / "image.jpg", target_size=(SIZE, SIZE)))


def opencv_bgr(data: bytes) -> np.ndarray:
    return cv2.resize(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), (SIZE, SIZE))


Oracle = Callable[[bytes, Path], np.ndarray]
ORACLES: dict[str, tuple[Oracle, float, list[tuple[int, int]]]] = {  # oracle, levels it may be off, shapes
    "as trained": (lambda data, _: tensorflow(pillow(data)), 0.51, SHAPES),
    "OpenCV INTER_LINEAR": (lambda data, _: tensorflow(pillow(data)), 1.01, SHAPES),
    "browser canvas, high quality": (lambda data, _: tensorflow(means(pillow(data), 4, 4)), 2, DIVISIBLE),
    "antialias=True": (lambda data, _: tensorflow(pillow(data), antialias=True), 1.5, SHAPES),
    "INTER_AREA": (lambda data, _: means(pillow(data), 4, 6), 0.51, DIVISIBLE),
    "without half-pixel centers": (lambda data, _: tensorflow_1(pillow(data)), 0.51, SHAPES),
    "nearest": (keras_nearest, 0, SHAPES),
    "half size": (lambda data, _: tensorflow(half_size(data)), 1, SHAPES),
    "centre crop": (lambda data, _: tensorflow(fitted(pillow(data), min(pillow(data).shape[:2]))), 0.51, SHAPES),
    "letterbox": (lambda data, _: tensorflow(fitted(pillow(data), max(pillow(data).shape[:2]))), 0.51, SHAPES),
    "BGR": (lambda data, _: opencv_bgr(data), 1, SHAPES),
}


@pytest.mark.parametrize(
    ("name", "shape"),
    [(name, shape) for name, (_, _, shapes) in ORACLES.items() for shape in shapes],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}x{value[1]}",
)
def test_pixels_are_those_of_the_library_that_makes_them(name: str, shape: tuple[int, int], tmp_path: Path) -> None:
    oracle, most, _ = ORACLES[name]
    data = photograph(*shape)
    got = client(name).pixels(decode_whole(data), partial(decode_whole, data), SIZE)
    assert got.dtype == np.uint8
    assert got.shape == (SIZE, SIZE, 3)
    assert np.abs(got - oracle(data, tmp_path).astype(np.float64)).max() <= most


def test_ignored_orientation_leaves_the_sensors_pixels() -> None:
    tags = Image.Exif()
    tags[0x0112] = 6  # a phone held upright
    data = encode(draw(3, 60, np.random.default_rng(1))[:36], quality=95, exif=tags.tobytes())
    upright = decode_whole(data)
    assert upright.shape == (60, 36, 3)
    got = client("EXIF orientation of these files ignored").pixels(upright, partial(decode_whole, data), SIZE)
    assert np.abs(got - tensorflow(pillow(data))).max() <= 0.51
    assert np.abs(got - tensorflow(upright)).max() > 20


def test_floats_of_0_to_1_in_a_uint8_are_black() -> None:
    rgb = np.full((40, 50, 3), 254, np.uint8)
    rgb[:, 25:] = 255
    assert np.unique(client("floats 0 to 1").pixels(rgb, partial(decode_whole, b""), SIZE)).tolist() == [0, 1]


def test_the_trained_recipe_is_the_decoders() -> None:
    data = photograph(61, 90)
    np.testing.assert_array_equal(
        TRAINED.pixels(decode_whole(data), partial(decode_whole, data), SIZE), decode(data, SIZE)
    )


@pytest.mark.parametrize("each", CLIENTS[1:], ids=lambda each: each.name)
def test_a_client_differs_from_the_recipe(each: Client) -> None:
    """All but the one that an app should use."""
    data = photograph(96, 144, turned=True)
    rgb = decode_whole(data)
    trained = TRAINED.pixels(rgb, partial(decode_whole, data), SIZE).astype(int)
    most = np.abs(each.pixels(rgb, partial(decode_whole, data), SIZE) - trained).max()
    assert most <= 1 if "INTER_LINEAR" in each.name else most > 20


def test_clients_differ_from_each_other() -> None:
    data = photograph(96, 144, turned=True)
    made = [each.pixels(decode_whole(data), partial(decode_whole, data), SIZE).astype(int) for each in CLIENTS[1:]]
    assert min(np.abs(one - other).max() for n, one in enumerate(made) for other in made[:n]) > 1


@pytest.mark.parametrize("each", CLIENTS, ids=lambda each: each.name)
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (SIZE, SIZE), (7, 5)], ids=str)
def test_any_size_will_do(shape: tuple[int, int], each: Client) -> None:
    data = encode(np.full((*shape, 3), 90, np.uint8), quality=95)
    assert each.pixels(decode_whole(data), partial(decode_whole, data), SIZE).shape == (SIZE, SIZE, 3)


# Accuracy


@pytest.fixture(scope="module")
def rows(finished: Run) -> list:
    return sensitivity(finished.path / "export" / "model.onnx", finished.images.select("test"), 32)


def test_every_client_has_its_row_and_the_trained_one_is_the_reference(rows: list, finished: Run) -> None:
    reference = read_reference(read_manifest(finished.path / "export"))
    assert [row.client for row in rows] == [each.name for each in CLIENTS]
    assert rows[0].client == TRAINED.name
    assert (rows[0].flips, rows[0].lost, rows[0].verdict) == (0, 0, UNDECIDED)
    assert rows[0].accuracy == (reference.probabilities.argmax(1) == reference.labels).mean()


def test_rows_are_counted_from_the_answers(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model that looks at each pixel by itself: what apps do turns its answers in both directions."""
    images = finished.images
    weights = np.random.default_rng(9).normal(0, 1, (32 * 32 * 3, 2))

    class Nervous:
        @staticmethod
        def predict(batch: np.ndarray) -> np.ndarray:
            return (batch.reshape(len(batch), -1) - 128.0) @ weights

    monkeypatch.setattr("export.proof.pixel_sensitivity.load", lambda path: Nervous)
    told = sensitivity(finished.path, images, 32)
    files = [(images.root / path).read_bytes() for path in images.paths]
    trained = Nervous.predict(np.stack([decode(data, 32) for data in files])).argmax(1)
    for row, each in zip(told, CLIENTS, strict=True):
        answers = Nervous.predict(
            np.stack([each.pixels(decode_whole(data), partial(decode_whole, data), 32) for data in files])
        ).argmax(1)
        assert row.accuracy == (answers == images.labels).mean()
        assert row.flips == (answers != trained).sum()
        assert row.lost == pytest.approx(told[0].accuracy - row.accuracy)
        assert row.lost_at_most > row.lost
    assert max(row.flips for row in told) > 1
    assert min(row.lost for row in told) < 0 < max(row.lost for row in told)


def many(folder: Path, count: int = 70) -> ImageSet:
    """Grey images, the second half of them bright: more than two batches."""
    names = [f"{number:03d}.png" for number in range(count)]
    values = [20 if number < count // 2 else 220 for number in range(count)]
    rng = np.random.default_rng(0)
    for name, value in zip(names, values, strict=True):
        (folder / name).write_bytes(encode(rng.integers(value - 5, value + 5, (40, 30, 3)).astype(np.uint8), "PNG"))
    return ImageSet(
        root=folder,
        class_names=("dark", "bright"),
        paths=tuple(names),
        labels=np.array([value > 100 for value in values], np.int32),
        digests=tuple(file_digest(folder / name) for name in names),
        parts=("test",) * count,
        sizes=np.full((count, 2), (30, 40), np.int32),
    )


def test_what_is_lost_and_what_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that tells dark from bright bears any resize, and neither floats of 0 to 1 nor too small a margin."""

    class Bright:
        @staticmethod
        def predict(images: np.ndarray) -> np.ndarray:
            second = (images.mean((1, 2, 3)) > 100).astype(np.float32)
            return np.stack([1 - second, second], axis=1)

    monkeypatch.setattr("export.proof.pixel_sensitivity.load", lambda path: Bright)
    images, seen = many(tmp_path), []
    told = sensitivity(
        tmp_path, images, SIZE, margin=5.0, progress=lambda what, done, total: seen.append((what, done, total))
    )
    verdicts = {row.client: row.verdict for row in told}
    assert [name for name, verdict in verdicts.items() if verdict != HOLDS] == [client("floats 0 to 1").name]
    assert verdicts[client("floats 0 to 1").name] == FAILS
    assert {(row.accuracy, row.flips) for row in told if row.verdict == HOLDS} == {(1.0, 0)}
    assert (told[-1].accuracy, told[-1].flips, told[-1].lost) == (0.5, 35, 0.5)
    assert [done for _, done, _ in seen] == [0, 32, 64, 70]
    assert {(what, total) for what, _, total in seen} == {("decoding as clients do", 70)}
    strict = sensitivity(tmp_path, images, SIZE, margin=0.5)
    assert [row.verdict for row in strict] == [*[UNDECIDED] * (len(CLIENTS) - 1), FAILS]


def test_an_image_that_changed_since_the_scan_is_told(finished: Run, tmp_path: Path) -> None:
    images = finished.images.select("test")
    for path in images.paths:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(images.root / path, tmp_path / path)
    moved, model = replace(images, root=tmp_path), finished.path / "export" / "model.onnx"
    assert sensitivity(model, moved, 32)[0].flips == 0
    changed = tmp_path / images.paths[-1]
    changed.write_bytes(changed.read_bytes() + b" ")
    with pytest.raises(UnfreezeError, match=rf"{changed.name} changed after it was scanned"):
        sensitivity(model, moved, 32)
    changed.unlink()
    with pytest.raises(UnfreezeError, match="cannot be read any more"):
        sensitivity(model, moved, 32)


def test_what_is_written(rows: list, tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    write_sensitivity(tmp_path, "model.onnx", rows, 0.5)
    stored = json.loads((tmp_path / "resize.json").read_text())
    assert stored["artefact"] == "model.onnx"
    assert [entry["client"] for entry in stored["clients"]] == [each.name for each in CLIENTS]
    assert [entry["flips"] for entry in stored["clients"]] == [row.flips for row in rows]
    assert set(stored["clients"][0]) == {"client", "accuracy", "flips", "lost", "lost_at_most", "verdict"}
    with Image.open(tmp_path / "plots" / "resize.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 200
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10
