from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from toolkit.data.image_set import scan
from toolkit.errors import UnfreezeError
from unfreeze.digits_demo import BORDER, FILE_SIDE, write_digits


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("demo") / "digits")


def test_every_digit_is_in_the_folder_of_its_label(digits: Path) -> None:
    images = scan(digits)
    assert images.class_names == tuple("0123456789")
    assert not images.rejected
    order = np.argsort([Path(path).stem for path in images.paths])
    np.testing.assert_array_equal(images.labels[order], load_digits().target)


def test_a_file_shows_what_scikit_learn_holds(digits: Path) -> None:
    levels = load_digits().images / 16
    for number in (0, 700, 1796):
        (path,) = digits.glob(f"*/{number:04}.png")
        count = 8 + 2 * BORDER
        cells = (
            np.asarray(Image.open(path), float)
            .reshape(count, FILE_SIDE // count, count, FILE_SIDE // count)
            .mean((1, 3))
            / 255
        )
        assert cells[0].max() < 0.1
        inner = cells[BORDER:-BORDER, BORDER:-BORDER]
        assert np.corrcoef(inner.ravel(), levels[number].ravel())[0, 1] > 0.98


def test_a_folder_that_is_whole_stays_and_another_is_not_touched(digits: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in digits.rglob("*.png")}
    assert write_digits(digits) == digits
    assert before == {path: path.stat().st_mtime_ns for path in digits.rglob("*.png")}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(UnfreezeError, match="does not hold the demo's digits"):
        write_digits(tmp_path / "mine")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes.txt"]
