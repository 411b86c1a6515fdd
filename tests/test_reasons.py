"""A message that nothing is usable says why: the most frequent reasons, each with a count and an example."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.predict import predict
from tests.trees import content, grow
from toolkit.data.image_set import scan
from toolkit.data.sources.listing import Rejected
from toolkit.data.sources.reasons import SHOWN, kind, why
from toolkit.data.unlabelled import scan_unlabelled
from toolkit.errors import UnfreezeError, one_line

CUT = "cut short or damaged ({} bytes are missing)"
SAME = "the same file as {}.jpg, which is labelled dog"


def test_the_three_most_frequent_come_with_a_count_and_an_example() -> None:
    left = [Rejected(f"a{n}.jpg", CUT.format(n)) for n in range(3)]
    left += [Rejected("b.jpg", "the file is empty"), Rejected("c.jpg", "not an image"), Rejected("d.jpg", "a pipe")]
    left += [Rejected(f"e{n}.jpg", SAME.format(n)) for n in range(2)]
    assert why(left) == (
        " (left out: 3, such as a0.jpg: cut short or damaged (0 bytes are missing); "
        "2, such as e0.jpg: the same file as 0.jpg, which is labelled dog; "
        "b.jpg: the file is empty; 2 for other reasons)"
    )


def test_nothing_left_out_says_nothing() -> None:
    assert why([]) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CUT.format(3), CUT.format(12)),
        ("line 3 of a.csv has no label", "line 71 of a.csv has no label"),
        (SAME.format("a/1"), SAME.format("b/2")),
        ("named .jpg but its content is PNG", "named .webp but its content is PNG"),
        ("12000 x 9000 pixels are more than 89 million", "20000 x 9000 pixels are more than 89 million"),
    ],
)
def test_reasons_that_differ_by_file_are_one_kind(one: str, other: str) -> None:
    assert kind(one) == kind(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cannot be read: No such file or directory", "cannot be read: Permission denied"),
        ("the file is empty", "not an image"),
        ("line 3 of a.csv has no label", "line 3 of a.csv has no path"),
    ],
)
def test_other_reasons_are_another_kind(one: str, other: str) -> None:
    assert kind(one) != kind(other)


@given(st.lists(st.builds(Rejected, st.text(max_size=300), st.text(max_size=300)), max_size=12))
def test_it_is_one_short_line_and_counts_everything(left: list[Rejected]) -> None:
    text = why(left)
    assert text == one_line(text)
    assert len(text) < 300 * (SHOWN + 1)
    assert bool(text) == bool(left)


def broken(root: Path, folder: str) -> None:
    """Six files that are no use: three empty, two cut, one of another format than its name says."""
    (root / folder).mkdir(parents=True)
    for number in range(3):
        (root / folder / f"empty{number}.jpg").touch()
    for number in range(2):
        whole = content(f"{folder}{number}.jpg")
        (root / folder / f"cut{number}.jpg").write_bytes(whole[: len(whole) // 2])
    (root / folder / "page.jpg").write_bytes(b"<!DOCTYPE html>")


WORDS = ["3, such as {}empty0.jpg: the file is empty", "2, such as {}cut0.jpg: cut short", "{}page.jpg: not an image"]


def refusal(call: object) -> str:
    with pytest.raises(UnfreezeError) as error:
        call()  # type: ignore[operator]
    return str(error.value)


def test_a_class_without_a_usable_image(tmp_path: Path) -> None:
    broken(tmp_path / "data", "dog")
    grow(tmp_path / "data", ["cat/*.jpg", "cat/bad.png"])
    (tmp_path / "data" / "cat" / "bad.png").write_bytes(b"")
    text = refusal(lambda: scan(tmp_path / "data"))
    assert "class dog has no usable image to train on (left out: 3, such as" in text
    assert all(words.format("dog/") in text for words in WORDS)
    assert "bad.png" not in text  # it is of another class


def test_data_of_a_model_without_a_usable_image(tmp_path: Path) -> None:
    broken(tmp_path / "data", "dog")
    text = refusal(lambda: scan(tmp_path / "data", classes=("cat", "dog")))
    assert "has no usable image (left out:" in text
    assert all(words.format("dog/") in text for words in WORDS)


def test_a_folder_of_evidence_without_a_usable_image(tmp_path: Path) -> None:
    broken(tmp_path, "evidence")
    text = refusal(lambda: scan_unlabelled(tmp_path / "evidence"))
    assert all(words.format("") in text for words in WORDS)


def test_a_csv_with_paths_that_lead_nowhere(tmp_path: Path) -> None:
    grow(tmp_path, ["images/*.jpg"])
    rows = ["images/0.jpg,dog", "images/1.jpg,dog", "gone1.jpg,cat", "gone2.jpg,cat", ",cat"]
    (tmp_path / "a.csv").write_text("\n".join(["path,label", *rows]))
    text = refusal(lambda: scan(tmp_path / "a.csv"))
    assert "class cat has no usable image to train on" in text
    assert "2, such as gone1.jpg: cannot be read: No such file or directory" in text


def test_a_csv_without_a_usable_row(tmp_path: Path) -> None:
    grow(tmp_path, ["images/*.jpg"])
    (tmp_path / "a.csv").write_text("path,label\nimages/0.jpg,\nimages/1.jpg,\n,cat\n")
    text = refusal(lambda: scan(tmp_path / "a.csv"))
    assert "2, such as images/0.jpg: line 2 of a.csv has no label; line 4 of a.csv has no path" in text


def test_predict_without_an_image(tmp_path: Path, finished: object) -> None:
    grow(tmp_path, ["notes/*.txt"])
    (tmp_path / "notes" / "deep").mkdir()
    (tmp_path / "notes" / "deep" / "round").symlink_to(tmp_path)
    text = refusal(lambda: list(predict(finished.path, [tmp_path / "notes"])))  # type: ignore[attr-defined]
    assert "there is no image in" in text
    assert "notes (left out: deep/round: a symbolic link to a folder that it is in, which is not followed; 3 " in text
