"""The temperature: fitted as another optimiser does, bounded where images say nothing, folded into the last layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from toolkit.errors import UnfreezeError
from toolkit.stats import temperature as module
from toolkit.stats.metrics import calibration_error, log_losses
from toolkit.stats.temperature import BOUNDS, FEWEST, fit_temperature, tempered
from toolkit.storage.files import read_json, write_json
from toolkit.training.held_out import HeldOut, fit, read_held_out, read_temperature, write_held_out


def drawn(images: int, classes: int, sharp: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities float32 [N, C], labels) of a model whose logits are `sharp` times too large."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2.5, (images, classes))
    labels = np.array([rng.choice(classes, p=row) for row in softmax(logits, axis=1)], np.int32)
    return softmax(sharp * logits, axis=1).astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 3, 20])
@pytest.mark.parametrize("sharp", [0.3, 1.0, 2.0, 6.0])
def test_it_is_what_another_optimiser_finds(classes: int, sharp: float) -> None:
    """Of the mean cross entropy with smoothed labels, which scipy minimises over log T."""
    probabilities, labels = drawn(500, classes, sharp)
    missing = 0.5 / 501
    targets = probabilities.astype(np.float64)
    targets[np.arange(500), labels] = 0
    targets *= missing / targets.sum(axis=1, keepdims=True)
    targets[np.arange(500), labels] = 1 - missing
    logits = np.log(probabilities.astype(np.float64))
    best = minimize_scalar(
        lambda power: -(targets * log_softmax(logits / np.exp(power), axis=1)).sum(axis=1).mean(),
        bounds=np.log(BOUNDS),
        method="bounded",
        options={"xatol": 1e-7},
    )
    assert fit_temperature(probabilities, labels) == pytest.approx(np.exp(best.x), rel=1e-3)


@pytest.mark.parametrize("sharp", [0.5, 1.0, 3.0])
def test_it_gives_back_by_how_much_the_logits_are_too_large(sharp: float) -> None:
    probabilities, labels = drawn(20_000, 3, sharp)
    fitted = fit_temperature(probabilities, labels)
    assert fitted == pytest.approx(sharp, rel=0.05)
    after = tempered(probabilities, fitted)
    assert log_losses(after, labels).mean() <= log_losses(probabilities, labels).mean() + 1e-4
    assert calibration_error(after, labels) < 0.01


@pytest.mark.parametrize("value", [0.3, 1.0, 4.0])
def test_no_answer_changes_and_the_inverse_takes_it_back(value: float) -> None:
    probabilities, _ = drawn(300, 5, 2.0)
    after = tempered(probabilities, value)
    assert after.dtype == np.float32
    np.testing.assert_array_equal(after.argmax(1), probabilities.argmax(1))
    np.testing.assert_allclose(after, softmax(np.log(probabilities) / value, axis=1), atol=1e-6)
    np.testing.assert_allclose(tempered(after, 1 / value), probabilities, atol=1e-5)


@pytest.mark.parametrize("images", [FEWEST, 1000])
@pytest.mark.parametrize("sure", [0.9, 0.999, 1.0])
def test_a_part_without_a_mistake_does_not_make_the_model_certain(images: int, sure: float) -> None:
    """It is made as sure as (N + 1/2) / (N + 1), within the bounds, where all images are alike."""
    labels = np.arange(images, dtype=np.int32) % 2
    probabilities = np.where(labels[:, None] == [0, 1], np.float32(sure), np.float32(1 - sure))
    fitted = fit_temperature(probabilities, labels)
    assert BOUNDS[0] <= fitted <= BOUNDS[1]
    if sure < 1:
        assert tempered(probabilities, fitted).max() == pytest.approx((images + 0.5) / (images + 1), abs=1e-5)
    else:
        assert fitted > 1


def test_answers_that_are_all_wrong_are_softened_to_the_bound() -> None:
    labels = np.zeros(200, np.int32)
    assert fit_temperature(np.tile(np.float32([0.1, 0.9]), (200, 1)), labels) == BOUNDS[1]


def test_few_images_fit_nothing() -> None:
    probabilities, labels = drawn(FEWEST - 1, 3, 4.0)
    assert fit_temperature(probabilities, labels) == 1
    assert fit_temperature(probabilities[:0], labels[:0]) == 1


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        fit_temperature(np.full((200, 2), np.nan, np.float32), np.zeros(200, np.int32))


# In a run's folder


def test_the_record_has_the_numbers_before_and_after() -> None:
    held_out = HeldOut(*drawn(400, 3, 3.0))
    found = fit(held_out)
    after = tempered(held_out.probabilities, found.value)
    assert (found.images, found.value) == (400, fit_temperature(held_out.probabilities, held_out.labels))
    assert found.log_loss_before == pytest.approx(log_losses(held_out.probabilities, held_out.labels).mean())
    assert found.log_loss == pytest.approx(log_losses(after, held_out.labels).mean())
    assert found.calibration_error < found.calibration_error_before


def test_answers_are_read_as_they_were_written(tmp_path: Path) -> None:
    held_out = HeldOut(*drawn(30, 3, 1.0))
    write_held_out(tmp_path, held_out)
    write_json(tmp_path / "model.json", {"held_out": 30})
    found = read_held_out(tmp_path, 3)
    assert found is not None
    np.testing.assert_array_equal(found.probabilities, held_out.probabilities)
    np.testing.assert_array_equal(found.labels, held_out.labels)


@pytest.mark.parametrize(("count", "classes", "content"), [(29, 3, b""), (30, 2, b""), (30, 3, b"damaged")])
def test_other_answers_are_refused(count: int, classes: int, content: bytes, tmp_path: Path) -> None:
    write_held_out(tmp_path, HeldOut(*drawn(30, 3, 1.0)))
    write_json(tmp_path / "model.json", {"held_out": count})
    if content:
        (tmp_path / "val_answers.npz").write_bytes(content)
    with pytest.raises(UnfreezeError, match=r"val_answers\.npz cannot be read .* repeat the step"):
        read_held_out(tmp_path, classes)


def test_a_model_of_an_earlier_version_has_neither(tmp_path: Path) -> None:
    write_json(tmp_path / "model.json", {"spec": {}, "best_epoch": None})
    assert read_held_out(tmp_path, 3) is None
    assert read_temperature(tmp_path) is None


@pytest.mark.parametrize("stored", [3.0, {"value": 1.5}, {"value": "hot"}])
def test_a_damaged_record_is_named(stored: object, tmp_path: Path) -> None:
    write_json(tmp_path / "model.json", {"temperature": stored})
    with pytest.raises(UnfreezeError, match=r"model\.json is damaged"):
        read_temperature(tmp_path)


def test_a_search_folds_it_into_the_model_once(
    tiny: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the search is called again, and when the model has to be made again from its trial."""
    from tests.tiny import SETTINGS
    from toolkit.run import prepare
    from toolkit.training.answers import probabilities
    from toolkit.training.batches import load_part
    from toolkit.training.model_file import load_model
    from tuning.search import search

    monkeypatch.setattr(module, "FEWEST", 4)  # the generated validation part is small
    run = prepare(pictures, tmp_path / "run", SETTINGS)
    part = load_part(run, "val")
    found = []
    for damage in (None, None, "model.keras"):
        if damage:
            (run.path / damage).unlink()
        search(run)
        told = read_temperature(run.path)
        assert told is not None
        taken = read_json(run.path / "model.json")["search"]["taken"]
        recorded = np.load(run.path / "search" / f"trial_{taken}" / "val_probabilities.npy")
        answers = probabilities(load_model(run), part.images)
        np.testing.assert_allclose(answers, tempered(recorded, told.value), atol=5e-3)  # activations in half precision
        held_out = read_held_out(run.path, 2)
        assert held_out is not None
        np.testing.assert_allclose(answers, held_out.probabilities, atol=1e-5)
        np.testing.assert_array_equal(held_out.labels, part.labels)
        found.append(told)
    assert found[0].value != 1
    assert found[0] == found[1] == found[2]


def test_with_folds_it_is_fitted_on_answers_out_of_fold(
    tiny: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on those of the final model, which was trained on all of the images."""
    from dataclasses import replace

    from tests.tiny import SETTINGS
    from toolkit.run import prepare
    from toolkit.training.batches import load_part
    from tuning.search import search

    monkeypatch.setattr(module, "FEWEST", 4)
    run = prepare(pictures, tmp_path / "run", replace(SETTINGS, folds=2, trials=1))
    search(run)
    labels = load_part(run, "train", "val").labels
    out_of_fold = np.load(run.path / "search" / "trial_0000" / "val_probabilities.npy")
    told, held_out = read_temperature(run.path), read_held_out(run.path, 2)
    assert told is not None
    assert held_out is not None
    assert (told.value, told.images) == (fit_temperature(out_of_fold, labels), len(labels))
    np.testing.assert_array_equal(held_out.labels, labels)
    np.testing.assert_allclose(held_out.probabilities, tempered(out_of_fold, told.value), atol=1e-6)


@pytest.mark.parametrize("calibrate", [True, False])
def test_a_single_training_has_it_too_unless_it_is_switched_off(
    calibrate: bool, tiny: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from tests.tiny import SETTINGS
    from toolkit.run import prepare
    from toolkit.training.answers import probabilities
    from toolkit.training.batches import load_part
    from toolkit.training.model_file import load_model
    from toolkit.training.train import train_run

    monkeypatch.setattr(module, "FEWEST", 4)
    one = replace(SETTINGS, head_units=(0,), dropout=(0.0,), unfreeze=(2,), calibrate=calibrate)
    run = prepare(pictures, tmp_path / "run", one)
    history = train_run(run)
    part, told = load_part(run, "val"), read_temperature(run.path)
    answers = probabilities(load_model(run), part.images)
    assert (told is not None) == calibrate
    trained = answers if told is None else tempered(answers, 1 / told.value)
    best = history.best
    assert best is not None
    assert log_losses(trained, part.labels).mean() == pytest.approx(best["val_loss"], abs=1e-3)
    held_out = read_held_out(run.path, 2)
    assert held_out is not None
    np.testing.assert_allclose(held_out.probabilities, answers, atol=1e-5)
