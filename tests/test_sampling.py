"""`--sampling balanced`: each class equally often in an epoch, each image of a class equally often in the long run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import keras
import numpy as np
import pytest

from tests.pictures import draw
from tests.test_train import SETTINGS
from toolkit.models.build import build_model
from toolkit.settings import Settings
from toolkit.training.answers import scores
from toolkit.training.batches import Part, Source, augmented, shuffled, view
from toolkit.training.fit import _class_weights
from toolkit.training.folds import as_folds
from toolkit.training.sampling import epoch_rows, occurrences
from toolkit.training.train import train

COUNTS = [(400, 20), (7, 3), (50, 1, 9), (5, 5, 5, 5), (1, 1), (3, 0, 2), (1000, 30, 4, 4, 7)]


def labels_of(counts: tuple[int, ...]) -> np.ndarray:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    return np.random.default_rng(0).permutation(labels)


def balanced(labels: np.ndarray, epoch: int, seed: int = 0) -> np.ndarray:
    return epoch_rows(labels, epoch=epoch, seed=seed, sampling="balanced")


@pytest.mark.parametrize("counts", COUNTS)
def test_every_epoch_has_as_many_images_and_every_class_as_often(counts: tuple[int, ...]) -> None:
    labels, present = labels_of(counts), sum(count > 0 for count in counts)
    shown = np.zeros(len(counts), int)
    for epoch in range(9):
        rows = balanced(labels, epoch)
        assert len(rows) == len(labels)
        in_epoch = np.bincount(labels[rows], minlength=len(counts))[np.array(counts) > 0]
        assert set(in_epoch) <= {len(labels) // present, -(-len(labels) // present)}
        shown += np.bincount(labels[rows], minlength=len(counts))
        assert np.ptp(shown[np.array(counts) > 0]) <= 1  # the one more or less wanders


@pytest.mark.parametrize("counts", COUNTS)
def test_no_image_of_a_class_is_ahead_of_another_by_more_than_one(counts: tuple[int, ...]) -> None:
    labels = labels_of(counts)
    shown = np.zeros(len(labels), int)
    for epoch in range(9):
        shown += np.bincount(balanced(labels, epoch), minlength=len(labels))
        for label in np.unique(labels):
            assert np.ptp(shown[labels == label]) <= 1


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    labels = labels_of((40, 6))
    np.testing.assert_array_equal(balanced(labels, 3), balanced(labels, 3))
    assert not np.array_equal(balanced(labels, 3), balanced(labels, 4))
    assert not np.array_equal(np.sort(balanced(labels, 3)), np.sort(balanced(labels, 4)))  # other images, too
    assert not np.array_equal(balanced(labels, 3), balanced(labels, 3, seed=1))


def test_natural_is_the_order_of_earlier_versions() -> None:
    labels = labels_of((40, 6))
    expected = np.random.default_rng([5, 2]).permutation(46)
    np.testing.assert_array_equal(epoch_rows(labels, epoch=2, seed=5), expected)
    np.testing.assert_array_equal(epoch_rows(labels, epoch=2, seed=5, sampling="natural"), expected)


def test_occurrences_are_counted_as_a_dictionary_counts_them() -> None:
    rows = np.random.default_rng(0).integers(0, 9, 60)
    seen: Counter[int] = Counter()
    for row, found in zip(rows, occurrences(rows), strict=True):
        assert found == seen[row]
        seen[row] += 1
    assert occurrences(rows[:0]).shape == (0,)


def test_an_image_that_comes_again_in_an_epoch_shows_its_other_views() -> None:
    rng = np.random.default_rng(0)
    labels = np.array([0] * 11 + [1], np.int32)
    part, settings = Part(np.stack([draw(label, 16, rng) for label in labels]), labels), Settings(views=3)
    source = augmented(part, settings)
    names = {view(part, row, n, settings).tobytes(): (row, n) for row in range(12) for n in range(3)}
    for epoch in (0, 4):
        batches = list(shuffled(source, epoch=epoch, batch_size=5, seed=0, sampling="balanced"))
        told = [
            (int(label), *names[image.tobytes()])
            for images, known in batches
            for image, label in zip(images, known, strict=True)
        ]
        assert all(labels[row] == label for label, row, _ in told)
        assert [shown for label, row, shown in told if row == 11] == [(epoch + n) % 3 for n in range(6)]
        assert {shown for _, row, shown in told if row != 11} == {epoch % 3}


def test_a_source_of_one_view_shows_it_again() -> None:
    source = Source(np.array([0, 0, 0, 1], np.int32), lambda epoch, rows: rows * 10.0)
    batches = list(shuffled(source, epoch=1, batch_size=2, seed=0, sampling="balanced"))
    assert sorted(np.concatenate([inputs for inputs, _ in batches]))[2:] == [30.0, 30.0]


def test_what_is_sampled_equally_is_not_weighted_a_second_time() -> None:
    labels = labels_of((400, 20))
    np.testing.assert_allclose(_class_weights(Settings(), labels, 2), [420 / 800, 420 / 40])
    for weights in ("balanced", "none"):
        settings = Settings(sampling="balanced", class_weights=weights)
        np.testing.assert_array_equal(_class_weights(settings, labels, 2), [1, 1])
        assert settings.balanced
    assert not Settings(class_weights="none").balanced
    assert Settings().balanced


def test_the_validation_loss_weighs_classes_alike() -> None:
    labels = np.array([0] * 9 + [1], np.int32)
    answers = np.tile(np.float32([0.9, 0.1]), (10, 1))
    told = scores(answers, labels, Settings(sampling="balanced", class_weights="none"))
    assert told["val_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.1)) / 2, rel=1e-6)


def test_a_training_sees_the_rare_class_as_often_as_the_other(tiny: str) -> None:
    """36 pictures of one class and 3 of another; the class weights are off, so that only sampling can help."""
    rng = np.random.default_rng(0)
    labels = np.array([0] * 36 + [1] * 3, np.int32)
    part = Part(np.stack([draw(label, 32, rng) for label in labels]), labels)
    base = replace(SETTINGS, class_weights="none", head_epochs=6, tune_epochs=0, head_rate=0.05, patience=9)
    means = {}
    for sampling in ("natural", "balanced"):
        settings = replace(base, sampling=sampling)
        curves = []
        for _ in range(2):
            keras.utils.set_random_seed(0)
            spec = settings.spec(2, 0, 0.0, 0)
            model = build_model(spec)
            rows = train(model, spec, part, part, settings).rows
            curves.append([{**row, "seconds": 0} for row in rows])
        assert curves[0] == curves[1]  # the same call gives the same numbers
        means[sampling] = float(model.predict(part.images, verbose=0)[:, 1].mean())
    assert means["balanced"] > means["natural"] + 0.15  # the share of the rare class among what it saw


def test_a_fold_samples_its_own_images_and_keeps_their_views() -> None:
    labels = labels_of((30, 6))
    source = Source(labels, lambda epoch, rows: np.stack([np.full(len(rows), epoch), rows], axis=1), views=4)
    numbers = np.arange(36) % 3
    for number, fold in enumerate(as_folds(source, source, numbers)):
        batches = shuffled(fold.train, epoch=1, batch_size=5, seed=0, sampling="balanced")
        shown = np.concatenate([inputs for inputs, _ in batches])
        assert set(numbers[shown[:, 1]]) == {0, 1, 2} - {number}
        assert np.bincount(labels[shown[:, 1]]).tolist() == [12, 12]
        rare = shown[labels[shown[:, 1]] == 1]
        assert len({tuple(one) for one in rare.tolist()}) == 12  # three times four images, each time another view
