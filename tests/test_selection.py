from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from toolkit.settings import Settings
from toolkit.stats.metrics import log_losses
from toolkit.stats.scores import SCORES
from tuning.selection import Candidate, choose_trial, smallest, tied

LABELS = np.tile([0, 1], 100)
BY_ACCURACY, BY_LOSS = Settings(objective="val_accuracy"), Settings(objective="val_loss")


def candidate(name: str, right: np.ndarray, sure: float = 0.8, parameters: int = 10, unfreeze: int = 1) -> Candidate:
    """Answers that are right where `right` says, with the probability `sure`."""
    answers = np.full((len(LABELS), 2), 1 - sure, np.float32)
    answers[np.arange(len(LABELS)), np.where(right, LABELS, 1 - LABELS)] = sure
    return Candidate(name, 0.0, parameters, unfreeze, answers)


def test_ties_on_accuracy() -> None:
    best = candidate("0", np.arange(200) >= 4)
    assert tied(best, candidate("1", np.arange(200) >= 8), LABELS, BY_ACCURACY)  # 4 to 0: p = 0.125
    assert not tied(best, candidate("2", np.arange(200) >= 30), LABELS, BY_ACCURACY)


@pytest.mark.parametrize("worse", [0, 2, 4, 8, 16, 60])
def test_ties_on_loss_agree_with_the_paired_t_test(worse: int) -> None:
    best, other = candidate("0", np.arange(200) >= 4), candidate("1", np.arange(200) >= 4 + worse)
    losses = [log_losses(c.answers, LABELS) for c in (best, other)]
    expected = worse == 0 or ttest_rel(*losses).pvalue > 0.05
    assert tied(best, other, LABELS, BY_LOSS) == expected


def test_a_loss_that_is_worse_on_every_image_alike_is_no_tie() -> None:
    everything = np.ones(200, bool)
    assert not tied(candidate("0", everything, 0.9), candidate("1", everything, 0.8), LABELS, BY_LOSS)
    assert tied(candidate("0", everything, 0.9), candidate("1", everything, 0.9), LABELS, BY_LOSS)


def test_the_smallest_has_fewest_parameters_then_fewest_stages() -> None:
    right = np.ones(200, bool)
    made = [
        candidate("0", right, parameters=20, unfreeze=0),
        candidate("1", right, parameters=10, unfreeze=2),
        candidate("2", right, parameters=10, unfreeze=1),
    ]
    assert smallest(made).trial == "2"


@pytest.mark.parametrize("objective", ["val_loss", "val_accuracy"])
def test_the_standard_error_is_that_of_scipys_paired_test(objective: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 50)
    one = rng.dirichlet(np.ones(3), 50)
    other = 0.5 * one + 0.5 * np.eye(3)[labels]  # right more often
    if objective == "val_loss":
        each = [-np.log(answers[np.arange(50), labels]) for answers in (one, other)]
    else:
        each = [(answers.argmax(1) == labels).astype(float) for answers in (one, other)]
    test = ttest_rel(*each)
    expected = abs((each[0].mean() - each[1].mean()) / test.statistic)
    assert SCORES[objective].standard_error(one, other, labels) == pytest.approx(expected)
    assert SCORES[objective].standard_error(one, one, labels) == 0


@pytest.mark.parametrize(("pick", "taken"), [("best", "0"), ("smallest", "2")])
def test_the_smallest_is_chosen_among_the_tied_alone(pick: str, taken: str) -> None:
    best, small = (candidate(name, np.arange(200) >= 4, parameters=size) for name, size in (("0", 10), ("2", 5)))
    worse = candidate("1", np.arange(200) >= 60, parameters=1)
    choice = choose_trial([best, small, worse], LABELS, Settings(pick=pick))
    assert (choice.taken.trial, choice.best.trial, choice.recommended.trial) == (taken, "0", "2")
    assert [one.trial for one in choice.tied] == ["2"]
