from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates, shift

from tests.pictures import draw
from toolkit.pixels.augment import STRENGTHS, Strength, augment

STILL = Strength(rotation=0, zoom=0, shift=0, light=0, contrast=0)
IMAGE = draw(1, 40, np.random.default_rng(0))


def views(strength: Strength, count: int = 40) -> np.ndarray:
    return np.stack([augment(IMAGE, strength, np.random.default_rng(seed)) for seed in range(count)])


def test_without_strength_only_the_mirror_is_left() -> None:
    for seen in views(STILL):
        off = min(np.abs(seen.astype(int) - other).max() for other in (IMAGE, IMAGE[:, ::-1]))
        assert off <= 1
    assert 5 < sum(np.abs(seen.astype(int) - IMAGE).max() <= 1 for seen in views(STILL)) < 35


def test_without_flip_nothing_is_mirrored_and_the_rest_is_drawn_alike() -> None:
    for seed in range(20):
        seen = augment(IMAGE, STILL, np.random.default_rng(seed), flip=False)
        assert np.abs(seen.astype(int) - IMAGE).max() <= 1
    light = STRENGTHS["light"]
    same = [
        np.array_equal(*(augment(IMAGE, light, np.random.default_rng(seed), flip=flip) for flip in (True, False)))
        for seed in range(20)
    ]
    assert 3 < sum(same) < 17  # those that were not to be mirrored


@pytest.mark.parametrize("name", STRENGTHS)
def test_a_view_is_a_picture_of_the_same_kind_and_repeats(name: str) -> None:
    first, again = views(STRENGTHS[name]), views(STRENGTHS[name])
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.uint8
    assert first.shape == (40, *IMAGE.shape)
    assert len(np.unique(first.reshape(40, -1), axis=0)) == 40


def test_a_shift_moves_by_whole_pixels_and_mirrors_the_edge() -> None:
    """Shifted by scipy with the same boundary."""

    class Fixed:
        """Draws a full shift to the right, no mirror, and nothing else."""

        def uniform(self, low: float, high: float, size: int) -> np.ndarray:
            return np.array([0.0, 0.0, 1.0, 0.0]) if size == 4 else np.zeros(2)

        def random(self) -> float:
            return 0.9

    seen = augment(IMAGE, Strength(rotation=10, zoom=0.1, shift=0.1, light=0.1, contrast=0.1), Fixed())  # type: ignore[arg-type]
    expected = shift(IMAGE, (0, -4, 0), order=0, mode="mirror")
    assert np.abs(seen.astype(int) - expected).max() <= 1


EXTREME = Strength(rotation=180, zoom=0.9, shift=1.5, light=0.2, contrast=0.4)  # mirrored at the edges several times


@pytest.mark.parametrize("strength", [*STRENGTHS.values(), EXTREME], ids=[*STRENGTHS, "extreme"])
def test_a_view_is_that_of_scipy(strength: Strength) -> None:
    """Each step by itself: scipy resamples with the mirrored edge, and the levels are changed pixel by pixel."""
    size = 48
    noise = np.random.default_rng(1).uniform(0, 255, (size, size, 3))
    image = np.clip((gaussian_filter(noise, (3, 3, 0), mode="mirror") - 127) * 6 + 127, 0, 255).astype(np.uint8)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        turn, zoom, right, down = rng.uniform(-1, 1, 4)
        mirrored = rng.random() < 0.5
        contrast, light = rng.uniform(-1, 1, 2)
        angle, scale = np.deg2rad(turn * strength.rotation), 1 + zoom * strength.zoom
        rows, columns = (np.mgrid[:size, :size] - (size - 1) / 2) * scale  # about the center
        columns = -columns if mirrored else columns
        at_columns = np.cos(angle) * columns - np.sin(angle) * rows
        at_rows = np.sin(angle) * columns + np.cos(angle) * rows
        places = [
            at_rows + (size - 1) / 2 + down * strength.shift * size,
            at_columns + (size - 1) / 2 + right * strength.shift * size,
        ]
        moved = np.stack(
            [
                map_coordinates(channel, places, order=1, mode="mirror", output=float)
                for channel in image.T.swapaxes(1, 2)
            ],
            axis=-1,
        )
        expected = (moved - 127.5) * (1 + contrast * strength.contrast) + 127.5 + 255 * light * strength.light
        seen = augment(image, strength, np.random.default_rng(seed))
        assert np.abs(seen - np.clip(expected, 0, 255)).max() <= 2


@pytest.mark.parametrize("size", [40, 400])  # OpenCV shares an image of 400 px among its threads
def test_the_number_of_threads_changes_no_pixel_and_stays(size: int) -> None:
    image = np.random.default_rng(2).integers(0, 256, (size, size, 3), np.uint8)
    before, seen = cv2.getNumThreads(), []
    try:
        for threads in (1, 4):
            cv2.setNumThreads(threads)
            seen.append([augment(image, STRENGTHS["strong"], np.random.default_rng(seed)) for seed in range(3)])
            assert cv2.getNumThreads() == threads
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(*seen)


def test_an_image_that_is_read_only_or_turned_in_memory_is_as_good() -> None:
    turned = np.ascontiguousarray(IMAGE[:, ::-1])[:, ::-1]
    turned.flags.writeable = False
    expected = augment(IMAGE, STRENGTHS["light"], np.random.default_rng(0))
    np.testing.assert_array_equal(augment(turned, STRENGTHS["light"], np.random.default_rng(0)), expected)


def test_strong_changes_more_than_light() -> None:
    change = {name: np.abs(views(strength).astype(int) - IMAGE).mean() for name, strength in STRENGTHS.items()}
    assert change["strong"] > change["light"] > 0
