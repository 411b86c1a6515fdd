"""Files of class names as people have them, typed as --labels."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from export.runtimes.labels import read_labels
from tests.calibrate import shake
from tests.elsewhere import SIZE, classifier, to_tflite
from tests.test_cli import typed
from toolkit.pixels.decode import decode

NAMES = ("Grauer Kater", "2 dogs", "crane")
STYLES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "plain": (b"Grauer Kater\n2 dogs\ncrane\n", NAMES),
    "no end of line": (b"Grauer Kater\n2 dogs\ncrane", NAMES),
    "empty lines and blanks": (b"\n  Grauer Kater\t\n\n2 dogs  \n crane\n\n", NAMES),
    "Teachable Machine": (b"0 Grauer Kater\n1 2 dogs\n2 crane\n", NAMES),
    "Coral": (b"0  Grauer Kater\n1  2 dogs\n2  crane\n", NAMES),
    "tabs": (b"0\tGrauer Kater\n1\t2 dogs\n2\tcrane\n", NAMES),
    "colons": (b"0: Grauer Kater\n1: 2 dogs\n2: crane\n", NAMES),
    "commas": (b"0,Grauer Kater\n1,2 dogs\n2,crane\n", NAMES),
    "from 1": (b"1 Grauer Kater\n2 2 dogs\n3 crane\n", NAMES),
    "Windows": (b"\xef\xbb\xbfGrauer Kater\r\n2 dogs\r\ncrane\r\n", NAMES),
    "Windows with numbers": (b"\xef\xbb\xbf0 Grauer Kater\r\n1 2 dogs\r\n2 crane\r\n", NAMES),
    "old Macintosh": (b"Grauer Kater\r2 dogs\rcrane\r", NAMES),
    "UTF-8": ("Gänse\n猫\n🐕\n".encode(), ("Gänse", "猫", "🐕")),
    "repeated": (b"crane\ndog\ncrane\n", ("crane (0)", "dog", "crane (2)")),
    "repeated, with numbers": (b"0 crane\n1 dog\n2 crane\n", ("crane (0)", "dog", "crane (2)")),
    "numbers that do not count": (b"7 dogs\n2 cats\n1 fox\n", ("7 dogs", "2 cats", "1 fox")),
    "numbers alone": (b"0\n1\n2\n", ("0", "1", "2")),
    "as in ImageNet": (b"tench, Tinca tinca\ngoldfish\nshark\n", ("tench, Tinca tinca", "goldfish", "shark")),
}


@pytest.mark.parametrize("style", STYLES)
def test_a_style_is_read(style: str, tmp_path: Path) -> None:
    content, names = STYLES[style]
    (tmp_path / "labels.txt").write_bytes(content)
    assert read_labels(tmp_path / "labels.txt") == names


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(2)
    return shake(classifier(classes=3), np.random.default_rng(0).uniform(-1, 1, (8, SIZE, SIZE, 3)).astype("float32"))


@pytest.mark.parametrize("style", ["Coral", "repeated", "Windows with numbers"])
def test_answers_go_by_these_names(
    style: str, model: keras.Model, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, names = STYLES[style]
    (tmp_path / "labels.txt").write_bytes(content)
    path = to_tflite(model, tmp_path / "m.tflite")
    image = pictures / "dots" / "000.jpg"
    labels = tmp_path / "labels.txt"
    code, out, err = typed(capsys, "predict", path, image, "--pixels", "-1..1", "--labels", labels, "--json")
    assert code == 0, err
    (row,) = json.loads(out)
    (expected,) = model((decode(image, SIZE)[None] / 127.5 - 1).astype(np.float32)).numpy()
    assert list(row["probabilities"]) == list(names)
    np.testing.assert_allclose([*row["probabilities"].values()], expected, atol=1e-5)
    assert row["answer"] == names[expected.argmax()]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"cat\ndog\n", "answers with 3 numbers and there are names of 2 classes; the first of its classes may be the"),
        (b"", "is empty; give --labels a text file with one class name a line"),
        (b"\xff\xfe\x00", "is not UTF-8; give --labels a UTF-8 text file"),
    ],
    ids=["too few", "empty", "no text"],
)
def test_labels_that_do_not_fit(
    content: bytes, said: str, model: keras.Model, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.txt").write_bytes(content)
    path = to_tflite(model, tmp_path / "m.tflite")
    code, out, err = typed(
        capsys, "predict", path, pictures, "--pixels", "-1..1", "--labels", tmp_path / "labels.txt", "--json"
    )
    assert code == 2
    assert json.loads(out)["exit"] == 2
    assert err.count("\n") == 1
    assert said in err
