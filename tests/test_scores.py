from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel
from sklearn import metrics

from toolkit.settings import Settings
from toolkit.settings_rules import OBJECTIVES
from toolkit.stats.scores import SCORES, class_weights
from tuning.selection import Candidate, tied

ONE_HOT = np.eye(3)


def drawn(seed: int, count: int = 150, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Answers, right more often than not, some of them equal, and labels of classes of different sizes."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, count, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    labels[:classes] = np.arange(classes)
    answers = rng.dirichlet(np.ones(classes), count).round(1) + 0.3 * np.eye(classes)[labels]
    return (answers / answers.sum(axis=1, keepdims=True)).astype(np.float32), labels.astype(np.int32)


def test_the_settings_know_every_score() -> None:
    assert tuple(SCORES) == OBJECTIVES


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(5))
def test_scores_against_scikit_learn(seed: int, classes: int) -> None:
    answers, labels = drawn(seed, classes=classes)
    said, got = answers.argmax(1), {name: score.of(answers, labels) for name, score in SCORES.items()}
    assert got["val_accuracy"] == pytest.approx(metrics.accuracy_score(labels, said))
    assert got["val_balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(labels, said))
    assert got["val_f1"] == pytest.approx(metrics.f1_score(labels, said, average="macro"))
    each = [metrics.roc_auc_score(labels == number, answers[:, number]) for number in range(classes)]
    assert got["val_auc"] == pytest.approx(np.mean(each))
    clipped = np.clip(answers.astype(np.float64), np.finfo(np.float32).eps, 1)
    assert got["val_loss"] == pytest.approx(-np.log(clipped[np.arange(len(labels)), labels]).mean())
    per_class = [-np.log(clipped[labels == n, n]).mean() for n in range(classes)]
    assert SCORES["val_loss"].of(answers, labels, balanced=True) == pytest.approx(np.mean(per_class))


def test_in_training_that_weighs_classes_alike_only_the_loss_changes() -> None:
    answers, labels = drawn(3)
    for name, score in SCORES.items():
        same = score.of(answers, labels, balanced=True) == score.of(answers, labels, balanced=False)
        assert same == (name != "val_loss")


@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=6).filter(any))
def test_weights_give_each_class_the_same_sum(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    weights = class_weights(labels, len(counts))[labels]
    assert weights.sum() == pytest.approx(len(labels))
    sums = [weights[labels == number].sum() for number, count in enumerate(counts) if count]
    assert sums == pytest.approx([sums[0]] * len(sums))


@pytest.mark.parametrize("name", SCORES)
def test_answers_that_are_not_finite_have_no_score(name: str) -> None:
    answers, labels = drawn(1)
    answers[5, 1] = math.nan
    assert math.isnan(SCORES[name].of(answers, labels))


@pytest.mark.parametrize("name", SCORES)
def test_a_set_of_one_class_has_a_score(name: str) -> None:
    assert math.isfinite(SCORES[name].of(drawn(2)[0], np.zeros(150, np.int32)))


@pytest.mark.parametrize("name", ["val_loss", "val_accuracy"])
def test_the_error_of_a_mean_is_that_of_the_paired_t_test(name: str) -> None:
    (one, labels), (other, _) = drawn(1), drawn(2)
    rows = np.arange(len(labels))
    if name == "val_loss":
        each = [-np.log(np.maximum(answers[rows, labels], np.finfo(np.float32).eps)) for answers in (one, other)]
    else:
        each = [(answers.argmax(1) == labels).astype(float) for answers in (one, other)]
    test = ttest_rel(*each)
    assert SCORES[name].standard_error(one, other, labels) == pytest.approx(
        abs(np.mean(each[0] - each[1]) / test.statistic)
    )


@pytest.mark.parametrize("name", ["val_balanced_accuracy", "val_f1", "val_auc"])
def test_the_error_is_the_spread_over_many_sets_of_images(name: str) -> None:
    """One model's answers are the other's with a part of them drawn anew; many sets of images of one source."""

    def pair(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        one, labels = drawn(seed, 400)
        rng = np.random.default_rng(10_000 + seed)
        other = np.where(rng.random((400, 1)) < 0.3, rng.dirichlet(np.ones(3), 400), one).astype(np.float32)
        return one, other, labels

    score = SCORES[name]
    gaps = [score.of(other, labels) - score.of(one, labels) for one, other, labels in map(pair, range(300))]
    errors = [score.standard_error(*pair(seed)) for seed in range(10)]
    assert np.mean(errors) == pytest.approx(np.std(gaps), rel=0.2)


@pytest.mark.parametrize("name", SCORES)
def test_a_clear_difference_is_no_tie_and_none_is(name: str) -> None:
    answers, labels = drawn(4, 300)
    right = ONE_HOT[labels].astype(np.float32) * 0.9 + 0.05
    settings = Settings(objective=name)
    best, other, same = (Candidate(str(n), 0.0, 1, 1, given) for n, given in enumerate((right, answers, right.copy())))
    assert not tied(best, other, labels, settings)
    assert tied(best, same, labels, settings)
