"""What a model from elsewhere answers -> probabilities, against SciPy's own formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from export.runtimes.answers import to_probabilities


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


def test_several_sigmoids_are_divided_by_their_sum() -> None:
    answers = np.array([[0.9, 0.6], [0.1, 0.7], [0.0, 0.0]], np.float32)
    got = to_probabilities(answers)
    np.testing.assert_allclose(got[:2], answers[:2] / answers[:2].sum(1, keepdims=True), rtol=1e-6)
    assert got[2].tolist() == [0, 0]
