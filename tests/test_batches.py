from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from tests.pictures import draw
from toolkit.settings import Settings
from toolkit.stats.scores import class_weights
from toolkit.training.batches import Part, Source, augmented, in_order, shuffled, unaugmented, view


@pytest.fixture(scope="module")
def part() -> Part:
    rng = np.random.default_rng(0)
    labels = np.array([0] * 7 + [1] * 3, np.int32)
    images = np.stack([draw(label, 16, rng) for label in labels])
    return Part(images, labels, antialiased=255 - images)


def batches(part: Part, epochs: range, augmentation: str = "light", seed: int = 0) -> list:
    settings = Settings(augment=augmentation, seed=seed, head_epochs=9, views=9)
    source = augmented(part, settings)
    return [batch for epoch in epochs for batch in shuffled(source, epoch=epoch, batch_size=4, seed=seed)]


def same(first: list, second: list) -> bool:
    return all(np.array_equal(a, b) for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True))


def test_every_image_once_an_epoch(part: Part) -> None:
    seen = batches(part, range(1), "none")
    assert [len(labels) for _, labels in seen] == [4, 4, 2]
    images = np.concatenate([images for images, _ in seen])
    assert {image.tobytes() for image in images} == {image.tobytes() for image in part.images}


def test_an_epoch_is_the_same_whichever_came_before(part: Part) -> None:
    assert same(batches(part, range(3))[6:], batches(part, range(2, 3)))
    assert not same(batches(part, range(1)), batches(part, range(1, 2)))
    assert not same(batches(part, range(1)), batches(part, range(1), seed=1))


def test_views_mix_both_resizings(part: Part) -> None:
    """The antialiased copies are negatives here, so that a view tells its source: an image's mean or its complement."""
    means = [view(part, 0, number, Settings()).mean() for number in range(40)]
    middle = part.images[0].mean()
    nearer = [abs(mean - middle) < abs(mean - (255 - middle)) for mean in means]
    assert 8 <= sum(nearer) <= 32


def test_validation_is_in_order_and_untouched(part: Part) -> None:
    seen = list(in_order(unaugmented(part), batch_size=4))
    np.testing.assert_array_equal(np.concatenate([images for images, _ in seen]), part.images)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in seen]), part.labels)


def test_weights_are_scikit_learns_balanced(part: Part) -> None:
    expected = compute_class_weight("balanced", classes=np.arange(2), y=part.labels)
    np.testing.assert_allclose(class_weights(part.labels, 2), expected, rtol=1e-6)


def test_epoch_e_shows_view_e_modulo_the_views(part: Part) -> None:
    source = augmented(part, Settings(views=3))
    rows = np.arange(4)
    np.testing.assert_array_equal(source.inputs(1, rows), source.inputs(4, rows))
    assert not np.array_equal(source.inputs(1, rows), source.inputs(2, rows))


def test_an_error_while_batches_are_made_ahead_is_raised(part: Part) -> None:
    def inputs(epoch: int, rows: np.ndarray) -> np.ndarray:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(in_order(Source(part.labels, inputs), batch_size=4))
