"""Files of class names in the styles that people have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.runtimes.labels import class_names, read_labels, told_apart
from export.settings import Conversion
from toolkit.errors import UnfreezeError


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("cat\ndog\n", ("cat", "dog")),
        ("0 cat\n1 dog\n", ("cat", "dog")),  # Teachable Machine
        ("0  background\n1  tench, Tinca tinca\n", ("background", "tench, Tinca tinca")),  # Coral
        ("0: cat\n1: dog", ("cat", "dog")),
        ("0,cat\n1,dog", ("cat", "dog")),
        ("0\tcat\n1\tdog", ("cat", "dog")),
        ("1 cat\n2 dog", ("cat", "dog")),
        ("\ufeffcat\r\n\r\ndog\r\n", ("cat", "dog")),  # Windows
        ("1 cent\n2 cent\n5 cent\n", ("1 cent", "2 cent", "5 cent")),
        ("3 d\n4 e\n", ("3 d", "4 e")),
        ("7\n8\n9\n", ("7", "8", "9")),
        ("1 cat\n0 dog\n2 fish\n", ("dog", "cat", "fish")),  # in any order
        ("1 euro\n2 euro\n3 euro\n", ("1 euro", "2 euro", "3 euro")),
        ("crane\nmaillot\ncrane\n", ("crane (0)", "maillot", "crane (2)")),
        ("0 crane\n1 gull\n2 crane", ("crane (0)", "gull", "crane (2)")),
        ("großer Hund 🐕\nKatze", ("großer Hund 🐕", "Katze")),
    ],
    ids=str,
)
def test_styles(content: str, names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(content.encode())
    assert read_labels(tmp_path / "labels.txt") == names
    assert class_names(Conversion(labels=tmp_path / "labels.txt")) == names


@given(st.lists(st.sampled_from(["a", "b", "c", "a (0)"]), min_size=1))
def test_names_that_are_told_apart_keep_their_order(names: list[str]) -> None:
    told = told_apart(names)
    assert len(told) == len(names)
    assert all(
        one == name or one == f"{name} ({place})" for place, (one, name) in enumerate(zip(told, names, strict=True))
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), (b"", "is empty"), (b" \n\n", "is empty"), (b"str\xe4pes\n", "is not UTF-8")],
)
def test_what_is_no_file_of_names(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnfreezeError, match=rf"labels\.txt {said}.*give --labels") as error:
        read_labels(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_names_from_python() -> None:
    assert class_names(Conversion(labels=["a", "b"])) == ("a", "b")
    assert class_names(Conversion()) is None
    with pytest.raises(UnfreezeError, match="labels is"):
        Conversion(labels="a")
