"""16-bit samples -> 8 bits: by the bits that the data use, all 16, or each image's own range."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from export.description import levels as described_levels
from export.description import read_description
from export.foreign.verify import _recipe as reference_recipe
from export.predict import _Classifier, _predict
from export.runtimes import worker
from export.targets.snippets import snippets
from tests.format_files import by_opencv
from tests.hostile import png_chunk, png_of
from tests.pictures import draw, encode
from toolkit.data.decoded_arrays import decoded, decoded_both
from toolkit.data.formats_seen import resolved_levels
from toolkit.data.image_columns import from_columns, to_columns
from toolkit.data.image_set import ImageSet, scan
from toolkit.data.settings import DataSettings
from toolkit.data.split import split
from toolkit.errors import UnfreezeError
from toolkit.pixels import levels
from toolkit.pixels.decode import RECIPE, decode, decode_both, decode_whole, measure, recipe
from toolkit.pixels.look import look_at
from toolkit.run import prepare
from toolkit.settings import Settings

SIDE = 24
Write = Callable[[np.ndarray], bytes]
COLOUR: dict[str, Write] = {
    "png": lambda samples: by_opencv(".png", samples),
    "tiff": lambda samples: by_opencv(".tif", samples),
    "tiff, uncompressed": lambda samples: by_opencv(".tif", samples, cv2.IMWRITE_TIFF_COMPRESSION, 1),
    "ppm": lambda samples: by_opencv(".ppm", samples),
}
GREY: dict[str, Write] = {
    "png": lambda samples: encode(Image.fromarray(samples), "PNG"),
    "tiff": lambda samples: encode(Image.fromarray(samples), "TIFF"),
    "tiff, big-endian": lambda samples: encode(Image.fromarray(samples.astype(">u2")), "TIFF"),
    "pgm": lambda samples: by_opencv(".pgm", samples),
    "jpeg 2000": lambda samples: encode(Image.fromarray(samples), "JPEG2000"),
}
KINDS = [(grey, name) for grey, ways in ((True, GREY), (False, COLOUR)) for name in ways]


def values(bits: int, grey: bool, seed: int = 0) -> np.ndarray:
    """uint16 [24, 24] or [24, 24, 3], a smooth picture of that many bits."""
    picture = draw(2, SIDE, np.random.default_rng(seed)).astype(float)
    noise = np.random.default_rng(seed + 1).uniform(-8, 8, picture.shape)
    samples = np.clip((picture + noise) / 255, 0, 1) * (2**bits - 1)
    made = np.rint(samples).astype(np.uint16)
    return np.ascontiguousarray(made[..., 0]) if grey else made


def as_rgb(eight: np.ndarray) -> np.ndarray:
    return np.repeat(eight[..., None], 3, 2) if eight.ndim == 2 else eight


def write(grey: bool, name: str, samples: np.ndarray) -> bytes:
    return (GREY if grey else COLOUR)[name](samples)


@pytest.mark.parametrize(("grey", "name"), KINDS)
@pytest.mark.parametrize("bits", [8, 9, 12, 14, 16])
def test_each_format_gives_all_bits(grey: bool, name: str, bits: int) -> None:
    samples = values(bits, grey)
    expected = np.minimum(samples.astype(int) // 2 ** (bits - 8), 255)
    np.testing.assert_array_equal(decode_whole(write(grey, name, samples), levels=str(bits)), as_rgb(expected))


@pytest.mark.parametrize(("grey", "name"), KINDS)
def test_a_percentile_is_of_each_image(grey: bool, name: str) -> None:
    samples = values(11, grey) + np.uint16(3000)
    low, high = np.percentile(samples, (0.5, 99.5), method="inverted_cdf").astype(int)
    expected = np.clip((samples.astype(float) - low) / (high - low), 0, 1) * 255
    got = decode_whole(write(grey, name, samples), levels="percentile")
    assert np.abs(got - as_rgb(expected)).max() < 1.5 * 255 / (high - low) + 0.51
    assert (got.min(), got.max()) == (0, 255)


@pytest.mark.parametrize("how", levels.LEVELS)
def test_an_image_of_one_value_and_one_of_8_bits_come_through(how: str) -> None:
    flat = np.full((8, 8), 700, np.uint16)
    assert np.unique(decode_whole(write(True, "png", flat), levels=how)).size == 1
    picture = draw(1, 16, np.random.default_rng(0))
    np.testing.assert_array_equal(decode_whole(encode(picture, "PNG"), levels=how), picture)


def test_twelve_bits_keep_what_the_high_byte_loses() -> None:
    data = write(True, "png", values(12, True))
    full, twelve = decode_whole(data), decode_whole(data, levels="12")
    assert full.max() < 16
    assert len(np.unique(full)) < 20
    assert len(np.unique(twelve)) > 100


def test_larger_values_than_the_training_images_have_are_white() -> None:
    assert (decode(write(True, "png", np.full((8, 8), 5000, np.uint16)), 4, levels="12") == 255).all()


def test_alpha_is_not_stretched_and_colours_are() -> None:
    """Half a layer of 12 bits over white."""
    samples = np.dstack([np.full((8, 8, 3), 2048, np.uint16), np.full((8, 8), 32768, np.uint16)])
    for suffix in (".png", ".tif"):
        got = decode_whole(by_opencv(suffix, samples), levels="12")
        assert np.abs(got.astype(int) - (128 + 255) // 2).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour", [0, 2])
def test_the_transparent_colour_of_a_png_shows_white_with_8_bits_and_with_16(bits: int, colour: int) -> None:
    """Pillow leaves 16-bit grey as it is."""
    channels, key = (1, 3)[colour // 2], 0x0102 if bits == 16 else 2
    form = np.dtype(">u2" if bits == 16 else "u1")
    pixels = np.full((4, 4, channels), key, form)
    pixels[0] = key + 1  # of 16 bits the high byte is the same
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    data = png_of(4, 4, bits, colour, rows, extra=png_chunk(b"tRNS", np.full(channels, key, ">u2").tobytes()))
    got = decode_whole(data)
    assert (got[1:] == 255).all()
    assert (got[0] == (key + 1) >> (bits - 8)).all()


def test_grey_with_alpha_of_16_bits() -> None:
    samples = np.dstack([values(12, True), np.full((SIDE, SIDE), 65535, np.uint16)]).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    got = decode_whole(png_of(SIDE, SIDE, 16, 4, rows), levels="12")
    np.testing.assert_array_equal(got, as_rgb(values(12, True) >> 4))


@pytest.mark.parametrize(
    "work",
    [
        *(partial(levels.to_eight, levels=how) for how in ("12", "percentile")),
        partial(look_at, turn=None, size=(6000, 1000)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_large_picture_takes_no_multiple_of_its_memory(work: Callable[[np.ndarray], object], channels: int) -> None:
    samples = np.full((1000, 24000 // channels, channels), 300, np.uint16)
    samples[::2] = 1700
    tracemalloc.start()
    try:
        work(samples)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * samples.nbytes
    finally:
        tracemalloc.stop()


def test_alpha_does_not_count_in_the_look() -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 4096, (64, 64, 1), dtype=np.uint16)
    alpha = np.dstack([grey, rng.integers(0, 65536, (64, 64, 1), dtype=np.uint16)])
    one, other = (look_at(samples, None, (64, 64)) for samples in (grey, alpha))
    assert one.hash == other.hash
    assert one.pixels != other.pixels


# A set of them.


def twelve_bits(root: Path, form: str = "png", bits: int = 12) -> Path:
    for kind, name in enumerate(("dark", "pale")):
        (root / name).mkdir(parents=True)
        for number in range(6):
            samples = values(bits, True, seed=10 * kind + number)
            (root / name / f"{number}.{form}").write_bytes(write(True, form, samples))
    return root


@pytest.mark.parametrize(("wanted", "resolved"), [("auto", "12"), ("full", "16"), ("percentile", "percentile")])
def test_a_scan_says_how_many_bits_there_are_and_how_they_are_read(tmp_path: Path, wanted: str, resolved: str) -> None:
    images = scan(twelve_bits(tmp_path / "data"), DataSettings(levels=wanted))
    assert images.levels == resolved
    (notice,) = images.notices
    assert notice.startswith("12 images have 16 bits per sample, with values from 0 to 4,095")
    for row, path in enumerate(images.paths):
        data = (images.root / path).read_bytes()
        array = decoded(images, tmp_path / "cache", 16)
        np.testing.assert_array_equal(array[row], decode(data, 16, levels=resolved))
        for one, other in zip(
            decoded_both(images, tmp_path / "cache", 16), decode_both(data, 16, resolved), strict=True
        ):
            np.testing.assert_array_equal(one[row], other)


def test_the_cache_tells_the_ways_apart_and_keeps_its_old_name(tmp_path: Path) -> None:
    data, cache = twelve_bits(tmp_path / "data"), tmp_path / "cache"
    for wanted in ("auto", "full", "percentile"):
        decoded(scan(data, DataSettings(levels=wanted)), cache, 16)
    assert len(list(cache.glob("*.npy"))) == 3


def test_the_levels_are_those_of_the_training_images_alone(tmp_path: Path) -> None:
    for part, bits in (("train", 12), ("test", 16)):
        twelve_bits(tmp_path / "data" / part, bits=bits)
    assert scan(tmp_path / "data").levels == "12"


def test_the_levels_of_a_model_hold_for_other_data(tmp_path: Path) -> None:
    images = scan(twelve_bits(tmp_path / "data", bits=16), levels="12", classes=("dark", "pale"))
    assert images.levels == "12"
    assert not images.notices


@pytest.mark.parametrize(
    ("wanted", "spans", "levels", "said"),
    [
        ("auto", [(0, 0), (0, 0)], "16", []),
        ("percentile", [(0, 0)], "16", []),
        (
            "auto",
            [(0, 0), (0, 4095), (0, 1300)],
            "12",
            ["from 0 to 4,095, and use 12 of them: they are read as 12-bit ones (--levels full keeps all 16)"],
        ),
        ("auto", [(0, 200)], "8", ["use 8 of them"]),
        ("auto", [(0, 65535)], "16", ["use 16 of them"]),
        ("full", [(0, 30000)], "16", ["with --levels full they are dark"]),
        (
            "auto",
            [(0, 4095)] * 39 + [(0, 65535)],
            "12",
            ["use 12 of them, all but 1 of these images: they are read as 12-bit ones; what is larger in the other 1"],
        ),
        ("auto", [(0, 4095), (0, 65535)], "16", ["use 16 of them"]),
        ("auto", [(29952, 31231)] * 9, "15", ["use 15 of them", "spans only 1,279 of 32,768 values"]),
        ("auto", [(61440, 65535)], "16", ["use 16 of them", "--levels percentile stretches each image"]),
        ("auto", [(0, 20)], "8", ["use 8 of them", "spans only 20 of 256 values"]),
        ("percentile", [(0, 20)], "percentile", ["each is stretched to its own range"]),
    ],
)
def test_what_is_resolved(wanted: str, spans: list[tuple[int, int]], levels: str, said: list[str]) -> None:
    got, notices = resolved_levels(wanted, spans)
    assert got == levels
    assert len(notices) == len(said)
    assert all(part in notice for part, notice in zip(said, notices, strict=True))


def stored(images: ImageSet) -> dict[str, object]:
    return json.loads(json.dumps(to_columns(split(images))))  # type: ignore[no-any-return]


def test_run_json_keeps_the_levels_and_an_older_one_has_all_16(tmp_path: Path) -> None:
    images = scan(twelve_bits(tmp_path / "data"))
    columns = stored(images)
    assert from_columns(columns, list(images.class_names)).levels == "12"
    older = {name: value for name, value in columns.items() if name not in ("levels", "ignored_suffixes", "notices")}
    assert from_columns(older, list(images.class_names)).levels == "16"
    with pytest.raises(ValueError, match="levels"):
        from_columns(columns | {"levels": "17"}, list(images.class_names))


def test_the_recipe_says_it() -> None:
    assert recipe(3) == RECIPE
    assert recipe(3)["levels"] == "16"
    twelve = recipe(1, "12")
    assert (twelve["levels"], twelve["depth"]) == (
        "12",
        "16-bit samples read as 12-bit ones: shifted right by 4 bits, at most 255",
    )
    assert {name for name in twelve if twelve[name] != recipe(1)[name]} == {"levels", "depth"}


@pytest.mark.parametrize("form", ["keras", "tflite", "onnx", "saved_model"])
def test_a_snippet_for_a_model_of_16_bit_images_says_how_they_were_made(form: str) -> None:
    given = {"image_size": 32, "class_names": ("a", "b"), "description": {}}
    for twelve, full in zip(
        snippets("model", form, **given, levels="12"), snippets("model", form, **given), strict=True
    ):
        lines = twelve.code.splitlines()
        assert all(line.startswith("#" if twelve.language == "python" else "//") for line in lines[:2])
        assert "12-bit" in lines[1]
        assert "\n".join(lines[2:]) == full.code.rstrip("\n")


def test_measure_tells_the_range_of_values() -> None:
    assert measure(encode(draw(1, 8, np.random.default_rng(0)), "PNG")).span == (0, 0)
    for grey, name in KINDS:
        low, high = measure(write(grey, name, values(12, grey))).span
        assert low == 0
        assert levels.bits_used(high) == 12


@pytest.mark.parametrize("seed", range(5))
def test_a_range_leaves_out_one_in_a_thousand_at_either_end(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = rng.integers(1000, 4000, (64, 48, 3), dtype=np.uint16)
    stuck = samples.copy()
    stuck[3, 4] = 65535
    stuck[5, 6] = 0
    assert levels.span(stuck) == levels.span(samples)
    low, high = levels.span(samples)
    inside = np.sort(samples.ravel())[len(samples.ravel()) // 1000 : -(len(samples.ravel()) // 1000)]
    assert inside[0] - 255 <= low <= inside[0]
    assert inside[-1] <= high <= inside[-1] + 255
    with_alpha = np.concatenate([samples[..., :1], np.full((64, 48, 1), 65535, np.uint16)], axis=2)
    assert levels.span(with_alpha) == levels.span(samples[..., :1])


def test_one_hot_pixel_does_not_make_all_images_dark(tmp_path: Path) -> None:
    data = twelve_bits(tmp_path / "data")
    hot = values(12, True, seed=99)
    hot[0, 0] = 65535
    (data / "dark" / "0.png").write_bytes(write(True, "png", hot))
    assert scan(data).levels == "12"


# A model of them.


class Answering:
    """Stands for the process of a model file; keeps what it is asked."""

    path = Path("model.onnx")

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []

    def call(self, function: object, pixels: np.ndarray, limit: float) -> np.ndarray:
        self.asked.append(pixels)
        return np.array([[0.75, 0.25]], np.float32)


def test_predict_decodes_as_the_file_says(tmp_path: Path) -> None:
    data = write(True, "png", values(12, True))
    (tmp_path / "a.png").write_bytes(data)
    process = Answering()
    for how in ("12", "percentile"):
        _predict(_Classifier(process, ("dark", "pale"), (16, 16), how), tmp_path / "a.png")  # type: ignore[arg-type]
        np.testing.assert_array_equal(process.asked.pop()[0], decode(data, 16, levels=how))


class Saying:
    """Stands for the process of a model file with this description, and for what was seen of the file."""

    def __init__(self, how: str | None, profiles: str | None = None) -> None:
        self.process, self.how = self, how
        self.more = {} if profiles is None else {"profiles": profiles}

    def call(self, function: Callable[[], tuple[str, str] | None]) -> tuple[str, str] | None:
        described = None if self.how is None else {"input": {"levels": self.how, **self.more}}
        with pytest.MonkeyPatch.context() as patch:
            loaded = SimpleNamespace(description=described)
            patch.setattr(worker, "_runner", SimpleNamespace(loaded=loaded), raising=False)
            return function()


@pytest.mark.parametrize(
    ("reference", "artefacts", "levels"),
    [
        ("12", ["10", None], "12"),
        (None, ["12", None, "12"], "12"),
        (None, [None], "16"),
        ("16", ["12"], "16"),
        (None, ["12", "16"], None),
    ],
)
def test_a_reference_that_does_not_say_takes_the_levels_of_the_artefacts(
    reference: str | None, artefacts: list[str | None], levels: str | None
) -> None:
    said = {Path("a.keras"): reference} | {Path(f"{n}.onnx"): how for n, how in enumerate(artefacts)}
    looks: Any = {path: Saying(how) for path, how in said.items()}
    if levels is not None:
        assert reference_recipe(Path("a.keras"), looks) == (levels, "ignored")
        return
    with pytest.raises(UnfreezeError, match=r"0.onnx \(12\) and 1.onnx \(16\) take .* a.keras does not say .* compare"):
        reference_recipe(Path("a.keras"), looks)


def test_a_description_names_its_levels_and_an_older_one_has_all_16() -> None:
    entry = {"shape": ["batch", 8, 8, 3], **recipe(3, "12")}
    described = {"class_names": ["a", "b"], "input": entry}
    assert described_levels(read_description(json.dumps(described))) == "12"
    del entry["levels"]
    assert described_levels(read_description(json.dumps(described))) == "16"
    assert described_levels(None) == "16"
    entry["levels"] = "17"
    with pytest.raises(ValueError, match="levels that are none of 8, 9"):
        read_description(json.dumps(described))


def test_a_run_that_was_begun_with_all_16_bits_goes_on_with_them(tmp_path: Path) -> None:
    data, folder = twelve_bits(tmp_path / "data"), tmp_path / "run"
    assert prepare(data, folder, Settings()).images.levels == "12"
    (folder / "model.keras").write_bytes(b"")
    assert prepare(data, folder, Settings()).images.levels == "12"
    for name in ("run.json", ".run.json"):
        stored = json.loads((folder / name).read_text())
        del stored["data"]["levels"]
        (folder / name).write_text(json.dumps(stored))
    assert prepare(data, folder, Settings()).images.levels == "16"
