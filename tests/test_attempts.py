"""Which step is kept, with steps and a judge that are scripted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.quantise.first_that_holds import Attempt, Judge, Step, first_that_holds
from toolkit.errors import UnfreezeError
from toolkit.run import Run

MARGIN = 0.005


def steps(*losses: float | str) -> list[Step]:
    """Each writes its number; a text is what it raises."""

    def write(path: Path, number: int) -> None:
        if isinstance(losses[number], str):
            raise ValueError(losses[number])
        path.write_text(str(number))

    return [Step(f"step {n}", lambda path, n=n: write(path, n)) for n in range(len(losses))]


def judge(*losses: float | str):
    def say(step: str, path: Path) -> Attempt:
        lost = losses[int(path.read_text())]
        assert isinstance(lost, float)
        return Attempt(step, holds=lost <= MARGIN, accuracy=1 - lost, lost=lost, difference=lost)

    return say


@pytest.mark.parametrize(
    ("losses", "kept", "tried"),
    [
        ((0.001, 0.0), 0, 1),  # the first that holds ends it
        ((0.02, 0.004, 0.0), 1, 2),
        ((0.02, 0.03, 0.01), 2, 3),  # none holds: the one that loses least
        (("no such operation", 0.0), 1, 2),
        ((0.02, "no such operation"), 0, 2),
    ],
)
def test_the_step_that_is_kept(losses: tuple, kept: int, tried: int, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    attempts = first_that_holds(iter(steps(*losses)), path, judge(*losses))
    assert path.read_text() == str(kept)
    assert [attempt.kept for attempt in attempts] == [number == kept for number in range(tried)]
    for attempt, lost in zip(attempts, losses, strict=False):
        assert attempt.error == (lost if isinstance(lost, str) else "")
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_where_no_step_gives_a_file_the_older_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("older")
    with pytest.raises(UnfreezeError, match="step 0: first fault; step 1: second fault"):
        first_that_holds(steps("first fault", "second fault"), path, judge())
    assert path.read_text() == "older"


def test_the_judge_counts_what_is_lost_against_the_model(finished: Run) -> None:
    path = finished.path / "export" / "model.onnx"
    images = np.load(next((finished.path / "cache").glob("images-*.npy")))
    from export.runtimes.runners import load

    own = load(path).predict(images)
    answers = own.copy()
    answers[:2] = answers[:2, ::-1]  # the model is right on these two, the file is not
    labels = answers.argmax(1)
    attempt = Judge(images, labels, answers, margin=0.5)("a step", path)
    assert attempt.lost == pytest.approx(2 / len(images))
    assert attempt.accuracy == pytest.approx(1 - 2 / len(images))
    assert attempt.difference == pytest.approx(np.abs(own - answers).mean())
    assert attempt.holds
    assert not Judge(images, labels, answers, margin=0.0)("a step", path).holds
    assert attempt.bytes == path.stat().st_size
    assert attempt.latency_ms is not None
    assert attempt.latency_ms > 0
