"""The statistics of a paired comparison against scipy, a likelihood maximised by brute force, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest

from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED, PairedAnswers, compare_answers

COUNTS = [(0, 0), (1, 0), (0, 1), (3, 3), (12, 5), (5, 12), (40, 2), (60, 60)]


@pytest.mark.parametrize(("lost", "gained"), COUNTS)
def test_mcnemar_is_scipys_binomial_test(lost: int, gained: int) -> None:
    expected = binomtest(lost, lost + gained, 0.5).pvalue if lost + gained else 1.0
    assert PairedAnswers(1783, lost, gained).p_value == pytest.approx(expected)


def score(lost: int, gained: int, images: int, delta: float) -> float:
    """The same statistic, its nuisance rate found by maximising the multinomial likelihood."""
    same = images - lost - gained

    def against(rate: float) -> float:
        terms = [(lost, rate + delta), (gained, rate), (same, 1 - 2 * rate - delta)]
        return -sum(count * np.log(p) for count, p in terms if count)

    low, high = max(0.0, -delta), (1 - delta) / 2
    rate = minimize_scalar(against, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    return (lost - gained - images * delta) / np.sqrt(images * (2 * rate + delta - delta**2))


@pytest.mark.parametrize(("lost", "gained"), [c for c in COUNTS if c != (0, 0)])
def test_at_the_bounds_the_score_is_the_normal_quantile(lost: int, gained: int) -> None:
    one = PairedAnswers(500, lost, gained)
    if one.lost_at_most > 1 - 0.05 ** (1 / 500) + 1e-9:  # otherwise it is the rule of three that speaks
        assert score(lost, gained, 500, one.lost_at_most) == pytest.approx(-1.6449, abs=1e-3)
    assert score(lost, gained, 500, one.lost_at_least) == pytest.approx(1.6449, abs=1e-3)


@pytest.mark.parametrize(("lost", "gained", "floor"), [(0, 0, True), (0, 5, True), (2, 4, True), (1, 0, False)])
def test_gains_alone_prove_no_more_than_no_flip_at_all(lost: int, gained: int, floor: bool) -> None:
    assert (PairedAnswers(1783, lost, gained).lost_at_most == 1 - 0.05 ** (1 / 1783)) == floor
    assert PairedAnswers(1783, lost, gained).lost_at_most >= 1 - 0.05 ** (1 / 1783)


def test_no_flip_is_the_rule_of_three() -> None:
    assert PairedAnswers(1783, 0, 0).lost_at_most == pytest.approx(3 / 1783, rel=3e-3)
    assert pytest.approx(1 - (1 - PairedAnswers(1783, 0, 0).lost_at_most) ** 1783) == 0.95


@pytest.mark.parametrize(("p_lost", "p_gained"), [(0.002, 0.0), (0.004, 0.002), (0.02, 0.02), (0.03, 0.01)])
def test_the_bound_covers_the_truth_about_nineteen_times_of_twenty(p_lost: float, p_gained: float) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(1000, [p_lost, p_gained, 1 - p_lost - p_gained], 2000)
    covered = np.mean([PairedAnswers(1000, int(b), int(c)).lost_at_most >= p_lost - p_gained for b, c, _ in drawn])
    assert covered >= 0.935


@pytest.mark.parametrize(
    ("images", "lost", "gained", "verdict"),
    [
        (1783, 0, 0, HOLDS),
        (1783, 6, 4, HOLDS),
        (100, 0, 0, UNDECIDED),
        (1783, 12, 4, UNDECIDED),
        (1783, 40, 2, FAILS),
    ],
)
def test_the_verdict_against_half_a_point(images: int, lost: int, gained: int, verdict: str) -> None:
    one = PairedAnswers(images, lost, gained)
    assert one.verdict(0.005) == verdict
    needed = one.images_needed(0.005)
    assert (needed is None or needed > images) == (verdict == UNDECIDED)


def test_images_needed_are_enough_and_one_less_is_not() -> None:
    needed = PairedAnswers(100, 0, 0).images_needed(0.005)
    assert needed == 598  # log(0.05) / log(0.995), rounded up
    assert PairedAnswers(needed, 0, 0).verdict(0.005) == HOLDS
    assert PairedAnswers(needed - 1, 0, 0).verdict(0.005) == UNDECIDED


FLIPS = [  # images, lost, gained: of one flip and of many, some that hold and some that lose
    *[(100, 1, 0), (1783, 3, 1), (1783, 6, 4), (1783, 12, 4), (1783, 9, 1), (500, 2, 0), (500, 20, 19)],
    *[(1783, 40, 2), (300, 5, 1), (160, 1, 4), (100, 1, 1)],
]


@pytest.mark.parametrize("margin", [0.002, 0.005, 0.02])
@pytest.mark.parametrize(("images", "lost", "gained"), FLIPS)
def test_the_images_that_are_said_to_tell_do_so_four_times_of_five(
    images: int, lost: int, gained: int, margin: float
) -> None:
    """Test sets of that size are drawn, whose images flip at the observed rates."""
    one = PairedAnswers(images, lost, gained)
    needed = one.images_needed(margin)
    if one.verdict(margin) != UNDECIDED:
        assert needed is not None
        assert needed <= images
    elif needed is not None:
        rates = [lost / images, gained / images, 1 - (lost + gained) / images]
        assert share_told(rates, needed, margin) >= 0.78
        assert share_told(rates, needed // 2, margin) < 0.78


def share_told(rates: list[float], images: int, margin: float) -> float:
    """Of 4,000 test sets that are drawn, how many give a verdict."""
    drawn, times = np.unique(np.random.default_rng(0).multinomial(images, rates, 4000), axis=0, return_counts=True)
    told = [PairedAnswers(images, int(b), int(c)).verdict(margin) != UNDECIDED for b, c, _ in drawn]
    return float(np.average(told, weights=times))


def test_a_number_that_nobody_collects_is_not_named() -> None:
    assert PairedAnswers(1783, 8, 0).images_needed(0.005) is None
    assert 9_000 < (PairedAnswers(1783, 6, 0).images_needed(0.005) or 0) < 20_000
    assert PairedAnswers(10_000, 49, 0).images_needed(0.005) is None
    assert PairedAnswers(10_000, 49, 0).verdict(0.005) == UNDECIDED


def test_a_loss_of_exactly_the_margin_is_never_told() -> None:
    assert PairedAnswers(1000, 5, 0).images_needed(0.005) is None


def test_of_answers() -> None:
    first, second = np.array([1, 1, 1, 1, 0], bool), np.array([0, 0, 1, 1, 1], bool)
    assert compare_answers(first, second) == PairedAnswers(5, 2, 1)
    with pytest.raises(ValueError, match="no image"):
        compare_answers(first[:0], second[:0])
