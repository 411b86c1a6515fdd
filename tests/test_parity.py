from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from export.artefacts import Artefact, Reference
from export.proof.compare import compare
from export.proof.parity import Parity
from export.runtimes.measure import Measurement
from export.settings import VerifySettings
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED
from toolkit.stats.metrics import calibration_error, wilson

NAMES = ("cat", "dog")


def sure(*dog: float) -> np.ndarray:
    return np.array([[1 - p, p] for p in dog], np.float32)


def verdict(expected: np.ndarray, got: np.ndarray, precision: str = "float32", **how: float) -> Parity:
    """All images are dogs."""
    reference = Reference(tuple(f"{n}.jpg" for n in range(len(expected))), np.ones(len(expected), np.int32), expected)
    artefact = Artefact("model.onnx", "onnx", precision, 1, "")
    return compare(artefact, reference, Measurement(got), NAMES, VerifySettings(**{"margin": 0.5, **how}))


def flipped(images: int, lost: int, gained: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers of a model that is wrong on the last `gained` images, and of an artefact that is right there and wrong on
    the first `lost`."""
    before, after = np.full(images, 0.9), np.full(images, 0.9)
    before[images - gained :] = 0.2
    after[:lost] = 0.2
    return sure(*before), sure(*after)


def test_equal_answers_hold() -> None:
    parity = verdict(sure(0.9, 0.2), sure(0.9, 0.2))
    assert parity
    assert (parity.agreement, parity.max_difference, parity.accuracy, parity.reference_accuracy) == (1, 0, 0.5, 0.5)


def test_a_flip_is_listed_with_both_probabilities() -> None:
    parity = verdict(sure(0.9, 0.6, 0.9), sure(0.9, 0.3, 0.9))
    assert parity.verdict == FAILS
    assert parity.broken
    (flip,) = parity.flips
    assert (flip.path, flip.label, flip.reference, flip.artefact, flip.tie) == ("1.jpg", "dog", "dog", "cat", False)
    assert (flip.reference_probability, flip.artefact_probability) == pytest.approx((0.6, 0.7))
    assert parity.agreement == pytest.approx(2 / 3)
    assert parity.max_difference == pytest.approx(0.3)
    assert parity.mean_difference == pytest.approx(0.1)
    assert (parity.lost_images, parity.gained_images) == (1, 0)


@pytest.mark.parametrize(
    ("precision", "before", "after", "tie"),
    [
        ("float32", 0.50004, 0.49996, True),
        ("float32", 0.501, 0.499, False),
        ("float16", 0.53, 0.48, True),
        ("float16", 0.6, 0.49, False),
        ("int8", 0.50004, 0.49996, False),
    ],
)
def test_a_tie_is_what_rounding_to_the_format_turns_round(
    precision: str, before: float, after: float, tie: bool
) -> None:
    parity = verdict(sure(before), sure(after), precision)
    assert [flip.tie for flip in parity.flips] == [tie]
    assert parity.broken == (not tie and precision != "int8")


@pytest.mark.parametrize(("off", "holds"), [(9e-5, True), (2e-4, False), (np.nan, False)])
def test_the_tolerance_of_float32_without_any_flip(off: float, holds: bool) -> None:
    assert bool(verdict(sure(0.9), sure(0.9 + off))) == holds
    assert bool(verdict(sure(0.9), sure(0.9 + off), tolerance=1e-3)) == (not np.isnan(off))


@pytest.mark.parametrize("precision", ["float16", "dynamic", "int8"])
@pytest.mark.parametrize(
    ("images", "lost", "gained", "expected"),
    [(2000, 0, 0, HOLDS), (2000, 0, 3, HOLDS), (100, 0, 0, UNDECIDED), (2000, 60, 2, FAILS)],
)
def test_the_verdict_on_what_is_rounded_is_statistical(
    precision: str, images: int, lost: int, gained: int, expected: str
) -> None:
    parity = verdict(*flipped(images, lost, gained), precision)
    if precision == "float16" and (lost or gained):
        expected = FAILS  # 0.9 to 0.2 is no tie
    assert parity.verdict == expected
    assert (parity.reason == "") == (expected == HOLDS)


def test_too_few_images_is_neither_holding_nor_broken_and_says_how_many_would_tell() -> None:
    parity = verdict(*flipped(100, 0, 0), "int8")
    assert not parity
    assert not parity.broken
    assert parity.images_needed == 598
    assert "498 more images like these would tell" in parity.reason


def test_where_no_number_of_images_would_tell_it_says_so() -> None:
    parity = verdict(*flipped(2000, 10, 0), "int8")  # the margin itself, 0.5 points
    assert (parity.verdict, parity.images_needed) == (UNDECIDED, None)
    assert parity.reason.endswith("; no realistic number of images like these would tell")


def test_a_wider_margin_makes_the_same_answers_hold() -> None:
    answers = flipped(500, 4, 1)
    assert verdict(*answers, "int8").verdict == UNDECIDED
    assert verdict(*answers, "int8", margin=3.0).verdict == HOLDS


def test_the_numbers_behind_the_verdict_against_scipy() -> None:
    expected, got = flipped(1000, 12, 4)
    parity = verdict(expected, got, "int8")
    interval = binomtest(988, 1000).proportion_ci(method="wilson")
    assert parity.accuracy == pytest.approx(0.988)
    assert parity.accuracy_interval == pytest.approx((interval.low, interval.high))
    assert parity.accuracy_interval == wilson(988, 1000)
    assert parity.p_value == pytest.approx(binomtest(4, 16).pvalue)
    assert parity.lost == pytest.approx(0.008)
    assert parity.lost_at_most is not None
    assert 0.008 < parity.lost_at_most < 0.02
    labels = np.ones(1000, int)
    assert parity.calibration_error == pytest.approx(calibration_error(got, labels))
    assert parity.reference_calibration_error == pytest.approx(calibration_error(expected, labels))
    assert parity.p99_difference == pytest.approx(np.percentile(np.abs(got - expected).max(1), 99))


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_answers_that_are_no_numbers_do_not_hold(precision: str) -> None:
    expected, got = flipped(2000, 0, 0)
    got[7] = np.nan
    parity = verdict(expected, got, precision)
    assert parity.verdict == FAILS
    assert parity.max_difference is None


def test_nothing_compared_does_not_hold() -> None:
    assert verdict(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)).broken


def test_another_number_of_classes_does_not_hold() -> None:
    parity = verdict(sure(0.9), np.ones((1, 3), np.float32))
    assert parity.broken
    assert "shape" in parity.reason
