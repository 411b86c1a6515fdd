"""A class that collapses is told whatever the whole says, and chance alone hardly ever looks like it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta, binomtest

from export.artefacts import EVIDENCE, TEST, UNLABELLED, VAL, Artefact, Reference
from export.proof.compare import compare, could_not_run
from export.proof.parity import Parity, read_parities, to_json, write_parities
from export.runtimes.measure import Measurement
from export.settings import VerifySettings
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED, PairedAnswers
from toolkit.stats.recall_lost import lost_at_least, recalls_lost
from unfreeze.evidence_wording import class_loss_words
from unfreeze.gate.github import annotate
from unfreeze.gate.junit import junit
from unfreeze.gate.markdown import summary
from unfreeze.screen.export_tables import show_parity

NAMES = ("cat", "dog", "rare bird")


def verdict(
    counts: tuple[int, ...],
    lost: tuple[int, ...],
    *,
    precision: str = "int8",
    parts: tuple[str, ...] = (),
    **how: float,
) -> Parity:
    """Of a file that answers the next class on the first `lost[c]` of `counts[c]` images of each class; the model has
    all right."""
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    answers = np.full((len(labels), len(counts)), 0.01, np.float32)
    answers[np.arange(len(labels)), labels] = 0.9
    got = answers.copy()
    for label, number in enumerate(lost):
        rows = np.flatnonzero(labels == label)[:number]
        got[rows] = np.roll(got[rows], 1, axis=1)
    reference = Reference(tuple(map(str, range(len(labels)))), labels, answers, parts or (TEST,) * len(labels))
    artefact = Artefact("model_int8.onnx", "onnx", precision, 1, "0" * 64)
    return compare(artefact, reference, Measurement(got), NAMES[: len(counts)], VerifySettings(**how))


@pytest.mark.parametrize("margin", [None, 0.5, 5.0])
def test_twenty_of_a_thousand_images_that_all_flip_do_not_hold(margin: float | None) -> None:
    """The margin of 5 points allows what the whole loses, 2 points."""
    parity = verdict((980, 20), (0, 20), margin=margin)
    assert parity.verdict == FAILS
    assert [(one.name, one.lost_images, one.images) for one in parity.collapsed] == [("dog", 20, 20)]
    assert "of class dog it loses 20 of 20 images: 100.0% of its recall, and 42.6% at least" in parity.reason


def test_a_whole_that_holds_does_not_hide_a_class_that_collapses(capsys: pytest.CaptureFixture[str]) -> None:
    parity = verdict((9_000, 980, 20), (0, 0, 20), margin=0.5)
    assert parity.lost_at_most is not None
    assert parity.lost_at_most < 0.005  # the whole holds
    assert parity.verdict == FAILS
    show_parity([parity])
    console = " ".join(capsys.readouterr().out.split())
    for text in (
        console,
        junit([parity]),
        summary([parity]),
        "\n".join(annotate([parity])),
        json.dumps(to_json(parity)),
    ):
        assert "does not hold" in text or '"fails"' in text
        assert "rare bird it loses 20 of 20 images" in text
    assert "class rare bird collapses: 20 of 20 images lost by model_int8.onnx" in console
    assert 'name="largest_class_loss" value="1.0"' in junit([parity])
    assert "✗ model_int8.onnx" in console
    assert "smallest class" not in console  # nothing weaker is said beside it


def test_what_a_class_loses_counts_where_too_few_images_decide_the_whole() -> None:
    assert verdict((300, 40), (0, 0), margin=0.5).verdict == UNDECIDED
    assert verdict((300, 40), (0, 20), margin=8.0).verdict == FAILS


def test_a_class_with_too_few_images_is_no_failure_and_is_named_with_its_images() -> None:
    parity = verdict((9_000, 980, 5), (0, 3, 5), margin=0.5)
    assert (parity.verdict, parity.collapsed) == (HOLDS, ())
    assert class_loss_words([parity]) == ""  # the line of the smallest class says it
    parity = verdict((9_000, 980, 20), (0, 9, 0), margin=0.5)
    assert parity.verdict == HOLDS
    assert class_loss_words([parity]).startswith("largest loss by class: dog, 9 of 980 images lost by model_int8.onnx")
    assert class_loss_words([parity]).endswith("; too few to show that it is over the margin")
    within = class_loss_words([verdict((9_000, 980, 20), (0, 4, 0), margin=0.5)])
    assert within.startswith("largest loss by class: dog, 4 of 980 images lost")
    assert "over the margin" not in within


def test_two_balanced_classes_get_no_line_of_their_own() -> None:
    parity = verdict((900, 880), (2, 1), margin=0.5)
    assert parity.classes
    assert class_loss_words([parity]) == ""
    assert class_loss_words([verdict((900, 880), (0, 0), margin=0.5)]) == ""


def test_the_images_are_those_that_count_for_the_whole() -> None:
    parts = (TEST,) * 60 + (VAL,) * 30 + (EVIDENCE,) * 10
    assert sum(one.images for one in verdict((50, 50), (0, 0), parts=parts, precision="dynamic").classes) == 100
    assert sum(one.images for one in verdict((50, 50), (0, 0), parts=parts).classes) == 70  # validation chose int8
    labels = np.array([0, 1, UNLABELLED, UNLABELLED], np.int32)
    answers = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    reference = Reference(tuple("abcd"), labels, answers, (TEST, TEST, EVIDENCE, EVIDENCE))
    artefact = Artefact("model.onnx", "onnx", "int8", 1, "")
    found = compare(artefact, reference, Measurement(answers[::-1].copy()), NAMES[:2], VerifySettings())
    assert [(one.name, one.images) for one in found.classes] == [("cat", 1), ("dog", 1)]


def test_classes_are_read_again_and_an_earlier_file_has_none(tmp_path: Path) -> None:
    parity, file = verdict((980, 20), (0, 20)), tmp_path / "parity.json"
    unwritten = could_not_run(
        Artefact("model.onnx", "onnx", "float32", 0, ""), "could not be written: no such operation"
    )
    write_parities(file, [parity, unwritten])
    assert read_parities(file) == [parity, unwritten]
    write_parities(file, [parity])
    entry = json.loads(file.read_text())[0]
    del entry["classes"], entry["smallest_class"]["lost_at_least"]
    file.write_text(json.dumps([entry]))
    (earlier,) = read_parities(file)
    assert (earlier.classes, earlier.collapsed, class_loss_words([earlier])) == ((), (), "")
    assert earlier.smallest_class == parity.smallest_class


@pytest.mark.parametrize(("images", "lost", "gained"), [(20, 20, 0), (100, 30, 5), (1_000, 60, 20), (50, 8, 0)])
def test_the_lower_bound_is_the_two_exact_tests_at_half_the_level(images: int, lost: int, gained: int) -> None:
    """By scipy's tests: the largest excess that McNemar's test still shows, and Clopper and Pearson's bound on it."""
    chance = 0.01

    def exchanged(excess: int) -> float:
        left = lost - excess + 1
        return float(binomtest(left, left + gained, 0.5, alternative="greater").pvalue)

    most = max((e for e in range(1, lost + 1) if exchanged(e) <= chance / 2), default=0)
    expected = beta.ppf(chance / 2, most, images - most + 1) if most else 0.0
    assert lost_at_least(PairedAnswers(images, lost, gained), chance) == pytest.approx(expected)


@pytest.mark.parametrize("excess", [0.0, 0.005, 0.1])
@pytest.mark.parametrize("gained", [0.0, 0.02, 0.2])
@pytest.mark.parametrize("images", [20, 300])
def test_the_lower_bound_is_wrong_no_more_often_than_it_says(images: int, gained: float, excess: float) -> None:
    """In 4,000 files drawn with these rates: a twentieth, and three standard errors of 4,000."""
    rates = [gained + excess, gained, 1 - 2 * gained - excess]
    drawn, times = np.unique(np.random.default_rng(0).multinomial(images, rates, 4000), axis=0, return_counts=True)
    wrong = [lost_at_least(PairedAnswers(images, int(b), int(c)), 0.05) > excess for b, c, _ in drawn]
    assert np.average(wrong, weights=times) <= 0.06


@pytest.mark.parametrize("noise", [0.002, 0.01, 0.05])
def test_files_that_differ_by_noise_alone_hardly_ever_lose_a_class(noise: float) -> None:
    """600 files, twelve classes of 8 to 400 images. Noise changes the answers of a model that is right in nine of ten,
    as often to the right class as away from it, within the margin."""
    rng, margin = np.random.default_rng(1), 0.005
    labels = np.repeat(np.arange(12), [8, 10, 12, 15, 20, 25, 40, 60, 100, 150, 200, 400])
    alarms = 0
    for _ in range(600):
        kind = rng.random(len(labels))
        before = np.where(kind < noise + margin, labels, np.where(kind < 0.1, 99, labels))
        after = np.where(kind < noise + margin, 99, np.where(kind < 2 * noise + margin, labels, before))
        alarms += any(one.at_least > margin for one in recalls_lost(labels, before, after))
    assert alarms <= 600 * 0.05


def test_the_bounds_of_more_classes_are_wider() -> None:
    pair = PairedAnswers(100, 30, 2)
    two, twenty = (lost_at_least(pair, 0.05 / classes) for classes in (2, 20))
    assert 0 < twenty < two < 0.28
    assert 0.28 < pair.bound(0.05 / 2) < pair.bound(0.05 / 20)
    assert pair.bound() == pair.lost_at_most
