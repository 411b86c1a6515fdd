"""What a model from elsewhere is fed and what it answers, against Keras' and SciPy's own formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax

from export.runtimes.inputs_outputs import SCALES, square_size, to_model_input, to_probabilities
from toolkit.errors import UnfreezeError

SIZE = 8
LAST, FIRST = ("batch", SIZE, SIZE, 3), ("batch", 3, SIZE, SIZE)  # where the channels stand


def images(count: int = 2) -> np.ndarray:
    """uint8 [N, 8, 8, 3], with both ends of the range."""
    made = np.random.default_rng(4).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    made[0, 0, 0] = 0, 128, 255
    return made


def by_keras(pixels: str) -> np.ndarray:
    """float32, as `keras.applications` prepares images, and by hand where it has no mode."""
    from keras.applications.imagenet_utils import preprocess_input

    mode = {"-1..1": "tf", "imagenet": "torch", "caffe": "caffe"}.get(pixels)
    floats = images().astype(np.float32)
    if mode:
        return preprocess_input(floats, data_format="channels_last", mode=mode)
    return floats / {"0..1": 255, "0..255": 1}[pixels]


# Into the model


@pytest.mark.parametrize("pixels", SCALES)
def test_floats_are_those_of_keras(pixels: str) -> None:
    got = to_model_input(images(), LAST, np.float32, pixels)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, by_keras(pixels), rtol=1e-6, atol=2e-5)


def test_the_ranges_differ_from_each_other() -> None:
    fed = [to_model_input(images(), LAST, np.float32, pixels) for pixels in SCALES]
    assert min(np.abs(one - other).max() for n, one in enumerate(fed) for other in fed[:n]) > 0.4


@pytest.mark.parametrize("pixels", SCALES)
def test_channels_first(pixels: str) -> None:
    got = to_model_input(images(), FIRST, np.float32, pixels)
    np.testing.assert_allclose(got, np.moveaxis(by_keras(pixels), -1, 1), rtol=1e-6, atol=2e-5)
    assert got.flags.c_contiguous


def test_half_floats() -> None:
    got = to_model_input(images(), LAST, np.float16, "-1..1")
    assert got.dtype == np.float16
    np.testing.assert_allclose(got, by_keras("-1..1"), atol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "pixels", "scale", "zero"),
    [
        (np.int8, "-1..1", 1 / 127.5, -1),
        (np.uint8, "-1..1", 1 / 127.5, 128),
        (np.int8, "0..1", 1 / 255, -128),
        (np.uint8, "0..255", 1.0, 0),
        (np.uint8, "imagenet", 4.8 / 255, 113),
        (np.int8, "caffe", 1.1, 3),
        (np.int16, "-1..1", 1 / 32767, 0),
        (np.int8, "-1..1", 0.004, 0),  # too fine: what lies beyond its range is clipped, never wrapped
    ],
)
def test_integers_stand_for_the_floats(dtype: Any, pixels: str, scale: float, zero: int) -> None:
    got = to_model_input(images(), LAST, dtype, pixels, (scale, zero))
    assert got.dtype == dtype
    limits = np.iinfo(dtype)
    floats = np.clip(by_keras(pixels), (limits.min - zero) * scale, (limits.max - zero) * scale)
    np.testing.assert_allclose((got.astype(np.float64) - zero) * scale, floats, atol=scale * 0.501)


@pytest.mark.parametrize("pixels", SCALES)
def test_plain_uint8_gets_the_pixels_as_they_are(pixels: str) -> None:
    """Such a model normalises inside."""
    np.testing.assert_array_equal(to_model_input(images(), LAST, np.uint8, pixels), images())
    np.testing.assert_array_equal(to_model_input(images(), FIRST, np.uint8, pixels), images().transpose(0, 3, 1, 2))


def test_a_model_that_was_exported_here_gets_the_very_array() -> None:
    batch = images()
    assert to_model_input(batch, FIRST, np.float32, None, (0.5, 3)) is batch


@pytest.mark.parametrize("shape", [LAST, FIRST, (-1, SIZE, SIZE, 3), (None, 3, SIZE, SIZE), [1, SIZE, SIZE, 3]])
def test_the_side_of_the_square(shape: Any) -> None:
    assert square_size(shape) == SIZE


@pytest.mark.parametrize(
    "shape",
    [
        (None, None, None, 3),
        (None, "height", "height", 3),
        (-1, -1, -1, 3),
        (None, 8, 9, 3),
        (None, 8, 8, 1),
        (None, 8, 8, 4),
        (None, 8, 8),
        (None, 192),
        (None, 2, 8, 8, 3),
    ],
    ids=str,
)
def test_what_takes_no_square_rgb_images_is_refused(shape: Any) -> None:
    with pytest.raises(UnfreezeError, match="none of square RGB images of a fixed size"):
        square_size(shape)


# Out of it


def test_logits_go_through_softmax() -> None:
    logits = np.random.default_rng(1).normal(0, 30, (5, 4)).astype(np.float32)
    got = to_probabilities(logits)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, softmax(logits.astype(np.float64), axis=1), atol=1e-6)


@pytest.mark.parametrize("value", [1e4, -1e4])
def test_large_logits_do_not_overflow(value: float) -> None:
    np.testing.assert_array_equal(to_probabilities(np.array([[value, 0.0]])), [[float(value > 0), float(value < 0)]])


def test_logits_that_are_all_positive_are_logits() -> None:
    logits = np.array([[0.5, 2.0], [0.2, 0.3]])
    np.testing.assert_allclose(to_probabilities(logits), softmax(logits, axis=1), atol=1e-6)


def test_probabilities_are_left_alone() -> None:
    answers = softmax(np.random.default_rng(1).normal(0, 3, (5, 4)), axis=1).astype(np.float32)
    np.testing.assert_array_equal(to_probabilities(answers), answers)


def test_probabilities_that_int8_has_rounded_are_left_alone() -> None:
    answers = np.array([[0.99609375, 0.0], [0.3984375, 0.59765625], [0.5, 0.0]])  # many small ones may be gone
    np.testing.assert_array_equal(to_probabilities(answers), answers)


def test_one_number_of_a_sigmoid_is_the_second_class() -> None:
    answers = np.array([[0.0], [0.25], [1.0]])
    np.testing.assert_array_equal(to_probabilities(answers), [[1, 0], [0.75, 0.25], [0, 1]])
    np.testing.assert_array_equal(to_probabilities(answers[:, 0]), to_probabilities(answers))


def test_one_logit_goes_through_the_sigmoid() -> None:
    logits = np.array([[-3.0], [0.5], [7.0], [-200.0]])
    second = expit(logits)
    np.testing.assert_allclose(to_probabilities(logits), np.hstack([1 - second, second]), atol=1e-6)


def test_answers_laid_out_as_a_picture_of_one_pixel() -> None:
    answers = np.array([[0.25, 0.75], [0.5, 0.5]])
    np.testing.assert_array_equal(to_probabilities(answers.reshape(2, 1, 1, 2)), answers)


def test_no_number_stays_none() -> None:
    for answers in (np.array([[np.nan, 0.5]]), np.array([[np.nan]])):
        assert np.isnan(to_probabilities(answers)).any()
