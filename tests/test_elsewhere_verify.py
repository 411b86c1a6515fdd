"""Any file against any other: what holds, what fails and why, as `unfreeze verify --reference` has it."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from onnxruntime.quantization import quantize_static
from scipy.stats import beta

from export.artefacts import Artefact, Reference
from export.foreign import verify as foreign
from export.proof.compare import coarser, verdict_on
from export.runtimes.measure import Measurement
from export.settings import Conversion, VerifySettings
from tests.calibrate import shake
from tests.elsewhere import classifier, to_onnx, to_tflite
from tests.elsewhere_kinds import Families, Images, families, write_scaled
from tests.pictures import write_pictures
from tests.test_cli import typed
from toolkit.data.image_set import scan
from toolkit.pixels.decode import decode
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED

pytestmark = pytest.mark.long
GOOD = {"base.keras": "float32", "saved": "float32", "plain.onnx": "float32", "plain.tflite": "float32"}
GOOD |= {"half.tflite": "float16", "int8.tflite": "int8", "qdq.onnx": "int8", "dynamic.tflite": "dynamic"}
BAD = {"bad.keras": "float32", "bad_saved": "float32", "bad.onnx": "float32", "bad.tflite": "float32"}
BAD |= {"bad_int8.tflite": "int8"}
Run = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture(scope="module")
def made(pictures: Path) -> Families:
    return families(pictures)


@pytest.fixture(scope="module")
def folder(made: Families, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, model = tmp_path_factory.mktemp("files"), made.models["colour"]
    model.save(folder / "base.keras")
    model.export(folder / "saved", verbose=False)
    to_onnx(model, folder / "plain.onnx")
    for kind, name in {"float32": "plain", "float16": "half", "int8": "int8", "dynamic": "dynamic"}.items():
        to_tflite(model, folder / f"{name}.tflite", kind=kind, images=made.images)
    quantize_static(
        folder / "plain.onnx", folder / "qdq.onnx", Images(made.images), per_channel=True, reduce_range=True
    )
    write_scaled(folder, made)
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 other pictures of each class."""
    return write_pictures(tmp_path_factory.mktemp("many"), per_class=150, seed=9)


@pytest.fixture
def run(folder: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Type it: exit code, what --json tells, standard error."""

    def run(reference: str, artefacts: Sequence[str], *options: object, data: Path = pictures) -> Any:
        which = [part for name in artefacts for part in ("--artefact", folder / name)]
        given = ["--reference", folder / reference, *which, "--data", data, "--pixels", "-1..1", "--no-times", "--json"]
        code, out, err = typed(capsys, "verify", *given, *options)
        return code, json.loads(out), err

    return run


# Each with each


def test_every_good_file_holds_against_every_other_and_no_bad_one_does(
    folder: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are run once; their answers then take every role. A bad file's answers are told from a good one's where
    they are stored in float; in int8 where it is as wrong as that."""
    outcomes: dict[Path, Measurement] = {}
    measure = foreign.measure
    monkeypatch.setattr(foreign, "measure", lambda *a, **how: outcomes.update(found := measure(*a, **how)) or found)
    paths = [folder / name for name in GOOD] + [folder / "bad" / name for name in BAD]
    settings = VerifySettings(threads=(), margin=10.0)
    foreign.verify_foreign(paths[0], paths[1:], pictures, conversion=Conversion("-1..1"), settings=settings)
    assert {*outcomes} == {*paths}
    precisions, images, verdicts = GOOD | BAD, scan(pictures), {}
    for one, other in itertools.product(paths, paths):
        reference = Reference(images.paths, images.labels, outcomes[one].probabilities, precision=precisions[one.name])
        artefact = Artefact(other.name, "", precisions[other.name], 0, "")
        found = verdict_on(artefact, outcomes[other], reference, images.class_names, settings)
        verdicts[one.name, other.name] = found.verdict
    for one, other in itertools.product(GOOD, GOOD):
        assert verdicts[one, other] == HOLDS, (one, other)
    for one, other in itertools.product(BAD, BAD):
        assert verdicts[one, other] == HOLDS, (one, other)
    for one, other in itertools.product(GOOD, BAD):
        rounded = {GOOD[one], BAD[other]} & {"int8", "dynamic"}
        assert verdicts[one, other] in ((FAILS, UNDECIDED) if rounded else (FAILS,)), (one, other)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("float32", "float32", "float32"),
        ("float32", "float16", "float16"),
        ("float16", "int8", "int8"),
        ("dynamic", "float32", "dynamic"),
    ],
)
def test_a_pair_is_held_to_the_coarser_precision(one: str, other: str, expected: str) -> None:
    assert coarser(one, other) == coarser(other, one) == expected


# Flips


def random_model(seed: int, images: np.ndarray) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = shake(classifier(), images)
    kernel, bias = model.get_layer("answer").get_weights()
    model.get_layer("answer").set_weights([3 * kernel, 0 * bias])
    return model


def test_a_reference_at_chance_is_said_loudly(run: Run, folder: Path, made: Families, many: Path) -> None:
    """Two models of random weights: that half of their answers differ loses no accuracy."""
    for seed in (104, 105):
        to_onnx(random_model(seed, made.images), folder / f"random_{seed}.onnx")
    code, (entry,), err = run("random_104.onnx", ["random_105.onnx"], data=many)
    assert code == 1
    assert len(entry["flips"]) > 75
    assert entry["verdict"] == FAILS
    assert err.splitlines()[-1].startswith("error: the reference is right on ")
    assert "no more than by chance" in err.splitlines()[-1]
    assert "are --pixels, --labels (their order) and the file the right ones?" in err.splitlines()[-1]
    shutil.copy(folder / "random_104.onnx", folder / "again.onnx")
    code, (entry,), err = run("random_104.onnx", ["again.onnx"], data=many)  # as good as itself, and no better
    assert (code, entry["verdict"]) == (1, HOLDS)
    assert "no more than by chance" in err


def test_a_good_int8_file_is_not_condemned_for_a_few_flips(run: Run, many: Path) -> None:
    code, entries, err = run("plain.tflite", ["int8.tflite", "qdq.onnx"], data=many)
    assert code == 0, err
    for entry in entries:
        assert 0 < len(entry["flips"]) < 15
        assert entry["verdict"] in (HOLDS, UNDECIDED)
    code, entries, err = run("plain.tflite", ["int8.tflite"], "--strict", data=many)
    assert code == (0 if entries[0]["verdict"] == HOLDS else 1)
    code, entries, err = run("plain.tflite", ["int8.tflite", "qdq.onnx"], "--margin", 5, data=many)
    assert (code, [entry["verdict"] for entry in entries]) == (0, [HOLDS, HOLDS])


def test_flips_beyond_max_flips_fail_whatever_is_lost(run: Run, many: Path) -> None:
    code, (entry,), err = run("plain.tflite", ["int8.tflite"], "--margin", 5, "--max-flips", 0, data=many)
    assert (code, entry["verdict"]) == (1, FAILS)
    assert f"{len(entry['flips'])} of its 300 answers are not the model's" in entry["reason"]
    assert "0% is allowed" in entry["reason"]
    assert entry["divergence"]["layer"] == "", "rounding is named as a fault where two classes are nearly as probable"
    assert err.endswith("error: int8.tflite does not hold\n")
    code, (entry,), _ = run("plain.tflite", ["int8.tflite"], "--margin", 5, "--max-flips", 100, data=many)
    assert (code, entry["verdict"]) == (0, HOLDS)


def test_images_without_labels_count(run: Run, made: Families, many: Path, pictures: Path, tmp_path: Path) -> None:
    """Each of them that flips counts as lost; those that are among the labelled ones, and copies, count not at all."""
    files = sorted(many.rglob("*.jpg"))[::2]
    for number, path in enumerate([*files, *sorted(pictures.rglob("*.jpg"))[:7], *files[:3]]):
        shutil.copy(path, tmp_path / f"{number:03d}.jpg")
    _, (entry,), _ = run("base.keras", ["bad/bad.onnx"], "--evidence", tmp_path)
    wrong = keras.models.clone_model(made.models["colour"])
    wrong.set_weights(made.models["colour"].get_weights())
    wrong.get_layer("second").set_weights([1.3 * one for one in wrong.get_layer("second").get_weights()])

    def answers(model: keras.Model, paths: Sequence[Path]) -> np.ndarray:
        pixels = np.stack([decode(path, 32) for path in paths])
        return model((pixels / 127.5 - 1).astype(np.float32)).numpy().argmax(1)

    unlabelled = [answers(model, files) for model in (made.models["colour"], wrong)]
    flipped = int((unlabelled[0] != unlabelled[1]).sum())
    known = scan(pictures)
    before, after = (answers(m, [pictures / path for path in known.paths]) for m in (made.models["colour"], wrong))
    assert flipped > 0
    assert [(part["part"], part["images"], part["flips"]) for part in entry["evidence"]] == [
        ("test", 40, int((before != after).sum())),
        ("evidence", len(files), flipped),
    ]
    flips = flipped + int((before != after).sum())
    most = beta.ppf(0.95, flips + 1, 40 + len(files) - flips)  # Clopper and Pearson
    assert entry["flips_at_most"] == pytest.approx(most, rel=1e-6)
    assert {flip["part"] for flip in entry["flips"]} == {"test", "evidence"}
    assert all((flip["label"] == "") == (flip["part"] == "evidence") for flip in entry["flips"])
    lost = int(((before == known.labels) & (after != known.labels)).sum()) + flipped
    assert entry["lost_at_most"] >= lost / (40 + len(files))


# Layer by layer


@pytest.mark.parametrize(
    ("reference", "good", "bad"),
    [("plain.onnx", "qdq.onnx", ["bad.onnx"]), ("plain.tflite", "int8.tflite", ["bad.tflite", "bad_int8.tflite"])],
    ids=["ONNX", "TFLite"],
)
def test_a_fault_is_found_by_the_names_of_tensors(reference: str, good: str, bad: list[str], run: Run) -> None:
    code, entries, err = run(reference, [good, *(f"bad/{name}" for name in bad)], "--layers", "--margin", 10)
    assert code == 1
    right, *wrong = [entry["divergence"] for entry in entries]
    assert (right["layer"], right["error"]) == ("", "")
    assert right["compared"] >= 5
    for found in wrong:
        assert "second" in found["layer"].partition(";")[0]
        assert found["own"] > found["limit"]
    assert [entry["verdict"] == HOLDS for entry in entries] == [True, *(False for _ in bad)], err
