from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote

import numpy as np
import onnx
import onnxruntime
import pytest

from export import artefacts
from export.artefacts import digest, size
from export.formats.tflite_metadata import attach
from export.proof.compare import compare
from export.proof.parity import read_parities
from export.proof.verify import verify
from export.runtimes import worker
from export.runtimes.cpu import instruction_sets
from export.runtimes.measure import Measurement, Outcome, Task, Timing, measure
from export.runtimes.runners import NoRuntimeError, load
from export.settings import VerifySettings
from export.variants import VARIANTS
from tests import hostile
from tests.pictures import write_pictures
from toolkit.errors import UnfreezeError
from toolkit.run import Run, load_run
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED, PairedAnswers

EVERY = [variant.name for variant in VARIANTS]


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Run:
    """A copy that a test may damage."""
    shutil.copytree(finished.path, tmp_path / "run")
    return load_run(tmp_path / "run")


def model_answers(run: Run) -> np.ndarray:
    return artefacts.read_reference(artefacts.read_manifest(run.path / "export")).probabilities


def answering(answers: np.ndarray) -> Callable[..., dict[Path, Outcome]]:
    """In place of `measure`: every artefact answers so."""
    return lambda tasks, **how: {task.path: Measurement(answers) for task in tasks}


def test_every_artefact_of_a_run_has_its_verdict(finished: Run) -> None:
    """Eight images prove a float32 file, which repeats every probability, and nothing else."""
    stored = {entry["artefact"]["name"]: entry for entry in json.loads((finished.path / "parity.json").read_text())}
    assert list(stored) == EVERY
    for name, entry in stored.items():
        float32 = entry["artefact"]["precision"] == "float32"
        assert entry["verdict"] == (HOLDS if float32 else UNDECIDED), (name, entry["reason"])
        assert "holds" not in entry  # three states do not fit into true and false
        assert entry["images"] == 8
        assert entry["agreement"] >= 7 / 8


def damage_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    path.write_bytes((path.parent / ("model.onnx" if path.suffix == ".tflite" else "model.tflite")).read_bytes())


@pytest.mark.parametrize("damage", [damage_byte, cut_short, empty, swap, Path.unlink])
@pytest.mark.parametrize("name", ["model.tflite", "model.onnx", "saved_model/saved_model.pb"])
def test_a_damaged_artefact_is_told_and_not_run(name: str, damage, run: Run, finished: Run) -> None:
    if damage is swap and name.startswith("saved_model"):
        damage = empty
    damage(run.path / "export" / name)

    def only_whole(tasks: list[Task], **how: object) -> dict[Path, Outcome]:
        assert not [task for task in tasks if task.path.name == name.partition("/")[0]], "a damaged file was run"
        return answering(model_answers(finished))(tasks)

    results = {parity.artefact.name: parity for parity in verify(run, measure=only_whole)}
    spoilt = results.pop(name.partition("/")[0])
    assert (spoilt.verdict, spoilt.ran) == (FAILS, False)
    assert spoilt.broken
    written = spoilt.artefact
    typed = f"unfreeze export {quote(str(run.path))} --formats {written.format} --precisions float32"
    assert f"`{typed}` writes it again" in spoilt.reason
    there = run.path / "export" / written.name
    assert written.bytes == (size(there) if there.exists() else 0)
    assert not any(parity.broken for parity in results.values())


def forge(run: Run, name: str) -> None:
    """Put the digest of what is there now into the manifest."""
    path = run.path / "export" / "manifest.json"
    manifest = json.loads(path.read_text())
    for entry in manifest["artefacts"]:
        if entry["name"] == name:
            entry["sha256"] = digest(run.path / "export" / name)
    path.write_text(json.dumps(manifest))


def test_another_models_file_is_caught_even_with_a_forged_manifest_and_its_layer_named(run: Run) -> None:
    path = run.path / "export" / "model.onnx"
    model = onnx.load(path)
    for weights in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.ndim == 2 and values.shape[1] == 2:  # the last layer: its classes change places
            weights.CopyFrom(onnx.numpy_helper.from_array(values[:, ::-1].copy(), weights.name))
    onnx.save(model, path)
    forge(run, "model.onnx")
    (parity,) = verify(run, VerifySettings(threads=()), formats=("onnx",), precisions=("float32",))
    assert parity.broken
    assert parity.max_difference is not None
    assert parity.max_difference > 1e-3
    assert "the model's" in parity.reason
    assert parity.divergence is not None
    assert parity.divergence.layer == "probabilities"
    assert (run.path / "plots" / "layers_model.onnx.png").stat().st_size > 5000


def test_layers_of_those_that_hold_are_compared_when_asked_for(run: Run) -> None:
    (parity,) = verify(run, VerifySettings(threads=(), layers=True), formats=("tflite",), precisions=("float32",))
    assert parity
    assert parity.divergence is not None
    assert (parity.divergence.layer, parity.divergence.error) == ("", "")
    assert parity.divergence.compared >= 4
    assert (run.path / "plots" / "layers_model.tflite.png").is_file()


def test_a_file_that_crashes_while_its_layers_are_compared(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "intermediate_tensors", hostile.crash)
    (parity,) = verify(run, VerifySettings(threads=(), layers=True), formats=("onnx",), precisions=("float32",))
    assert parity
    assert parity.divergence is not None
    assert "its layers cannot be compared" in parity.divergence.error
    assert "it crashed, or memory ran out" in parity.divergence.error


def test_images_that_moved(run: Run, tmp_path: Path) -> None:
    shutil.rmtree(run.path / "cache")
    shutil.copytree(run.images.root, tmp_path / "moved")
    seen = []

    def look(tasks: list[Task], **how: object) -> dict[Path, Outcome]:
        seen.append(np.load(tasks[0].images[0], mmap_mode="r"))
        return answering(model_answers(run))(tasks)

    stored = json.loads((run.path / "run.json").read_text())
    stored["data"]["root"] = str(tmp_path / "gone")
    (run.path / "run.json").write_text(json.dumps(stored))
    with pytest.raises(UnfreezeError, match=r"cannot be read any more.* --data"):
        verify(load_run(run.path), measure=look)
    assert not any(parity.broken for parity in verify(load_run(run.path, tmp_path / "moved"), measure=look))
    assert seen[0].shape == (8, 32, 32, 3)


def test_an_artefact_that_answers_nan_does_not_hold_and_is_written(run: Run) -> None:
    answers = model_answers(run).copy()
    answers[3] = np.nan
    results = verify(run, measure=answering(answers))
    assert all(parity.broken for parity in results)
    stored = json.loads((run.path / "parity.json").read_text())
    assert stored[0]["max_difference"] is None
    assert stored[0]["reason"]


def test_flips_are_drawn_and_old_sheets_go(run: Run) -> None:
    verify(run, formats=("onnx",), measure=answering(model_answers(run)[:, ::-1]))
    sheets = sorted(path.name for path in (run.path / "plots").glob("flips_*"))
    assert sheets == [f"flips_{name}.png" for name in ("model.onnx", "model_fp16.onnx", "model_int8.onnx")]
    verify(run, measure=answering(model_answers(run)))
    assert not list((run.path / "plots").glob("flips_*"))
    assert not list((run.path / "plots").glob("layers_*"))


def test_what_did_not_run_has_failed_and_the_others_go_on(run: Run) -> None:
    def one_fails(tasks: list[Task], **how: object) -> dict[Path, Outcome]:
        outcomes = answering(model_answers(run))(tasks)
        return outcomes | {task.path: UnfreezeError("it crashed") for task in tasks if task.path.name == "model.tflite"}

    results = {parity.artefact.name: parity for parity in verify(run, measure=one_fails)}
    assert (results["model.tflite"].ran, results["model.tflite"].reason) == (False, "it crashed")
    assert results["model.onnx"]


def test_what_could_not_be_written_has_failed(run: Run) -> None:
    path = run.path / "export" / "manifest.json"
    stored = json.loads(path.read_text())
    stored["artefacts"] = [entry for entry in stored["artefacts"] if entry["name"] != "model_int8.onnx"]
    stored["failed"] = {"model_int8.onnx": "no such operation"}
    path.write_text(json.dumps(stored))
    results = {parity.artefact.name: parity for parity in verify(run, measure=answering(model_answers(run)))}
    assert (results["model_int8.onnx"].verdict, results["model_int8.onnx"].ran) == (FAILS, False)
    assert "no such operation" in results["model_int8.onnx"].reason
    only = verify(run, formats=("tflite",), measure=answering(model_answers(run)))
    assert {parity.artefact.format for parity in only} == {"tflite"}


def test_the_export_of_another_model_is_refused(run: Run) -> None:
    damage_byte(run.path / "model.keras")
    with pytest.raises(UnfreezeError, match="another model"):
        verify(run)


def test_some_formats_and_precisions_alone(run: Run) -> None:
    results = verify(run, formats=("onnx",), precisions=("int8",), measure=answering(model_answers(run)))
    assert [parity.artefact.name for parity in results] == ["model_int8.onnx"]


def test_a_format_that_was_not_exported_is_a_wrong_call(run: Run) -> None:
    stored = json.loads((run.path / "export" / "manifest.json").read_text())
    stored["artefacts"] = [entry for entry in stored["artefacts"] if entry["format"] == "onnx"]
    (run.path / "export" / "manifest.json").write_text(json.dumps(stored))
    with pytest.raises(UnfreezeError, match=r"model\.tflite, .* was not exported, only model\.onnx") as raised:
        verify(run, formats=("tflite",))
    assert str(raised.value).endswith(f"`unfreeze export {quote(str(run.path))} --formats tflite` adds it")
    with pytest.raises(UnfreezeError, match=r"unfreeze export .* --precisions int16x8` adds it"):
        verify(run, precisions=("int16x8",))
    assert len(verify(run, measure=answering(model_answers(run)))) == 3


def test_a_verification_of_some_keeps_what_was_proven_of_the_others(run: Run) -> None:
    verify(run, measure=answering(model_answers(run)))
    verify(run, formats=("onnx",), measure=answering(model_answers(run)[:, ::-1]))
    stored = {entry["artefact"]["name"]: entry for entry in json.loads((run.path / "parity.json").read_text())}
    assert set(stored) == set(EVERY)
    assert (stored["model.tflite"]["verdict"], stored["model.onnx"]["verdict"]) == (HOLDS, FAILS)
    manifest = run.path / "export" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(stored["model.tflite"]["artefact"]["sha256"], "0" * 64))
    verify(run, formats=("onnx",), measure=answering(model_answers(run)))  # model.tflite is another one now
    names = [entry["artefact"]["name"] for entry in json.loads((run.path / "parity.json").read_text())]
    assert sorted(names) == sorted(set(EVERY) - {"model.tflite"})


def test_a_file_with_its_class_names_in_another_order_does_not_hold(run: Run) -> None:
    """Its numbers are right, and whoever reads its labels is told the wrong class."""
    path = run.path / "export" / "model.onnx"
    model = onnx.load(path)
    for entry in model.metadata_props:
        if entry.key == "unfreeze":
            entry.value = entry.value.replace('["dots", "stripes"]', '["stripes", "dots"]')
    onnx.save(model, path)
    forge(run, "model.onnx")
    name = run.path / "export" / "model_fp16.tflite"
    manifest = artefacts.read_manifest(run.path / "export")
    name.write_bytes(attach(name.read_bytes(), manifest.description | {"class_names": ["stripes", "dots"]}))
    forge(run, "model_fp16.tflite")
    results = {parity.artefact.name: parity for parity in verify(run, VerifySettings(threads=()))}
    assert {name for name, parity in results.items() if parity.broken} == {"model.onnx", "model_fp16.tflite"}
    assert "says of itself that its classes are stripes, dots" in results["model.onnx"].reason


def test_an_onnx_file_is_loaded_by_its_path(run: Run, tmp_path: Path) -> None:
    """Its bytes are not held beside the session: weights that lie in a file beside it are found."""
    beside = tmp_path / "beside" / "model.onnx"
    beside.parent.mkdir()
    whole = onnx.load(run.path / "export" / "model.onnx")
    onnx.save(whole, beside, save_as_external_data=True, location="weights", size_threshold=200)
    pixels = np.load(next((run.path / "cache").glob("images-*.npy")))[:3]
    expected = load(run.path / "export" / "model.onnx").predict(pixels)
    np.testing.assert_array_equal(load(beside).predict(pixels), expected)


def test_json_says_of_an_artefact_only_what_there_is(finished: Run) -> None:
    stored = {
        entry["artefact"]["name"]: entry["artefact"]
        for entry in json.loads((finished.path / "parity.json").read_text())
    }
    assert {"calibration", "attempts"} <= set(stored["model_int8.onnx"])
    told = [entry["cpu"] for entry in json.loads((finished.path / "parity.json").read_text())]
    assert told == [list(instruction_sets())] * len(VARIANTS)
    assert {parity.cpu for parity in read_parities(finished.path / "parity.json")} == {instruction_sets()}
    assert set(stored["model.onnx"]) == {"name", "format", "precision", "bytes", "sha256"}


def test_a_runtime_that_is_not_installed_is_no_verdict(run: Run) -> None:
    def absent(*call: object, **how: object) -> dict[Path, Outcome]:
        raise NoRuntimeError("model.tflite needs ai_edge_litert, which is not installed")

    with pytest.raises(NoRuntimeError):
        verify(run, measure=absent)


def test_a_changed_reference_is_refused(run: Run) -> None:
    damage_byte(run.path / "export" / "reference.npz")
    with pytest.raises(UnfreezeError, match=r"reference\.npz"):
        verify(run)


def test_measured_in_processes_of_their_own(run: Run) -> None:
    """Answers in order, times in milliseconds for each number of threads; what is garbage takes nothing else down."""
    folder = run.path / "export"
    for name in ("model_fp16.tflite", "model_fp16.onnx"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:2000] + np.random.default_rng(0).bytes(5000))
    images = next((run.path / "cache").glob("images-*.npy"))
    paths = [folder / name for name in ("model.onnx", "model_fp16.tflite", "model_fp16.onnx", "model_int8.tflite")]
    pixels = np.load(images)
    parts = tuple(run.path / f"{name}.npy" for name in ("first", "second"))
    for part, rows in zip(parts, ([5, 0, 3], [1]), strict=True):
        np.save(part, pixels[rows])
    outcomes = measure([Task(path, parts) for path in paths], threads=(1, 2))
    assert list(outcomes) == paths
    for name in ("model_fp16.tflite", "model_fp16.onnx"):
        assert f"--formats {Path(name).suffix[1:]} --precisions float16` writes it again" in str(
            outcomes[folder / name]
        )
    good = outcomes[folder / "model.onnx"]
    assert isinstance(good, Measurement)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    expected = session.run(None, {"image": pixels[[5, 0, 3, 1]]})[0]
    np.testing.assert_allclose(good.probabilities, expected, atol=1e-6)
    assert [timing.threads for timing in good.timings] == [1, 2]
    for timing in good.timings:
        assert 0 < timing.median <= timing.p95
        assert 0 < timing.batch_median <= timing.batch_p95
        assert timing.load_ms > 0
    assert good.class_names == ("dots", "stripes")
    assert not multiprocessing.active_children()
    assert good.memory_mb is not None
    assert 0 < good.memory_mb < 500


def test_times_of_the_same_file_stay_where_it_is_verified_without_times(run: Run) -> None:
    """The report chooses by them; of another file, or on another processor, they would say nothing."""
    times = (Timing(1, 0.1, 2.0, 3.0, 1.0, 1.5),)
    answers = model_answers(run)

    def timed(tasks: Sequence[Task], **how: object) -> dict[Path, Outcome]:
        return {task.path: Measurement(answers, timings=times) for task in tasks}

    only = {"formats": ("onnx",), "precisions": ("float32",)}
    verify(run, measure=timed)
    (parity,) = verify(run, VerifySettings(threads=()), **only, measure=answering(answers))
    assert parity.timings == ()  # what was measured now
    assert {one.timings for one in read_parities(run.path / "parity.json")} == {times}
    stored = json.loads((run.path / "parity.json").read_text())
    for entry in stored:
        entry["cpu"] = ["another"]
    (run.path / "parity.json").write_text(json.dumps(stored))
    verify(run, VerifySettings(threads=()), **only, measure=answering(answers))
    found = {one.artefact.name: one.timings for one in read_parities(run.path / "parity.json")}
    assert found.pop("model.onnx") == ()
    assert set(found.values()) == {times}


def test_a_process_that_dies_while_it_is_timed_costs_its_own_times_alone(run: Run) -> None:
    images = next((run.path / "cache").glob("images-*.npy"))
    paths = [run.path / "export" / name for name in ("model.onnx", "model.tflite")]

    def kill_one(what: str, done: int, total: int) -> None:
        if (what, done) == ("timing", 0):
            os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)

    outcomes = measure([Task(path, (images,)) for path in paths], threads=(1,), progress=kill_one)
    assert all(isinstance(outcome, Measurement) for outcome in outcomes.values())
    assert sorted(len(outcome.timings) for outcome in outcomes.values() if isinstance(outcome, Measurement)) == [0, 1]
    assert not multiprocessing.active_children()


def test_no_process_stays_when_the_caller_is_killed(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import time
from pathlib import Path
from export.runtimes.measure import ArtefactProcess
if __name__ == "__main__":
    held = ArtefactProcess(Path({str(run.path / "export" / "model.onnx")!r}))
    held.load(1, None)
    print(held.process.pid, flush=True)
    time.sleep(60)
"""
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, script], text=True, env=environment, **streams) as caller:
        assert caller.stdout is not None
        worker = int(caller.stdout.readline())
        caller.kill()
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{worker}/stat").read_text().split()[2] == "Z":  # ended, and nobody has asked for its end
            return
        time.sleep(0.1)
    pytest.fail("the worker is still there")


# What counts as evidence


def test_validation_images_count_but_for_the_int8_files_that_they_chose(run: Run) -> None:
    test, val = (len(run.images.select(part)) for part in ("test", "val"))
    results = verify(run, VerifySettings(threads=()), measure=answering(model_answers(run)))
    for parity in results:
        counted = {part.part: (part.images, part.counted) for part in parity.evidence}
        assert counted == {"test": (test, True), "val": (val, parity.artefact.precision != "int8")}
        assert parity.images == test
        shown = test if parity.artefact.precision == "int8" else test + val
        assert parity.flips_at_most == pytest.approx(1 - 0.05 ** (1 / shown))
        assert parity.lost_at_most == pytest.approx(1 - 0.05 ** (1 / shown))


def test_images_without_labels_count_and_those_of_the_run_do_not(run: Run, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "more", per_class=5, seed=99)
    shutil.copy(run.images.root / run.images.paths[0], folder / "known.jpg")
    settings = VerifySettings(threads=(), evidence=folder)
    results = {parity.artefact.name: parity for parity in verify(run, settings, formats=("onnx",))}
    for parity in results.values():
        assert [part.images for part in parity.evidence if part.part == "evidence"] == [10]
    reference = artefacts.read_reference(artefacts.read_manifest(run.path / "export"))
    assert reference.only("evidence").paths == ()  # they are asked about anew each time
    assert results["model.onnx"].agreement == 1
    shutil.rmtree(folder)
    folder.mkdir()
    shutil.copy(run.images.root / run.images.paths[0], folder / "known.jpg")
    with pytest.raises(UnfreezeError, match=r"has 1 images that are all in the run already"):
        verify(run, settings)


def test_a_flip_without_a_label_counts_as_lost() -> None:
    sure = np.tile(np.float32([0.1, 0.9]), (400, 1))
    got = sure.copy()
    got[300:305] = got[300:305, ::-1]
    parts = ("test",) * 200 + ("evidence",) * 200
    labels = np.array([1] * 200 + [artefacts.UNLABELLED] * 200, np.int32)
    reference = artefacts.Reference(tuple(map(str, range(400))), labels, sure, parts)
    artefact = artefacts.Artefact("model_int8.onnx", "onnx", "int8", 1, "")
    parity = compare(artefact, reference, Measurement(got), ("a", "b"), VerifySettings())
    assert (parity.images, parity.lost_images, parity.agreement) == (200, 0, 1)
    assert [part.flips for part in parity.evidence] == [0, 5]
    assert parity.lost_at_most == PairedAnswers(400, 5, 0).lost_at_most
    assert {flip.label for flip in parity.flips} == {""}


def test_answers_that_differ_from_call_to_call_fail_and_it_is_said_why() -> None:
    sure = np.tile(np.float32([0.1, 0.9]), (50, 1))
    reference = artefacts.Reference(tuple(map(str, range(50))), np.ones(50, np.int32), sure)
    artefact = artefacts.Artefact("saved_model", "saved_model", "float32", 1, "")
    parity = compare(artefact, reference, Measurement(sure, repeated=0.2), ("a", "b"), VerifySettings())
    assert parity.verdict == FAILS
    assert "differ from one call to the next, by up to 0.2" in parity.reason


@pytest.mark.parametrize(("flips", "verdict"), [(83, FAILS), (15, UNDECIDED)])
def test_too_many_flips_fail_though_no_accuracy_is_lost(flips: int, verdict: str) -> None:
    """Half of them lost and half gained, as between two models that know nothing."""
    sure = np.tile(np.float32([0.1, 0.9]), (150, 1))
    labels = np.arange(150, dtype=np.int32) % 2
    got = sure.copy()
    got[:flips] = got[:flips, ::-1]
    reference = artefacts.Reference(tuple(map(str, range(150))), labels, sure)
    artefact = artefacts.Artefact("model_int8.onnx", "onnx", "int8", 1, "")
    parity = compare(artefact, reference, Measurement(got), ("a", "b"), VerifySettings(margin=0.5))
    assert parity.verdict == verdict
    assert parity.reference_at_chance
    assert ("83 of its 150 answers are not the model's" in parity.reason) == (verdict == FAILS)
    allowed = compare(artefact, reference, Measurement(got), ("a", "b"), VerifySettings(max_flips=100))
    assert "answers are not the model's" not in allowed.reason
    assert allowed.broken == ("b" in {one.name for one in allowed.collapsed}) == (flips == 83)  # 41 of its 75 are lost
