"""Fixtures for all tests. Nothing heavy is imported here at the top: the tests of light modules stay light."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples

from export.settings import VerifySettings
from tests.pictures import write_pictures
from tests.progress import Progress
from toolkit.run import Run

examples.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("untimed")  # how busy the machine is decides no test
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # results on a GPU do not repeat to the bit


def pytest_configure(config: pytest.Config) -> None:
    if config.get_verbosity() == 0 and config.getoption("numprocesses", None):  # which workers of xdist have not
        config.pluginmanager.register(Progress(config))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: not (item.get_closest_marker("long") or item.get_closest_marker("real")))


@pytest.fixture(autouse=True)
def seeded() -> None:
    """A test finds the same random state whichever tests ran before it, here and on another worker."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 20 generated photographs each."""
    return write_pictures(tmp_path_factory.mktemp("pictures"), per_class=20)


@pytest.fixture(scope="session")
def tiny() -> Iterator[str]:
    """The name of a backbone of three convolutions."""
    import keras

    from tests import tiny as module
    from toolkit.models.applications import BACKBONES

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "Tiny", module.ROW)
        patch.setattr(keras.applications, "Tiny", module.tiny, raising=False)
        yield "Tiny"


@pytest.fixture(scope="session")
def finished(tiny: str, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with its search, evaluation, export and verification done, not timed. Copy it before changing it."""
    from export.proof.verify import verify
    from export.write import export
    from tests.tiny import SETTINGS
    from toolkit.evaluation.evaluate_run import evaluate_run
    from toolkit.run import prepare
    from tuning.search import search

    run = prepare(pictures, tmp_path_factory.mktemp("finished") / "run", SETTINGS)
    search(run)
    evaluate_run(run)
    export(run)
    verify(run, VerifySettings(threads=()))
    return run


@pytest.fixture
def export_folder(finished: Run) -> Path:
    """The exported files of the finished run. Copy what is changed."""
    return finished.path / "export"


@pytest.fixture
def unseen_images(finished: Run) -> np.ndarray:
    """uint8 [N, S, S, 3]: the test part of the finished run."""
    from toolkit.training.batches import load_part

    return np.asarray(load_part(finished, "test").images)


@pytest.fixture
def unseen_answers(finished: Run, unseen_images: np.ndarray) -> np.ndarray:
    """float32 [N, C]: what its Keras model answers to them."""
    from toolkit.training.model_file import load_model

    return load_model(finished).predict(unseen_images, verbose=0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real photographs and weights; the test is skipped where it is absent."""
    folder = Path(os.environ.get("UNFREEZE_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data" / "cats_dogs").is_dir():
        if os.environ.get("UNFREEZE_REQUIRE_SHARED"):
            pytest.fail(f"no real photographs in {folder}")
        pytest.skip(f"no real photographs in {folder}; set UNFREEZE_SHARED")
    return folder
