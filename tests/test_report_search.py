"""What a report concludes: which setting matters, which file to take, how to make the run again."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy.stats import f_oneway

from export.artefacts import Artefact
from export.limits import Limits
from export.proof.parity import Parity
from export.runtimes.measure import Timing
from export.settings import MARGIN, ExportSettings
from toolkit.run import Run
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED
from tuning.results import Trial
from unfreeze import option_records
from unfreeze.cli import cli
from unfreeze.pages.effects import LEAST, correlation_ratio, effects
from unfreeze.pages.exported_file import ExportedFile
from unfreeze.pages.recommend import recommend
from unfreeze.pages.reproduce import _typed_margin, commands
from unfreeze.pages.run_facts import read_run_facts

# Effects


def trial(number: int, units: int, dropout: float, depth: int, loss: float | None, **more: Any) -> Trial:
    values = {"seconds": 1.0, "best_stage": "tune", "message": "", "parent": ""} | more
    accuracy, status = None if loss is None else 1 - loss, "FAILED" if loss is None else "COMPLETED"
    return Trial(f"{number:04}", status, units, dropout, depth, loss, accuracy, 0, parameters=9, **values)


def test_the_share_is_that_of_a_one_way_analysis_of_variance() -> None:
    rng = np.random.default_rng(0)
    levels, values = rng.integers(0, 4, 40), rng.normal(size=40)
    share = correlation_ratio(levels, values)
    f = f_oneway(*(values[levels == level] for level in range(4))).statistic
    assert (share / 3) / ((1 - share) / 36) == pytest.approx(f)


def test_a_setting_that_decides_is_found_and_one_that_does_not_is_not() -> None:
    rng = np.random.default_rng(1)
    trials = [
        trial(
            n,
            (0, 256)[n % 2],
            rng.choice([0.0, 0.2, 0.4]),
            rng.choice([0, 1, 2]),
            0.1 + 0.2 * (n % 2) + 0.01 * rng.random(),
        )
        for n in range(16)
    ]
    found = {effect.setting: effect for effect in effects(trials, "val_loss", 5, {})}
    assert found["head_units"].shown
    assert found["head_units"].share > 0.9  # type: ignore[operator]
    assert not found["dropout"].shown
    assert not found["unfreeze"].shown


def test_noise_is_taken_for_an_effect_in_one_case_of_twenty() -> None:
    rng = np.random.default_rng(2)
    shown = 0
    for _ in range(30):
        trials = [
            trial(n, rng.choice([0, 64, 256]), rng.choice([0.0, 0.2, 0.4]), rng.choice([0, 2]), float(rng.normal()))
            for n in range(12)
        ]
        shown += sum(effect.shown for effect in effects(trials, "val_loss", 5, {}))
    assert 0 < shown < 13  # 4.5 of 90 are expected


@pytest.mark.parametrize("count", [0, 1, LEAST - 1])
def test_few_trials_tell_nothing(count: int) -> None:
    trials = [trial(n, n % 2, 0.1 * (n % 2), n % 2, 0.1 * n) for n in range(count)]
    assert all(effect.share is None and not effect.shown for effect in effects(trials, "val_loss", 5, {}))


def test_one_value_for_all_or_one_for_each_tells_nothing() -> None:
    trials = [trial(n, 0, n / 10, n % 2, 0.1 * n) for n in range(8)]
    found = {effect.setting: effect.share for effect in effects(trials, "val_loss", 5, {})}
    assert found["head_units"] is None
    assert found["dropout"] is None
    assert found["unfreeze"] is not None


@pytest.mark.parametrize("recorded", [True, False], ids=["with the oracle's record", "without"])
def test_only_trials_that_trained_equally_long_are_compared(recorded: bool) -> None:
    """In halving those that go on are better because they trained on; depth shows in them alone."""
    first = [trial(n, n % 2, 0.1 * (n // 2 % 3), n % 3, 0.5 + n / 100, best_stage="head") for n in range(8)]
    later = [trial(8 + n, n % 2, 0.0, n % 2, 0.1, parent=f"{n:04}") for n in range(6)]
    trials = [*first, *later, trial(14, 0, 0.0, 0, None)]
    ends = {one.trial: 7 if one.parent else 5 for one in trials} if recorded else {}
    counts = {effect.setting: effect.trials for effect in effects(trials, "val_loss", 5, ends)}
    assert counts == {"head_units": 8, "dropout": 8, "unfreeze": 6}


# Recommendations


def file(
    name: str, megabytes: float, verdict: str = HOLDS, one: float | None = None, batch: float | None = None
) -> ExportedFile:
    form = {"tflite": "tflite", "onnx": "onnx"}.get(name.rpartition(".")[2], "saved_model")
    marks = {"fp16_gpu": "float16_gpu", "fp16": "float16", "int8": "int8", "dynamic": "dynamic"}
    precision = next((value for mark, value in marks.items() if mark in name), "float32")
    timings = () if one is None else (Timing(1, 1.0, one, one, batch or one, batch or one),)
    runtime = "1.14.0" if form == "tflite" else ""
    artefact = Artefact(name, form, precision, int(megabytes * 1e6), "", runtime_at_least=runtime)
    return ExportedFile(artefact, Parity(artefact, verdict, timings=timings))


ALL = (
    file("saved_model", 11, one=8, batch=4.5),
    file("model.tflite", 10, one=3.1, batch=1.6),
    file("model_fp16.tflite", 5, one=3.2, batch=1.7),
    file("model_int8.tflite", 3, one=2.0, batch=1.0),
    file("model.onnx", 10, one=3.2, batch=1.8),
    file("model_fp16.onnx", 5, one=4.3, batch=5.8),
    file("model_int8.onnx", 3, one=1.9, batch=1.1),
)


def names(files: tuple[ExportedFile, ...]) -> tuple[str | None, ...]:
    return tuple(one.file and one.file.name for one in recommend(files))


def without(*gone: str, verdict: str = FAILS) -> tuple[ExportedFile, ...]:
    return tuple(judged(one, verdict) if one.name in gone else one for one in ALL)


def of_earlier_version(one: ExportedFile) -> ExportedFile:
    """Whose TFLite files LiteRT.js refuses."""
    return replace(one, artefact=replace(one.artefact, runtime_at_least=""))


def judged(one: ExportedFile, verdict: str) -> ExportedFile:
    assert one.parity is not None
    return replace(one, parity=replace(one.parity, verdict=verdict))


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (ALL, ("model_int8.tflite", "model_int8.tflite", "model_int8.onnx")),
        # as fast, and smaller
        (without("model_int8.tflite"), ("model_fp16.tflite", "model_fp16.tflite", "model_int8.onnx")),
        (without("model_int8.onnx"), ("model_int8.tflite", "model_int8.tflite", "model.onnx")),
        (without("model.onnx", "model_int8.onnx"), ("model_int8.tflite", "model_int8.tflite", "saved_model")),
        (ALL[:1], (None, None, "saved_model")),
        (ALL[4:], (None, "model.onnx", "model_int8.onnx")),
        ((file("model_dynamic.tflite", 3), *ALL[4:]), ("model_dynamic.tflite", "model.onnx", "model_int8.onnx")),
        (tuple(map(of_earlier_version, ALL)), ("model_int8.tflite", "model.onnx", "model_int8.onnx")),
        ((file("model_fp16_gpu.tflite", 5),), (None, None, None)),
        ((file("model_fp16_gpu.tflite", 5), file("model_int8.tflite", 3, FAILS)), (None, None, None)),
        ((), (None, None, None)),
        (tuple(replace(one, parity=None) for one in ALL), (None, None, None)),
        (tuple(judged(one, FAILS) for one in ALL), (None, None, None)),
        (
            tuple(replace(one, parity=Parity(one.artefact, HOLDS)) for one in ALL),
            ("model_int8.tflite", "model_int8.tflite", "model.onnx"),
        ),
    ],
    ids=[
        "all",
        "no int8 tflite",
        "no int8 onnx",
        "fp16 onnx",
        "one",
        "no tflite",
        "dynamic tflite",
        "tflite of an earlier version",
        "for a GPU only",
        "for a GPU, and one that fails",
        "none",
        "not verified",
        "none holds",
        "not timed",
    ],
)
def test_recommended_are_files_that_hold(files: tuple[ExportedFile, ...], wanted: tuple[str | None, ...]) -> None:
    assert names(files) == wanted
    for one in recommend(files):
        assert one.why.endswith(".")
        assert one.file is None or one.file.holds


def losing(one: ExportedFile, lost: float, most: float) -> ExportedFile:
    assert one.parity is not None
    return replace(one, parity=replace(one.parity, lost=lost, lost_at_most=most, images=400))


def test_a_file_that_gains_is_recommended_where_images_are_too_few_to_tell() -> None:
    """It is smaller and faster than the one that holds, and what it may lose is said."""
    files = {one.name: one for one in without("model_int8.tflite", verdict=UNDECIDED)}
    gains = losing(files["model_int8.tflite"], -0.017, 0.006)
    phone, *_ = recommend(tuple((files | {gains.name: gains}).values()))
    assert phone.file is gains
    assert phone.why == (
        "The fastest TFLite file that qualifies, 2.0 ms an image on one thread here, the smallest, 3.0 MB in the app. "
        "On these 400 images it gains 1.70 points; they are too few to show that it holds: it may lose at most 0.60 "
        "points of accuracy (95%)."
    )
    loses = losing(gains, 0.001, 0.03)
    assert names(tuple((files | {gains.name: loses}).values()))[0] == "model_fp16.tflite"
    holds = losing(files["model_fp16.tflite"], 0.0, 0.0033)
    phone, *_ = recommend((holds,))
    assert phone.why.endswith("5.0 MB in the app. It loses at most 0.33 points of accuracy (95%).")


def test_a_file_that_breaks_a_limit_of_the_device_is_not_recommended() -> None:
    assert [one.file and one.file.name for one in recommend(ALL, Limits(max_size_mb=7, max_latency_ms=3.15))] == [
        "model_int8.tflite",
        "model_int8.tflite",
        "model_int8.onnx",
    ]
    phone, browser, _ = recommend(ALL, Limits(max_size_mb=2.9, latency_scale=2, max_latency_ms=3))
    assert phone.file is None
    assert phone.why == (
        "No TFLite file keeps the limits of the device. The nearest is model_int8.tflite: 3.00 MB over --max-size-mb "
        "2.9, 4.0 ms over --max-latency-ms 3."
    )
    assert browser.file is not None
    onnx = Limits(max_size_mb=4, runtime="onnx")
    assert [one.file and one.file.name for one in recommend(ALL, onnx)] == [
        "model_int8.tflite",
        "model_int8.tflite",
        "model_int8.onnx",
    ]


# Reproducing


def typed(line: str) -> dict[str, Any]:
    """What the command would be called with."""
    _, command, *arguments = shlex.split(line)
    return cli.commands[command].make_context(command, arguments).params  # type: ignore[attr-defined]


def test_the_command_as_typed_gives_the_runs_settings(finished: Run) -> None:
    first, *others = commands(read_run_facts(finished))
    assert first.split()[1] == "run"
    values = typed(first)
    keep = {name for name in values if hasattr(finished.settings, name)}
    assert option_records.settings({name: values[name] for name in keep}) == finished.settings
    assert values["data"] == Path(finished.images.root.name)
    for line in others:
        typed(line)


FRACTIONS = st.floats(0.01, 0.49)
RATES = st.floats(0, 1e6, exclude_min=True)


@examples(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    floats=st.fixed_dictionaries(
        {"val": FRACTIONS, "test": FRACTIONS, "head_rate": RATES, "tune_rate": RATES, "cache_limit": RATES}
    ),
    dropout=st.lists(st.floats(0, 0.999), min_size=1, max_size=3, unique=True),
    margin=st.floats(0.001, 100),
)
def test_every_digit_of_a_float_is_typed(
    floats: dict[str, float], dropout: list[float], margin: float, finished: Run
) -> None:
    """With fewer the command would make another run: `--dropout 0.333333` is not a dropout of 1/3."""
    changed = replace(finished.settings, **floats, dropout=tuple(sorted(dropout)))
    facts = replace(read_run_facts(finished), run=replace(finished, settings=changed))
    values = typed(commands(facts)[0])
    assert {name: values[name] for name in floats} == floats
    assert values["dropout"] == changed.dropout
    for wanted in (margin, MARGIN):  # an export's default need not be typed
        exported = replace(facts, exports=(ExportSettings(margin=wanted),), search={}, trials=())
        assert (typed(commands(exported)[2])["margin"] or MARGIN) == wanted
    single = replace(changed, head_units=(4,), dropout=(dropout[0],), unfreeze=(2,))
    alone = replace(facts, run=replace(finished, settings=single), search={}, trials=())
    assert typed(commands(alone)[0])["dropout"] == dropout[0]


@given(margin=st.floats(0.001, 100))
def test_a_margin_is_typed_in_the_points_that_give_it_again(margin: float) -> None:
    artefact = Artefact("model_int8.onnx", "onnx", "int8", 1, "")

    def of(fraction: float, chosen: bool = True) -> list[str]:
        return _typed_margin(Parity(artefact, HOLDS, images=1000, margin=fraction, margin_chosen=chosen))

    assert of(margin / 100, chosen=False) == []  # it follows from the number of images
    _, text = of(margin / 100) or ("", "0.5")
    assert float(text) / 100 == margin / 100
    assert of(0.7 / 100)[1] == "0.7"  # not 0.7000000000000001
    assert of(0.005) == []  # what 1,000 images get anyway


def test_exports_are_typed_as_they_were_asked_for(finished: Run) -> None:
    facts = read_run_facts(finished)
    assert facts.exports == (ExportSettings(),)
    some = ExportSettings(("onnx", "tflite"), ("int8",), 50, ("head", "dense 2"), 0.25)
    first, second, verify, _ = commands(replace(facts, exports=(some, ExportSettings(("onnx",), None, 200, (), 0.5))))
    for name in ("formats", "precisions", "calibration", "float_layers"):
        assert typed(first)[name] == getattr(some, name)
    assert typed(first)["margin"] is None  # as in the verification
    assert (second, verify) == ("unfreeze export run --formats onnx", "unfreeze verify run")
    lines = commands(replace(facts, exports=(some,), search={}, trials=()))
    assert typed(lines[2])["margin"] == 0.25
    assert commands(replace(facts, exports=())) == commands(facts)  # of a version that did not record it


def test_a_single_training_is_typed_as_one(finished: Run) -> None:
    facts = read_run_facts(finished)
    settings = replace(finished.settings, head_units=(4,), dropout=(0.3,), unfreeze=(2,))
    single = replace(facts, run=replace(finished, settings=settings), search={}, trials=())
    first, *others = commands(single)
    assert first.split()[1] == "train"
    values = typed(first)
    assert (values["head_units"], values["dropout"], values["unfreeze"]) == (4, 0.3, 2)
    assert values["seed"] == settings.seed
    assert [line.split()[1] for line in others] == ["evaluate", "export", "verify", "report"]


def test_a_report_tells_nobodys_directories(finished: Run, tmp_path: Path) -> None:
    settings = replace(finished.settings, weights=str(tmp_path / "secret place" / "weights.h5"))
    facts = read_run_facts(finished)
    lines = "\n".join(commands(replace(facts, run=replace(finished, settings=settings))))
    assert "weights.h5" in lines
    assert "secret" not in lines
    assert str(finished.images.root.parent) not in lines
