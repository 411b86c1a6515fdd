"""Thresholds on the top probability, against counting by hand and scipy's exact interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from toolkit.stats.rejection import TABLE, choose_threshold, coverage, coverage_table, unsure


def answers(images: int, seed: int = 0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([0.3] * classes, images).astype(np.float32)
    labels = np.array([rng.choice(classes, p=row / row.sum()) for row in probabilities.astype(np.float64)], np.int32)
    return probabilities, labels


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.77, 0.999])
def test_a_row_is_what_counting_gives(threshold: float) -> None:
    probabilities, labels = answers(400)
    answered = wrong = 0
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        if max(row) >= threshold:
            answered += 1
            wrong += row.index(max(row)) != label
    found = coverage(probabilities, labels, threshold)
    assert (found.images, found.answered, found.wrong) == (400, answered, wrong)
    assert found.share == answered / 400
    assert found.accuracy == pytest.approx(1 - wrong / answered)
    interval = binomtest(answered - wrong, answered, alternative="greater").proportion_ci(0.95, method="exact")
    assert found.accuracy_at_least == pytest.approx(interval.low)


def test_nothing_answered_has_no_accuracy() -> None:
    found = coverage(np.float32([[0.6, 0.4]]), np.int32([0]), 0.9)
    assert (found.answered, found.share, found.accuracy, found.accuracy_at_least) == (0, 0.0, None, 0.0)


def test_the_table_leaves_out_what_changes_nothing_but_the_threshold_that_is_set() -> None:
    probabilities = np.float32([[0.97, 0.03], [0.3, 0.7], [0.15, 0.85]])
    labels = np.int32([0, 1, 0])
    rows = coverage_table(probabilities, labels)
    assert [(row.threshold, row.answered, row.wrong) for row in rows] == [
        (0.0, 3, 1), (0.8, 2, 1), (0.9, 1, 0), (0.98, 0, 0),
    ]  # fmt: skip
    assert {row.threshold for row in rows} <= set(TABLE)
    assert [row.threshold for row in coverage_table(probabilities, labels, (0.75,))] == [0.0, 0.75, 0.9, 0.98]


@pytest.mark.parametrize("wanted", [0.6, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("seed", range(5))
def test_the_lowest_threshold_whose_bound_is_high_enough(wanted: float, seed: int) -> None:
    """By trying each answered set, with scipy's bound."""
    probabilities, labels = answers(300, seed)
    top, right = probabilities.max(1), probabilities.argmax(1) == labels
    good = []
    for limit in np.unique(top):
        kept = right[top >= limit]
        test = binomtest(int(kept.sum()), len(kept), alternative="greater")
        if test.proportion_ci(0.95, method="exact").low >= wanted:
            good.append(int((top >= limit).sum()))
    choice = choose_threshold(probabilities, labels, wanted)
    assert bool(choice) == bool(good)
    if good:
        assert choice.best.answered == max(good)
        assert coverage(probabilities, labels, choice.best.threshold) == choice.best
        assert choice.best.accuracy_at_least >= wanted


def test_where_none_is_high_enough_the_highest_is_told() -> None:
    probabilities, labels = np.tile(np.float32([0.9, 0.1]), (100, 1)), np.zeros(100, np.int32)
    choice = choose_threshold(probabilities, labels, 0.99)
    assert not choice
    assert choice.best.answered == 100
    assert choice.best.accuracy_at_least == pytest.approx(0.05 ** (1 / 100))  # the rule of three, exactly


def test_all_are_answered_where_that_is_good_enough() -> None:
    probabilities, labels = answers(300)
    choice = choose_threshold(probabilities, labels, 0.01)
    assert choice
    assert (choice.best.threshold, choice.best.answered) == (0.0, 300)


def test_equal_probabilities_are_answered_together() -> None:
    """A threshold cannot tell them apart, whatever their order."""
    probabilities = np.concatenate(
        [np.tile(np.float32([0.99, 0.01]), (60, 1)), np.tile(np.float32([0.8, 0.2]), (60, 1))]
    )
    labels = np.repeat(np.int32([0, 1]), 60)
    choice = choose_threshold(probabilities, labels, 0.94)
    assert choice.best.answered == 60
    assert choice.best.threshold == 0.99


@pytest.mark.parametrize(
    ("low", "high", "threshold"), [(0.8312, 0.8397, 0.839), (0.5, 0.905, 0.9), (0.12, 0.99999, 0.99)]
)
def test_a_threshold_has_as_few_decimals_as_tell_the_images_apart(low: float, high: float, threshold: float) -> None:
    top = np.repeat(np.float32([high, low]), 100)
    labels = np.repeat(np.int32([0, 1]), 100)
    choice = choose_threshold(np.stack([top, 1 - top], 1) if low >= 0.5 else _spread(top), labels, 0.95)
    assert choice.best.threshold == threshold


def _spread(top: np.ndarray) -> np.ndarray:
    """The rest over many classes, so that the first stays the top one."""
    rest = np.repeat(((1 - top) / 20)[:, None], 20, axis=1)
    return np.concatenate([top[:, None], rest], axis=1).astype(np.float32)


def test_neighbours_in_float32_are_told_apart() -> None:
    high = np.float32(0.9)
    low = np.nextafter(high, np.float32(0))
    top = np.repeat(np.float32([high, low]), 100)
    probabilities = np.stack([top, 1 - top], 1)
    choice = choose_threshold(probabilities, np.repeat(np.int32([0, 1]), 100), 0.95)
    assert unsure(probabilities, choice.best.threshold).tolist() == [False] * 100 + [True] * 100


def test_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="no images"):
        choose_threshold(np.empty((0, 2), np.float32), np.empty(0, np.int32), 0.9)
