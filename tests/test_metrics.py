from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics

from toolkit.errors import UnfreezeError
from toolkit.evaluation.results import read_metrics, write_metrics
from toolkit.stats.metrics import Evaluation, calibration_error, evaluate, wilson, worst_mistakes
from unfreeze.screen.tables import show_evaluation
from unfreeze.wording import majority_words

NAMES = ("a", "b", "c")


def answers(seed: int, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(3, 0.5), count).astype(np.float32), rng.integers(0, 3, count)


@pytest.mark.parametrize("seed", range(5))
def test_against_scikit_learn(seed: int) -> None:
    probabilities, labels = answers(seed)
    got, said = evaluate(probabilities, labels, NAMES), probabilities.argmax(1)
    np.testing.assert_array_equal(got.confusion, metrics.confusion_matrix(labels, said))
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(labels, said)
    np.testing.assert_allclose(got.precision, precision)
    np.testing.assert_allclose(got.recall, recall)
    np.testing.assert_allclose(got.f1, f1)
    assert got.accuracy == pytest.approx(metrics.accuracy_score(labels, said))
    clipped = np.clip(probabilities.astype(np.float64), np.finfo(np.float32).eps, 1)
    own = -np.log(clipped[np.arange(len(labels)), labels]).mean()
    assert got.log_loss == pytest.approx(own)
    assert got.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(labels, said))
    assert got.macro_f1 == pytest.approx(metrics.f1_score(labels, said, average="macro"))
    exact = clipped / clipped.sum(axis=1, keepdims=True)
    assert got.log_loss == pytest.approx(metrics.log_loss(labels, exact), rel=1e-5)


@pytest.mark.parametrize("classes", [(0, 1), (0, 2), (1, 2)])
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_means_over_classes_leave_out_those_without_images(classes: tuple[int, int]) -> None:
    probabilities, labels = answers(7)
    labels = np.array(classes)[labels % 2]
    got, said = evaluate(probabilities, labels, NAMES), probabilities.argmax(1)
    assert got.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(labels, said))
    assert got.macro_f1 == pytest.approx(metrics.f1_score(labels, said, average="macro"))


def of_confusion(confusion: list[list[int]]) -> Evaluation:
    pairs = [(true, said) for true, row in enumerate(confusion) for said, count in enumerate(row) for _ in range(count)]
    labels, said = np.array(pairs).T
    return evaluate(np.eye(len(confusion))[said], labels, NAMES[: len(confusion)])


@pytest.mark.parametrize(
    ("confusion", "beaten"),
    [
        ([[400, 0], [20, 0]], False),  # the answer is always the first class
        ([[400, 0], [16, 4]], False),  # four more right: one in sixteen by chance
        ([[400, 0], [15, 5]], True),
        ([[398, 2], [15, 5]], False),
        ([[0, 20], [0, 400]], False),
        ([[50, 50], [50, 50]], False),
        ([[80, 20], [20, 80]], True),
        ([[5, 0, 0], [0, 4, 1], [0, 0, 5]], True),
        ([[0, 10], [10, 0]], False),
    ],
)
def test_a_model_beats_the_majority_if_chance_does_not_do_as_well(confusion: list[list[int]], beaten: bool) -> None:
    got = of_confusion(confusion)
    rows = np.array(confusion).sum(1)
    common = int(rows.argmax())
    assert got.majority == (NAMES[common], pytest.approx(rows.max() / rows.sum()))
    gained, lost = int(np.trace(confusion)) - confusion[common][common], int(rows[common]) - confusion[common][common]
    oracle = gained + lost > 0 and binomtest(gained, gained + lost, alternative="greater").pvalue <= 0.05
    assert got.beats_majority == oracle == beaten
    assert bool(majority_words(got)) == (not beaten)


def test_the_terminal_names_the_majority_and_warns(capsys: pytest.CaptureFixture[str]) -> None:
    show_evaluation(of_confusion([[400, 0], [18, 2]]))
    out = capsys.readouterr().out
    assert "always answering a would be right on 95.24%" in out
    assert "WARNING: the model is not shown to beat the majority" in out
    assert "balanced accuracy 55.00%" in out
    show_evaluation(of_confusion([[400, 0], [2, 18]]))
    assert "WARNING" not in capsys.readouterr().out


@pytest.mark.parametrize("confusion", [[[0, 0], [0, 0]], [[5, -1], [3, 4]], [[1, 1], [1, 1]]], ids=str)
def test_metrics_that_do_not_fit_together_are_damaged(confusion: list[list[int]], tmp_path: Path) -> None:
    write_metrics(tmp_path, of_confusion([[5, 1], [1, 4]]))
    stored = json.loads((tmp_path / "metrics.json").read_text())
    (tmp_path / "metrics.json").write_text(json.dumps(stored | {"confusion": confusion}))
    with pytest.raises(UnfreezeError, match=r"metrics\.json is damaged"):
        read_metrics(tmp_path, NAMES[:2])


def test_a_class_never_answered_and_one_without_images() -> None:
    got = evaluate(np.array([[1.0, 0, 0], [0.9, 0.1, 0]]), np.array([0, 1]), NAMES)
    assert got.precision.tolist() == [0.5, 0, 0]
    assert got.recall.tolist() == [1, 0, 0]


@pytest.mark.parametrize("seed", range(5))
def test_intervals_of_recall_against_scipy(seed: int) -> None:
    probabilities, labels = answers(seed)
    got, said = evaluate(probabilities, labels, NAMES), probabilities.argmax(1)
    assert got.recall_interval.shape == (3, 2)
    for number, interval in enumerate(got.recall_interval):
        own = said[labels == number] == number
        expected = binomtest(int(own.sum()), len(own)).proportion_ci(method="wilson")
        assert interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_of_a_class_without_images_the_recall_may_be_anything() -> None:
    got = evaluate(np.array([[1.0, 0, 0], [0.9, 0.1, 0]]), np.array([0, 1]), NAMES)
    assert got.recall_interval[2].tolist() == [0, 1]
    assert got.recall_interval[0].tolist() == pytest.approx(wilson(1, 1))


def test_intervals_are_stored_and_earlier_metrics_are_read_without_them(tmp_path: Path) -> None:
    evaluation = evaluate(*answers(1), NAMES)
    write_metrics(tmp_path, evaluation)
    stored = json.loads((tmp_path / "metrics.json").read_text())
    for name, interval in zip(NAMES, evaluation.recall_interval.tolist(), strict=True):
        assert stored["classes"][name].pop("recall_interval") == interval
    (tmp_path / "metrics.json").write_text(json.dumps(stored))
    found = read_metrics(tmp_path, NAMES)
    assert found is not None
    np.testing.assert_array_equal(found.recall_interval, evaluation.recall_interval)


def test_the_terminal_shows_the_interval_beside_each_recall(capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = evaluate(*answers(2), NAMES)
    show_evaluation(evaluation)
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    for number, name in enumerate(NAMES):
        low, high = evaluation.recall_interval[number]
        assert rows[name][2:6] == [f"{evaluation.recall[number]:.4f}", f"{low:.4f}", "–", f"{high:.4f}"]


@pytest.mark.parametrize(("right", "total"), [(0, 10), (1, 7), (97, 100), (1739, 1783), (5, 5)])
def test_wilson_against_scipy(right: int, total: int) -> None:
    expected = binomtest(right, total).proportion_ci(method="wilson")
    assert wilson(right, total) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("total", [1, 7, 8, 25, 1783])
def test_wilson_ends_at_nothing_and_at_all(total: int) -> None:
    """And not at 0.9999999999999998."""
    assert wilson(total, total)[1] == 1.0
    assert wilson(0, total)[0] == 0.0


def test_calibration_error_of_answers_that_are_as_right_as_they_say() -> None:
    confident = np.tile([0.9, 0.1], (10, 1))
    assert calibration_error(confident, np.array([0] * 9 + [1])) == pytest.approx(0)
    assert calibration_error(confident, np.zeros(10, int)) == pytest.approx(0.1)
    assert calibration_error(confident, np.ones(10, int)) == pytest.approx(0.9)


def test_calibration_error_against_a_plain_loop() -> None:
    probabilities, labels = answers(3)
    confidence, right = probabilities.max(1).astype(np.float64), probabilities.argmax(1) == labels
    total = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration_error(probabilities, labels) == pytest.approx(total)


def test_worst_mistakes_are_wrong_and_ordered() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.99, 0.01]])
    assert worst_mistakes(probabilities, np.array([1, 1, 1, 0]), 5).tolist() == [0, 1]


def test_nothing_to_evaluate_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 labels"):
        evaluate(np.zeros((0, 3)), np.zeros(0, int), NAMES)


def test_json_has_the_accuracy_at_the_top() -> None:
    values = evaluate(*answers(0), NAMES).to_json()
    assert isinstance(values["accuracy"], float)
    assert list(values["classes"]) == list(NAMES)  # type: ignore[call-overload]
