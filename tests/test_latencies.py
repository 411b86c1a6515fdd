"""A search by what a device took: latencies come from a file, and nothing is exported or measured here."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

import unfreeze
from export import probe as module
from export.latencies import MANIFEST, read_latencies
from export.limits import Limits
from tests.tiny import OPTIONS, SETTINGS
from toolkit.errors import UnfreezeError
from toolkit.settings import Settings
from tuning.results import read_trials
from unfreeze.cli import cli
from unfreeze.device_limits import PROBES, read_probes

DEVICE = {"device": "Pixel 7", "runtime": "benchmark_model", "threads": 1}
MEASURED = {"small.tflite": {"latency_ms": 20, "memory_mb": 5.0}, "large.tflite": {"latency_ms": 40.5}}


@pytest.fixture
def varied(tiny: str) -> Settings:
    return replace(SETTINGS, image_size=0, vary={"image_size": (32, 40)}, unfreeze=(0, 1))


@pytest.fixture(autouse=True)
def nothing_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "write_probe", None)
    monkeypatch.setattr(module, "measure_probes", None)


def folder_of(path: Path, measured: Any = MEASURED, **manifest: Any) -> Path:
    """A folder as `unfreeze probe` makes it, without its model files, and its file of latencies."""
    path.mkdir(parents=True)
    files = [
        {"file": name, "backbone": "Tiny", "image_size": size, "features": 16, "size_mb": 1.0, "sha256": ""}
        for name, size in (("small.tflite", 32), ("large.tflite", 40))
    ]
    told = {"runtime": "tflite", "precision": "int8", "classes": 2, "head_units": 0, "channels": 3, "unfreeze": "1"}
    probes = [one | {"trouble": ""} for one in files]
    (path / MANIFEST).write_text(json.dumps(told | {"probes": probes} | manifest))
    (path / "latencies.json").write_text(json.dumps(DEVICE | {"latencies": measured}))
    return path / "latencies.json"


def test_a_search_leaves_out_what_the_device_is_too_slow_for(varied: Settings, pictures: Path, tmp_path: Path) -> None:
    file, run = folder_of(tmp_path / "probes"), tmp_path / "run"
    limits = unfreeze.Limits(max_latency_ms=30, latencies=file)
    seen: list[Any] = []
    unfreeze.tune(
        pictures,
        run,
        settings=varied,
        limits=limits,
        listener=unfreeze.Listener(on_probes=lambda *one: seen.append(one)),
    )
    trials = read_trials(run / "trials.csv")
    assert {trial.varied["image_size"] for trial in trials} == {32}
    told, probed = read_probes(run) or (None, ())
    assert seen == [(limits, probed)]
    assert told == limits
    assert [limits.broken(one.probe) for one in probed] == [[], ["40.5 ms over --max-latency-ms 30"]]
    source = "latencies.json on Pixel 7 (benchmark_model, 1 thread)"
    assert {one.source for one in probed} == {source}
    page, card = unfreeze.report(run)
    text = " ".join(page.read_text().split())
    assert f"latencies measured by {source}" in text
    assert "measured on one thread, one image at a time" not in text
    assert "--max-latency-ms 30 --latencies probes/latencies.json" in card.read_text()
    assert str(tmp_path) not in card.read_text()

    more = replace(varied, trials=4)  # goes on
    moved = tmp_path / "moved"
    shutil.copytree(file.parent, moved)
    elsewhere = replace(limits, latencies=moved / "latencies.json")
    assert len(unfreeze.tune(pictures, run, settings=more, limits=elsewhere).trials) == 4  # of the file, the content
    other = folder_of(tmp_path / "other", MEASURED | {"large.tflite": {"latency_ms": 41}})
    for change, said in (
        (replace(limits, latencies=other), "--latencies tells of other measurements there"),
        (replace(limits, max_latency_ms=31), "--max-latency-ms is 30 there, 31 here"),
        (replace(limits, latencies=None), "--latencies is .* there, not given here"),
        (Limits(max_latency_ms=30, latency_scale=2), "--latency-scale is 1 there, 2 here; --latencies is"),
    ):
        with pytest.raises(UnfreezeError, match=rf"holds a search with other limits \({said}"):
            unfreeze.tune(pictures, run, settings=more, limits=change)


def test_a_search_that_was_begun_with_times_of_this_machine_does_not_go_on_with_others(
    varied: Settings, pictures: Path, tmp_path: Path
) -> None:
    file, run = folder_of(tmp_path / "probes"), tmp_path / "run"
    limits = Limits(max_latency_ms=30, latencies=file)
    unfreeze.tune(pictures, run, settings=varied, limits=limits)
    stored = json.loads((run / PROBES).read_text())
    del stored["limits"]["latencies"]  # as an earlier version wrote it
    for one in stored["probes"]:
        del one["source"]
    (run / PROBES).write_text(json.dumps(stored))
    with pytest.raises(UnfreezeError, match="--latencies is not given there, /"):
        unfreeze.tune(pictures, run, settings=varied, limits=limits)
    assert unfreeze.tune(pictures, run, settings=varied, limits=Limits(max_latency_ms=30)).trials


def test_the_size_is_that_of_the_searchs_own_classes_and_smallest_head(
    varied: Settings, pictures: Path, tmp_path: Path
) -> None:
    """Three thousand units on 16 features and 2 classes are 54,000 weights of a byte."""
    file = folder_of(tmp_path / "probes", classes=2, head_units=0)
    wide = replace(varied, head_units=(3000,), trials=1)
    unfreeze.tune(pictures, tmp_path / "run", settings=wide, limits=Limits(max_latency_ms=99, latencies=file))
    _, probed = read_probes(tmp_path / "run") or (None, ())
    assert [one.probe.size_mb for one in probed] == pytest.approx([1 + (3000 * 18 - 32) / 1e6] * 2)


def test_what_does_not_run_on_the_device_is_left_out(varied: Settings, pictures: Path, tmp_path: Path) -> None:
    file = folder_of(tmp_path / "probes", MEASURED | {"small.tflite": {"trouble": "no\x1b[2J\nmemory"}})
    unfreeze.tune(pictures, tmp_path / "run", settings=varied, limits=Limits(max_latency_ms=99, latencies=file))
    _, probed = read_probes(tmp_path / "run") or (None, ())
    assert probed[0].probe.trouble == r"it does not run on the device (no\x1b[2J memory)"
    assert {trial.varied["image_size"] for trial in read_trials(tmp_path / "run" / "trials.csv")} == {40}


@pytest.mark.parametrize(
    ("measured", "limits", "said"),
    [
        (
            {"small.tflite": {"latency_ms": 1}},
            {},
            "tells nothing of Tiny at 40 px; `unfreeze probe {folder} --backbone Tiny --image-sizes 32,40 --runtime "
            "tflite --precision int8` writes their files, to be measured on the device",
        ),
        (MEASURED, {"max_memory_mb": 9.0}, "tells no memory of Tiny at 40 px; leave --max-memory-mb out"),
        (
            MEASURED,
            {"precision": "float32"},
            "is of tflite int8 files and the limits are those of tflite float32",
        ),
        (MEASURED, {"runtime": "onnx"}, "those of onnx int8 files; give the same --runtime and --precision to both"),
    ],
)
def test_what_does_not_fit_the_search_is_said_in_one_line(
    varied: Settings, pictures: Path, tmp_path: Path, measured: Any, limits: dict[str, Any], said: str
) -> None:
    file = folder_of(tmp_path / "probes", measured)
    with pytest.raises(UnfreezeError) as told:
        unfreeze.tune(
            pictures,
            tmp_path / "run",
            settings=varied,
            limits=Limits(**{"max_latency_ms": 99.0, "latencies": file} | limits),
        )
    assert said.format(folder=shlex.quote(str(file.parent))) in str(told.value)
    assert "\n" not in str(told.value)


def test_options_and_console(tiny: str, pictures: Path, tmp_path: Path) -> None:
    file = folder_of(tmp_path / "probes")
    typed = ["tune", str(pictures), str(tmp_path / "run"), "--image-sizes", "32,40", "--max-latency-ms", "35"]
    options = [word for word in OPTIONS if word not in ("--image-size", "32")]
    result = CliRunner().invoke(cli, [*typed, *options, "--latencies", str(file)])
    assert result.exit_code == 0, result.output
    assert (
        "as a tflite int8 file, untrained, latencies measured by latencies.json on Pixel 7 (benchmark_model, 1 thread):"
    ) in result.output
    assert "Tiny    40 px    1.00 MB   40.50 ms  left out: 40.5 ms over" in result.output
    for more, said in (
        (
            ["--latencies", str(file), "--latency-scale", "2"],
            "--latencies is given, and they are those of the device;",
        ),
        (["--latencies", str(tmp_path / "no.json")], "there is no such file; give a JSON file that a script of"),
        (["--latencies", "https://host/latencies.json"], "is a URL"),
    ):
        failed = CliRunner().invoke(cli, [*typed, *options, *more])
        assert said in str(failed.exception)
    alone = [word for word in typed if word not in ("--max-latency-ms", "35")]
    failed = CliRunner().invoke(cli, [*alone, *options, "--latencies", str(file)])
    assert str(failed.exception) == "--latencies is given without a limit; give --max-latency-ms, too"


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
ENTRY = st.dictionaries(st.sampled_from(("latency_ms", "memory_mb", "trouble", "other")), JSON)
LATENCIES = st.dictionaries(st.sampled_from(("small.tflite", "large.tflite", "../x")), ENTRY | JSON)
TOLD = st.fixed_dictionaries({}, optional={"device": JSON, "runtime": JSON, "threads": JSON, "latencies": LATENCIES})
HOSTILE = st.binary(max_size=40) | (JSON | TOLD).map(lambda value: json.dumps(value).encode())


def check_read(file: Path, content: bytes) -> None:
    """It is read, with numbers in their range, or refused in one line that names the file."""
    file.write_bytes(content)
    folder, refused, told = str(file.parent), "", None
    try:
        told = read_latencies(Limits(max_latency_ms=1, latencies=file.parent / "latencies.json"))
    except UnfreezeError as error:
        refused = str(error)
    if told is None:
        assert folder in refused
        assert refused.isprintable()
        assert len(refused) < 600 + 2 * len(folder)
        return
    for one in told.probed.values():
        assert one.source.isprintable()
        assert len(one.source) < 400
        assert one.probe.trouble or 0 < (one.probe.latency_ms or math.nan) < 1e9
        assert one.probe.memory_mb is None or 0 <= one.probe.memory_mb < 1e9
        assert one.probe.trouble or 0 < (one.probe.size_mb or math.nan) < 1e9


@given(HOSTILE)
@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_a_hostile_file_of_latencies_is_read_or_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "probes" / "latencies.json"
    if not file.exists():
        folder_of(file.parent)
    check_read(file, content)


PROBE = st.fixed_dictionaries(
    {},
    optional={
        **{name: JSON for name in ("file", "backbone", "sha256", "trouble", "features", "size_mb", "image_size")},
    },
)
LISTED = st.fixed_dictionaries(
    {"runtime": st.just("tflite"), "precision": st.just("int8"), "channels": st.just(3), "unfreeze": st.just("1")},
    optional={"classes": JSON, "head_units": st.just(0) | JSON, "probes": st.lists(PROBE, max_size=2) | JSON},
)


@given(HOSTILE | LISTED.map(lambda value: json.dumps(value).encode()))
@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_a_hostile_list_of_files_is_read_or_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "probes" / MANIFEST
    if not file.exists():
        folder_of(file.parent)
    check_read(file, content)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "latency_ms of small.tflite is None, not a positive number of milliseconds"),
        ({"latency_ms": 0}, "latency_ms of small.tflite is 0, not"),
        ({"latency_ms": -1.5}, "latency_ms of small.tflite is -1.5, not"),
        ({"latency_ms": math.nan}, "latency_ms of small.tflite is nan, not"),
        ({"latency_ms": 1e300}, r"latency_ms of small.tflite is 1e\+300, not"),
        ({"latency_ms": 10**400}, "latency_ms of small.tflite is 1000"),
        ({"latency_ms": "3"}, "the entry of small.tflite is wrong: latency_ms is '3', not float"),
        ({"latency_ms": True}, "the entry of small.tflite is wrong: latency_ms is True"),
        ({"latency_ms": 1, "memory_mb": -1}, "memory_mb of small.tflite is -1, not a number of megabytes"),
        (3, "the entry of small.tflite is wrong: 3 is no record"),
        (None, "the entry of small.tflite is wrong: None is no record"),
    ],
)
def test_an_entry_that_is_none_is_named(tmp_path: Path, entry: Any, said: str) -> None:
    file = folder_of(tmp_path / "probes", MEASURED | {"small.tflite": entry})
    with pytest.raises(UnfreezeError, match=f"latencies.json is no file of latencies: {said}"):
        read_latencies(Limits(max_latency_ms=1, latencies=file))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"probes": 3}, "probes.json is damaged"),
        ({"probes": [{}]}, "is missing"),
        ({"classes": 0}, "0 is out of range"),
        ({"head_units": -1}, "head_units is -1"),
        ({"precision": 8}, "precision is 8, not str"),
        ({"probes": None}, "probes.json is damaged"),
    ],
)
def test_a_damaged_list_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    file = folder_of(tmp_path / "probes", **change)
    with pytest.raises(UnfreezeError, match=said):
        read_latencies(Limits(max_latency_ms=1, latencies=file))


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"latencies": ', b"[" * 100_000, b'{"latencies": []}'])
def test_what_is_no_object_is_named(tmp_path: Path, content: bytes) -> None:
    file = folder_of(tmp_path / "probes")
    file.write_bytes(content)
    with pytest.raises(UnfreezeError, match=r"latencies\.json"):
        read_latencies(Limits(max_latency_ms=1, latencies=file))
    (file.parent / MANIFEST).unlink()
    file.write_text('{"latencies": {}}')
    with pytest.raises(UnfreezeError, match=r"probes\.json: there is no such file; keep the file of latencies in"):
        read_latencies(Limits(max_latency_ms=1, latencies=file))
    with pytest.raises(UnfreezeError, match=r"it cannot be read \(not a file but a folder"):
        read_latencies(Limits(max_latency_ms=1, latencies=file.parent))
