from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.pictures import draw, encode, refusal
from toolkit.errors import UnfreezeError
from toolkit.pixels.decode import DECODE_VERSION, RECIPE, SUFFIXES, decode, measure
from toolkit.pixels.resize import resize

COLOUR = (200, 100, 40)
GRAY = 123  # what Pillow makes of COLOUR in "L"


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def plain(mode: str = "RGB", size: tuple[int, int] = (9, 7)) -> Image.Image:
    return Image.new("RGB", size, COLOUR).convert(mode)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


# The resize and the JPEG decode, against TensorFlow's.


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (37, 50, 16),
        (375, 500, 160),
        (160, 160, 160),
        (7, 5, 32),
        (1, 1, 8),
        (1, 40, 16),
        (40, 1, 16),
        (2, 3, 1),
    ],
)
def test_resize_is_tensorflows_bilinear(height: int, width: int, size: int) -> None:
    import tensorflow as tf

    pixels = noise(height, width)
    expected = np.rint(tf.image.resize(pixels, (size, size), "bilinear", antialias=False).numpy())
    got = resize(pixels, size)
    assert got.dtype == np.uint8
    assert got.shape == (size, size, 3)
    assert np.abs(got - expected).max() <= 1  # a fused multiply-add may tip a half
    assert (got == expected).mean() > 0.999


def test_resize_rounds_half_to_even() -> None:
    pairs = np.array([[[0], [1]], [[2], [3]]], np.uint8)  # the mean of all four is 1.5
    assert resize(pairs, 1).item() == 2
    assert resize(pairs + np.uint8(1), 1).item() == 2  # 2.5


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}, {"quality": 30}])
def test_jpeg_is_decoded_as_tensorflow_does_accurately(options: dict[str, object]) -> None:
    import tensorflow as tf

    data = encode(draw(1, 61, np.random.default_rng(1)), **options)
    full = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
    expected = np.rint(tf.image.resize(full, (24, 24), "bilinear", antialias=False).numpy())
    assert np.abs(decode(data, 24) - expected).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_scaled_as_tensorflow_does(channels: int) -> None:
    import tensorflow as tf

    deep = np.random.default_rng(0).integers(0, 65536, (16, 16, channels), dtype=np.uint16)
    data = tf.io.encode_png(deep).numpy()
    assert (decode(data, 16) == tf.io.decode_png(data, channels=3).numpy()).all()


def test_antialias_is_pillows() -> None:
    data = encode(noise(60, 80), "PNG")
    expected = Image.open(io.BytesIO(data)).resize((16, 16), Image.Resampling.BILINEAR)
    assert (decode(data, 16, antialias=True) == np.asarray(expected)).all()
    assert (decode(data, 16, antialias=True) != decode(data, 16)).any()


# Every kind of file gives RGB.


@pytest.mark.parametrize(
    ("form", "mode", "expected"),
    [
        ("JPEG", "RGB", COLOUR),
        ("JPEG", "L", (GRAY,) * 3),
        ("JPEG", "CMYK", COLOUR),
        ("MPO", "RGB", COLOUR),
        ("PNG", "RGB", COLOUR),
        ("PNG", "L", (GRAY,) * 3),
        ("PNG", "LA", (GRAY,) * 3),
        ("PNG", "P", COLOUR),
        ("PNG", "RGBA", COLOUR),
        ("PNG", "1", (255,) * 3),
        ("GIF", "P", COLOUR),
        ("GIF", "L", (GRAY,) * 3),
        ("BMP", "RGB", COLOUR),
        ("BMP", "RGBA", COLOUR),
        ("BMP", "P", COLOUR),
        ("BMP", "L", (GRAY,) * 3),
        ("BMP", "1", (255,) * 3),
        ("WEBP", "RGB", COLOUR),
        ("WEBP", "RGBA", COLOUR),
    ],
)
def test_every_mode_becomes_rgb(form: str, mode: str, expected: tuple[int, int, int]) -> None:
    picture = plain(mode) if mode != "1" else Image.new("1", (9, 7), 1)
    if mode == "P":  # an exact palette, whatever Pillow's own would be
        picture = Image.new("P", (9, 7), 1)
        picture.putpalette([0, 0, 0, *COLOUR])
    got = decode(encode(picture, form), 4)
    assert got.dtype == np.uint8
    assert got.shape == (4, 4, 3)
    assert np.abs(got.astype(int) - expected).max() <= (0 if form in ("PNG", "GIF", "BMP") else 5)


def palette(**options: object) -> bytes:
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, *COLOUR])
    return encode(picture, **options)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encode(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), "PNG"), (255, 255, 255)),
        (encode(Image.new("RGBA", (4, 4), (0, 0, 100, 128)), "PNG"), (127, 127, 177)),
        (encode(Image.new("LA", (4, 4), (0, 128)), "PNG"), (127, 127, 127)),
        (encode(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), "WEBP", lossless=True), (255, 255, 255)),
        (encode(Image.new("RGB", (4, 4), COLOUR), "PNG", transparency=COLOUR), (255, 255, 255)),
        (encode(Image.new("L", (4, 4), GRAY), "PNG", transparency=GRAY), (255, 255, 255)),
        (palette(form="PNG", transparency=1), (255, 255, 255)),
        (palette(form="PNG", transparency=b"\xff\x00"), (255, 255, 255)),
        (palette(form="PNG", transparency=b"\x00\xff"), COLOUR),
        (palette(form="GIF", transparency=1), (255, 255, 255)),
    ],
)
def test_transparency_shows_white(data: bytes, expected: tuple[int, int, int]) -> None:
    assert np.abs(decode(data, 2).astype(int) - expected).max() <= 1


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (COLOUR, (0, 0, 0))]
    for form in ("GIF", "WEBP", "PNG"):
        data = encode(frames[0], form, save_all=True, append_images=frames[1:])
        assert np.abs(decode(data, 2).astype(int) - COLOUR).max() <= 5
        assert measure(data, f".{form}").size == (8, 8)


def test_a_phones_multi_picture_jpeg_is_a_jpeg() -> None:
    data = encode(plain(), "MPO", save_all=True, append_images=[plain()])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert refusal(data, ".jpg") is None


# EXIF.


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(form: str, orientation: int) -> None:
    data = encode(draw(1, 40, np.random.default_rng(0))[:, :24], form, exif=exif(orientation))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert (decode(data, 16) == resize(np.asarray(upright), 16)).all()
    assert measure(data, f".{form}").size == upright.size


def test_orientation_6_is_turned_clockwise() -> None:
    stored = np.zeros((8, 8, 3), np.uint8)
    stored[:4, :4] = 255  # the top left corner of the file is the top right one of the scene
    got = decode(encode(stored, "PNG", exif=exif(6)), 8)
    assert got[:4, 4:].min() == 255
    assert got.sum() == stored.sum()


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientations_that_do_not_exist_are_left_alone(orientation: int) -> None:
    pixels = noise(6, 4)
    data = encode(pixels, "PNG", exif=exif(orientation))
    assert (decode(data, 5) == resize(pixels, 5)).all()
    assert measure(data, ".png").size == (4, 6)


def test_corrupt_exif_costs_neither_the_image_nor_a_warning() -> None:
    an_entry_beyond_the_end = struct.pack("<IHHHIII", 8, 1, 0x0112, 4, 1 << 20, 1 << 20, 0)
    data = encode(plain(), exif=b"Exif\0\0II*\0" + an_entry_beyond_the_end)
    data = data.replace(b"JFIF", b"JFIX")  # with a JFIF resolution Pillow would not look into EXIF
    with pytest.warns(UserWarning, match="Tag data larger than file"):
        Image.open(io.BytesIO(data))
    assert refusal(data, ".jpg") is None
    assert np.abs(decode(data, 4).astype(int) - COLOUR).max() <= 5


# What cannot be used.


def bomb() -> bytes:
    """A PNG of 20,000 x 20,000 pixels, in 60 bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "suffix", "reason"),
    [
        (b"", ".jpg", "the file is empty"),
        (b"hello", ".jpg", "not an image"),
        (b"\0" * 100, ".png", "not an image"),
        (b"\xff\xd8\xff", ".jpg", "cut short or damaged"),
        (b"BM, as a text may begin", ".bmp", "cut short or damaged"),
        (encode(plain(), "PNG"), ".jpg", "named .jpg but its content is PNG"),
        (encode(plain(), "JPEG"), ".GIF", "named .GIF but its content is JPEG"),
        (encode(plain(), "TIFF"), ".png", "named .png but its content is TIFF"),
        (encode(plain(), "TIFF"), ".tif", "TIFF is not supported: convert it to JPEG or PNG"),
        (b"\0\0\0\x18ftypheic", ".heic", "HEIC is not supported"),
        (bomb(), ".png", "20000 x 20000 pixels are more than 100 million"),
    ],
)
def test_check_gives_the_reason(data: bytes, suffix: str, reason: str) -> None:
    got = refusal(data, suffix)
    assert got is not None
    assert got.startswith(reason)
    assert "\n" not in got


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".JPG", ".Png", "", ".dat"])
def test_check_passes_what_is_right(suffix: str) -> None:
    form = SUFFIXES.get(suffix.lower(), "JPEG")
    assert refusal(encode(plain(), form), suffix) is None


FILES = {
    "baseline.jpg": encode(noise(33, 47), "JPEG"),
    "progressive.jpg": encode(noise(33, 47), "JPEG", progressive=True),
    "cmyk.jpg": encode(Image.fromarray(noise(33, 47)).convert("CMYK"), "JPEG"),
    "x.png": encode(noise(33, 47), "PNG"),
    "x.gif": encode(noise(33, 47), "GIF"),
    "x.bmp": encode(noise(33, 47), "BMP"),
    "lossy.webp": encode(noise(33, 47), "WEBP"),
    "lossless.webp": encode(noise(33, 47), "WEBP", lossless=True),
}


def fails(data: bytes) -> bool:
    try:
        decode(data, 8)
    except UnfreezeError:
        return True
    return False


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_is_found_by_check_and_by_decode(name: str) -> None:
    data, suffix = FILES[name], Path(name).suffix
    behind = {".png": 20, ".gif": 2, ".bmp": 3}.get(suffix, 0)  # bytes behind the last pixel
    for length in range(0, len(data) - behind, 31):
        assert refusal(data[:length], suffix), length
        assert fails(data[:length]), length


@pytest.mark.parametrize("name", FILES)
def test_damaged_bytes_never_raise_anything_else_and_check_knows_what_decode_does(name: str) -> None:
    rng = np.random.default_rng(0)
    found = 0
    for trial in range(150):
        damaged = bytearray(FILES[name])
        reach = len(damaged) if trial % 2 else 200  # the header, every other time
        for at in rng.integers(0, reach, 4):
            damaged[at] = rng.integers(0, 256)
        reason = refusal(bytes(damaged), Path(name).suffix)
        assert (reason is not None) == fails(bytes(damaged)), reason
        found += reason is not None
    assert found > 0


def test_decode_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(UnfreezeError, match=r"gone\.jpg: cannot be read: No such file"):
        decode(tmp_path / "gone.jpg", 8)
    (tmp_path / "text.jpg").write_text("hello")
    with pytest.raises(UnfreezeError, match=r"text\.jpg: not an image"):
        decode(tmp_path / "text.jpg", 8)
    with pytest.raises(UnfreezeError, match=r"^not an image"):
        decode(b"hello", 8)


def test_decode_takes_a_path_or_bytes_whatever_the_name(tmp_path: Path) -> None:
    data = encode(noise(9, 9), "PNG")
    (tmp_path / "picture.jpg").write_bytes(data)
    assert (decode(tmp_path / "picture.jpg", 5) == decode(data, 5)).all()


def test_recipe_can_be_written_into_an_artefact() -> None:
    assert json.loads(json.dumps(RECIPE)) == RECIPE
    assert RECIPE["version"] == DECODE_VERSION
