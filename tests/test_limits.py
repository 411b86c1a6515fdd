"""What a device allows: untrained files are measured before any training, and what breaks a limit is left out."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import unfreeze
from export import probe as module
from export.limits import RUNTIMES, Limits, Probe
from export.probe import ProbeFile, measure_probes, write_probe
from export.runtimes.runners import load
from export.variants import ON_REQUEST, PRECISIONS, WHY_NOT
from tests.calibrate import shake
from tests.tiny import OPTIONS, SETTINGS
from toolkit.errors import UnfreezeError
from toolkit.models.build import build_model
from toolkit.models.spec import ModelSpec
from toolkit.run import Run, prepare
from toolkit.settings import Settings
from toolkit.training.stored_spec import read_spec
from tuning.results import read_trials
from tuning.search_space import all_points, bases, hyperparameters
from unfreeze.cli import cli
from unfreeze.device_limits import PROBES, Probed, fits_of, probe_search, read_probes


@pytest.fixture
def varied(tiny: str) -> Settings:
    return replace(SETTINGS, image_size=0, vary={"image_size": (32, 40)}, unfreeze=(0, 1))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"max_size_mb": 0}, "max_size_mb is 0; give a number above 0"),
        ({"max_latency_ms": "3"}, "max_latency_ms is '3'; give a number above 0"),
        ({"latency_scale": -1}, "latency_scale is -1; give a number above 0"),
        ({"runtime": "saved_model"}, "runtime is 'saved_model'; give one of tflite, onnx"),
        ({"precision": "int4"}, "no precision 'int4'"),
        ({"runtime": "onnx", "precision": "dynamic"}, "there is no onnx file in dynamic"),
    ],
)
def test_a_wrong_limit_is_said_in_one_line(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UnfreezeError, match=said):
        Limits(**values)


NUMBERS = st.floats(0.01, 100)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_what_is_over_a_limit_breaks_it(a: float, b: float, c: float, x: float, y: float, z: float) -> None:
    limits, measured = Limits(a, b, c), Probe(x, y, z)
    broken = limits.broken(measured)
    assert len(broken) == (x > a) + (y > b) + (z > c)
    assert not Limits(x, y, z).broken(measured)
    assert not Limits().broken(measured)
    assert not limits.broken(Probe(min(x, a), min(y, b), None))  # memory is not known everywhere
    assert limits.broken(Probe(trouble="it cannot be written")) == ["it cannot be written"]


def probe_of(limits: Limits, backbone: str = "Tiny", size: int = 32, features: int = 16, mb: float = 1.0) -> Probed:
    return Probed(backbone, size, features, Probe(mb, 1.0, 10.0))


@pytest.mark.parametrize(("precision", "size"), [("float32", 4), ("float16", 2), ("int8", 1), ("dynamic", 1)])
def test_heads_are_left_out_where_their_weights_break_the_limit(tiny: str, precision: str, size: int) -> None:
    settings = replace(SETTINGS, head_units=(8, 1000, 4000), vary={"image_size": (32, 40)}, image_size=0)
    more = (1000 - 8) * (16 + 3) * size / 1e6  # of the second head's weights, for three classes
    for limit, left in ((1 + more * 1.001, (8, 1000)), (1 + more * 0.999, (8,)), (None, (8, 1000, 4000))):
        limits = Limits(max_size_mb=limit, precision=precision, max_latency_ms=99)
        fits = fits_of(settings, limits, [probe_of(limits), probe_of(limits, size=40, mb=9)], 3)
        sizes = (32,) if limit else (32, 40)
        assert fits == {"": {"image_size": sizes, "head_units": left}}
        space = hyperparameters(settings, fits)
        assert bases(space) == [{"image_size": size} for size in sizes]
        assert {point["head_units"] for point in all_points(space)} == set(left)


def test_each_backbone_has_its_own_sizes_and_heads(tiny: str) -> None:
    settings = Settings(
        head_units=(0, 4000), vary={"backbone": (f"{tiny}=none", "VGG16", "VGG19"), "image_size": (32, 64)}
    )
    limits = Limits(max_size_mb=20, precision="float32")
    probed = [
        probe_of(limits, "Tiny", 32),
        probe_of(limits, "Tiny", 64),
        probe_of(limits, "VGG16", 32, 512, mb=15),
        probe_of(limits, "VGG16", 64, 512, mb=21),
        probe_of(limits, "VGG19", 32, 512, mb=21),
    ]
    space = hyperparameters(settings, fits_of(settings, limits, probed, 2))
    found = {(point["backbone"], point["image_size"], point["head_units"]) for point in all_points(space)}
    tiny_points = {("Tiny", size, units) for size in (32, 64) for units in (0, 4000)}
    assert found == tiny_points | {("VGG16", 32, 0)}
    assert [tuple(base.values()) for base in bases(space)] == [("Tiny", 32), ("Tiny", 64), ("VGG16", 32)]


VARIANTS = [
    (runtime, precision)
    for runtime in RUNTIMES
    for precision in (*PRECISIONS, *ON_REQUEST)
    if (runtime, precision) not in WHY_NOT
]


@pytest.fixture(scope="module")
def exported(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Bytes of the files of a trained model."""
    copy = shutil.copytree(finished.path, tmp_path_factory.mktemp("exported") / "run")
    manifest = unfreeze.export(copy, unfreeze.ExportSettings(RUNTIMES, (*PRECISIONS, *ON_REQUEST)))
    return {one.name: one.bytes for one in manifest.artefacts}


def test_an_untrained_file_has_the_size_of_a_trained_one(
    finished: Run, exported: dict[str, int], tmp_path: Path
) -> None:
    model = build_model(replace(read_spec(finished), unfreeze=0))
    for number, (runtime, precision) in enumerate(VARIANTS):
        limits = Limits(runtime=runtime, precision=precision)
        made = write_probe(finished, model, limits.variant, tmp_path / str(number))
        assert isinstance(made, ProbeFile), made
        assert abs(made.path.stat().st_size - exported[limits.variant.name]) < 3000  # metadata differ
        assert load(made.path)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_equal_weights_do_not_make_an_untrained_file_smaller(finished: Run, precision: str, tmp_path: Path) -> None:
    """A new MobileNetV2 has 35 kB of biases that are all 0, which a TFLite file would hold once."""
    variant = Limits(precision=precision).variant
    spec = ModelSpec("MobileNetV2", 0.35, 32, 2, 0, 0.0, 0)
    made = write_probe(finished, build_model(spec), variant, tmp_path / "probe")
    assert isinstance(made, ProbeFile)
    images = np.load(made.images)
    trained = shake(build_model(spec), images)
    path = tmp_path / "trained" / variant.name
    path.parent.mkdir()
    module._write(finished, trained, variant, path, images)
    assert made.path.stat().st_size == pytest.approx(path.stat().st_size, rel=0.003)


def test_times_and_memory_are_those_of_the_files_own_runtime(finished: Run, tmp_path: Path) -> None:
    model = build_model(finished.settings.spec(2, 0, 0.0, 0))
    files = {kind: write_probe(finished, model, Limits(runtime=kind).variant, tmp_path / kind) for kind in RUNTIMES}
    good = {name: file for name, file in files.items() if isinstance(file, ProbeFile)}
    once, scaled = measure_probes(good), measure_probes(good, 1e6)
    assert once.keys() == scaled.keys() == set(RUNTIMES)
    for name, probe in once.items():
        assert probe.size_mb == good[name].path.stat().st_size / 1e6
        assert 0 < probe.latency_ms < scaled[name].latency_ms  # type: ignore[operator]
    (tmp_path / "tflite" / "model_int8.tflite").write_bytes(b"no model")
    assert "it does not run" in measure_probes(good)["tflite"].trouble


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Files of known size, without a conversion; the sizes of the images of those that were written."""
    written: list[int] = []

    def write(run: Run, model: keras.Model, *rest: object) -> ProbeFile:
        written.append(model.input_shape[1])
        return ProbeFile(Path(str(model.input_shape[1])), Path())

    monkeypatch.setattr(module, "write_probe", write)
    monkeypatch.setattr(
        module,
        "measure_probes",
        lambda files, scale: {key: Probe(1.0, scale * int(file.path.name), 5.0) for key, file in files.items()},
    )
    return written


def test_a_search_leaves_out_what_breaks_a_limit(
    varied: Settings, pictures: Path, tmp_path: Path, cheap: list[int]
) -> None:
    run, limits = tmp_path / "run", unfreeze.Limits(max_latency_ms=70, latency_scale=2)
    seen: list[Any] = []
    listener = unfreeze.Listener(on_probes=lambda *told: seen.append(told))
    unfreeze.tune(pictures, run, settings=varied, limits=limits, listener=listener)
    trials = read_trials(run / "trials.csv")
    assert len(trials) == 3
    assert {trial.varied["image_size"] for trial in trials} == {32}
    told, probed = read_probes(run) or (None, ())
    assert seen == [(limits, probed)]
    assert told == limits
    assert [limits.broken(one.probe) for one in probed] == [[], ["80.0 ms over --max-latency-ms 70"]]
    assert sorted(cheap) == [32, 40]
    more = replace(varied, trials=4)
    assert len(unfreeze.tune(pictures, run, settings=more, limits=limits).trials) == 4
    assert sorted(cheap) == [32, 40]  # nothing is measured again
    with pytest.raises(
        UnfreezeError, match=r"holds a search with other limits \(--max-latency-ms is 70.* there, not given"
    ):
        unfreeze.tune(pictures, run, settings=more)
    page, card = unfreeze.report(run)
    assert "left out: 80.0 ms over --max-latency-ms 70" in page.read_text()
    assert "they break a limit of the device: Tiny at 40 px (80.0 ms over" in card.read_text()
    assert "--max-latency-ms 70 --latency-scale 2" in card.read_text()
    (run / PROBES).write_text('{"limits": {}, "probes": [{}]}')
    with pytest.raises(UnfreezeError, match=r"probes.json is damaged"):
        unfreeze.tune(pictures, run, settings=more, limits=limits)


def test_where_nothing_fits_the_nearest_are_named(
    varied: Settings, pictures: Path, tmp_path: Path, cheap: list[int]
) -> None:
    run = tmp_path / "run"
    with pytest.raises(UnfreezeError) as told:
        unfreeze.tune(pictures, run, settings=varied, limits=Limits(max_size_mb=0.5, max_latency_ms=35))
    assert str(told.value) == (
        "no backbone and image size keeps the limits as a tflite int8 file. Tiny at 32 px: 1.00 MB over --max-size-mb "
        "0.5; Tiny at 40 px: 1.00 MB over --max-size-mb 0.5, 40.0 ms over --max-latency-ms 35"
    )
    assert not (run / "search").exists()
    assert unfreeze.tune(pictures, run, settings=varied, limits=Limits(max_latency_ms=35)).trials
    assert len(cheap) == 2  # they were measured already


def test_a_file_that_cannot_be_written_is_left_out(
    varied: Settings, pictures: Path, tmp_path: Path, cheap: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("no such operation")

    monkeypatch.setattr(module, "write_probe", write_probe)
    monkeypatch.setattr(module, "_write", refuse)
    opened = prepare(pictures, tmp_path / "run", varied)
    with pytest.raises(UnfreezeError, match=r"it cannot be written \(no such operation"):
        probe_search(opened, Limits(max_size_mb=1), lambda *_: None)
    stored = json.loads((opened.path / PROBES).read_text())["probes"]
    assert [one["probe"]["size_mb"] for one in stored] == [None, None]


def test_options_and_console(tiny: str, pictures: Path, tmp_path: Path, cheap: list[int]) -> None:
    typed = ["tune", str(pictures), str(tmp_path / "run"), "--image-sizes", "32,40", "--max-latency-ms", "35"]
    options = [word for word in OPTIONS if word not in ("--image-size", "32")]
    result = CliRunner().invoke(cli, [*typed, *options])
    assert result.exit_code == 0, result.output
    assert "as a tflite int8 file, untrained, one image on one thread:" in result.output
    assert "Tiny    40 px    1.00 MB   40.00 ms     5 MB of memory  left out: 40.0 ms over" in result.output
    wrong = CliRunner().invoke(cli, [*typed, *options, "--runtime", "onnx", "--precision", "dynamic"])
    assert "there is no onnx file in dynamic" in str(wrong.exception)
