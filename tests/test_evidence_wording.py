"""What is said of several verdicts: once what is the same, and nothing absurd, however few images there are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.artefacts import EVIDENCE, TEST, UNLABELLED, VAL, Artefact, Reference
from export.proof.compare import compare
from export.proof.parity import Parity, read_parities, to_json
from export.runtimes.measure import Measurement
from export.settings import VerifySettings
from toolkit.stats.accuracy_lost import HOLDS, UNDECIDED, images_that_show
from unfreeze.evidence_wording import (
    allowed_words,
    chance_words,
    evidence_words,
    smallest_class_words,
    undecided_words,
)
from unfreeze.screen.export_tables import show_parity

NAMES = ("daisy", "roses", "tulips")
FILES = {
    "model.onnx": "float32",
    "model_fp16.onnx": "float16",
    "model_dynamic.tflite": "dynamic",
    "model_int8.onnx": "int8",
    "model_int8.tflite": "int8",
}


def verdicts(
    test: int, val: int = 0, unlabelled: int = 0, *, lost: int = 0, roses: int = 12, margin: float | None = None
) -> list[Parity]:
    """Of five files. `lost`: how many test images those in int8 have wrong, no roses among them; the model has all
    right."""
    labels = np.zeros(test + val + unlabelled, np.int32)
    labels[:roses] = 1
    labels[roses : test + val : 2] = 2
    answers = np.full((len(labels), 3), 0.05, np.float32)
    answers[np.arange(len(labels)), labels] = 0.9
    labels[test + val :] = UNLABELLED
    parts = (TEST,) * test + (VAL,) * val + (EVIDENCE,) * unlabelled
    reference = Reference(tuple(map(str, range(len(labels)))), labels, answers, parts)
    other = answers.copy()
    other[roses : roses + lost] = np.roll(other[roses : roses + lost], 1, axis=1)
    return [
        compare(
            Artefact(name, "onnx", precision, 1, "0" * 64),
            reference,
            Measurement(other if precision == "int8" else answers),
            NAMES,
            VerifySettings(margin=margin),
        )
        for name, precision in FILES.items()
    ]


def shown(parities: Sequence[Parity], capsys: pytest.CaptureFixture[str]) -> str:
    show_parity(parities)
    return capsys.readouterr().out


def test_what_the_bounds_rest_on_is_said_once_and_what_is_different_for_int8_after_it() -> None:
    assert evidence_words(verdicts(240)) == "240 test images"
    assert evidence_words(verdicts(240, 280)) == (
        "240 test and 280 validation images; int8 on 240 test images, because validation images chose how it is made"
    )
    assert evidence_words(verdicts(240, 280, 1000)) == (
        "240 test, 280 validation and 1,000 unlabelled images; int8 on 240 test and 1,000 unlabelled images, because "
        "validation images chose how it is made"
    )
    assert evidence_words(verdicts(240, 280)[3:]) == (
        "240 test images, because validation images chose how int8 is made"
    )
    assert evidence_words([]) == ""


def test_a_file_that_differs_from_others_of_its_precision_is_named() -> None:
    (first, *others) = verdicts(240, 280)[3:]
    kept = replace(first, evidence=(), images=100)
    assert evidence_words([kept, *others, *verdicts(240)]).endswith("; model_int8.onnx on 100 test images")


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (598, "0.5 points"),
        (2000, "0.5 points"),
        (240, "1.3 points, the least that 240 images can show (358 more could show 0.5)"),
        (149, "2 points, the least that 149 images can show (449 more could show 0.5)"),
        (60, "2 points, which 60 images cannot show (89 more could, 538 more could show 0.5)"),
        (1, "2 points, which 1 image cannot show (148 more could, 597 more could show 0.5)"),
    ],
)
def test_the_margin_of_so_many_images_and_what_less_would_take(images: int, said: str) -> None:
    assert allowed_words(verdicts(images, roses=min(12, images))) == said


@pytest.mark.parametrize("images", [149, 240, 400, 597])
def test_with_so_many_images_more_the_margin_is_what_was_said(images: int) -> None:
    """The number that is named is enough, and one less is not."""
    said = int(re.findall(r"(\d+) more could show 0\.5", allowed_words(verdicts(images)))[0])
    assert {one.margin for one in verdicts(images + said)} == {0.005}
    assert {one.margin for one in verdicts(images + said - 1)} != {0.005}
    assert images + said == images_that_show(0.005)


def test_margins_that_differ_are_said_in_turn_and_a_chosen_one_without_a_reason() -> None:
    assert allowed_words(verdicts(240, 280)) == (
        "0.6 points, the least that 520 images can show (78 more could show 0.5); int8: 1.3 points, the least that 240 "
        "images can show (358 more could show 0.5)"
    )
    assert allowed_words(verdicts(240, 280, margin=0.25)) == "0.25 points"


@pytest.mark.parametrize(
    ("roses", "said"),
    [
        (12, "smallest class: roses, 12 test images, none lost; at most 22.1 points of its own accuracy"),
        (3, "smallest class: roses, 3 test images, none lost; too few to say how many of them are lost at most"),
        (1, "smallest class: roses, 1 test image, none lost; too few to say how many of them are lost at most"),
    ],
)
def test_the_smallest_class_has_a_bound_of_its_own_unless_that_is_absurd(roses: int, said: str) -> None:
    assert smallest_class_words(verdicts(240, roses=roses)) == said


def test_of_the_smallest_class_the_file_that_may_lose_most_is_named() -> None:
    """No daisies and as many tulips as are lost: they are the smallest class."""
    parities = verdicts(100, lost=20, roses=60)
    (said,) = {smallest_class_words(order) for order in (parities, parities[::-1][1:] + parities[-1:])}
    assert said.startswith("smallest class: daisy, 20 test images, 10 lost by model_int8.")


def test_files_that_too_few_images_decide_are_named_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    parities = verdicts(60, lost=1)
    unsure = [parity.artefact.name for parity in parities if parity.verdict == UNDECIDED]
    assert len(unsure) == 4
    said = undecided_words(parities)
    assert said.count("too few images to tell") == said.count("more images like these would tell (80 % power)") == 1
    assert "loses at most 4.87 to 7.13 points of accuracy, where 2 are allowed; with --margin 2, 89 to " in said
    out = shown(parities, capsys)
    sentence = " ".join(out.split()).partition("too few images to tell of ")[2]
    assert all(sentence.count(name) for name in unsure)
    assert out.count("would tell") == 1
    assert not [parity.reason for parity in parities if parity.reason and parity.reason in " ".join(out.split())]


def test_a_single_file_has_its_own_counts() -> None:
    parities = verdicts(700, 280, lost=1)[:4]
    assert [one.verdict for one in parities] == [HOLDS] * 3 + [UNDECIDED]
    assert undecided_words(parities) == (
        "model_int8.onnx: 1 lost in 700 images: at most 0.64 points of accuracy, where 0.5 are allowed; 808 more "
        "images like these would tell (80 % power)"
    )
    assert undecided_words(parities[:3]) == ""


def test_a_number_that_nobody_collects_is_said_in_words() -> None:
    parities = verdicts(1783, lost=8)[3:]
    assert {parity.images_needed for parity in parities} == {None}
    assert undecided_words(parities).endswith("; no realistic number of images like these would tell")
    mixed = [*parities[:1], *verdicts(100, margin=0.5)[1:3]]
    assert undecided_words(mixed).endswith("; of model_int8.onnx no realistic number would")


def test_lines_below_the_tables_are_narrow(capsys: pytest.CaptureFixture[str]) -> None:
    for parities in (verdicts(240, 280, 1000), verdicts(60, lost=2), verdicts(240, 280, lost=3)):
        out = shown(parities, capsys)
        assert max(len(line) for line in out.splitlines() if not line.startswith(tuple("✓?✗!"))) <= 120
        notes = [line for line in out.splitlines() if line.startswith(("lost:", "at most:", "allowed:", "smallest"))]
        assert len(notes) == 4
        assert max(map(len, notes)) <= 110


def test_flips_on_images_that_do_not_count_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    (parity,) = verdicts(240, 280, lost=2)[3:4]
    assert f"{parity.artefact.name}: flips: 2" in shown([parity], capsys)
    beside = replace(parity, flips=(*parity.flips, replace(parity.flips[0], part=VAL)))
    out = shown([beside], capsys)
    assert f"{parity.artefact.name}: flips (1 on validation images, not counted): 3" in out
    (row,) = [line.split() for line in out.splitlines() if line.startswith(("✓", "?", "✗"))]
    assert row[row.index("–") + 4] == "2"


def test_a_model_no_better_than_chance_is_said_loudly(capsys: pytest.CaptureFixture[str]) -> None:
    parities = verdicts(240)
    assert chance_words(parities) == ""
    assert "WARNING" not in shown(parities, capsys)
    parities = [replace(one, reference_at_chance=True, reference_accuracy=0.35) for one in parities]
    assert "right on 35.0% of 240 test images, no more than by chance" in chance_words(parities)
    assert shown(parities, capsys).count("WARNING: the model itself is right on 35.0%") == 1


NEW = ("evidence", "flips_at_most", "smallest_class", "margin_chosen", "reference_at_chance", "images_needed")


def test_verdicts_of_an_earlier_version_are_shown_without_what_they_lack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [to_json(parity) for parity in verdicts(240, lost=3, margin=0.5)]
    for entry in entries:
        for name in NEW:
            entry.pop(name)
        for flip in entry["flips"]:
            flip.pop("part")
    (tmp_path / "parity.json").write_text(json.dumps(entries))
    found = read_parities(tmp_path / "parity.json")
    assert evidence_words(found) == "240 test images"
    assert allowed_words(found) == "0.5 points"
    assert smallest_class_words(found) == chance_words(found) == ""
    assert undecided_words(found).endswith("no realistic number of images like these would tell")
    assert [sum(part.flips for part in one.counted) for one in found] == [0, 0, 0, 3, 3]
    assert "smallest class" not in shown(found, capsys)
