from __future__ import annotations

import numpy as np
import pytest

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
    from scipy.ndimage import shift

    class Fixed:
        """Draws a full shift to the right, no mirror, and nothing else."""

        def uniform(self, low: float, high: float, size: int) -> np.ndarray:
            return np.array([0.0, 0.0, 1.0, 0.0]) if size == 4 else np.zeros(2)

        def random(self) -> float:
            return 0.9

    seen = augment(IMAGE, Strength(rotation=10, zoom=0.1, shift=0.1, light=0.1, contrast=0.1), Fixed())  # type: ignore[arg-type]
    expected = shift(IMAGE, (0, -4, 0), order=0, mode="mirror")
    assert np.abs(seen.astype(int) - expected).max() <= 1


def test_strong_changes_more_than_light() -> None:
    change = {name: np.abs(views(strength).astype(int) - IMAGE).mean() for name, strength in STRENGTHS.items()}
    assert change["strong"] > change["light"] > 0
