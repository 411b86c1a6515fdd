"""What a model from elsewhere is fed, against Keras' own formulas and Pillow's grey."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from export.runtimes.model_input import ModelInput, model_input
from toolkit.errors import UnfreezeError
from toolkit.pixels.pixel_range import NAMED, PIXELS, PixelRange, pixel_range

SIZE = 8
LAST, FIRST = ("batch", SIZE, SIZE, 3), ("batch", 3, SIZE, SIZE)  # where the channels stand


def images(count: int = 2) -> np.ndarray:
    """uint8 [N, 8, 8, 3], with both ends of the range."""
    made = np.random.default_rng(4).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    made[0, 0, 0] = 0, 128, 255
    return made


def fed(shape: Any, dtype: Any, pixels: str | None, quantization: tuple[float, int] = (0.0, 0)) -> np.ndarray:
    entry = model_input(shape, dtype, quantization)
    return entry.convert(images(), entry.check_pixels(pixels))


def by_keras(pixels: str) -> np.ndarray:
    """float32, as `keras.applications` prepares images, and by hand where it has no mode."""
    from keras.applications.imagenet_utils import preprocess_input

    mode = {"-1..1": "tf", "imagenet": "torch", "caffe": "caffe"}.get(pixels)
    floats = images().astype(np.float32)
    if mode:
        return preprocess_input(floats, data_format="channels_last", mode=mode)
    return floats / {"0..1": 255, "0..255": 1}[pixels]


# Ranges of pixel values


def test_every_name_has_a_range() -> None:
    assert tuple(NAMED) == PIXELS


@pytest.mark.parametrize("pixels", PIXELS)
def test_floats_are_those_of_keras(pixels: str) -> None:
    got = fed(LAST, np.float32, pixels)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, by_keras(pixels), rtol=1e-6, atol=2e-5)


def test_the_ranges_differ_from_each_other() -> None:
    made = [fed(LAST, np.float32, pixels) for pixels in PIXELS]
    assert min(np.abs(one - other).max() for n, one in enumerate(made) for other in made[:n]) > 0.4


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ("0/1", "0..255"),
        ("0/255", "0..1"),
        ("127.5/127.5", "-1..1"),
        ("123.675,116.28,103.53/58.395,57.12,57.375", "imagenet"),
        ("0.485,0.456,0.406/0.229,0.224,0.225", "imagenet"),
        ("0.5/0.5", "-1..1"),
        ("0.5,0.5,0.5/0.5", "-1..1"),
    ],
)
def test_numbers_instead_of_a_name(numbers: str, name: str) -> None:
    np.testing.assert_allclose(fed(LAST, np.float32, numbers), fed(LAST, np.float32, name), atol=1e-4)


@given(st.tuples(*[st.floats(-300, 300)] * 3), st.tuples(*[st.floats(1.5, 300)] * 3))
def test_any_mean_and_deviation(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    text = "/".join(",".join(map(repr, numbers)) for numbers in (mean, std))
    got = pixel_range(text).values(images())
    np.testing.assert_allclose(got, (images() - np.array(mean)) / np.array(std), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("text", ["", "0-255", "1/0", "1/-1", "1/2/3", "1,2/3", "nan/1", "1/inf", "imagenet ", "a/b"])
def test_what_is_no_range_is_told_the_ranges_there_are(text: str) -> None:
    with pytest.raises(UnfreezeError, match=r"--pixels is .*; give one of 0\.\.255, 0\.\.1") as error:
        pixel_range(text)
    assert "\n" not in str(error.value)


# Layout and type


@pytest.mark.parametrize("pixels", PIXELS)
def test_channels_first(pixels: str) -> None:
    got = fed(FIRST, np.float32, pixels)
    np.testing.assert_allclose(got, np.moveaxis(by_keras(pixels), -1, 1), rtol=1e-6, atol=2e-5)
    assert got.flags.c_contiguous


def test_half_floats() -> None:
    got = fed(LAST, np.float16, "-1..1")
    assert got.dtype == np.float16
    np.testing.assert_allclose(got, by_keras("-1..1"), atol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "pixels", "scale", "zero"),
    [
        (np.int8, "-1..1", 1 / 127.5, -1),
        (np.uint8, "-1..1", 1 / 127.5, 128),
        (np.int8, "0..1", 1 / 255, -128),
        (np.uint8, "imagenet", 4.8 / 255, 113),
        (np.int8, "caffe", 1.1, 3),
        (np.int16, "-1..1", 1 / 32767, 0),
        (np.int8, "-1..1", 0.004, 0),  # too fine: what lies beyond its range is clipped, never wrapped
    ],
)
def test_integers_stand_for_the_floats(dtype: Any, pixels: str, scale: float, zero: int) -> None:
    got = fed(LAST, dtype, pixels, (scale, zero))
    assert got.dtype == dtype
    limits = np.iinfo(dtype)
    floats = np.clip(by_keras(pixels), (limits.min - zero) * scale, (limits.max - zero) * scale)
    np.testing.assert_allclose((got.astype(np.float64) - zero) * scale, floats, atol=scale * 0.501)


@pytest.mark.parametrize("pixels", [None, *PIXELS])
@pytest.mark.parametrize("quantization", [(0.0, 0), (1.0, 0)])
def test_uint8_of_scale_1_or_none_gets_the_pixels_as_they_are(
    pixels: str | None, quantization: tuple[float, int]
) -> None:
    """Such a model normalises inside, as the int8 files that are exported here."""
    np.testing.assert_array_equal(fed(LAST, np.uint8, pixels, quantization), images())
    np.testing.assert_array_equal(fed(FIRST, np.uint8, pixels, quantization), images().transpose(0, 3, 1, 2))


def test_int8_that_stands_for_0_to_255_gets_the_pixels_too() -> None:
    got = fed(LAST, np.int8, None, (1.0, -128))
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got.astype(int) + 128, images())


def test_a_range_that_a_quantised_input_cannot_hold_is_refused() -> None:
    with pytest.raises(UnfreezeError, match=r"takes values from -1 to 0\.992 .* --pixels 0\.\.255 gives 0 to 255"):
        fed(LAST, np.uint8, "0..255", (1 / 128, 128))


@pytest.mark.parametrize(("dtype", "pixels"), [(np.int8, "0..255"), (np.int32, "0..1"), (np.int64, "imagenet")])
def test_a_range_that_plain_integers_cannot_hold_is_refused(dtype: Any, pixels: str) -> None:
    with pytest.raises(UnfreezeError, match="which it cannot hold; give a range that fits"):
        fed(LAST, dtype, pixels)


@pytest.mark.parametrize(("dtype", "pixels", "offset"), [(np.int8, "128/1", 128), (np.int32, "0..255", 0)])
def test_plain_integers_get_a_range_that_fits(dtype: Any, pixels: str, offset: int) -> None:
    np.testing.assert_array_equal(fed(LAST, dtype, pixels).astype(int) + offset, images())


def test_a_mean_from_0_to_1_with_a_deviation_of_1_is_ambiguous() -> None:
    with pytest.raises(UnfreezeError, match="does not say whether pixels are from 0 to 1 or to 255"):
        pixel_range("0.485,0.456,0.406/1")


def test_without_a_range_the_message_names_them() -> None:
    with pytest.raises(UnfreezeError, match=r"takes float32 and does not say .*; give --pixels with one of 0\.\.255"):
        fed(LAST, np.float32, None)


@pytest.mark.parametrize("shape", [(None, SIZE, SIZE, 1), (None, 1, SIZE, SIZE), (None, SIZE, SIZE)])
def test_grey_is_pillows(shape: Any) -> None:
    expected = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images()])
    got = fed(shape, np.float32, "0..255")
    assert got.shape == (2, *shape[1:])
    np.testing.assert_array_equal(got.reshape(expected.shape), expected)
    np.testing.assert_array_equal(fed(shape, np.uint8, None).reshape(expected.shape), expected)


@pytest.mark.parametrize(
    ("shape", "layout", "size", "channels"),
    [
        ([1, 4, 6, 3], "NHWC", (4, 6), 3),
        ((-1, 3, 4, 6), "NCHW", (4, 6), 3),
        (("n", 4, 6, 1), "NHWC", (4, 6), 1),
        ((None, 1, 4, 6), "NCHW", (4, 6), 1),
        ((None, 4, 6), "NHW", (4, 6), 1),
    ],
)
def test_layout_and_size(shape: Any, layout: str, size: tuple[int, int], channels: int) -> None:
    entry = model_input(shape, np.float32)
    assert (entry.layout, entry.size, entry.channels) == (layout, size, channels)
    assert entry.batch == (1 if shape[0] == 1 else None)


@pytest.mark.parametrize("shape", [(None, None, None, 3), (None, "height", "height", 3), (-1, 3, -1, -1)], ids=str)
def test_an_open_size_is_the_users(shape: Any) -> None:
    with pytest.raises(UnfreezeError, match="takes images of any size; give --image-size"):
        _ = model_input(shape, np.float32).size
    assert model_input(shape, np.float32).sized(64).size == (64, 64)
    assert model_input(LAST, np.float32).sized(64).size == (SIZE, SIZE)


@pytest.mark.parametrize("shape", [(None, 8, 8, 4), (None, 192), (None, 2, 8, 8, 3), (), (None, 8, 3)], ids=str)
def test_what_takes_no_images_is_refused(shape: Any) -> None:
    with pytest.raises(UnfreezeError, match="must take RGB or grey"):
        model_input(shape, np.float32)


def test_a_range_has_bounds() -> None:
    assert PixelRange((2.0, 1.0, 1.0), (-5.0, 0.0, 0.0)).bounds == (-5.0, 505.0)
    assert isinstance(model_input(LAST, np.float32), ModelInput)
