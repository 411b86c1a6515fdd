"""An augmentation of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from tests.test_own import GRID, begun, curve, same_model, trials
from tests.tiny import ROW
from toolkit.errors import UnfreezeError
from toolkit.models.applications import BACKBONES
from toolkit.own.augmentation import STATES, check_augment, own_view
from toolkit.own.parts import Own, settings_with
from toolkit.run import Run, prepare
from toolkit.training.batches import augmented, load_part
from tuning.search import search

with patch.dict(BACKBONES, Tiny=ROW):  # a record is checked when it is made
    FEW = replace(GRID, head_units=0, dropout=0.0, head_epochs=2, tune_epochs=2)


def same(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return image


def darker(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    image //= np.uint8(rng.integers(2, 5))  # in place: the function has a copy
    return image


def test_the_image_unchanged_is_no_augmentation(tiny: str, pictures: Path, tmp_path: Path) -> None:
    none = prepare(pictures, tmp_path / "none", replace(FEW, augment="none"))
    own = begun(pictures, tmp_path / "own", Own(augment=same), FEW)
    for run in (none, own):
        search(run)
    assert [curve(own, one.trial) for one in trials(own)] == [curve(none, one.trial) for one in trials(none)]
    same_model(own, none)


def test_views_depend_on_seed_view_and_image_alone(tiny: str, pictures: Path, tmp_path: Path) -> None:
    def views(name: str, seed: int = 0) -> np.ndarray:
        run = begun(pictures, tmp_path / name, Own(augment=darker), FEW)
        source = augmented(load_part(run, "train", antialiased=True), replace(run.settings, seed=seed))
        return np.stack([source.inputs(epoch, np.arange(4)) for epoch in (0, 1, 2)])

    first = views("a")
    np.testing.assert_array_equal(first, views("b"))
    np.testing.assert_array_equal(first[0], first[2])  # there are two views
    assert not np.array_equal(first, views("a", seed=1))
    assert first.dtype == np.uint8


def keys(run: Run) -> list[str]:
    return sorted(one.name for one in run.cache.glob("activations-*/"))


def test_a_changed_function_has_other_activations(
    tiny: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have the same name, and the change may lie in a constant or a function that it names."""

    def made(source: str) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
        names: dict[str, Any] = {"__name__": "program", "np": np}
        exec(source, names)
        return names["augment"]  # type: ignore[no-any-return]

    shift = "def shift(x):\n    return np.roll(x, {by}, 0)\n"
    program = "STEP = {step}\n" + shift + "def augment(image, rng):\n    return shift(image) // STEP"
    settings = replace(FEW, cache_dir=str(tmp_path / "cache"), unfreeze=0, trials=1)
    seen: list[list[str]] = []
    for number, (step, by) in enumerate([(1, 1), (2, 1), (1, 2), (1, 1)]):
        run = begun(pictures, tmp_path / str(number), Own(augment=made(program.format(step=step, by=by))), settings)
        search(run)
        seen.append(keys(run))
    assert [len(names) for names in seen] == [1, 2, 3, 3]


DRAWN = np.random.default_rng(5)


def now_and_then(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """In one of four states something else, from a source of chance that nobody is told of."""
    return image + np.uint8(DRAWN.integers(1, 256)) if rng.integers(4) == 0 else image


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda image, rng: image / 255.0, "gives float64 [32, 32, 3], expected uint8 [32, 32, 3]"),
        (lambda image, rng: image[:16], "gives uint8 [16, 32, 3], expected uint8 [32, 32, 3]"),
        (lambda image, rng: None, "gives NoneType, expected uint8 [32, 32, 3]"),
        (lambda image, rng: image.rotate(3), "raised AttributeError: 'numpy.ndarray' object has no attribute 'rotate'"),
        (
            lambda image, rng: np.random.default_rng().integers(0, 256, image.shape, np.uint8),
            "gives two images for one state of rng",
        ),
        (now_and_then, "gives two images for one state of rng"),
    ],
)
def test_what_cannot_be_used_is_refused_before_training(function: Any, said: str) -> None:
    with pytest.raises(UnfreezeError) as told:
        check_augment(function, (32, 32, 3))
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_a_fault_at_a_later_image_ends_the_search_with_its_cause(tiny: str, pictures: Path, tmp_path: Path) -> None:
    calls: list[int] = []

    def late(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        calls.append(1)
        if len(calls) > 2 * STATES + 2:  # those with which it is tried out, and two images
            raise ValueError("no such image")
        return image

    run = begun(pictures, tmp_path / "run", Own(augment=late), FEW)
    with pytest.raises(UnfreezeError, match=r"^augment \(.*late\) raised ValueError: no such image$") as told:
        search(run)
    assert isinstance(told.value.__cause__, ValueError)


def test_views_in_one_array_of_the_functions_are_kept_apart() -> None:
    held = np.zeros((4, 4, 3), np.uint8)

    def reusing(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        held[:] = rng.integers(0, 256, image.shape, np.uint8)
        return held

    check_augment(reusing, (4, 4, 3))
    first, second = (own_view(held, reusing, np.random.default_rng(n)) for n in range(2))
    assert not np.array_equal(first, second)


def test_it_takes_the_place_of_the_setting() -> None:
    for settings in (replace(GRID, augment="none"), replace(GRID, vary={"augment": ("none", "light")})):
        with pytest.raises(UnfreezeError, match="augment is in the settings, and as a function of your own"):
            settings_with(Own(augment=same), settings)
