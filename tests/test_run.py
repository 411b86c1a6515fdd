from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pictures import encode, write_pictures
from toolkit.data.settings import DataSettings
from toolkit.errors import UnfreezeError
from toolkit.progress import Listener
from toolkit.run import load_run, prepare
from toolkit.settings import Settings
from toolkit.storage.files import atomic, read_json, write_json
from unfreeze import api
from unfreeze.screen.tables import warnings

SETTINGS = Settings(weights="none", folds=1)


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_json(file, {"old": 1})

    def half() -> None:
        with atomic(file) as temporary:
            temporary.write_text("{half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert read_json(file) == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    for content in ("first", "second"):
        with atomic(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["second"]


def test_a_run_is_read_back_as_it_was(pictures: Path, tmp_path: Path) -> None:
    made = prepare(pictures, tmp_path / "run", SETTINGS)
    read = load_run(tmp_path / "run")
    assert read.settings == made.settings
    assert read.images.fingerprint() == made.images.fingerprint()
    assert read.images.root == pictures.resolve()
    assert {part: len(read.images.select(part)) for part in ("train", "val", "test")} == {
        "train": 26,
        "val": 6,
        "test": 8,
    }


def test_what_was_decided_about_the_data_is_kept_and_told(tmp_path: Path) -> None:
    write_pictures(tmp_path / "data" / "nested", per_class=4, size=16)
    made = prepare(tmp_path / "data", tmp_path / "run", SETTINGS)
    assert made.images.notices == ("the classes are looked for in nested",)
    assert load_run(tmp_path / "run").images.notices == made.images.notices
    assert next(warnings(made.images)) == "the classes are looked for in nested"


def test_a_run_json_of_an_older_version_has_no_notices(pictures: Path, tmp_path: Path) -> None:
    made = prepare(pictures, tmp_path / "run", SETTINGS)
    stored = read_json(tmp_path / "run" / "run.json")
    del stored["data"]["notices"]
    write_json(tmp_path / "run" / "run.json", stored)
    assert load_run(tmp_path / "run").images.fingerprint() == made.images.fingerprint()
    assert load_run(tmp_path / "run").images.notices == ()


def begun(data: Path, folder: Path, settings: Settings = SETTINGS) -> None:
    """A run in which something was trained."""
    prepare(data, folder, settings)
    (folder / "search").mkdir()


def test_a_run_in_which_nothing_was_trained_may_be_another(pictures: Path, tmp_path: Path) -> None:
    prepare(pictures, tmp_path / "run", SETTINGS)
    prepare(pictures, tmp_path / "run", replace(SETTINGS, image_size=96))
    assert load_run(tmp_path / "run").settings.image_size == 96


def test_the_same_data_and_settings_go_on(pictures: Path, tmp_path: Path) -> None:
    begun(pictures, tmp_path / "run")
    prepare(pictures, tmp_path / "run", replace(SETTINGS, trials=99, pick="smallest"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_size": 96}, "--image-size is 160 there, 96 here"),
        ({"seed": 1}, "--seed is 0 there, 1 here"),
        ({"unfreeze": (1,)}, "--unfreeze is 0,1,2,4 there, 1 here"),
        ({"objective": "val_accuracy"}, "objective is val_loss there"),
    ],
)
def test_other_settings_are_refused(changes: dict, said: str, pictures: Path, tmp_path: Path) -> None:
    begun(pictures, tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(UnfreezeError, match=said):
        prepare(pictures, tmp_path / "run", replace(SETTINGS, **changes))
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_numbers_that_are_equal_in_six_digits_are_told_apart(pictures: Path, tmp_path: Path) -> None:
    begun(pictures, tmp_path / "run", replace(SETTINGS, dropout=(0.3333333, 0.5)))
    with pytest.raises(UnfreezeError, match=r"--dropout is 0\.3333333,0\.5 there, 0\.333333,0\.5 here"):
        prepare(pictures, tmp_path / "run", replace(SETTINGS, dropout=(0.333333, 0.5)))


def test_other_data_are_refused(pictures: Path, tmp_path: Path) -> None:
    begun(pictures, tmp_path / "run")
    other = write_pictures(tmp_path / "other", per_class=20, seed=1)
    with pytest.raises(UnfreezeError, match=r"data .* differs"):
        prepare(other, tmp_path / "run", SETTINGS)


def test_other_weights_are_refused_and_moved_ones_are_not(pictures: Path, tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one.h5", "same.h5", "other.h5"))
    for path, content in ((one, "1"), (same, "1"), (other, "2")):
        path.write_text(content)
    begun(pictures, tmp_path / "run", replace(SETTINGS, weights=str(one)))
    prepare(pictures, tmp_path / "run", replace(SETTINGS, weights=str(same)))
    with pytest.raises(UnfreezeError, match="weights"):
        prepare(pictures, tmp_path / "run", replace(SETTINGS, weights=str(other)))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "[" * 200_000], ids=["empty", "cut", "list", "none", "deep"])
def test_a_damaged_run_json_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UnfreezeError, match=r"run\.json"):
        load_run(tmp_path)


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_text("{"), lambda file: file.write_text("[]")])
def test_a_damaged_run_json_is_taken_from_its_copy(damage, pictures: Path, tmp_path: Path) -> None:
    begun(pictures, tmp_path / "run", SETTINGS)
    file = tmp_path / "run" / "run.json"
    before = file.read_text()
    damage(file)
    assert load_run(tmp_path / "run").settings == SETTINGS
    assert file.read_text() == before
    damage(file)
    prepare(pictures, tmp_path / "run", SETTINGS)
    assert file.read_text() == before


def test_a_search_without_run_json_and_its_copy_is_not_gone_on_with(pictures: Path, tmp_path: Path) -> None:
    begun(pictures, tmp_path / "run", SETTINGS)
    for name in ("run.json", ".run.json"):
        (tmp_path / "run" / name).unlink()
    with pytest.raises(UnfreezeError, match=r"its run\.json was lost"):
        prepare(pictures, tmp_path / "run", SETTINGS)


def test_a_folder_with_other_things_is_left_alone(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UnfreezeError, match="is not empty"):
        prepare(pictures, tmp_path, SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_run_folder_that_is_a_file(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnfreezeError, match="is a file"):
        prepare(pictures, tmp_path / "file", SETTINGS)


@pytest.mark.parametrize("inner", [".", "cache", ".cache", "dots", "../link/cache"])
def test_a_cache_inside_the_data_is_refused(inner: str, pictures: Path, tmp_path: Path) -> None:
    """Its files would be a class of the next call."""
    data = write_pictures(tmp_path / "data", per_class=5)
    (tmp_path / "link").symlink_to(data)
    before = sorted(data.rglob("*"))
    for folder in (tmp_path / "run", tmp_path / "other"):
        with pytest.raises(UnfreezeError, match=r"lies inside .*; give another --cache-dir"):
            prepare(data, folder, replace(SETTINGS, cache_dir=str(data / inner)))
        assert not folder.exists()
    assert sorted(data.rglob("*")) == before
    prepare(data, tmp_path / "run", replace(SETTINGS, cache_dir=str(tmp_path / "data-cache")))


@pytest.mark.parametrize("name", ["cache_dir", "weights"])
def test_a_setting_that_is_a_url_is_refused(name: str) -> None:
    with pytest.raises(UnfreezeError, match="s3://bucket/x is a URL; expected a "):
        Settings(**{name: "s3://bucket/x"}).check_files()  # type: ignore[arg-type]


def version_is(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    from importlib.metadata import version

    monkeypatch.setattr("toolkit.run.version", lambda name: changed.get(name) or version(name))


def test_going_on_under_other_versions_keeps_both_and_warns(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    version_is(monkeypatch, keras="3.10.1", tensorflow="2.19.0", numpy="2.0.0")
    assert prepare(pictures, folder, SETTINGS).warnings == ()
    (folder / "search").mkdir()
    first = read_json(folder / "run.json")
    assert prepare(pictures, folder, SETTINGS).warnings == ()
    assert read_json(folder / "run.json") == first  # the same versions are not listed twice
    version_is(monkeypatch, keras="3.10.9", tensorflow="2.19.0", numpy="2.1.0")
    assert prepare(pictures, folder, SETTINGS).warnings == ()  # a patch release, and a package that does not train
    version_is(monkeypatch, keras="3.11.0", tensorflow="3.0.0", numpy="2.1.0")
    for _ in range(2):
        keras, tensorflow = prepare(pictures, folder, SETTINGS).warnings
        assert "begun with keras 3.10.1 and goes on with keras 3.11.0" in keras
        assert "`pip install tensorflow==2.19.0`" in tensorflow
    told = read_json(folder / "run.json")
    assert told == read_json(folder / ".run.json")
    assert told["versions"] == first["versions"]
    assert [one["keras"] for one in told["later_versions"]] == ["3.10.9", "3.11.0"]
    assert load_run(folder).warnings == ()


@pytest.mark.parametrize("damage", [{"versions": None}, {"versions": {"keras": 3}}, {"later_versions": [1, "x"]}])
def test_versions_that_are_none_are_no_obstacle(damage: dict, pictures: Path, tmp_path: Path) -> None:
    begun(pictures, tmp_path / "run")
    write_json(tmp_path / "run" / "run.json", read_json(tmp_path / "run" / "run.json") | damage)
    assert prepare(pictures, tmp_path / "run", SETTINGS).warnings == ()


def test_the_warning_reaches_who_listens(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(pictures, tmp_path / "run")
    version_is(monkeypatch, keras="99.0.0")
    told: list[str] = []

    def tell(warning: str) -> None:
        told.append(warning)
        raise KeyboardInterrupt  # nothing is trained here

    with pytest.raises(KeyboardInterrupt):
        api.tune(pictures, tmp_path / "run", settings=SETTINGS, listener=Listener(on_warning=tell))
    assert "goes on with keras 99.0.0" in told[0]


def of_an_earlier_version(folder: Path) -> tuple[str, ...]:
    """Make run.json what the version before groups wrote, with parts that are drawn in no way of now; the parts."""
    made = load_run(folder)
    parts = tuple(reversed(made.images.parts))
    images = replace(made.images, parts=parts)
    stored = read_json(folder / "run.json")
    new = ("levels", "profiles", "notices", "ignored_suffixes", "groups", "same_pixels", "nearly_the_same")
    stored["data"] = {name: value for name, value in stored["data"].items() if name not in new} | {"parts": parts}
    known = ("val", "test", "seed")
    data = [field.name for field in fields(DataSettings) if field.name not in known]
    stored["settings"] = {name: value for name, value in stored["settings"].items() if name not in data}
    write_json(folder / "run.json", stored | {"fingerprint": images.fingerprint()})
    return parts


@pytest.mark.parametrize("changes", [{}, {"group_by": "none"}, {"near_duplicates": "warn"}, {"levels": "full"}])
def test_a_run_of_an_earlier_version_goes_on_with_its_parts(changes: dict, pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    begun(pictures, folder)
    parts = of_an_earlier_version(folder)
    for _ in range(2):  # the second time, run.json is one that this version wrote
        opened = prepare(pictures, folder, replace(SETTINGS, **changes))
        assert opened.images.parts == parts == load_run(folder).images.parts
    with pytest.raises(UnfreezeError, match="--seed is 0 there, 1 here"):
        prepare(pictures, folder, replace(SETTINGS, seed=1))
    other = write_pictures(tmp_path / "other", per_class=20, seed=1)
    with pytest.raises(UnfreezeError, match=r"data .* differs"):
        prepare(other, folder, SETTINGS)


def test_a_run_that_was_begun_without_a_temperature_goes_on_without(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    begun(pictures, folder)
    stored = read_json(folder / "run.json")
    del stored["settings"]["calibrate"]  # as versions wrote it that knew of none
    write_json(folder / "run.json", stored)
    for _ in range(2):  # the second time, run.json is one that this version wrote
        opened = prepare(pictures, folder, SETTINGS)
        assert SETTINGS.calibrate
        assert not opened.settings.calibrate
        assert not load_run(folder).settings.calibrate
        assert [told for told in opened.warnings if "fitted no temperature" in told]
    assert prepare(pictures, folder, replace(SETTINGS, calibrate=False)).warnings == ()
    begun(pictures, tmp_path / "new")
    with pytest.raises(UnfreezeError, match="--calibrate there, --no-calibrate here"):
        prepare(pictures, tmp_path / "new", replace(SETTINGS, calibrate=False))


@pytest.mark.parametrize("damage", [{"labels": 3}, {"parts": ["train"]}, {"paths": None}])
def test_a_damaged_run_of_an_earlier_version_is_named(damage: dict, pictures: Path, tmp_path: Path) -> None:
    begun(pictures, tmp_path / "run")
    of_an_earlier_version(tmp_path / "run")
    stored = read_json(tmp_path / "run" / "run.json")
    write_json(tmp_path / "run" / "run.json", stored | {"data": stored["data"] | damage})
    with pytest.raises(UnfreezeError, match=r"run\.json is not of format"):
        prepare(pictures, tmp_path / "run", SETTINGS)


def test_images_of_16_bits_are_what_they_were_to_an_earlier_version(tmp_path: Path) -> None:
    for name, bright in (("dark", 0), ("pale", 3000)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(6):
            pixels = np.random.default_rng(number).integers(0, 1000, (16, 16), np.uint16) + np.uint16(bright)
            (tmp_path / "data" / name / f"{number}.png").write_bytes(encode(Image.fromarray(pixels), "PNG"))
    begun(tmp_path / "data", tmp_path / "run")
    assert "read as 12-bit ones" in " ".join(load_run(tmp_path / "run").images.notices)
    of_an_earlier_version(tmp_path / "run")
    images = prepare(tmp_path / "data", tmp_path / "run", SETTINGS).images
    assert images.levels == "16"
    assert images.notices == ()


@pytest.mark.parametrize(
    ("more", "changes", "said"),
    [
        (1, {}, True),
        (1, {"class_weights": "none"}, False),
        (1, {"objective": "val_accuracy"}, False),
        (0, {}, False),
    ],
)
def test_trials_that_were_judged_by_another_loss_are_told(more: int, changes: dict, said: bool, tmp_path: Path) -> None:
    """Eight images of each class, or nine of one of them: 12 % more."""
    settings = replace(SETTINGS, **changes)
    data = write_pictures(tmp_path / "data", size=16)
    write_pictures(data, classes=("stripes",), per_class=8 + more, size=16)
    begun(data, tmp_path / "run", settings)
    assert prepare(data, tmp_path / "run", settings).warnings == ()
    of_an_earlier_version(tmp_path / "run")
    told = prepare(data, tmp_path / "run", settings).warnings
    assert ["a loss in which classes weigh by their images" in one for one in told] == [True] * said
    assert prepare(data, tmp_path / "run", settings, searches=False).warnings == ()


def test_evaluate_loads_the_run_once_and_reads_a_csv_as_the_run_was_but_for_what_is_typed(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolkit.evaluation import evaluate_run
    from unfreeze import cli

    settings = replace(SETTINGS, suffix=".jpg", label_column="kind", near_duplicates="warn")
    rows = [f"{file.parent.name}/{file.stem},{file.parent.name}" for file in sorted(pictures.rglob("*.jpg"))]
    (tmp_path / "a.csv").write_text("\n".join(["path,kind", *rows]))
    prepare(tmp_path / "a.csv", tmp_path / "run", replace(settings, image_dir=str(pictures)))
    loaded, read = [], []

    def scan(data: Path, reading: DataSettings, **_: object) -> None:
        read.append((data, reading))
        raise UnfreezeError("stop")  # there is no model

    load = load_run
    monkeypatch.setattr("toolkit.run.load_run", lambda *given: loaded.append(given) or load(*given))
    monkeypatch.setattr(evaluate_run, "scan", scan)
    (tmp_path / "b.csv").touch()
    assert cli._main(["evaluate", str(tmp_path / "run"), str(tmp_path / "b.csv"), "--label-column", "what"]) == 2
    usual = DataSettings(suffix=".jpg", image_dir=str(pictures), group_by="none", near_duplicates="off")
    assert read == [(tmp_path / "b.csv", replace(usual, label_column="what"))]
    assert len(loaded) == 1
