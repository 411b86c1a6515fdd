"""The same call, the same bits: whole runs as processes of their own, in other circumstances that should not matter."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import ordinary
from tests.pictures import write_pictures
from tests.tiny import OPTIONS

ROOT = Path(__file__).parents[1]
FILES = ("model.tflite", "model_fp16.tflite", "model_int8.tflite", "model.onnx", "model_fp16.onnx", "model_int8.onnx")


def run_in(folder: Path, hash_seed: str, *, backwards: bool) -> Path:
    """`unfreeze run` on the same pictures, written in another order to another place."""
    data = write_pictures(folder / "data", per_class=12)
    if backwards:  # most file systems list files in an order that depends on when they were made
        for path in sorted(data.rglob("*.jpg"), reverse=True):
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)
    few = ("--trials", "2", "--formats", "tflite,onnx")
    command = [sys.executable, "-m", "tests.tiny", "run", str(data), str(folder / "run"), *OPTIONS, *few]
    environment = ordinary.environment(folder) | {"PYTHONHASHSEED": hash_seed, "CUDA_VISIBLE_DEVICES": ""}
    if backwards:  # as for a user who has no home, where matplotlib makes a temporary one for itself
        environment["HOME"] = "/dev/null/home"
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert list((folder / "temporary").rglob("*")) == []
    return folder / "run"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("determinism")
    return run_in(root / "one", "1", backwards=False), run_in(root / "other place" / "two", "2", backwards=True)


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "trials.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def weights(run: Path) -> list[np.ndarray]:
    import keras

    return [np.asarray(one) for one in keras.models.load_model(run / "model.keras", compile=False).get_weights()]


def test_trials_are_equal(runs: tuple[Path, Path]) -> None:
    one, other = map(rows, runs)
    assert one == other
    assert len(one) == 2


def test_weights_are_equal(runs: tuple[Path, Path]) -> None:
    for one, other in zip(*map(weights, runs), strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def test_decoded_images_views_and_activations_are_equal(runs: tuple[Path, Path]) -> None:
    def held(run: Path) -> list[str]:
        return sorted(hashlib.sha256(np.load(path).tobytes()).hexdigest() for path in (run / "cache").rglob("*.npy"))

    one, other = map(held, runs)
    assert one == other
    assert len(one) > 3


@pytest.mark.parametrize("name", ["test_probabilities.npz", "export/reference.npz"])
def test_answers_are_equal(name: str, runs: tuple[Path, Path]) -> None:
    with np.load(runs[0] / name) as one, np.load(runs[1] / name) as other:
        assert set(one) == set(other)
        for key in set(one) - {"model_sha256"}:  # of an archive, which holds the time
            np.testing.assert_array_equal(one[key], other[key], strict=True)


@pytest.mark.parametrize("name", FILES)
def test_artefacts_are_equal_byte_for_byte(name: str, runs: tuple[Path, Path]) -> None:
    one, other = ((run / "export" / name).read_bytes() for run in runs)
    assert one == other
