from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import keras
import numpy as np
import pytest

from tests.pictures import draw
from tests.tiny import ROW
from toolkit.models.applications import BACKBONES
from toolkit.models.build import build_model, prefix_and_suffix
from toolkit.models.spec import ModelSpec
from toolkit.settings import Settings
from toolkit.stats.metrics import log_losses
from toolkit.training.answers import probabilities
from toolkit.training.batches import Part
from toolkit.training.history import COLUMNS, History, read_history
from toolkit.training.staged_training import _rate
from toolkit.training.train import train

with patch.dict(BACKBONES, Tiny=ROW):  # a record is checked when it is made
    SETTINGS = Settings(
        backbone="Tiny", image_size=32, unfreeze=(0, 2), weights="none", head_epochs=2, tune_epochs=2, batch_size=8
    )


def make_part(count: int, seed: int) -> Part:
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int32) % 2
    return Part(np.stack([draw(label, 32, rng) for label in labels]), labels)


TRAIN, VAL = make_part(24, 0), make_part(10, 1)


def fitted(depth: int, settings: Settings = SETTINGS, **more) -> tuple[keras.Model, ModelSpec, History]:
    keras.utils.set_random_seed(3)
    spec = settings.spec(2, 4, 0.1, depth)
    model = build_model(spec)
    return model, spec, train(model, spec, TRAIN, VAL, settings, **more)


def weights_before(depth: int) -> tuple[keras.Model, ModelSpec]:
    keras.utils.set_random_seed(3)
    spec = SETTINGS.spec(2, 4, 0.1, depth)
    return build_model(spec), spec


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_only_the_head_and_the_unfrozen_stages_change(tiny: str, depth: int) -> None:
    before, _ = weights_before(depth)
    model, spec, _ = fitted(depth)
    prefix = {layer.name for layer in prefix_and_suffix(model, spec, depth)[0].layers}
    for layer in model.layers:
        pairs = zip(before.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True)
        changed = any((old != new).any() for old, new in pairs)
        frozen = layer.name in prefix or isinstance(layer, keras.layers.BatchNormalization)
        assert changed == (bool(layer.weights) and not frozen), layer.name


def test_the_weights_are_those_of_the_best_epoch(tiny: str) -> None:
    settings = replace(SETTINGS, tune_rate=5.0, head_epochs=3)  # fine-tuning that ruins what the head has learnt
    model, _, history = fitted(2, settings)
    losses = [row["val_loss"] for row in history.rows]
    assert history.best is not None
    assert history.best["val_loss"] == min(losses) < losses[-1]
    loss = log_losses(probabilities(model, VAL.images), VAL.labels).mean()
    assert loss == pytest.approx(history.best["val_loss"], rel=1e-4)


def test_the_same_call_gives_the_same_numbers(tiny: str) -> None:
    first, _, one = fitted(1)
    second, _, two = fitted(1)
    for a, b in zip(one.rows, two.rows, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}
    for old, new in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_rate_warms_up_and_decays_and_a_part_of_the_epochs_is_where_it_would_be(tiny: str) -> None:
    settings = replace(SETTINGS, tune_epochs=4, patience=9)
    whole = fitted(1, settings)[2].rows
    assert [row["stage"] for row in whole] == ["head"] * 2 + ["tune"] * 4
    assert whole[0]["learning_rate"] == pytest.approx(settings.head_rate)
    rates = [row["learning_rate"] for row in whole[2:]]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] < settings.tune_rate
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    later = fitted(1, settings, epochs=range(4, 6))[2].rows
    assert [row["epoch"] for row in later] == [4, 5]
    assert [row["learning_rate"] for row in later] == pytest.approx(rates[2:])


def test_the_updates_of_a_part_are_as_large_as_its_rate_says(tiny: str) -> None:
    """Under a constant gradient each of Adam's updates is the rate; with a count moved ahead it would be a multiple."""
    settings = replace(SETTINGS, tune_epochs=4)
    rate = _rate(settings, "tune", range(settings.head_epochs + 2, settings.epochs), 25)
    optimizer = keras.optimizers.Adam(rate)
    variable = keras.Variable([1.0])
    optimizer.build([variable])
    updates = []
    for _ in range(12):
        before, rate = float(variable[0]), float(optimizer.learning_rate)
        optimizer.apply([keras.ops.ones(1)], [variable])
        updates.append(before - float(variable[0]))
        assert updates[-1] == pytest.approx(rate, rel=0.01)
    assert updates[:10] == sorted(updates[:10])  # a tenth of 100 steps to warm up
    assert max(updates) < 0.6 * settings.tune_rate  # half of the cosine lies behind


def test_patience_ends_a_stage_early(tiny: str) -> None:
    settings = replace(SETTINGS, head_epochs=8, tune_epochs=0, head_rate=1.0, patience=1)
    assert len(fitted(0, settings)[2].rows) < 8


def test_training_that_diverges_is_in_the_history_and_ends(tiny: str) -> None:
    history = fitted(1, replace(SETTINGS, head_rate=1e30))[2]
    assert history.best is None


def test_probabilities_do_not_depend_on_the_batch_size(tiny: str) -> None:
    model, _ = weights_before(1)
    one, many = probabilities(model, TRAIN.images, 1), probabilities(model, TRAIN.images, 7)
    np.testing.assert_allclose(one, many, atol=1e-6)
    np.testing.assert_allclose(many, model.predict(TRAIN.images, verbose=0), atol=1e-6)


def test_history_survives_its_file(tiny: str, tmp_path: Path) -> None:
    history = fitted(0)[2]
    history.write(tmp_path / "history.csv")
    told = [{name: row[name] for name in COLUMNS} for row in history.rows]
    assert read_history(tmp_path / "history.csv") == told
