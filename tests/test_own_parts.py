"""Each part of one's own by itself: what is refused, in which words, and what it computes."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import unfreeze
from tests.tiny import ROW, SETTINGS
from toolkit.errors import UnfreezeError
from toolkit.models.applications import BACKBONES
from toolkit.models.build import build_model, class_layer, fresh_suffix, head_layers, set_unfreeze
from toolkit.models.spec import ModelSpec
from toolkit.own.calls import PartError, point_of
from toolkit.own.function_digest import class_digest, digest_of, function_digest
from toolkit.own.head import check_head, head_of
from toolkit.own.parts import Own, described, settings_with
from toolkit.own.space import own_space, values_of
from toolkit.run import Run
from toolkit.settings import Settings
from toolkit.training.batches import Source
from toolkit.training.folds import as_folds
from toolkit.training.held_out import HeldOut
from toolkit.training.history import History
from toolkit.training.model_file import save_model
from toolkit.training.recipe import recipe
from toolkit.training.staged_training import APART, StagedTraining
from tuning.results import Trial, read_trials, write_trials
from tuning.search_space import all_points, hyperparameters, own_names
from tuning.trial_files import TrialFolder

layers = keras.layers
SPEC = ModelSpec("Tiny", 1.0, 32, 3, 0, 0.0, 0)


def values(asked: Any) -> dict[str, tuple]:
    return values_of(own_space(Own(space=asked)))


def test_every_kind_becomes_its_values() -> None:
    def space(hp: keras_tuner.HyperParameters) -> None:
        hp.Choice("pool", ["mean", "max"], default="max")
        hp.Boolean("deep")
        hp.Fixed("width", 3)
        hp.Int("layers", 1, 3)
        hp.Int("units", 2, 33, step=2, sampling="log")
        hp.Float("share", 0, 1, step=0.2)
        hp.Float("tenths", 0.1, 0.3, step=0.1)
        hp.Float("rate", 1e-4, 1e-1, step=10, sampling="log")

    made = values(space)
    assert made == {
        "pool": ("mean", "max"),
        "deep": (False, True),
        "width": (3,),
        "layers": (1, 2, 3),
        "units": (2, 4, 8, 16, 32),
        "share": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
        "tenths": (0.1, 0.2, 0.3),
        "rate": (1e-4, 1e-3, 1e-2, 1e-1),
    }
    assert {type(one) for one in made["share"]} == {float}
    assert {type(one) for one in made["units"]} == {int}
    points = list(all_points(hyperparameters(replace(Settings(), unfreeze=0), None, own_space(Own(space=space)))))
    assert len(points) == 3 * 6 * np.prod([len(one) for one in made.values()])
    assert points[0]["pool"] == "max"
    assert own_names(points[0]) == list(made)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (lambda hp: hp.Float("rate", 0, 1), "rate is a Float without a step, which has no finite list of values"),
        (lambda hp: hp.Int("rate", 1, 9, sampling="log"), "rate is a Int without a step"),
        (lambda hp: hp.Int("units", 1, 5000), "units has 5,000 values, at most 1,000; give a larger step"),
        (lambda hp: hp.Choice("dropout", [0.1]), "a hyperparameter 'dropout', which Unfreeze has itself"),
        (lambda hp: hp.Choice("head_rate", [0.1]), "a hyperparameter 'head_rate', which Unfreeze has itself"),
        (lambda hp: hp.Choice("parent", [0.1]), "a hyperparameter 'parent', which Unfreeze has itself"),
        (lambda hp: hp.Choice("tuner/rung", [1]), "'tuner/rung'; give letters, digits and _ only"),
    ],
)
def test_a_space_without_a_finite_list_or_with_a_taken_name_is_refused(space: Any, said: str) -> None:
    with pytest.raises(UnfreezeError) as told:
        values(space)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_a_dependent_hyperparameter_is_refused() -> None:
    def space(hp: Any) -> None:
        hp.Boolean("deep")
        with hp.conditional_scope("deep", [True]):
            hp.Int("layers", 1, 3)

    with pytest.raises(UnfreezeError, match="layers depends on another hyperparameter"):
        values(space)


def test_what_a_space_raises_is_its_cause() -> None:
    with pytest.raises(PartError, match=r"^space \(.*\) raised ValueError: ") as told:
        values(lambda hp: hp.Int("n", 3, 1))
    assert isinstance(told.value.__cause__, ValueError)


def test_trials_csv_keeps_every_kind(tmp_path: Path) -> None:
    given = {"deep": True, "pool": "max", "text": "1_000", "zip": "007", "n": 3, "rate": 1e-05, "word": "nan"}
    trial = Trial("0000", "COMPLETED", 0, 0.0, 1, 0.5, 0.5, 0, "head", 1, 1.0, "", varied=given)
    write_trials(tmp_path / "trials.csv", [trial])
    (found,) = read_trials(tmp_path / "trials.csv")
    assert dict(found.varied) == given
    assert [type(value) for value in found.varied.values()] == [type(value) for value in given.values()]


class Mine(layers.Layer):
    def call(self, x: Any) -> Any:
        return x


SHARED = layers.Dense(4)
COUNTED: list[int] = []


def growing(features: Any, hp: Any) -> Any:
    COUNTED.append(1)
    for _ in COUNTED:
        features = layers.Dense(4)(features)
    return features


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (lambda f, hp: layers.Lambda(lambda x: x, name="twice")(f), "has the layer 'twice' (Lambda), which a file"),
        (
            lambda f, hp: Mine(name="odd")(f),
            "has the layer 'odd' (Mine), which a file that is safe to load cannot hold",
        ),
        (lambda f, hp: SHARED(f), "gives the layers of an earlier call; make new ones in each call"),
        (growing, "gives other layers in each call, for the same values"),
        (lambda f, hp: None, "gives NoneType, expected a Keras tensor [N, k]"),
        (lambda f, hp: layers.Reshape((2, -1))(f), "of the shape (None, 2, 8), expected a Keras tensor [N, k]"),
        (lambda f, hp: layers.Dense(hp["width"])(f), "raised KeyError: 'width'"),
        (lambda f, hp: hp.update(units=3), "raised AttributeError: 'mappingproxy' object has no attribute 'update'"),
        (lambda f, hp: keras.Input((4,)), "raised ValueError: "),
        (lambda f, hp: layers.Dense(4, name="one")(layers.Dense(4, name="one")(f)), "raised ValueError: "),
    ],
)
def test_a_head_that_cannot_be_used_is_refused_by_name(head: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(PartError) as told:
        check_head(Own(head=head), SPEC, 16, {"units": 2}, tmp_path)
    assert said in str(told.value)
    assert str(told.value).startswith("head (")
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


def inside(features: Any, hp: Any) -> Any:
    """A model inside, a layer in two places, an operation without a layer."""
    body = keras.Sequential([layers.Dense(8, activation="gelu"), layers.LayerNormalization()])
    twice = layers.Dense(8)
    return keras.ops.concatenate([twice(twice(body(features))), body(features)], axis=-1) * 0.5


@pytest.mark.parametrize("head", [inside, lambda f, hp: f], ids=["inside", "nothing"])
def test_a_head_of_keras_layers_is_built_anew_with_the_same_names(head: Any, tmp_path: Path) -> None:
    own = Own(head=head)
    check_head(own, SPEC, 16, {}, tmp_path)
    pooled = [keras.Input((16,), name="pooled") for _ in range(2)]
    first, second = (keras.Model(one, head_of(own, {})(one, SPEC)) for one in pooled)
    assert [one.name for one in first.operations] == [one.name for one in second.operations]
    second.set_weights(first.get_weights())
    sample = np.random.default_rng(0).random((5, 16), np.float32)
    np.testing.assert_array_equal(first(sample), second(sample))
    assert first(sample).shape == (5, 3)


def test_hp_cannot_be_changed_and_has_no_names_of_the_tuner() -> None:
    point = point_of({"units": 3, "tuner/rung": 1, "unfreeze/own": 2, "unfreeze": 2})
    assert dict(point) == {"units": 3, "unfreeze": 2}
    with pytest.raises(TypeError):
        point["units"] = 4  # type: ignore[index]


def test_two_dropout_layers_draw_different_masks_and_the_same_again() -> None:
    pooled = keras.Input((16,), name="pooled")
    x = layers.Dropout(0.5)(layers.GaussianNoise(0.1, name="noise")(layers.Dropout(0.5)(pooled)))
    model = keras.Model(pooled, class_layer(x, SPEC))
    from toolkit.training.staged_training import _reseed

    _reseed(model, 3, 7)
    states = [layer.seed_generator.state.numpy().tolist() for layer in model.layers if hasattr(layer, "seed_generator")]
    assert states == [[3, 7], [3, 7 + APART], [3, 7 + 2 * APART]]


def test_the_head_is_what_lies_behind_the_pooled_features(tiny: str) -> None:
    whole = build_model(replace(SPEC, head_units=4))
    assert [layer.name for layer in head_layers(whole)] == ["head", "dropout", "probabilities"]
    for depth in (0, 1):
        suffix = fresh_suffix(whole, replace(SPEC, head_units=4, unfreeze=depth), 0)
        assert [layer.name for layer in head_layers(suffix)] == ["head", "dropout", "probabilities"]


def trained(own: Own, settings: Settings = SETTINGS, point: dict | None = None) -> tuple[list[dict], list[np.ndarray]]:
    """Both stages of a linear model on unequal classes."""
    rng = np.random.default_rng(0)
    x, labels = rng.random((40, 6), np.float32), np.repeat(np.arange(3, dtype=np.int32), (25, 10, 5))
    pooled = keras.Input((6,), name="pooled")
    keras.utils.set_random_seed(0)
    model = keras.Model(pooled, class_layer(pooled, SPEC))
    source = Source(labels, lambda epoch, rows: x[rows])
    training = StagedTraining(model, settings, how=recipe(settings, own, point))
    for stage in ("head", "tune"):
        training.run(stage, model, as_folds(source, source), range(settings.epochs))
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in training.history.rows]
    return rows, model.get_weights()


with patch.dict(BACKBONES, Tiny=ROW):  # a record is checked when it is made
    LONG = replace(SETTINGS, head_epochs=2, tune_epochs=3, tune_rate=0.02)


@pytest.mark.parametrize(
    "own",
    [
        Own(loss="sparse_categorical_crossentropy"),
        Own(loss=keras.losses.SparseCategoricalCrossentropy()),
        Own(loss=lambda hp: keras.losses.SparseCategoricalCrossentropy()),
        Own(optimizer="Adam"),
        Own(optimizer=keras.optimizers.Adam()),
        Own(optimizer=lambda hp: keras.optimizers.Adam()),
    ],
)
def test_the_usual_as_ones_own_is_the_usual(own: Own) -> None:
    """Classes are weighed in both: they are unequal here."""
    rows, weights = trained(own, LONG)
    usual_rows, usual_weights = trained(Own(), LONG)
    assert rows == usual_rows
    for one, other in zip(weights, usual_weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_hot_crossentropy_is_nearly_the_usual() -> None:
    rows, _ = trained(Own(loss="categorical_crossentropy"), LONG)
    usual, _ = trained(Own(), LONG)
    for one, other in zip(rows, usual, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)


def test_a_loss_is_what_its_formula_gives() -> None:
    answers = np.random.default_rng(0).dirichlet(np.ones(3), 8).astype(np.float32)
    labels = np.arange(8, dtype=np.int32) % 3
    losses = recipe(
        SETTINGS, Own(loss=lambda hp: keras.losses.CategoricalFocalCrossentropy(gamma=hp["gamma"])), {"gamma": 3.0}
    )
    right = answers[np.arange(8), labels]
    wanted = 0.25 * (1 - right) ** 3 * -np.log(right)
    np.testing.assert_allclose(losses.losses(tf.constant(labels), tf.constant(answers)), wanted, rtol=1e-4)


def test_an_optimizer_that_trials_share_keeps_no_state() -> None:
    given = keras.optimizers.SGD(momentum=0.9)
    first = trained(Own(optimizer=given), LONG)
    again = trained(Own(optimizer=given), LONG)
    assert first[0] == again[0]
    assert not given.built
    assert [row["learning_rate"] for row in first[0]] == [row["learning_rate"] for row in trained(Own(), LONG)[0]]
    assert first[0] != trained(Own(optimizer="sgd"), LONG)[0]  # momentum counts


def test_a_scaled_loss_is_the_same_training() -> None:
    scaled, _ = trained(Own(optimizer=keras.optimizers.Adam(loss_scale_factor=1024.0)), LONG)
    usual, _ = trained(Own(), LONG)
    assert scaled == usual  # a power of two


class Whole(keras.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return keras.ops.mean(y_pred)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (Own(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)), "expects logits, and the model gives"),
        (Own(loss=Whole()), "loss (Whole) gives float32 [], expected one number for each image, [B]"),
        (Own(loss="focal"), "loss (focal) raised ValueError: "),
        (Own(loss=3), "loss is 3; give an object of Keras, its name, or a function of hp"),  # type: ignore[arg-type]
        (Own(loss=lambda hp: 3), "gives int, expected a keras.losses.Loss or the name of one"),
        (Own(loss=lambda hp: hp["gamma"]), "raised KeyError: 'gamma'"),
        (Own(optimizer=keras.optimizers.SGD(0.5)), "optimizer (SGD) has a learning rate of its own; leave it out"),
        (Own(optimizer=keras.optimizers.SGD(use_ema=True)), "optimizer (SGD) averages weights"),
        (Own(optimizer=keras.optimizers.SGD(gradient_accumulation_steps=2)), "leave gradient_accumulation_steps out"),
        (Own(optimizer=lambda hp: "sdg"), "raised ValueError: "),
        (
            Own(optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())),
            "gives LossScaleOptimizer, expected",
        ),
        (Own(metrics=["accuracy"]), "the metric accuracy would be the column val_accuracy"),
        (Own(metrics=["mae", keras.metrics.MeanAbsoluteError()]), "two of the metrics have one name"),
        (
            Own(metrics=[keras.metrics.F1Score(average=None)]),
            "the metric f1_score gives float32 [3], expected one number",
        ),
        (Own(metrics="mae"), "metrics are 'mae'; give a list of them"),
        (Own(metrics=lambda hp: hp["which"]), "raised KeyError: 'which'"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused(own: Own, said: str) -> None:
    labels, answers = np.arange(6, dtype=np.int32) % 3, np.full((6, 3), 1 / 3, np.float32)

    def tried() -> None:
        made = recipe(SETTINGS, own, {})
        made.losses(tf.constant(labels), tf.constant(answers))
        made.metrics(labels, answers)

    with pytest.raises(PartError) as told:
        tried()
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_settings_of_replaced_parts_are_refused() -> None:
    head = Own(head=lambda f, hp: f)
    assert settings_with(head, Settings()).space[:2] == ((0,), (0.0,))
    assert settings_with(head, settings_with(head, Settings())).space[:2] == ((0,), (0.0,))
    with pytest.raises(UnfreezeError, match="head_units belong to the usual head"):
        settings_with(head, Settings(head_units=(0, 32)))
    with pytest.raises(UnfreezeError, match="dropout belong to the usual head"):
        settings_with(head, Settings(dropout=0.3))
    for settings in (Settings(label_smoothing=0.1), Settings(vary={"label_smoothing": (0.0, 0.1)})):
        with pytest.raises(UnfreezeError, match="label_smoothing is the usual loss's"):
            settings_with(Own(loss="mse"), settings)
    with pytest.raises(UnfreezeError, match="head is 3; give a function"):
        Own(head=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"optimizer": keras.optimizers.SGD}, r"^optimizer: SGD is a class; give an object: SGD\(\)$"),
        ({"loss": keras.losses.MeanSquaredError}, r"give an object: MeanSquaredError\(\)$"),
        ({"metrics": ["mae", keras.metrics.AUC]}, r"^metrics: AUC is a class"),
        ({"metrics": keras.metrics.AUC}, r"^metrics: AUC is a class"),
    ],
)
def test_a_class_in_place_of_an_object_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UnfreezeError, match=said):
        Own(**given)


def test_a_metric_that_is_no_number_is_kept_as_none(tmp_path: Path) -> None:
    """Such as a correlation, which is 0/0 where all answers are equal."""
    row: dict[str, Any] = dict.fromkeys(
        ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"), 0.5
    )
    row |= {"epoch": 0, "stage": "head", "val_mcc": math.nan, "val_r2": -math.inf, "val_mae": 0.25}
    history, kept = History("val_loss", [row]), {"val_mcc": None, "val_r2": None, "val_mae": 0.25, "stage": "head"}
    folder = TrialFolder(tmp_path / "trial")
    folder.write_result(history, parameters=3, seconds=1.0, folds=[])
    assert kept.items() <= folder.result()["best"].items()
    assert math.isnan(folder.history()[0]["val_mcc"])
    model = keras.Sequential([keras.Input((2,)), layers.Dense(3, activation="softmax")])
    run = cast(Run, SimpleNamespace(path=tmp_path / "run", settings=replace(SETTINGS, calibrate=False)))
    save_model(run, model, SPEC, [row], HeldOut(np.full((3, 3), 1 / 3, np.float32), np.arange(3, dtype=np.int32)))
    assert kept.items() <= json.loads((run.path / "model.json").read_text())["best_epoch"].items()


def test_layers_of_a_head_stay_frozen(tiny: str) -> None:
    def head(features: Any, hp: Any) -> Any:
        return layers.Dense(4)(layers.Dense(4, trainable=False, name="fixed")(features))

    made, spec = head_of(Own(head=head), {}), replace(SPEC, unfreeze=1)
    whole = build_model(spec, head=made)
    for model in (whole, fresh_suffix(whole, spec, 0, made), fresh_suffix(whole, replace(spec, unfreeze=0), 0, made)):
        flags = {layer.name: layer.trainable for layer in head_layers(model)}
        assert flags == {"own_fixed": False, "own_dense_1": True, "probabilities": True}
    set_unfreeze(whole, spec, 0)
    assert [layer.trainable for layer in head_layers(whole)] == [False, True, True]
    assert {layer.name for layer in whole.layers if layer.trainable and layer.weights} == {
        "own_dense_1",
        "probabilities",
    }


PROGRAM = """
from functools import lru_cache, partial, wraps
from toolkit.own.function_digest import digest_of, function_digest
STEP = {step}
class Kept:
    def __init__(self):
        self.step, self.names = STEP, frozenset("abcdef")
KEPT = Kept()
def twice(function):
    @wraps(function)
    def both(x):
        return function(function(x, {twice}))
    return both
@twice
def helper(x, by=STEP):
    return x + by + KEPT.step + (x in {{"a", "b", "c"}})
def outer(power):
    def function(x):
        return helper(x) * power
    return function
told = outer({power})
print([function_digest(one) for one in (told, partial(told, 3), lru_cache(told))], digest_of(told))
"""


def test_a_digest_is_the_same_in_every_process_and_sees_what_changed(tmp_path: Path) -> None:
    def told(step: int, power: int, twice: int = 0, *, file: bool = True) -> str:
        path = tmp_path / "program.py"
        path.write_text(PROGRAM.format(step=step, power=power, twice=twice))
        command = [str(path)] if file else ["-c", path.read_text()]
        where = {"cwd": Path(__file__).parents[1], "env": {"PYTHONPATH": "."}}
        return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True, **where).stdout  # type: ignore[call-overload,no-any-return]

    first = told(1, 2)
    assert first == told(1, 2)
    assert first.endswith("source\n")
    assert len({first, told(2, 2), told(1, 3), told(1, 2, 7)}) == 4
    without = told(1, 2, file=False)
    assert without.endswith(("code\n", "source\n"))
    assert len({without, told(2, 2, file=False), told(1, 3, file=False)}) == 3


CHANGES = {  # what an `augment` may name; BY is another number in another version of the program
    "dataclass": """
from dataclasses import dataclass
@dataclass
class Config:
    degrees: int
CONFIG = Config(BY)
def augment(image, rng): return image + CONFIG.degrees
""",
    "state of an object": """
class Rotate:
    def __init__(self, by): self.by = by
    def __call__(self, image): return image
ROTATE = Rotate(BY)
def augment(image, rng): return ROTATE(image)
""",
    "slots": """
class Rotate:
    __slots__ = ("by",)
ROTATE = Rotate()
ROTATE.by = BY
def augment(image, rng): return image + ROTATE.by
""",
    "an object that holds functions": """
def turn(image): return image + BY
class Compose:
    def __init__(self, *all): self.all = all
ALL = Compose(turn)
def augment(image, rng): return ALL.all[0](image)
""",
    "another method of a callable object": """
class Augment:
    def __call__(self, image, rng): return self.turn(image)
    def turn(self, image): return image + BY
augment = Augment()
""",
    "another method behind a bound method": """
class Augment:
    def all(self, image, rng): return self.turn(image)
    @staticmethod
    def turn(image): return image + BY
augment = Augment().all
""",
    "a function in a partial": """
from functools import partial
def turn(image): return image + BY
def all_of(functions, image, rng): return functions[0](image)
augment = partial(all_of, [turn])
""",
    "a class that is called": """
class Noise:
    amount = BY
    @property
    def twice(self): return 2 * self.amount
def augment(image, rng): return image + Noise().twice
""",
    "a property": """
class Noise:
    @property
    def amount(self): return BY
def augment(image, rng): return image + Noise().amount
""",
    "range": "STEPS = range(BY)\ndef augment(image, rng): return image + max(STEPS)",
    "enum": """
from enum import Enum
class Way(Enum):
    LEFT = BY
WAY = Way.LEFT
def augment(image, rng): return image + WAY.value
""",
    "path": "from pathlib import Path\nHERE = Path('/BY')\ndef augment(image, rng): return HERE",
    "tensor": "import tensorflow as tf\nSTEP = tf.constant([BY])\ndef augment(image, rng): return image + STEP",
    "layer": "import keras\nLAYER = keras.layers.RandomRotation(BY / 10)\ndef augment(image, rng): return LAYER(image)",
    "in itself": "HELD = {'by': BY}\nHELD['self'] = [HELD]\ndef augment(image, rng): return HELD",
    "lambda": "augment = lambda image, rng: image + BY",
}


def programmed(folder: Path, text: str) -> Any:
    """The `augment` of a program, with its source in a file."""
    path = folder / f"program{len(list(folder.iterdir()))}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("program", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.augment


@pytest.mark.parametrize("kind", CHANGES)
def test_a_digest_sees_what_a_function_names(kind: str, tmp_path: Path) -> None:
    one, same, other = (programmed(tmp_path, CHANGES[kind].replace("BY", by)) for by in ("3", "3", "4"))
    assert function_digest(one) == function_digest(same)
    assert function_digest(one) != function_digest(other)


def test_a_lambda_is_told_without_the_rest_of_its_statement(tmp_path: Path) -> None:
    programs = [f"augment = (lambda image: image + 1, lambda image: image + {by})" for by in (2, 3)]
    (first, second), (other_first, other_second) = (programmed(tmp_path, text) for text in programs)
    assert function_digest(first) == function_digest(other_first)
    assert function_digest(second) != function_digest(other_second)
    assert digest_of(first) == "code"


def test_a_framework_is_not_in_a_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its classes, and their bases of TensorFlow, change with every version of it."""
    before = [class_digest(kind) for kind in (keras.losses.Loss, Whole, Mine)]
    monkeypatch.setattr(keras.losses.Loss, "added", lambda self: 3, raising=False)
    monkeypatch.setattr(tf.__internal__.tracking.AutoTrackable, "added", lambda self: 3, raising=False)
    assert [class_digest(kind) for kind in (keras.losses.Loss, Whole, Mine)] == before
    monkeypatch.setattr(Whole, "added", lambda self: 3, raising=False)
    assert class_digest(Whole) != before[1]


def test_a_loss_of_ones_own_class_is_told_by_its_config_and_its_code() -> None:
    def made(power: int, *, by: int = 1) -> Own:
        class Power(keras.losses.Loss):
            def call(self, y_true: Any, y_pred: Any) -> Any:
                return keras.ops.mean((y_true - y_pred) ** power, axis=-1)

            def get_config(self) -> dict[str, Any]:
                return super().get_config() | {"by": np.full(2, by), "object": SPEC}

        return Own(loss=Power())

    told = described(made(2))["loss"]
    assert told["name"].endswith("Power")
    assert told == described(made(2))["loss"]
    assert told["sha256"] not in (described(made(4))["loss"]["sha256"], described(made(2, by=2))["loss"]["sha256"])


def test_an_object_that_is_made_again_is_the_same_part() -> None:
    """Keras calls the second one "adam_1"."""
    made = [described(Own(optimizer=keras.optimizers.Adam(beta_1=beta))) for beta in (0.9, 0.9, 0.8)]
    assert made[0] == made[1] != made[2]


def test_what_a_digest_is_of() -> None:
    assert digest_of(test_what_a_digest_is_of) == "source"
    assert digest_of(len) == "name"
    assert function_digest(len) != function_digest(max)
    names: dict[str, Any] = {}
    exec("def f(x):\n    return x + 1", names)
    before, kind = function_digest(names["f"]), digest_of(names["f"])
    exec("def f(x):\n    return x + 2", names)
    assert kind == "code"
    assert function_digest(names["f"]) != before


def test_own_is_public_and_light() -> None:
    assert unfreeze.Own is Own
