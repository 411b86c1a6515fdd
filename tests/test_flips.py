"""Bounds on the rate of flips, the margin for few images, and models no better than chance: against SciPy and draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, fisher_exact

from toolkit.stats.accuracy_lost import HOLDS, LARGEST_MARGIN, PairedAnswers, margin_of
from toolkit.stats.flips import LEAST_IMAGES, at_chance, flips_at_least, flips_at_most


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_bounds_are_those_of_clopper_and_pearson(counts: tuple[int, int]) -> None:
    flips, images = counts
    upper = 1.0 if flips == images else beta.ppf(0.95, flips + 1, images - flips)
    lower = 0.0 if flips == 0 else beta.ppf(0.05, flips, images - flips + 1)
    assert flips_at_most(flips, images) == pytest.approx(upper, abs=1e-9)
    assert flips_at_least(flips, images) == pytest.approx(lower, abs=1e-9)


@pytest.mark.parametrize("rate", [0.005, 0.05, 0.3])
def test_the_true_rate_is_above_the_bound_in_at_most_5_of_100_cases(rate: float) -> None:
    images = 400
    flips = np.arange(images + 1)
    missed = [flips_at_most(int(count), images) < rate for count in flips]
    assert binom.pmf(flips, images, rate)[missed].sum() <= 0.05


def test_the_margin_follows_from_the_number_of_images() -> None:
    margins = {images: margin_of(images, 0.005) for images in (1, 100, 149, 240, 300, 597, 598, 10_000)}
    assert margins == {1: 0.02, 100: 0.02, 149: 0.02, 240: 0.013, 300: 0.01, 597: 0.006, 598: 0.005, 10_000: 0.005}
    assert margin_of(100, 0.05) == 0.05


@given(st.integers(149, 5000))
def test_a_file_that_loses_nothing_holds_at_that_margin(images: int) -> None:
    margin = margin_of(images, 0.005)
    assert PairedAnswers(images, 0, 0).verdict(margin) == HOLDS
    assert margin <= LARGEST_MARGIN
    assert margin == 0.005 or PairedAnswers(images, 0, 0).verdict(margin - 0.001) != HOLDS


def test_the_margin_keeps_the_confidence() -> None:
    """A file whose true loss is the margin is said to hold in at most 5 of 100 draws, whatever the number of images."""
    for images in (150, 240, 400, 597):
        margin = margin_of(images, 0.005)
        lost = np.arange(images + 1)
        held = [PairedAnswers(images, int(count), 0).verdict(margin) == HOLDS for count in lost]
        assert binom.pmf(lost, images, margin)[held].sum() <= 0.0501, images


def test_right_answers_are_not_chance() -> None:
    labels = np.arange(200) % 2
    assert not at_chance(labels, labels)
    assert not at_chance(labels, np.where(np.arange(200) < 120, labels, 1 - labels))  # 60 %


@pytest.mark.parametrize("answers", [np.zeros(200, int), 1 - np.arange(200) % 2, np.arange(200) // 100], ids=str)
def test_answers_that_know_nothing_are(answers: np.ndarray) -> None:
    assert at_chance(np.arange(200) % 2, answers)


def test_always_the_largest_class_is_chance_and_knowing_the_small_one_is_not() -> None:
    labels = np.array([0] * 180 + [1] * 20)
    assert at_chance(labels, np.zeros(200, int))
    assert not at_chance(labels, np.array([0] * 180 + [1] * 10 + [0] * 10))


def test_draws_at_random_are_told_in_about_95_of_100_cases() -> None:
    rng = np.random.default_rng(0)
    told = [at_chance(rng.integers(0, 4, 150), rng.integers(0, 4, 150)) for _ in range(400)]
    assert 0.92 <= np.mean(told) <= 0.99


def test_few_images_tell_nothing() -> None:
    few = np.arange(LEAST_IMAGES - 1) % 2
    assert not at_chance(few, 1 - few)
    for answers in (np.zeros(50, int), np.array([0] * 49 + [1]), np.ones(50, int)):
        assert not at_chance(np.zeros(50, int), answers)  # one class only


def test_a_model_that_finds_half_of_the_rare_cases_is_not_chance() -> None:
    """Fisher's exact test: p = 0.001; a binomial test that lets the margins vary would not see it."""
    labels = np.array([1] * 4 + [0] * 196)
    answers = np.array([1, 1, 0, 0, 1] + [0] * 195)
    assert fisher_exact([[2, 2], [1, 195]], alternative="greater").pvalue < 0.01
    assert not at_chance(labels, answers)
