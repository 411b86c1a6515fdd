"""Folds: how they are drawn, models that take turns, and a search that is judged out of fold."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.stats import binom
from sklearn.model_selection import StratifiedKFold

from export.quantise.calibration import Judged, all_alike, as_unseen
from export.quantise.first_that_holds import _weighted_pair
from tests.test_split import folder, shuffled
from tests.tiny import SETTINGS
from toolkit.chosen_folds import CHOSEN
from toolkit.data.folds import draw_folds
from toolkit.data.settings import POOLED, DataSettings
from toolkit.data.together import together
from toolkit.errors import UnfreezeError
from toolkit.progress import Listener
from toolkit.run import Run, load_run, prepare
from toolkit.settings import Settings
from toolkit.stats.accuracy_lost import PairedAnswers
from toolkit.stats.scores import SCORES
from toolkit.storage.files import read_json
from toolkit.training.answers import inference_function, predict_source, probabilities
from toolkit.training.batches import Source, load_part
from toolkit.training.fit import fit
from toolkit.training.folds import Turns, as_folds, judged_labels
from toolkit.training.history import read_history
from toolkit.training.model_file import load_model
from toolkit.training.staged_training import begin_stage
from tuning.retrain import best_epochs
from tuning.search import search
from tuning.trial_files import MEAN_ANSWERS, trial_folder


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("seed", range(6))
def test_each_class_is_spread_over_the_folds_as_scikit_learn_does(seed: int, count: int) -> None:
    data = folder([23, 40, 5], seed=seed, parts=POOLED)
    drawn = draw_folds(data, count, DataSettings(seed=seed))
    splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
    for label in range(3):
        own = np.bincount(drawn[data.labels == label], minlength=count)
        theirs = [int((data.labels[rows] == label).sum()) for _, rows in splitter.split(data.labels, data.labels)]
        assert sorted(own) == sorted(theirs)


@pytest.mark.parametrize("seed", range(6))
def test_what_must_stay_together_is_in_one_fold(seed: int) -> None:
    data = folder([60, 80], seed=seed, copies=0.3, parts=POOLED)
    rng = np.random.default_rng(seed)
    data = replace(data, groups=tuple(f"patient {n}" for n in rng.integers(0, 40, len(data))))
    drawn = draw_folds(data, 4, DataSettings(seed=seed))
    sets = together(data)
    assert all(len({*drawn[sets == one]}) == 1 for one in {*sets})
    assert all(len({*drawn[data.labels == label]}) == 4 for label in range(2))


def test_the_draw_depends_on_content_and_seed_alone() -> None:
    data = folder([30, 30], parts=POOLED)
    other = shuffled(data, 1)
    fold = dict(zip(data.digests, draw_folds(data, 5, DataSettings(seed=3)).tolist(), strict=True))
    assert [fold[digest] for digest in other.digests] == draw_folds(other, 5, DataSettings(seed=3)).tolist()
    assert draw_folds(data, 5, DataSettings(seed=3)).tolist() != draw_folds(data, 5, DataSettings(seed=4)).tolist()


def test_a_class_with_too_few_images_is_named() -> None:
    with pytest.raises(UnfreezeError, match=r"--folds 5: class class1 has 3 images.*give --folds 3"):
        draw_folds(folder([30, 3], parts=POOLED), 5)
    with pytest.raises(UnfreezeError, match=r"has 1 image.*add images"):
        draw_folds(folder([30, 1], parts=POOLED), 2)


def features(seed: int, count: int = 60) -> Source:
    """Random features and random labels, which a model can learn by heart and not otherwise."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((count, 40)).astype(np.float32)
    return Source(rng.integers(0, 2, count).astype(np.int32), lambda epoch, rows: values[rows] + 0.01 * epoch)


def network(units: int = 8) -> keras.Model:
    keras.utils.set_random_seed(1)
    entry = keras.Input((40,))
    x = keras.layers.Dropout(0.3)(keras.layers.Dense(units, activation="relu")(entry))
    return keras.Model(entry, keras.layers.Dense(2, activation="softmax")(x))


HEAD = Settings(weights="none", batch_size=8, head_epochs=4, tune_epochs=4)


def trained(folds: list, settings: Settings, epochs: range = range(3)) -> Turns:
    turns = Turns(network(), len(folds))
    for stage, part in (("head", epochs), ("tune", range(4, 6))):
        for number in range(len(folds)):
            with turns.turn(number):
                optimizer = begin_stage(turns.model, settings, stage, part, 40)
        fit(turns.model, optimizer, folds, settings, epochs=part, callbacks=[], turns=turns)
    return turns


def test_models_that_take_turns_are_those_that_are_trained_alone() -> None:
    source, numbers = features(0), np.arange(60) % 3
    folds = as_folds(source, source, numbers)
    together_ = trained(folds, HEAD)
    for number, fold in enumerate(folds):
        alone = trained([replace(fold, rows=np.arange(len(fold.rows)))], HEAD)
        for one, other in zip(together_.get_weights()[number], alone.get_weights()[0], strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(together_.model.answers[fold.rows], alone.model.answers)
    assert len({weights[0].tobytes() for weights in together_.get_weights()}) == 3


def test_the_folds_cover_all_images_once() -> None:
    source, numbers = features(1), np.random.default_rng(0).integers(0, 4, 60)
    folds = as_folds(source, source, numbers)
    assert sorted(np.concatenate([fold.rows for fold in folds])) == list(range(60))
    np.testing.assert_array_equal(judged_labels(folds), source.labels)
    for fold in folds:
        seen = fold.train.inputs(0, np.arange(len(fold.train.labels)))
        judged = fold.val.inputs(0, np.arange(len(fold.rows)))
        assert not {row.tobytes() for row in seen} & {row.tobytes() for row in judged}
        np.testing.assert_array_equal(judged, source.inputs(0, fold.rows))


def test_what_is_learnt_by_heart_does_not_count() -> None:
    """Labels are random: the models know those that they were trained on, and guess the others."""
    source, numbers = features(2, 200), np.arange(200) % 4
    folds, settings = as_folds(source, source, numbers), replace(HEAD, head_rate=0.02, batch_size=16)
    turns = Turns(network(128), 4)
    for number in range(4):
        with turns.turn(number):
            optimizer = begin_stage(turns.model, settings, "head", range(4), 150)
    fit(turns.model, optimizer, folds, settings, epochs=range(30), callbacks=[], turns=turns)
    right = int((turns.model.answers.argmax(axis=1) == source.labels).sum())
    low, high = binom.interval(0.999, 200, 0.5)
    assert low <= right <= high
    for number, fold in enumerate(folds):
        with turns.turn(number):
            known = predict_source(inference_function(turns.model), fold.train)
        assert (known.argmax(axis=1) == fold.train.labels).mean() > 0.9


def test_the_mean_of_the_weights() -> None:
    turns = trained(as_folds(features(0), features(0), np.arange(60) % 3), HEAD)
    weights = turns.get_weights()
    turns.average()
    for n, mean in enumerate(turns.model.get_weights()):
        np.testing.assert_allclose(mean, np.mean([own[n] for own in weights], axis=0), rtol=1e-6, atol=1e-7)
    for one, other in zip(weights, turns.get_weights(), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_epochs_of_a_retrained_model() -> None:
    losses = [0.9, 0.7, 0.8, 0.6, 0.5, 0.55]  # three of the head, three of fine-tuning
    same = dict.fromkeys(("loss", "accuracy", "val_accuracy"), 0.5)
    rows = [same | {"epoch": n, "val_loss": loss} for n, loss in enumerate(losses)]
    assert best_epochs(range(3), rows, "val_loss") == range(2)
    assert best_epochs(range(3, 6), rows, "val_loss") == range(3, 5)
    worse = [row | {"val_loss": row["val_loss"] + (row["epoch"] > 2)} for row in rows]
    assert not best_epochs(range(3, 6), worse, "val_loss")


FOLDED = {"folds": 3, "oracle": "halving", "trials": 4, "tune_epochs": 3}


@pytest.fixture(scope="module")
def folded(pictures: Path, tmp_path_factory: pytest.TempPathFactory, tiny: str) -> Run:
    run = prepare(pictures, tmp_path_factory.mktemp("folds") / "run", replace(SETTINGS, **FOLDED))
    search(run)
    return run


def taken(run: Run) -> str:
    return str(read_json(run.path / "model.json")["search"]["taken"])


def test_a_search_is_judged_on_all_images_that_are_no_test(folded: Run) -> None:
    pool = folded.images.select("train", "val")
    settings = folded.settings
    numbers = draw_folds(folded.images, 3, settings)
    with (folded.path / "trials.csv").open(newline="") as file:
        trials = list(csv.DictReader(file))
    assert any(trial["parent"] for trial in trials)
    for trial in trials:
        answers = trial_folder(folded, trial["trial"]).answers()
        assert answers.shape == (len(pool), 2)
        assert SCORES["val_loss"].of(answers, pool.labels, True) == pytest.approx(float(trial["val_loss"]), rel=1e-5)
        losses = [SCORES["val_loss"].of(answers[numbers == n], pool.labels[numbers == n], True) for n in range(3)]
        assert np.std(losses, ddof=1) == pytest.approx(float(trial["fold_spread"]), rel=1e-5)


def test_the_model_has_the_mean_of_the_weights(folded: Run) -> None:
    part = load_part(folded, "train", "val")
    mean = trial_folder(folded, taken(folded)).checkpoint_answers()
    np.testing.assert_allclose(probabilities(load_model(folded), part.images), mean, atol=1e-3)
    assert read_json(folded.path / "model.json")["search"]["final"] == "average"


def again(run: Run, folder: Path, **changed: object) -> Run:
    path = Path(shutil.copytree(run.path, folder / "again"))
    return Run(path, run.images, replace(run.settings, **changed))  # type: ignore[arg-type]


def test_a_model_that_is_retrained_on_all_images(folded: Run, tmp_path: Path) -> None:
    run = again(folded, tmp_path, final="retrained")
    search(run)
    part = load_part(run, "train", "val")
    answers = probabilities(load_model(run), part.images)
    assert np.abs(answers - probabilities(load_model(folded), part.images)).max() > 1e-3
    assert read_json(run.path / "model.json")["search"]["final"] == "retrained"
    stamp = (run.path / "model.keras").stat().st_mtime_ns
    search(run)
    assert (run.path / "model.keras").stat().st_mtime_ns == stamp


def test_a_mean_that_does_not_work_is_not_taken(folded: Run, tmp_path: Path) -> None:
    """The mean of the weights answers worse, on the images it was trained on, than the models on unseen ones."""
    run = again(folded, tmp_path)
    (run.path / "model.json").unlink()
    folder = trial_folder(run, taken(folded))
    wrong = np.where(np.eye(2)[run.images.select("train", "val").labels] > 0, 0.01, 0.99).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tuning.save_taken.PROBABILITY_TOLERANCE", {"float16": 2.0, "float32": 2.0})
        np.save(folder.path / MEAN_ANSWERS, wrong)
        search(run)
    assert read_json(run.path / "model.json")["search"]["final"] == "retrained"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("folds.npz", lambda content: content[:-30]),
        ("folds.npz", lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:]),
        (MEAN_ANSWERS, lambda content: content[:-30]),
    ],
)
def test_a_damaged_file_of_the_folds_is_made_again(
    folded: Run, tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    run = again(folded, tmp_path)
    before = trial_folder(run, taken(run)).checkpoint_answers()
    path = trial_folder(run, taken(run)).path / name
    path.write_bytes(damage(path.read_bytes()))
    assert not trial_folder(run, taken(run)).is_whole()
    search(run)
    np.testing.assert_array_equal(trial_folder(run, taken(run)).checkpoint_answers(), before)


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(folded: Run, pictures: Path, tmp_path: Path) -> None:
    run = prepare(pictures, tmp_path / "run", replace(SETTINGS, **FOLDED))
    ended: list[int] = []

    def stop(trials: list) -> None:
        ended.append(len(trials))
        if len(trials) == 5:  # a promoted trial follows
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(run, Listener(on_trials=stop))
    search(run)
    assert taken(run) == taken(folded)
    for one in (run.path / "search").glob("trial_*/val_probabilities.npy"):
        np.testing.assert_array_equal(np.load(one), np.load(folded.path / "search" / one.parent.name / one.name))
    assert [row["val_loss"] for row in read_history(run.path / "history.csv")] == [
        row["val_loss"] for row in read_history(folded.path / "history.csv")
    ]


def test_on_images_the_folds_are_those_on_activations(folded: Run, pictures: Path, tmp_path: Path) -> None:
    point = {"dropout": (0.0,), "unfreeze": (1,), "head_units": (4,)}
    settings = replace(SETTINGS, **FOLDED | point | {"cache": False, "oracle": "random", "trials": 1})
    whole = prepare(pictures, tmp_path / "whole", settings)
    search(whole)
    shared = prepare(pictures, tmp_path / "shared", replace(settings, cache=True, cache_dtype="float32"))
    search(shared)
    one, other = (trial_folder(run, "0000").answers() for run in (whole, shared))
    np.testing.assert_allclose(one, other, atol=2e-3)


def test_folds_and_a_refit_exclude_each_other() -> None:
    with pytest.raises(UnfreezeError, match=r"--refit needs validation images.*--folds"):
        Settings(weights="none", folds=5, refit=2)


def test_a_run_with_folds_is_exported_and_reported(folded: Run, tmp_path: Path) -> None:
    """Its proof rests on test images alone, because the model was trained on the others."""
    from export.artefacts import read_reference
    from export.proof.verify import verify
    from export.settings import ExportSettings
    from export.write import export
    from unfreeze.pages.write_report import write_report

    run = again(folded, tmp_path)
    manifest = export(run, ExportSettings(formats=("tflite",), precisions=("float32", "int8"), calibration=12))
    assert set(read_reference(manifest).paths) == set(run.images.select("test").paths)
    assert {part.part for parity in verify(run) for part in parity.evidence} == {"test"}
    write_report(run)
    page = (run.path / "report.html").read_text()
    pool = len(run.images.select("train", "val"))
    assert f"Judged out of fold on all {pool} training and validation images, in 3 folds" in page
    assert "mean of the weights of the 3 folds" in page
    assert "to train and choose on, in folds" in (run.path / "report.md").read_text()


def test_a_validation_part_of_the_data_is_said_to_be_trained_on(pictures: Path, tmp_path: Path, tiny: str) -> None:
    for part in ("train", "val"):
        for path in sorted(pictures.glob("*/*")):
            (tmp_path / "data" / part / path.parent.name).mkdir(parents=True, exist_ok=True)
            if (part == "val") == (int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % 3 == 0):
                shutil.copy(path, tmp_path / "data" / part / path.parent.name)
    run = prepare(tmp_path / "data", tmp_path / "run", replace(SETTINGS, folds=2))
    assert any("--folds the validation part of DATA is trained on" in notice for notice in run.images.notices)
    assert not prepare(tmp_path / "data", tmp_path / "other", SETTINGS).images.notices


def test_too_few_images_for_the_folds_write_nothing(pictures: Path, tmp_path: Path, tiny: str) -> None:
    with pytest.raises(UnfreezeError, match=r"--folds 1000: class .*give --folds"):
        prepare(pictures, tmp_path / "run", replace(SETTINGS, folds=1000))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("sharpness", [8, 20])
@pytest.mark.parametrize("seed", range(5))
def test_images_that_stand_for_unseen_ones_flip_as_often(seed: int, sharpness: float) -> None:
    """A model that knows its training images by heart, rounded with noise: on them it flips far more rarely than on
    others; on those of them that stand for the others, as often, as far as so few images can tell."""
    rng = np.random.default_rng(seed)

    def logits_of(sharpness: float, count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, 3, count).astype(np.int32)
        logits = rng.normal(0, 1, (count, 3)) + sharpness * rng.gamma(1.5, 1.0, (count, 1)) * np.eye(3)[labels]
        return logits, labels

    def soft(logits: np.ndarray) -> np.ndarray:
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)

    def flips(logits: np.ndarray) -> np.ndarray:
        return (logits + rng.normal(0, 0.15, logits.shape)).argmax(1) != logits.argmax(1)

    (known, _), (new, labels) = logits_of(sharpness, 1400), logits_of(2.5, 1400)
    truth = np.mean([flips(new).mean() for _ in range(50)])
    assert np.mean([flips(known).mean() for _ in range(50)]) < truth / 2
    judged = as_unseen(soft(known), soft(new), labels)
    assert len(judged.rows) <= 1400
    assert judged.weights.sum() == 1400
    assert len({*zip(judged.rows.tolist(), (judged.labels < 0).tolist(), strict=True)}) == len(judged.rows)
    estimates = [np.average(flips(known[judged.rows]), weights=judged.weights) for _ in range(50)]
    error = 3 * np.sqrt(truth / judged.effective) + truth / 3
    assert np.mean(estimates) == pytest.approx(truth, abs=error)
    spread = np.std(estimates)  # of what the noise does on so few images: not that of 1,400
    assert spread < 2 * np.sqrt(truth / judged.effective)
    assert judged.weights[judged.labels < 0].sum() == (new.argmax(1) != labels).sum()
    right = judged.labels >= 0
    np.testing.assert_array_equal(judged.labels[right], known[judged.rows][right].argmax(1))


def test_one_image_that_stands_for_many_does_not_decide() -> None:
    """It is lost, and stands for 88 of 1,000: that is not shown as 88 lost images."""
    judged = Judged(np.arange(913), np.zeros(913, np.int32), np.r_[88.0, np.ones(912)])
    after = np.ones(913, bool)
    after[0] = False
    pair = _weighted_pair(np.ones(913, bool), after, judged)
    assert pair.images == round(judged.effective) < 150
    assert pair.loss == pytest.approx(0.088, abs=1 / pair.images)
    assert pair.verdict(0.005) == "undecided" or pair.lost_at_most > 0.088
    alike = all_alike(np.arange(913), np.zeros(913, np.int32))
    assert _weighted_pair(np.ones(913, bool), after, alike) == PairedAnswers(913, 1, 0)


@pytest.mark.parametrize(
    ("counts", "given", "wanted"),
    [
        ((250, 250), {}, 5),
        ((251, 250), {}, 1),
        ((40, 5), {}, 5),
        ((40, 4), {}, 1),  # a class that is not in each of five folds
        ((40, 40), {"folds": 1}, 1),
        ((40, 40), {"folds": 3}, 3),
        ((40, 40), {"refit": 2}, 1),
    ],
)
def test_few_images_are_judged_in_folds(counts: tuple, given: dict, wanted: int, tmp_path: Path) -> None:
    """Where DATA has a validation part, that one judges; a run that goes on keeps what it has."""
    data = write_counted(tmp_path / "data", counts)
    run = prepare(data, tmp_path / "run", Settings(weights="none", near_duplicates="off", **given))
    assert run.settings.folds == wanted
    assert (CHOSEN in run.images.notices) == (wanted == 5)
    assert load_run(tmp_path / "run").settings.folds == wanted


def write_counted(folder: Path, counts: tuple[int, ...]) -> Path:
    """So many training images of each class, of one colour each, and a test part."""
    for label, count in enumerate(counts):
        for number in range(count + 2):
            path = folder / ("train" if number < count else "test") / f"c{label}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number % 256, number // 256, 100 * label)).save(path)
    return folder


def test_a_validation_part_that_data_has_stays_one(tmp_path: Path) -> None:
    data = write_counted(tmp_path / "data", (20, 20))
    (data / "test").rename(data / "val")
    shutil.copytree(data / "val", data / "test")
    for file in (data / "test").glob("*/*.png"):
        Image.new("RGB", (8, 8), (200, 200, int(file.stem))).save(file)
    settings = Settings(weights="none", near_duplicates="off")
    assert prepare(data, tmp_path / "run", settings).settings.folds == 1


def test_a_search_that_goes_on_keeps_its_folds(tmp_path: Path) -> None:
    data = write_counted(tmp_path / "data", (20, 20))
    settings = Settings(weights="none", near_duplicates="off")
    first = prepare(data, tmp_path / "run", settings)
    (tmp_path / "run" / "search").mkdir()
    again = prepare(data, tmp_path / "run", settings)
    assert (again.settings, again.images.notices) == (first.settings, first.images.notices)
    assert CHOSEN in again.images.notices
    with pytest.raises(UnfreezeError, match="folds"):
        prepare(data, tmp_path / "run", replace(settings, folds=1))
    stored = json.loads((tmp_path / "run" / "run.json").read_text())
    del stored["settings"]["folds"]  # of a version that knew no folds
    (tmp_path / "run" / "run.json").write_text(json.dumps(stored))
    assert prepare(data, tmp_path / "run", settings).settings.folds == 1
