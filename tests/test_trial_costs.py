"""What trials of several backbones and image sizes are expected to take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.settings import Settings
from tuning.trial_costs import FORWARD, OVERHEAD, SUFFIX, WHOLE, TrialCosts, Work

SETTINGS = Settings(
    vary={"backbone": ("MobileNetV2:0.35=none", "MobileNetV2=none"), "image_size": (96, 192)},
    oracle="halving",
    head_epochs=5,
    tune_epochs=5,
    views=4,
)
WORK = Work(SETTINGS, SETTINGS.bases, train=1000, val=100, per_image=0.01)
SMALL, LARGE = (one.label for one in SETTINGS.backbones)
HEADS, TUNES = {"tuner/epochs": 5, "tuner/initial_epoch": 0}, {"tuner/epochs": 10, "tuner/initial_epoch": 5}


@pytest.fixture
def costs() -> TrialCosts:
    """At 192 px an image takes 2 and 10 ms."""
    return TrialCosts(WORK, {SMALL: (0.002, 192), LARGE: (0.01, 192)})


def point(backbone: str, size: int, depth: int = 2, **epochs: int) -> dict[str, object]:
    return {"backbone": backbone, "image_size": size, "unfreeze": depth, **epochs}


def test_before_any_was_seen_an_image_through_the_model_makes_expect_it(costs: TrialCosts) -> None:
    def expected(milliseconds: float) -> float:
        return OVERHEAD + 5 * milliseconds / 1000 * (1000 * SUFFIX + 100 * FORWARD)

    for backbone, size, milliseconds in ((SMALL, 96, 0.5), (SMALL, 192, 2), (LARGE, 96, 2.5), (LARGE, 192, 10)):
        kind = costs.kind(point(backbone, size, **TUNES))
        assert costs.trial(kind, 5) == pytest.approx(expected(milliseconds))
    assert costs.tuning(5) == pytest.approx((expected(2.5) + expected(10)) / 2)
    assert costs.trial(costs.kind(point(LARGE, 192, **HEADS)), 5) == OVERHEAD


def test_one_that_was_seen_tells_of_other_bases_by_the_time_of_an_image(costs: TrialCosts) -> None:
    costs.note(point(LARGE, 96, **TUNES), 50.0)
    assert costs.trial(costs.kind(point(LARGE, 96, **TUNES)), 5) == pytest.approx(50)
    assert costs.trial(costs.kind(point(LARGE, 192, **TUNES)), 5) == pytest.approx(200)
    assert costs.trial(costs.kind(point(SMALL, 96, **TUNES)), 2) == pytest.approx(4)
    costs.note(point(SMALL, 96, **TUNES), 20.0)
    assert costs.trial(costs.kind(point(SMALL, 96, 4, **TUNES)), 5) == pytest.approx(20)  # another depth of its base
    assert costs.heads() == [10.0, 4.0]  # no head was seen
    costs.note(point(SMALL, 96, **HEADS), 1.0)
    assert costs.heads() == [0.2]


def test_passes_that_are_left_are_expected_from_those_that_were_made(costs: TrialCosts) -> None:
    assert costs.next_pass() == 0.0
    costs.note(point(LARGE, 96, **HEADS), 1.0, passed=10.0)
    assert costs.next_pass() == pytest.approx((8 + 40) / 2)  # of 2, 8 and 40 s
    costs.note(point(LARGE, 192, **HEADS), 1.0, passed=50.0)
    assert costs.next_pass() == pytest.approx(10)  # of 2.5 and 10 s, by the slower of the two
    deeper = costs.deeper(point(LARGE, 192, **TUNES), whole=False)
    own = costs.trial(costs.kind(point(LARGE, 192, **TUNES)), 10)
    assert deeper == pytest.approx(2 * own + 50)
    assert costs.deeper(point(LARGE, 192, **TUNES), whole=True) == pytest.approx(own * WHOLE / SUFFIX)
    costs.note(point(SMALL, 192, **HEADS), 1.0)  # its activations were there
    assert costs.next_pass() == pytest.approx(2.5)


def test_with_one_base_only_all_is_that_of_its_model() -> None:
    work = replace(WORK, bases=({},), settings=Settings(weights="none", head_epochs=5, tune_epochs=5, views=4))
    for costs in (TrialCosts(work), TrialCosts(work, {None: (0.01, 160)})):
        assert costs.tuning(5) == costs.trial(((), 2), 5) == pytest.approx(OVERHEAD + 0.05 * (700 + 30))
        assert costs.next_pass() == 0.0
        assert costs.deeper({"unfreeze": 2}, whole=False) == pytest.approx(2 * (OVERHEAD + 0.1 * 730) + 0.01 * 4100)
