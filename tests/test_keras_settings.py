"""Whatever a person has set for Keras elsewhere: the same model comes out here, or one line says what is set."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests import ordinary, pictures, tiny

ROOT = Path(__file__).resolve().parents[1]
HOSTILE = {"floatx": "float16", "epsilon": 1e-3, "backend": "jax", "image_data_format": "channels_first"}
VARIABLES = {
    "KERAS_BACKEND": "torch",
    "KERAS_MAX_EPOCHS": "1",
    "KERAS_MAX_STEPS_PER_EPOCH": "1",
    "KERAS_NNX_ENABLED": "1",
}
TRAIN = [*tiny.OPTIONS[:8], "--head-units", "4", "--dropout", "0.2", "--unfreeze", "2", "--head-epochs", "2"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures.write_pictures(tmp_path_factory.mktemp("photos"))


def call(code: list[str], folder: Path, settings: Any = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """A program in an ordinary environment whose home has a keras.json with these settings."""
    environment = ordinary.environment(folder) | {"PYTHONPATH": str(ROOT)} | variables
    if settings is not None:
        file = folder / "home" / ".keras" / "keras.json"
        file.parent.mkdir()
        file.write_text(settings if isinstance(settings, str) else json.dumps(settings))
    return subprocess.run([sys.executable, *code], cwd=folder, env=environment, capture_output=True, text=True)


def trained(photos: Path, folder: Path, settings: Any = None, **variables: str) -> list[dict[str, str]]:
    """The epochs of a training, every digit of their losses, but without their times."""
    done = call(["-m", "tests.tiny", "train", str(photos), "run", *TRAIN], folder, settings, **variables)
    assert done.returncode == 0, done.stderr
    with (folder / "run" / "history.csv").open(newline="") as lines:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(lines)]


@pytest.mark.long
def test_the_same_model_is_trained_whatever_is_set_for_keras(photos: Path, tmp_path: Path) -> None:
    plain = trained(photos, tmp_path / "plain")
    assert plain == trained(photos, tmp_path / "file", HOSTILE)
    assert plain == trained(photos, tmp_path / "variables", **VARIABLES)
    assert len(plain) > 2  # more than the one epoch of each stage that the variables allow


@pytest.mark.long
def test_a_model_is_run_whatever_is_set_for_keras(photos: Path, tmp_path: Path) -> None:
    """`predict` and `verify` do it in processes of their own."""
    trained(photos, tmp_path / "made", HOSTILE)
    made, image = (tmp_path / "made" / "run" / "model.keras").read_bytes(), next(photos.rglob("*.jpg"))
    model, copy = tmp_path / "model.keras", tmp_path / "copy.keras"
    model.write_bytes(made)
    copy.write_bytes(made)
    (tmp_path / "labels.txt").write_text("dots\nstripes\n")
    how = ["--pixels", "0..255", "--labels", str(tmp_path / "labels.txt")]
    called = {
        "predict": ["predict", str(model), str(image)],
        "verify": ["verify", "--reference", str(model), "--artefact", str(copy), "--data", str(photos), "--no-times"],
    }
    for name, words in called.items():
        done = call(["-m", "unfreeze", *words, *how], tmp_path / name, HOSTILE, **VARIABLES)
        assert "Keras" not in done.stderr, done.stderr
        assert done.returncode == 0 or "no more than by chance" in done.stderr


@pytest.mark.parametrize(
    "settings",
    [{"floatx": "bfloat16"}, {"epsilon": "small"}, {"image_data_format": 7}, [], {"floatx": ["float32"]}],
    ids=str,
)
def test_a_damaged_keras_json_is_named(settings: Any, photos: Path, tmp_path: Path) -> None:
    done = call(["-m", "unfreeze", "train", str(photos), "run", "--weights", "starter"], tmp_path, settings)
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert str(tmp_path / "home" / ".keras" / "keras.json") in line
    assert "remove it" in line


@pytest.mark.parametrize(
    ("set_to", "said"),
    [
        ("keras.config.set_image_data_format('channels_first')", "image_data_format channels_first"),
        ("keras.config.set_floatx('float16')", "floatx float16"),
        ("keras.config.set_dtype_policy('mixed_float16')", "dtype_policy mixed_float16"),
        ("keras.config.set_max_epochs(1)", "max_epochs 1"),
        ("keras.config.backend = lambda: 'jax'", "KERAS_BACKEND=tensorflow"),
        ("pass", ""),
    ],
)
def test_a_program_that_set_keras_otherwise_is_told(set_to: str, said: str, tmp_path: Path) -> None:
    code = f"""
import tensorflow
import keras
{set_to}
before = keras.config.floatx(), keras.config.image_data_format()
from toolkit.errors import UnfreezeError
from toolkit.process.keras_start import start_keras
try:
    start_keras()
except UnfreezeError as error:
    print(error)
assert before == (keras.config.floatx(), keras.config.image_data_format())
"""
    done = call(["-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert len(done.stdout.splitlines()) == bool(said)


@pytest.mark.skipif(find_spec("jax") is not None, reason="this backend is installed")
def test_a_program_whose_backend_is_not_installed_is_told(tmp_path: Path) -> None:
    code = "import tensorflow; from unfreeze import api; api.start(lambda *_: None)"
    done = call(["-c", code], tmp_path, KERAS_BACKEND="jax")
    assert "UnfreezeError: Keras cannot be imported" in done.stderr
    assert "KERAS_BACKEND=tensorflow" in done.stderr


def test_the_variables_of_the_program_are_left_as_they_are(tmp_path: Path) -> None:
    code = "import os; from toolkit.process.keras_start import start_keras; before = dict(os.environ); start_keras(); "
    code += "import keras; assert keras.config.max_epochs() is None; assert keras.config.backend() == 'tensorflow'; "
    code += "assert {k: v for k, v in os.environ.items() if k.startswith('KERAS')} == "
    code += "{k: v for k, v in before.items() if k.startswith('KERAS')}"
    done = call(["-c", code], tmp_path, HOSTILE, **VARIABLES)
    assert done.returncode == 0, done.stderr
