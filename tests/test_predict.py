from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from export.artefacts import read_manifest, read_reference
from export.predict import predict
from toolkit.data.sources.walk import LINK, LOOP
from toolkit.errors import UnfreezeError
from toolkit.run import Run


def sources(run: Run) -> dict[str, Path]:
    folder = run.path / "export"
    names = ("model.onnx", "model.tflite", "saved_model")
    more = {"run": run.path, "export": folder, "model.keras": run.path / "model.keras"}
    return more | {name: folder / name for name in names}


@pytest.mark.parametrize("kind", ["run", "export", "model.keras", "model.onnx", "model.tflite", "saved_model"])
def test_every_source_answers_as_the_model_does(kind: str, finished: Run) -> None:
    reference = read_reference(read_manifest(finished.path / "export"))
    files = [finished.images.root / path for path in reference.paths]
    answers = list(predict(sources(finished)[kind], files))
    assert [answer.path for answer in answers] == [str(file) for file in files]
    got = np.array([list((answer.probabilities or {}).values()) for answer in answers])
    np.testing.assert_allclose(got, reference.probabilities, atol=1e-5)
    names = np.array(finished.images.class_names)
    assert [answer.answer for answer in answers] == names[reference.probabilities.argmax(1)].tolist()


def test_a_folder_stands_for_the_images_in_it(finished: Run, pictures: Path) -> None:
    answers = list(predict(finished.path, [pictures / "dots", pictures / "stripes" / "000.jpg"]))
    assert [Path(answer.path).name for answer in answers] == [*(f"{n:03}.jpg" for n in range(20)), "000.jpg"]


def test_a_link_that_is_not_followed_has_its_own_line(finished: Run, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "photos" / "old").mkdir(parents=True)
    (tmp_path / "photos" / "old" / "more").symlink_to(pictures / "dots")
    (tmp_path / "photos" / "beside").symlink_to(pictures / "dots")
    (tmp_path / "photos" / "round").symlink_to(tmp_path)
    answers = {answer.path: answer for answer in predict(finished.path, [tmp_path / "photos"])}
    assert answers[str(tmp_path / "photos" / "old" / "more")].error == LINK
    assert answers[str(tmp_path / "photos" / "round")].error == LOOP
    assert sum(answer.error is None for answer in answers.values()) == 20  # those of the link in the folder itself


def test_a_broken_file_has_its_own_line_and_the_others_are_answered(finished: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    good = finished.images.root / finished.images.paths[0]
    first, second, third = predict(finished.path, [broken, good, tmp_path / "absent.jpg"])
    assert first.error
    assert "not an image" in first.error
    assert second.answer in finished.images.class_names
    assert third.error
    assert third.error == "cannot be read: No such file or directory"


@pytest.mark.parametrize("content", [None, b"", b"garbage"])
def test_a_source_that_is_no_model(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnfreezeError, match=r"is the file whole|model\.onnx does not exist"):
        predict(path, [])


@pytest.mark.parametrize("name", ["model.onnx", "model.tflite"])
def test_tensorflow_is_not_loaded(name: str, finished: Run) -> None:
    image = finished.images.root / finished.images.paths[0]
    arguments = ["predict", str(sources(finished)[name]), str(image)]
    code = f"""
import sys
from unfreeze import cli
assert cli._main({arguments!r}) == 0
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
