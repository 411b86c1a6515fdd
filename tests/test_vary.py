"""A search over more than head size, dropout and depth: backbones, image sizes, augmentation, rates, batch sizes."""

from __future__ import annotations

import csv
import json
import math
import random
import shlex
from collections import Counter
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.test_backbone_file import plain
from tests.tiny import SETTINGS
from toolkit.errors import UnfreezeError
from toolkit.evaluation.evaluate_run import evaluate_run
from toolkit.models.applications import BACKBONES
from toolkit.models.backbones import deepest
from toolkit.models.choices import choices
from toolkit.run import Run, prepare
from toolkit.setting_words import as_typed, weights_digest
from toolkit.settings import DEPTHS, TRIALS, TRIALS_EACH, Settings
from toolkit.settings_rules import BASE, VARIED
from toolkit.training.model_file import load_model
from toolkit.training.recipe import usual_losses
from tuning.results import read_trials
from tuning.search import search
from tuning.search_space import all_points, base_of, bases, coordinates, draw, hyperparameters, point_count
from tuning.selection import Candidate, smallest
from unfreeze import option_records
from unfreeze.cli import cli
from unfreeze.pages.page import render_page
from unfreeze.pages.reproduce import commands
from unfreeze.pages.run_facts import read_run_facts
from unfreeze.tracking.mlflow import trial_runs, whole_run

VALUES: dict[str, tuple] = {
    "backbone": ("MobileNetV2:0.35", "MobileNetV2", "NASNetMobile=none", "EfficientNetB1"),
    "image_size": (64, 96, 160),
    "augment": ("none", "light", "strong"),
    "batch_size": (8, 16, 32),
    "head_rate": (1e-3, 1e-2),
    "tune_rate": (1e-5, 1e-4),
    "label_smoothing": (0.0, 0.1),
}
OPTIONS = {*(one.name for one in fields(Settings)), "backbones", "image_sizes"}
SOME = st.fixed_dictionaries(
    {}, optional={name: st.lists(st.sampled_from(values), min_size=1, unique=True) for name, values in VALUES.items()}
)


def small(vary: dict[str, Any]) -> Settings:
    return Settings(head_units=(0, 8), dropout=(0.1,), vary=vary)


@given(SOME)
def test_a_space_has_every_point_once(vary: dict[str, list]) -> None:
    settings = small(vary)
    space = hyperparameters(settings)
    names = [name for name in VARIED if len(vary.get(name, ())) > 1]
    wanted: Counter[tuple] = Counter()
    for values in product(*(vary[name] for name in names)):
        point = dict(zip(names, values, strict=True))
        text = point.get("backbone") or vary.get("backbone", ["MobileNetV2"])[0]
        deepest = BACKBONES[text.partition("=")[0].partition(":")[0]].deepest
        point |= {"backbone": text.partition("=")[0]} if "backbone" in point else {}
        for units, depth in product((0, 8), (depth for depth in DEPTHS if depth <= deepest)):
            wanted[(*point.values(), units, 0.1, depth)] += 1
    points = list(all_points(space))
    found = Counter(tuple(p[name] for name in (*names, "head_units", "dropout", "unfreeze")) for p in points)
    assert found == wanted
    assert point_count(space) == settings.point_count == len(points)
    assert len({tuple(coordinates(space, point)) for point in points}) == len(points)
    rng = random.Random(0)
    for base in bases(space):
        drawn = draw(space, rng, base)
        assert drawn in points
        assert base_of(drawn) == base


@given(SOME)
def test_settings_of_a_point_are_those_that_were_given_alone(vary: dict[str, list]) -> None:
    settings = small(vary)
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))).varied == settings.varied
    assert replace(settings, seed=7).vary == settings.vary
    for base in settings.bases:
        point = {name: values[-1] for name, values in settings.varied.items() if name not in BASE} | base
        made = settings.at(point)
        assert not made.vary
        for name, value in point.items():
            if name != "backbone":
                assert getattr(made, name) == value
        texts = {text.partition("=")[0]: text for text in vary.get("backbone", [])}
        if "backbone" in point:
            name, _, weights = texts[point["backbone"]].partition("=")
            name, _, alpha = name.partition(":")
            alone = replace(Settings(), backbone=name, alpha=float(alpha or 0), weights=weights)
            assert (made.backbone, made.alpha, made.weights) == (alone.backbone, alone.alpha, alone.weights)
            assert made.unfreeze == alone.unfreeze
            assert "image_size" in vary or made.image_size == alone.image_size


def test_what_follows_each_backbone_is_not_stored_as_the_firsts() -> None:
    vary = {"backbone": ("NASNetMobile=none", "EfficientNetB1=none")}
    followed = Settings(vary=vary)
    stored = Settings.from_json(json.loads(json.dumps(followed.to_json())))
    for label, size, depths in (("NASNetMobile", 224, (0, 1, 2)), ("EfficientNetB1", 240, DEPTHS)):
        for settings in (followed, stored, replace(followed, seed=3)):
            made = settings.at({"backbone": label})
            assert (made.image_size, made.unfreeze) == (size, depths)
    given = replace(followed, image_size=224, unfreeze=(0, 1, 2))
    assert given.at({"backbone": "EfficientNetB1"}).image_size == 224
    assert given.at({"backbone": "EfficientNetB1"}).unfreeze == (0, 1, 2)
    assert as_typed(given) != as_typed(followed)
    assert as_typed(stored) == as_typed(followed)


def test_runs_differ_by_weights_and_pixels_of_their_backbones(tmp_path: Path) -> None:
    def typed(*texts: str) -> tuple:
        settings = Settings(vary={"backbone": texts})
        return as_typed(settings), weights_digest(settings)

    for file in ("a.keras", "b.keras"):
        plain(32).save(tmp_path / file)
    own, again = str(tmp_path / "a.keras"), str(tmp_path / "b.keras")
    known = typed("VGG16=none", own)
    assert known == typed("VGG16=none", own + "=0..255")
    assert known != typed("VGG16", own)
    assert known != typed("VGG16=none", own + "=-1..1")
    assert typed("VGG16=none", "VGG19=none") != typed("VGG16=none", "VGG19=imagenet")
    assert typed("VGG16=none", own)[0]["backbones"] != typed("VGG16=none", again)[0]["backbones"]  # another name


def test_values_of_one_setting_are_of_one_type() -> None:
    settings = Settings(vary={"label_smoothing": (0, 0.1), "head_rate": (1, 0.1)}, dropout=(0, 0.5))
    space = hyperparameters(settings)
    assert {type(choice.values[0]) for choice in space.space if choice.name in ("dropout", "head_rate")} == {float}
    assert settings.varied == {"head_rate": (1.0, 0.1), "label_smoothing": (0.0, 0.1)}


def test_trials_follow_the_combinations() -> None:
    assert Settings(vary={"image_size": (96, 160)}).trials == TRIALS
    assert Settings(vary={"image_size": (64, 96, 160)}).trials == 3 * TRIALS_EACH
    assert Settings(vary={"image_size": (64, 96, 160)}, trials=4).trials == 4
    assert Settings(vary={"head_rate": (1e-3, 1e-2)}).trials == TRIALS


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"vary": 3}, "vary is 3; give a dict"),
        ({"vary": {"image_size": ()}}, r"vary\['image_size'\] is \(\); give values of one of backbone"),
        ({"vary": {"objective": ("val_f1",)}}, r"vary\['objective'\] is \('val_f1',\); give values of one of backbone"),
        ({"vary": {"head_rate": (0.1, -1)}}, "head_rate is -1; give a positive number"),
        ({"vary": {"augment": ("light", "heavy")}}, "augment is 'heavy'; give one of none, light, strong"),
        ({"vary": {"image_size": (8, 96)}}, "MobileNetV2 needs images of at least 32 px, got 8"),
        ({"vary": {"image_size": (64, 96)}, "image_size": 128}, "image_size is 128, and the search varies it"),
        ({"vary": {"backbone": ("MobileNetV2", "MobileNetV9")}}, "unknown backbone 'MobileNetV9': did you mean"),
        ({"vary": {"backbone": ("MobileNetV2:0.3", "VGG16")}}, "MobileNetV2 has alpha 0.35, 0.5"),
        ({"vary": {"backbone": ("MobileNetV2:x", "VGG16")}}, "has the width 'x'; write NAME:ALPHA"),
        ({"vary": {"backbone": ("VGG16=a", "VGG16=b")}}, "two of the backbones are called VGG16"),
        ({"vary": {"backbone": ("VGG16", "NASNetMobile")}, "unfreeze": (7,)}, "depth of NASNetMobile goes from 0 to 2"),
        ({"vary": {"image_size": (0, 96)}}, "image_size is 0; give numbers of pixels"),
        ({"vary": {"backbone": ("VGG16", "VGG19")}, "pixels": "0..1"}, "pixels is given, and none of the backbones"),
        ({"vary": {"backbone": ("VGG16=starter", "NASNetMobile")}}, "starter weights are those of MobileNetV2"),
        ({"vary": {"backbone": ("VGG16", "no.keras")}}, "no backbone at .*no.keras"),
    ],
)
def test_a_wrong_value_is_said_in_one_line(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UnfreezeError, match=said) as told:
        Settings(**settings)
    assert "\n" not in str(told.value)


def test_a_text_says_all_that_belongs_to_a_backbone(tmp_path: Path) -> None:
    (tmp_path / "own.keras").touch()
    texts = ("MobileNetV2", "MobileNetV2:0.5=w.h5", f"{tmp_path / 'own.keras'}=imagenet", "VGG16=none")
    found = choices(texts)
    assert [one.label for one in found] == ["MobileNetV2", "MobileNetV2:0.5", "own", "VGG16"]
    assert [one.weights for one in found] == ["imagenet", "w.h5", str(tmp_path / "own.keras"), "none"]
    assert [one.pixels for one in found] == ["0..255", "0..255", "imagenet", "0..255"]
    assert choices([one.text for one in found], alpha=1.3, weights="none", pixels="caffe") == found
    assert [one.typed for one in found] == ["MobileNetV2", "MobileNetV2:0.5=w.h5", "own.keras=imagenet", "VGG16=none"]
    odd = tmp_path / "exp=3"
    odd.mkdir()
    (odd / "own.keras").touch()
    assert choices([f"{odd / 'own.keras'}=127.5/127.5"])[0].pixels == "127.5/127.5"
    assert choices([f"VGG16={odd / 'own.h5'}"])[0].weights == str(odd / "own.h5")
    for ignored in ({"alpha": 0.5}, {"weights": "none"}):
        with pytest.raises(UnfreezeError, match="none of the backbones takes it"):
            choices([str(odd / "own.keras")], **ignored)  # type: ignore[arg-type]
    others = choices(("MobileNetV2", "MobileNetV2:0.5"), alpha=1.4, weights="none")
    assert [(one.alpha, one.weights) for one in others] == [(1.4, "none"), (0.5, "none")]
    assert choices(("MobileNetV2",), weights="starter")[0].alpha == 0.35


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_label_smoothing_spreads_a_share_of_the_label(smoothing: float) -> None:
    rng = np.random.default_rng(0)
    answers = rng.dirichlet(np.ones(4), 50).astype(np.float32)
    labels = rng.integers(0, 4, 50).astype(np.int32)
    told = np.eye(4)[labels] * (1 - smoothing) + smoothing / 4
    wanted = -(told * np.log(np.clip(answers.astype(float), 1e-7, 1))).sum(1)
    np.testing.assert_allclose(usual_losses(labels, answers, smoothing), wanted, rtol=1e-4)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone in a file, of fewer stages than Tiny has."""
    path = tmp_path_factory.mktemp("own") / "own.keras"
    keras.utils.set_random_seed(3)
    model = plain()
    keras.Model(model.inputs[0], model.layers[5].output).save(path)
    return path


@pytest.fixture(scope="module")
def varied(tiny: str, own: Path) -> Settings:
    vary = {
        "backbone": (f"{tiny}=none", str(own)),
        "image_size": (32, 40),
        "augment": ("none", "light"),
        "batch_size": (4, 8),
        "head_rate": (0.01, 0.02),
        "tune_rate": (1e-4, 1e-3),
        "label_smoothing": (0.0, 0.2),
    }
    given = replace(SETTINGS, backbone="MobileNetV2", image_size=0, weights="", batch_size=32, head_rate=1e-3)
    return replace(given, vary=vary, trials=16, unfreeze=(0, 1, 2))


@pytest.fixture(scope="module")
def ended(varied: Settings, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = prepare(pictures, tmp_path_factory.mktemp("varied") / "run", varied)
    search(run)
    return run


def curve(run: Run, trial: str) -> list[dict[str, str]]:
    with (run.path / "search" / f"trial_{trial}" / "history.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def test_every_base_has_its_turn(ended: Run) -> None:
    tried = Counter(tuple(base_of(trial.varied).items()) for trial in read_trials(ended.path / "trials.csv"))
    assert len(tried) == 8
    assert set(tried.values()) == {2}


def test_a_trial_is_the_search_of_its_point_alone(ended: Run, pictures: Path, tmp_path: Path) -> None:
    trials = read_trials(ended.path / "trials.csv")
    assert len({tuple(trial.values.items()) for trial in trials}) == len(trials) == 16
    for trial in trials[::3]:
        alone = prepare(pictures, tmp_path / trial.trial, ended.settings.at(trial.values))
        found = search(alone)
        assert curve(alone, found.taken) == curve(ended, trial.trial), trial.values
        assert found.trials[0].parameters == trial.parameters


def test_the_model_is_that_of_the_trial_that_was_taken(ended: Run) -> None:
    told = json.loads((ended.path / "model.json").read_text())
    trials = {trial.trial: trial for trial in read_trials(ended.path / "trials.csv")}
    taken = trials[told["search"]["taken"]]
    assert (told["spec"]["image_size"], told["spec"]["unfreeze"]) == (taken.varied["image_size"], taken.unfreeze)
    assert Path(told["spec"]["backbone"]).stem == taken.varied["backbone"]
    assert taken.val_loss == min(trial.val_loss for trial in trials.values() if trial.val_loss is not None)


def test_a_second_search_runs_no_pass(
    ended: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = replace(ended.settings, cache_dir=str(ended.cache), trials=24, oracle="halving")
    monkeypatch.setattr("tuning.activations.cache.run_pass", lambda *_: pytest.fail("a pass"))
    again = prepare(pictures, tmp_path / "again", shared)
    found = search(again)
    assert len(found.trials) > 24
    assert len({tuple(trial.values.items()) for trial in read_trials(again.path / "trials.csv")}) == 24
    alone = prepare(pictures, tmp_path / "alone", shared.at(found.trial(found.taken).values))
    search(alone)
    for one, other in zip(load_model(again).get_weights(), load_model(alone).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_search_goes_on_with_the_same_and_refuses_others(
    varied: Settings, ended: Run, pictures: Path, own: Path, tmp_path: Path
) -> None:
    before = [curve(ended, trial.trial) for trial in read_trials(ended.path / "trials.csv")]
    more = replace(varied, trials=18)
    assert len(search(prepare(pictures, ended.path, more)).trials) == 18
    assert [curve(ended, trial.trial) for trial in read_trials(ended.path / "trials.csv")][:16] == before
    moved = tmp_path / own.name
    moved.write_bytes(own.read_bytes())
    texts = (f"{varied.varied['backbone'][0]}=none", str(moved))
    prepare(pictures, ended.path, replace(more, vary=dict(varied.vary) | {"backbone": texts}))
    for name, values, said in [
        ("head_rate", (0.01, 0.03), "--head-rate is 0.01,0.02 there, 0.01,0.03 here"),
        ("augment", ("none",), "--augment is none,light there, none here"),
        ("backbone", texts[:1], "--backbone"),
    ]:
        with pytest.raises(UnfreezeError, match=said):
            prepare(pictures, ended.path, replace(more, vary=dict(varied.vary) | {name: values}))
    keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3)]).save(moved)
    with pytest.raises(UnfreezeError, match="content of the weights file"):
        prepare(pictures, ended.path, replace(more, vary=dict(varied.vary) | {"backbone": texts}))


def test_the_command_in_the_report_varies_the_same(ended: Run, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate_run(ended)
    facts = read_run_facts(ended)
    line = commands(facts)[0]
    assert str(own.parent) not in line
    monkeypatch.chdir(own.parent)
    _, command, *arguments = shlex.split(line)
    values = cli.commands[command].make_context(command, arguments).params  # type: ignore[attr-defined]
    made = option_records.settings({name: value for name, value in values.items() if name in OPTIONS})
    assert made == replace(ended.settings, folds=made.folds)
    page = render_page(facts)
    for trial in facts.trials:
        row = [str(trial.number), *map(str, trial.varied.values()), str(trial.head_units)]
        assert "".join(f'<td class="r">{value}</td>' for value in row) in page
    assert "of backbone, image size, augmentation, batch size, head rate, tuning rate, label smoothing, head" in page


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            ["--backbone", "VGG16", "--backbones", "VGG16,VGG19"],
            "--backbones names what is tried; leave --backbone out",
        ),
        (
            ["--image-size", "96", "--image-sizes", "96,128"],
            "--image-sizes names what is tried; leave --image-size out",
        ),
        (["--image-sizes", "96,x"], "Invalid value for '--image-sizes': 'x' is not a valid integer"),
        (["--image-sizes", ","], "Invalid value for '--image-sizes': it is empty"),
        (["--augment", "light,lihgt"], "Did you mean light?"),
        (["--head-rate", "0.1,0"], "--head-rate is 0.0; give a positive number"),
        (["--backbones", "VGG16=no.h5,VGG19"], "no weights file at no.h5"),
        (["--backbones", "VGG16,no.keras"], "no backbone at"),
    ],
)
def test_wrong_options_are_one_line(typed: list[str], said: str, pictures: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["tune", str(pictures), str(tmp_path / "run"), *typed])
    assert isinstance(result.exception, UnfreezeError) or result.exit_code == 2
    assert said in f"{result.output}{result.exception}"
    assert not (tmp_path / "run").exists()


def test_a_single_training_takes_one_value_of_each(pictures: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["train", str(pictures), str(tmp_path / "run"), "--head-rate", "0.1,0.2"])
    assert "train makes one model and the settings name 2; give one value each" in str(result.exception)


def test_mlflow_is_told_what_was_taken(ended: Run) -> None:
    told, trials = whole_run(ended.path).params, read_trials(ended.path / "trials.csv")
    taken = json.loads((ended.path / "model.json").read_text())["search"]["taken"]
    values = next(trial.values for trial in trials if trial.trial == taken)
    assert {name: told[f"model/{name}"] for name in values} == {name: str(value) for name, value in values.items()}
    assert told["image_size"] == "32, 40"
    assert told["backbone"] == "Tiny, own"
    assert not {"alpha", "weights", "pixels"} & told.keys()
    assert all(logged.params.keys() >= values.keys() for logged in trial_runs(ended.path))


def test_a_grid_tries_the_combinations_in_turn(tiny: str, pictures: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, image_size=0, vary={"image_size": (32, 40)}, oracle="grid", trials=4, tune_epochs=0)
    trials = search(prepare(pictures, tmp_path / "run", settings)).trials
    assert [trial.varied["image_size"] for trial in trials] == [32, 40, 32, 40]


def test_a_fault_of_a_later_backbone_shows_before_the_first_trial(
    tiny: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w.h5").write_bytes(b"no weights")
    vary = {"backbone": (f"{tiny}=none", f"MobileNetV2:0.35={tmp_path / 'w.h5'}"), "image_size": (32, 40)}
    given = replace(SETTINGS, backbone="MobileNetV2", weights="", image_size=0, unfreeze=(0, 1))
    run = prepare(pictures, tmp_path / "run", replace(given, vary=vary))
    with pytest.raises(UnfreezeError, match=r"w\.h5"):
        search(run)
    assert not list((run.path / "search").glob("trial_*"))


def test_of_equal_models_that_of_smaller_images_is_the_smallest() -> None:
    answers = np.eye(2, dtype=np.float32)
    made = [Candidate(str(size), 0.0, 10, depth, answers, size) for size, depth in ((224, 0), (96, 4), (96, 1))]
    assert smallest(made) is made[2]


def test_heads_are_shared_by_trials_that_differ_behind_them(tiny: str, pictures: Path, tmp_path: Path) -> None:
    vary = {"tune_rate": (1e-4, 1e-3), "head_rate": (0.01, 0.02), "image_size": (32, 40)}
    settings = replace(
        SETTINGS, image_size=0, head_rate=1e-3, vary=vary, oracle="grid", trials=99, head_units=0, dropout=0, unfreeze=1
    )
    run = prepare(pictures, tmp_path / "run", settings)
    assert len(search(run).trials) == 8
    assert len(list((run.path / "search" / "heads").iterdir())) == 4


def test_a_diverged_or_failed_trial_keeps_its_point(tiny: str, pictures: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, head_rate=1e-3, vary={"head_rate": (1e-2, 1e30)}, oracle="grid", trials=99, unfreeze=0)
    run = prepare(pictures, tmp_path / "run", settings)
    result = search(run)
    assert {trial.varied["head_rate"] for trial in result.trials} == {1e-2, 1e30}
    assert result.trial(result.taken).varied["head_rate"] == 1e-2
    assert [trial.varied for trial in read_trials(run.path / "trials.csv")] == [trial.varied for trial in result.trials]
    assert all(math.isfinite(trial.val_loss) for trial in result.trials if trial.val_loss is not None)


@pytest.mark.parametrize("oracle", ["bayesian", "hyperband", "halving"])
def test_depths_follow_the_backbone_in_every_search(
    oracle: str, varied: Settings, own: Path, pictures: Path, tmp_path: Path
) -> None:
    assert deepest(str(own)) == 1 < deepest("Tiny")
    vary = {"backbone": varied.vary["backbone"], "image_size": (32, 40)}
    given = replace(varied, batch_size=8, head_rate=0.01, tune_rate=1e-4, label_smoothing=0.0, augment="light")
    settings = replace(given, vary=vary, unfreeze=(0, 1, 2, 3), oracle=oracle, head_epochs=2, tune_epochs=3, trials=8)
    trials = search(prepare(pictures, tmp_path / "run", settings)).trials
    assert {trial.status for trial in trials} == {"COMPLETED"}
    assert {trial.varied["backbone"] for trial in trials} == {"own", "Tiny"}
    assert all(trial.unfreeze in (0, 1) for trial in trials if trial.varied["backbone"] == "own")
