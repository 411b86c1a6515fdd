"""What people read of exports and their evidence."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.artefacts import Artefact, Manifest
from export.proof.compare import could_not_run
from export.proof.parity import Divergence, Parity
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED
from unfreeze.screen.export_tables import _shortened, shortfall, show_manifest, show_parity


def artefact(name: str, **more: object) -> Artefact:
    return Artefact(name, "onnx", "int8" if more else "float32", 2_000_000, "0" * 64, **more)  # type: ignore[arg-type]


def found(layer: str) -> Divergence:
    return Divergence(layer, (layer,), 0.2, 0.1, 9, ((layer, 0.2),), "leave it in float")


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (FAILS, "model.onnx: starts to differ at layer deep; leave it in float\n"),
        (HOLDS, "model.onnx: the first layer with a noticeable error of its own is deep\n"),
        (UNDECIDED, "model.onnx: the first layer with a noticeable error of its own is deep\n"),
    ],
)
def test_only_a_file_that_does_not_hold_starts_to_differ(
    verdict: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_parity([Parity(artefact("model.onnx"), verdict, divergence=found("deep"))])
    assert said in capsys.readouterr().out


def test_an_export_marks_what_it_wrote_and_shows_the_layers_left_in_float(
    capsys: pytest.CaptureFixture[str],
) -> None:
    attempt = {"step": "min-max calibration, float: deep", "error": "", "holds": True, "kept": True}
    numbers = {"accuracy": 0.9, "lost": 0.0, "bytes": 1, "latency_ms": 1.0}
    mixed = artefact("model_int8.onnx", attempts=(attempt | numbers,), float_layers=("deep",))
    show_manifest(Manifest(Path("export"), {}, (artefact("model.onnx"), mixed), "", "", written=("model_int8.onnx",)))
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip().endswith("as before") for line in lines[1:3]] == [True, False]
    assert "int8, 1 in float" in lines[2]
    assert lines[2].rstrip().endswith("new")
    assert any(line.startswith("min-max calibration, float: deep") for line in lines)


@pytest.mark.parametrize(
    ("verdicts", "strict", "said"),
    [
        ((HOLDS, HOLDS), True, ""),
        ((HOLDS, UNDECIDED), False, ""),
        ((UNDECIDED, UNDECIDED), True, "too few images to tell whether 0, 1 hold"),
        ((FAILS, FAILS), False, "0, 1 do not hold"),
        ((None, FAILS, UNDECIDED), True, "1 does not hold; 0 could not run"),
        ((None,), False, "0 could not run"),
    ],
)
def test_what_is_missing_is_said_in_the_words_of_the_table(verdicts: tuple, strict: bool, said: str) -> None:
    """None: it could not run."""
    found = [
        could_not_run(artefact(str(number)), "no reason") if verdict is None else Parity(artefact(str(number)), verdict)
        for number, verdict in enumerate(verdicts)
    ]
    assert shortfall(found, strict) == said


def test_people_read_sentences_where_json_has_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    found = [Parity(artefact(name), name) for name in (HOLDS, FAILS, UNDECIDED)]
    show_parity([*found, could_not_run(artefact("broken"), "it crashed")])
    lines = capsys.readouterr().out.splitlines()
    told = {line.split()[1]: " ".join(line.split()[4:]) for line in lines[1:5]}
    assert told == {
        "holds": "holds",
        "fails": "does not hold",
        "undecided": "too few images to tell",
        "broken": "could not run",
    }
    assert [line.split()[0] for line in lines[1:5]] == ["✓", "✗", "?", "!"]


def test_each_way_to_int8_is_shown_with_what_limits_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {"accuracy": 0.9, "lost": 0.0, "bytes": 1, "latency_ms": 1.0, "error": ""}
    ways = (
        {"step": "first", "verdict": UNDECIDED, "note": "judged by the estimate alone", "kept": True} | numbers,
        {"step": "second", "verdict": HOLDS, "note": "too slow", "kept": False} | numbers,
    )
    one = artefact("model_int8.onnx", attempts=ways)
    show_manifest(Manifest(Path("export"), {}, (one,), "", "", written=("model_int8.onnx",)))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(line.endswith("too few images to tell, judged by the estimate alone, kept") for line in lines)
    assert any(line.startswith("second") and line.endswith("holds, too slow") for line in lines)


def test_of_many_layers_in_float_a_few_are_named() -> None:
    names = [f"block_{number}" for number in range(30)]
    assert _shortened(f"entropy calibration, float: {', '.join(names)}") == (
        "entropy calibration, float: block_0, block_1, block_2 and 27 others"
    )
    for way in ("entropy calibration", "entropy calibration, float: a", "min-max calibration, float: a, b, c"):
        assert _shortened(way) == way
