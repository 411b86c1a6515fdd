"""Several labels for an image: refused, with the page that says what to do; and the page's code does it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from export.predict import Prediction
from tests.pictures import draw, encode
from toolkit.data.image_set import scan
from toolkit.data.settings import DataSettings
from toolkit.data.sources.csv_several import PAGE
from toolkit.errors import UnfreezeError

ROOT = Path(__file__).parents[1]
LABELS = ("beach", "sunset", "beach|sunset", "")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """60 pictures, and labels.csv."""
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    rows = [("path", "labels")]
    for number in range(60):
        (folder / f"{number:03}.jpg").write_bytes(encode(draw(number % 4, 32, rng)))
        rows.append((f"{number:03}.jpg", LABELS[number % 4]))
    write(folder / "labels.csv", rows)
    return folder


def write(path: Path, rows: list[tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def blocks() -> list[str]:
    """The Python on the page."""
    text = (ROOT / PAGE.split()[0]).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_pages_first_code_makes_a_csv_for_each_label_with_the_same_parts(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    exec(compile(blocks()[0], "multi-label.md", "exec"), {})
    assert {path.stem for path in photos.glob("*.csv")} == {"labels", "beach", "sunset"}
    sets = {label: scan(photos / f"{label}.csv") for label in ("beach", "sunset")}
    for label, images in sets.items():
        assert images.class_names == ("no", "yes")
        for path, number in zip(images.paths, images.labels, strict=True):
            assert images.class_names[number] == ("yes" if label in LABELS[int(path[:3]) % 4] else "no")
    parts = [dict(zip(images.paths, images.parts, strict=True)) for images in sets.values()]
    assert parts[0] == parts[1]
    assert set(parts[0].values()) == {"train", "val", "test"}
    assert sets["beach"].paths == sets["sunset"].paths  # so that the activations are the same, too


def test_the_pages_second_code_puts_the_answers_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import unfreeze

    answers = {
        "runs/beach": [Prediction("a", "yes", 0.9), Prediction("b", "no", 0.9), Prediction("c", error="damaged")],
        "runs/sunset": [Prediction("a", "yes", 0.8), Prediction("b", "no", 0.7), Prediction("c", error="damaged")],
    }
    monkeypatch.setattr(unfreeze, "predict", lambda run, images: iter(answers[run]))
    exec(compile(blocks()[1], "multi-label.md", "exec"), {})
    assert capsys.readouterr().out == "a beach sunset\nb none of them\nc could not be read\n"


@pytest.mark.parametrize("text", ["cat|dog", "cat,dog", "cat;dog"])
def test_a_label_of_several_names_the_page(photos: Path, text: str) -> None:
    write(photos / "x.csv", [("path", "label"), *((f"{n:03}.jpg", ("cat", "dog", text)[n % 3]) for n in range(60))])
    with pytest.raises(UnfreezeError, match=re.escape(PAGE)):
        scan(photos / "x.csv")


@pytest.mark.parametrize("second", [(1, 1), (0, 0)])
def test_columns_of_several_name_the_page_and_one_of_them_can_be_read(photos: Path, second: tuple[int, int]) -> None:
    cells = ((1, 0), (0, 1), second)
    rows = [("path", "cat", "dog"), *((f"{n:03}.jpg", *map(str, cells[n % 3])) for n in range(60))]
    write(photos / "x.csv", rows)
    with pytest.raises(UnfreezeError, match=re.escape(PAGE)):
        scan(photos / "x.csv")
    images = scan(photos / "x.csv", DataSettings(label_column="cat"))
    assert images.class_names == ("0", "1")
    assert images.counts().tolist() == [sum(row[1] == kind for row in rows[1:]) for kind in ("0", "1")]


@pytest.mark.parametrize(("double", "refused"), [(0, False), (4, False), (5, True), (30, True)])
def test_rows_that_give_an_image_other_labels_are_mistakes_where_they_are_few(
    photos: Path, double: int, refused: bool
) -> None:
    rows = [(f"{n:03}.jpg", "cat" if n % 2 else "dog") for n in range(60)]
    rows += [(f"{n:03}.jpg", "bird") for n in range(double)]
    write(photos / "x.csv", [("path", "label"), *rows])
    if refused:
        said = f"line 62: 000.jpg is bird, and in line 2 dog; {double} of 60 images have several labels"
        with pytest.raises(UnfreezeError, match=said) as told:
            scan(photos / "x.csv")
        assert PAGE in str(told.value)
    else:
        write(photos / "x.csv", [("path", "label"), *rows[:60], *((path, "cat") for path, _ in rows[60:])])
        images = scan(photos / "x.csv")
        assert len(images) >= 60 - 2 * double


def test_a_row_that_is_repeated_with_the_same_label_is_no_second_label(photos: Path) -> None:
    rows = [(f"{n:03}.jpg", "cat" if n % 2 else "dog") for n in range(60)]
    write(photos / "x.csv", [("path", "label"), *rows, *rows])
    assert len(scan(photos / "x.csv")) == 60
