"""Folders as people have them: what is read as what, and what is refused with which words. The tables are those of
docs/data.md, so that the page cannot say anything else."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pictures import files_below
from tests.trees import content, grow, paths
from toolkit.data.image_set import ImageSet, scan
from toolkit.data.settings import DataSettings, undivided
from toolkit.data.sources.alike import without_copy_mark
from toolkit.data.sources.layout.class_in_name import class_in_name, classes_in_names
from toolkit.data.sources.layout.find import find_layout
from toolkit.data.sources.layout.undecided import UndecidedError
from toolkit.data.sources.listing import Rejected
from toolkit.data.sources.part_names import (
    are_groups,
    are_shares,
    classes_of_parts,
    is_doubtful,
    is_unlabelled,
    part_of,
    parts_of,
)
from toolkit.data.sources.walk import LINK, LOOP, is_litter
from toolkit.data.sources.write_csv import WrittenCsv, write_csv
from toolkit.data.unlabelled import scan_unlabelled
from toolkit.errors import UnfreezeError, one_line

PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
DATA = Path("DATA")


def table(heading: str) -> Iterator[list[str]]:
    """The cells of each row of the first table below a heading of the page."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.search(r"^\|---.*\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert rows, heading
    for row in rows[1].splitlines():
        yield [cell.strip() for cell in row.strip("|").split(" | ")]


def code(cell: str) -> list[str]:
    """What is written as code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


READ = [pytest.param(*row, id=row[0]) for row in table("Folders that are read")]
REFUSED = [pytest.param(*row, id=row[0]) for row in table("Folders that are refused")]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, so that DATA is called DATA in messages."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def meaning(images: ImageSet) -> dict[str, tuple[str, str]]:
    """digest -> (class, part)"""
    names = [images.class_names[label] for label in images.labels]
    return dict(zip(images.digests, zip(names, images.parts, strict=True), strict=True))


def refusal(source: Path) -> str:
    """The error of a scan; "" if there is none."""
    try:
        return "" if scan(source) else "no image"
    except UnfreezeError as error:
        return str(error)


# The tables.


def test_the_tables_are_there() -> None:
    assert len(READ) >= 30
    assert len(REFUSED) >= 25


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("patterns", "classes", "parts", "said"), READ)
def test_a_folder_is_read(patterns: str, classes: str, parts: str, said: str) -> None:
    images = scan(grow(DATA, code(patterns)))
    assert list(images.class_names) == code(classes)
    counted = [f"{part} {len(images.select(part))}" for part in ("train", "val", "test") if part in images.parts]
    assert parts == (", ".join(counted) or "none")
    told = [f"note: {notice}" for notice in images.notices]
    told += [f"left out: {left.path}: {left.reason}" for left in images.rejected]
    assert said == " <br> ".join(told)
    assert all((DATA / path).is_file() for path in images.paths)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("patterns", "words"), REFUSED)
def test_a_folder_is_refused(patterns: str, words: str) -> None:
    with pytest.raises(UnfreezeError) as error:
        scan(grow(DATA, code(patterns)))
    assert str(error.value) == words


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("patterns", "words"), REFUSED)
def test_the_call_that_a_refusal_names_is_one_that_helps(patterns: str, words: str) -> None:
    """The folder or the CSV that it says is read, or refused for another reason."""
    grow(DATA, code(patterns))
    for named in re.findall(r"`unfreeze scan (\S+)( --write-csv labels.csv)?`", words):
        source, wants_csv = Path(named[0]), bool(named[1])
        if wants_csv:
            table = write_csv(source, Path("labels.csv"), DataSettings())
            assert table.rows
            assert list(table.columns) == (["label"] if "no class folders" in words else [*table.columns])
            source = Path("labels.csv") if "label" in table.columns else DATA
        assert source.exists()
        assert source == DATA or refusal(source) != words


# The names of parts.


def means(name: str) -> str:
    if part := part_of(name):
        return part
    if is_doubtful(name):
        return "a part, but not which"
    return "images without a class" if is_unlabelled(name) else "a class"


@pytest.mark.parametrize(
    ("meant", "name"),
    [(meant, name) for meant, names in table("Names of parts") for name in code(names)],
)
def test_a_name_means(meant: str, name: str) -> None:
    assert means(name) == meant
    assert means(name.upper()) == meant
    if " " not in name:
        assert means(name.replace("_", " ")) == meant


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["pets_train", "pets_test"], {"pets_train": "train", "pets_test": "test"}),
        (["train of pets", "val of pets"], {"train of pets": "train", "val of pets": "val"}),
        (["train_station", "test_station", "bus_station"], {"train_station": "train", "test_station": "test"}),
        (["train_station", "bus_station"], {}),
        (["pets_val", "pets_test"], {}),  # of what?
        (["pets_train", "birds_test"], {}),
        (["pets_train", "pets_training"], {}),
        (["pets_train", "test"], {"test": "test"}),
    ],
)
def test_names_beside_each_other(names: list[str], parts: dict[str, str]) -> None:
    assert parts_of(names) == parts


@pytest.mark.parametrize(
    ("names", "shares"),
    [
        (["images_001", "images_002"], True),
        (["HAM10000_images_part_1", "HAM10000_images_part_2"], True),
        (["fold1", "fold2", "fold3"], True),
        (["0", "1", "2"], False),
        (["type_1", "type_2"], False),
        (["Sample001", "Sample002"], False),
        (["images_1", "masks_1"], False),
        (["batch_1"], False),
    ],
)
def test_names_of_shares(names: list[str], shares: bool) -> None:
    assert are_shares(names) == shares


@pytest.mark.parametrize(
    ("names", "both"),
    [
        (["cat_train", "cat_test", "dog_train", "bird"], ["cat_train", "cat_test", "dog_train"]),
        (["valCats", "TRAIN cats"], ["valCats", "TRAIN cats"]),
        (["train_station", "bus_station"], []),
        (["train_station", "test_tube"], []),  # nothing else in common
        (["cat_train", "dog_train"], []),  # one part
    ],
)
def test_names_of_a_class_and_a_part(names: list[str], both: list[str]) -> None:
    assert classes_of_parts(names) == both


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["siteA", "site B"], True),
        (["Mercy Hospital", "St Mary hospital"], True),
        (["2019-05", "2020_jan"], True),
        (["10253", "7"], True),
        (["location_a", "location_b"], True),
        (["site_a", "cat"], False),
        (["cat", "dog"], False),
        (["A", "B"], False),  # letters are classes
        (["site_a"], False),
    ],
)
def test_names_of_groups(names: list[str], groups: bool) -> None:
    assert are_groups(names) == groups


@pytest.mark.parametrize("deep", ["", "/{}", "/{}/images", "/images"])
@pytest.mark.parametrize("around", ["", "train/"])
@pytest.mark.parametrize("inner", [("{cat,dog}", "{cat,dog}"), ("{cat,dog}", "dog"), ("{cat,dog}", "{bird,cat}")])
def test_a_class_in_two_folders_is_asked_for(here: Path, deep: str, around: str, inner: tuple[str, str]) -> None:
    """However deep it lies, and in a part, too."""
    for name, classes in zip(("north", "south"), inner, strict=True):
        grow(here / "data", [f"{around}{name}{deep.format(name)}/{classes}/*.jpg"])
    assert "north, south" in refusal(here / "data")
    assert scan(here / "data", DataSettings(group_by="folder")).class_names == ("north", "south")


@pytest.mark.parametrize("name", code(PAGE.partition("\n## What is skipped\n")[2].partition("\n## ")[0]))
def test_litter_is_named_on_the_page(name: str) -> None:
    assert is_litter(name)
    assert is_litter(name.upper())


@pytest.mark.parametrize("name", ["cat", "lost", "recycle", "_MACOSX", "Thumbs", "MACOSX", "eaDir", "desktop"])
def test_other_names_are_no_litter(name: str) -> None:
    assert not is_litter(name)


# A plain tree, decorated.

NESTED = ["", "PetImages", "archive/pets", "data/images"]
DOUBLED: list[Callable[[str], str]] = [lambda name: name, lambda name: f"{name}/{name}", lambda name: f"{name}/images"]
AFFIXED = ["{}", "{}_set", "{}-Set", "{} images", "seg_{}", "{}_data", "{}Set", "{}_2017", "img_{}"]
SPELLED = {
    "train": ["train", "training", "Train", "TRAIN"],
    "val": ["val", "valid", "validation", "dev", "Val"],
    "test": ["test", "testing", "Test", "TESTING"],
}
LITTER = ["._0.jpg", ".DS_Store", "Thumbs.db", "@eaDir/0.jpg", "__MACOSX/cat/0.jpg", "#recycle/1.jpg", "readme.txt"]
NAMES = ["cat", "dog", "train_station", "Bär", "0", "New York", "test_tube", "数字"]


@st.composite
def decorations(draw: st.DrawFn) -> tuple[list[str], dict[str, str], str, list[str]]:
    """(classes, part -> the folder around its classes, the folder around all, litter)"""
    classes = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=3, unique=True))
    later = draw(st.lists(st.sampled_from(["val", "test"]), unique=True))
    parts = draw(st.sampled_from([["train", *later], [""]]))
    together = draw(st.sampled_from(["{}", "{}", "pets_{}"])) if len(parts) > 1 else "{}"
    folders = {}
    for part in filter(None, parts):
        affixed = together if together != "{}" else draw(st.sampled_from(AFFIXED))
        name = affixed.format(draw(st.sampled_from(SPELLED[part])))
        folders[part] = draw(st.sampled_from(DOUBLED))(name)
    return classes, folders or {"": ""}, draw(st.sampled_from(NESTED)), draw(st.lists(st.sampled_from(LITTER)))


def plant(root: Path, classes: list[str], folders: dict[str, str], litter: list[str]) -> Path:
    """Two images of each class in each part. Their content does not depend on the names of folders."""
    for part, folder in folders.items():
        for name in classes:
            (root / folder / name).mkdir(parents=True)
            for number in range(2):
                (root / folder / name / f"{number}.jpg").write_bytes(content(f"{part}/{name}/{number}.jpg"))
    for folder in [path for path in root.rglob("*") if path.is_dir()]:
        for name in litter:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content(str(folder / name)))
    return root


@settings(max_examples=80, deadline=None)
@given(decorations())
def test_a_decorated_tree_is_read_as_the_plain_one(drawn: tuple[list[str], dict[str, str], str, list[str]]) -> None:
    classes, folders, nested, litter = drawn
    root = Path(tempfile.mkdtemp())
    try:
        plain = plant(root / "plain", classes, {part: part for part in folders}, [])
        decorated = root / "decorated"
        plant(decorated / nested, classes, folders, litter)
        images = scan(decorated)
        assert meaning(images) == meaning(scan(plain))
        assert len(images) == 2 * len(classes) * len(folders)
        assert images.rejected == ()
        assert bool(images.notices) >= bool(nested)
        # `predict FOLDER` and `--evidence` walk by the same rules.
        used = sorted(decorated / path for path in images.paths)
        assert files_below(decorated) == used
        assert sorted(decorated / path for path in scan_unlabelled(decorated).paths) == used
    finally:
        shutil.rmtree(root)


POOL = ["train", "test", "val", "Train", "test1", "trainval", "images", "data", "pred", "cat", "dog", "2019", "cat.1"]
FILES = ["0.jpg", "cat.1.png", "dog_2.jpg", "cat.3.jpg", "notes.txt", "Thumbs.db"]


BASES = [
    "{cat,dog}/*.jpg",
    "{train,test}/{cat,dog}/*.jpg",
    "{cat,dog}/{train,val}/*.jpg",
    "a/images/{cat,dog}/*.jpg",
    "",
]


@st.composite
def trees(draw: st.DrawFn) -> set[str]:
    """A layout that is read, and some files anywhere; or only these."""
    folders = st.lists(st.sampled_from(POOL), max_size=3)
    files = st.builds(lambda around, file: "/".join([*around, file]), folders, st.sampled_from(FILES))
    base = draw(st.sampled_from(BASES))
    return {*(paths(base) if base else []), *draw(st.sets(files, min_size=1, max_size=4 if base else 14))}


@settings(max_examples=300, deadline=None)
@given(trees())
def test_no_image_of_any_tree_is_lost_without_a_word(tree: set[str]) -> None:
    """Used, or left out by name, itself or a folder around it; or the whole is refused in one line, and the CSV has
    it."""
    there = {path for path in tree if path.endswith(("jpg", "png"))}
    root = Path(tempfile.mkdtemp())
    try:
        data = grow(root / "data", tree)
        for found in (tried(lambda: scan(data)), tried(lambda: write_csv(data, root / "a.csv", DataSettings()))):
            if isinstance(found, UnfreezeError):
                assert str(found) == one_line(str(found))
                continue
            left = found.rejected if isinstance(found, ImageSet) else found.left_out
            told = {one.path for one in left}
            kept = {path for path in there if not told & {path, *map(str, Path(path).parents)}}
            if isinstance(found, ImageSet):
                assert set(found.paths) == kept
            else:
                assert found.rows == len(kept)
    finally:
        shutil.rmtree(root)


def tried(call: Callable[[], ImageSet | WrittenCsv]) -> ImageSet | WrittenCsv | UnfreezeError:
    try:
        return call()
    except UnfreezeError as error:
        return error


def test_a_run_keeps_paths_below_data(here: Path) -> None:
    images = scan(grow(here / "data", ["nested/PetImages/{Cat,Dog}/*.jpg"]))
    assert images.root == here / "data"
    assert images.paths[0] == "nested/PetImages/Cat/0.jpg"


def test_sub_folders_that_are_groups(here: Path) -> None:
    """People who give --group-by folder say that the folders inside the classes are something else."""
    grow(here / "data", ["{cat,dog}/{site1,site2}/*.jpg"])
    with pytest.raises(UnfreezeError, match="site1, site2"):
        scan(here / "data")
    assert scan(here / "data", DataSettings(group_by="folder")).class_names == ("cat", "dog")


@pytest.mark.parametrize("patterns", [["{cat,dog}/{a,b}/*.jpg"], ["cat/{a,b}/*.jpg"], ["cat/{rose,tulip}_*.jpg"]])
def test_the_classes_of_a_model_are_known(here: Path, patterns: list[str]) -> None:
    """Nothing has to be guessed if a model says what its classes are."""
    images = scan(grow(here / "data", patterns), classes=("cat", "dog"))
    assert images.class_names == ("cat", "dog")
    assert len(images) == images.counts()[0] * (2 if "dog" in patterns[0] else 1)


def test_links_stand_for_classes_parts_and_the_folder_around_them(here: Path) -> None:
    grow(here / "far", ["{cat,dog}/*.jpg", "deep/{cat,dog}/*.png"])
    for part in ("train", "test"):
        (here / "data" / part).mkdir(parents=True)
    (here / "data" / "train" / "cat").symlink_to(here / "far" / "cat")
    (here / "data" / "train" / "dog").symlink_to(here / "far" / "dog")
    (here / "data" / "test").rmdir()
    (here / "data" / "test").symlink_to(here / "far" / "deep")
    assert {path.split("/")[0] for path in scan(here / "data").paths} == {"train", "test"}
    (here / "around").mkdir()
    (here / "around" / "PetImages").symlink_to(here / "far" / "deep")
    assert scan(here / "around").class_names == ("cat", "dog")


def test_links_are_followed_by_the_same_rule_everywhere(here: Path) -> None:
    grow(here / "far", ["dog/*.jpg", "more/*.png"])
    data = grow(here / "data", ["cat/*.jpg"])
    (data / "dog").symlink_to(here / "far" / "dog")
    (data / "cat" / "more").symlink_to(here / "far" / "more")
    (data / "round").symlink_to(here)
    images, alone = scan(data), scan_unlabelled(data)
    assert len(images) == 6
    assert sorted(images.paths) == sorted(alone.paths)
    assert files_below(data) == [data / path for path in sorted(images.paths)]
    assert images.rejected == (Rejected("cat/more", LINK), Rejected("round", LOOP))
    assert sorted(alone.rejected, key=lambda left: left.path) == list(images.rejected)


def test_links_in_a_circle_end(here: Path) -> None:
    grow(here / "data", ["inner/"])
    (here / "data" / "inner" / "again").symlink_to(here / "data")
    with pytest.raises(UnfreezeError, match="only one class, inner"):
        scan(here / "data")


# Names of classes that are nearly the same.


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("cat", "Cat", "the classes Cat and cat differ only in capitals"),
        ("cat", "cat ", "the classes 'cat' and 'cat ' differ only in blanks at an end"),
        ("B\u00e4r", "Ba\u0308r", "'Ba\\u0308r' and 'B\\xe4r' differ only in how their letters are encoded"),
        ("STRASSE", "Straße", "the classes STRASSE and Straße differ only in capitals"),
    ],
)
def test_classes_that_differ_only_in_spelling(here: Path, one: str, other: str, words: str) -> None:
    grow(here / "data", [f"{name}/{number}.jpg" for name in (one, other) for number in range(2)])
    with pytest.raises(UnfreezeError) as error:
        scan(here / "data")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("copy", "name"),
    [
        ("dog - Copy", "dog"),
        ("dog - Copy (3)", "dog"),
        ("dog - Kopie", "dog"),
        ("dog copy 2", "dog"),
        ("dog_copy", "dog"),
        ("dog (1)", "dog"),
        ("Copy of dog", "dog"),
        ("Copy (2) of dog", "dog"),
        ("photocopy", "photocopy"),
        ("copy", "copy"),
        ("dog 2", "dog 2"),
        ("(1)", "(1)"),
    ],
)
def test_the_mark_of_a_copy(here: Path, copy: str, name: str) -> None:
    assert without_copy_mark(copy) == name
    grow(here / "data", [f"{one}/{number}.jpg" for one in (copy, "cat") for number in range(2)])
    assert any(f"{copy} is read as a class" in told for told in scan(here / "data").notices) == (copy != name)
    grow(here / "data", ["dog/*.jpg"])
    assert ("is called a copy of dog" in refusal(here / "data")) == (copy != name)


def test_a_csv_whose_classes_differ_only_in_capitals(here: Path) -> None:
    grow(here, ["*.jpg"])
    (here / "a.csv").write_text("path,label\n0.jpg,Cat\n1.jpg,cat\n2.jpg,dog\n")
    with pytest.raises(UnfreezeError, match="Cat and cat differ only in capitals"):
        scan(here / "a.csv")


@pytest.mark.parametrize(("name", "near"), [("CAT", "cat"), ("cats", "cat"), ("horses", "horse"), ("zebra", None)])
def test_the_class_of_a_model_that_is_meant(here: Path, name: str, near: str | None) -> None:
    grow(here / "data", [f"{name}/*.jpg", "horse/*.jpg"] if name != "horses" else ["horses/*.jpg", "cat/*.jpg"])
    with pytest.raises(UnfreezeError, match=f"has no class {name}; ") as error:
        scan(here / "data", classes=("cat", "horse"))
    assert (f"is it {near}?" in str(error.value)) == bool(near)


# Classes in names of files.


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("cat.0.jpg", "cat"),
        ("dog_123.png", "dog"),
        ("american_pit_bull_terrier_12.jpg", "american_pit_bull_terrier"),
        ("Abyssinian (3).jpg", "Abyssinian"),
        ("rose12.jpg", "rose"),
        ("n02085620_7.jpg", "n02085620"),
        ("cat_2019_05_001.jpg", "cat"),
        ("7-rose.png", "rose"),
        ("0012_tree frog.png", "tree frog"),
        ("12.jpg", ""),
        ("2019_05.jpg", ""),
        ("cat.jpg", ""),
        ("(1).jpg", ""),
        ("IMG_20190501_120000.jpg", ""),  # a camera
        ("DSC00012.jpg", ""),
        ("Train_7.jpg", ""),  # a part
        ("image_0001.jpg", ""),
    ],
)
def test_a_class_in_a_name(file: str, name: str) -> None:
    assert class_in_name(Path(file)) == name


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        (["rose_1.jpg", "rose_2.jpg", "rose_3.jpg"], {}),  # a single class
        (["a1.jpg", "b1.jpg", "c1.jpg"], {}),  # no two alike
        (["dog.1.jpg", "cat.1.jpg", "cat.2.jpg", "dog.2.jpg", "cat.3.jpg"], {"cat": 3, "dog": 2}),
    ],
)
def test_classes_in_names(files: list[str], classes: dict[str, int]) -> None:
    assert classes_in_names(map(Path, files)) == classes


# The CSV.


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("patterns", "classes", "parts", "said"), READ)
@pytest.mark.parametrize("where", [".", "elsewhere"])
def test_the_csv_of_a_folder_means_the_same(where: str, patterns: str, classes: str, parts: str, said: str) -> None:
    grow(DATA, code(patterns))
    file = Path(where) / "labels.csv"
    images = scan(DATA)
    table = write_csv(DATA, file, DataSettings())
    again = scan(file)
    assert meaning(again) == meaning(images)
    assert table.rows == len(images)
    assert table.columns == {"label": dict(zip(images.class_names, images.counts().tolist(), strict=True))}
    assert len(table.left_out) == len(images.rejected)
    assert again.rejected == ()


def test_the_csv_of_files_with_classes_in_their_names(here: Path) -> None:
    grow(here / "data", ["train/train/{cat,dog}.*.jpg", "train/train/odd.jpg", "test1/test1/*.jpg"])
    table = write_csv(here / "data", here / "labels.csv", DataSettings())
    assert table.columns == {"label": {"cat": 3, "dog": 3}}
    assert {left.path.split("/")[0] for left in table.left_out} == {"test1", "train"}
    images = scan(here / "labels.csv")
    assert images.paths[0] == "data/train/train/cat.0.jpg"
    assert images.parts == ("train",) * 6
    assert images.counts().tolist() == [3, 3]


def test_the_csv_of_nested_folders_has_a_column_for_each_level(here: Path) -> None:
    grow(here / "data", ["train/{2019,2020}/{cat,dog}/*.jpg", "loose.jpg"])
    table = write_csv(here / "data", here / "labels.csv", DataSettings())
    assert table.columns == {
        "folder_1": {"train": 12, "": 1},
        "folder_2": {"2019": 6, "2020": 6, "": 1},
        "folder_3": {"cat": 6, "dog": 6, "": 1},
    }
    lines = (here / "labels.csv").read_text().splitlines()
    assert lines[:3] == [
        "path,folder_1,folder_2,folder_3,split",
        "data/loose.jpg,,,,",
        "data/train/2019/cat/0.jpg,train,2019,cat,train",
    ]


def test_names_that_a_csv_would_change_are_quoted_or_left_out(here: Path) -> None:
    odd = ['a "b", c;d.jpg', "=1+1.jpg", "tab\tin.jpg", "'.jpg", "#.jpg", "ünï 数.jpg"]
    lost = [" blank.jpg", "line\nbreak.jpg"]
    grow(here / "data", [*(f"cat/{name}" for name in [*odd, *lost]), "dog, big/*.jpg"])
    table = write_csv(here / "data", here / "labels.csv", DataSettings())
    assert sorted(Path(left.path).name for left in table.left_out) == sorted(lost[1:])
    images = scan(here / "labels.csv")
    assert sorted(Path(path).name for path in images.paths) == sorted([*odd, lost[0], "0.jpg", "1.jpg", "2.jpg"])
    assert images.class_names == ("cat", "dog, big")


def test_no_file_is_overwritten_and_none_is_left_half_written(here: Path) -> None:
    grow(here / "data", ["{cat,dog}/*.jpg"])
    (here / "labels.csv").write_text("mine")
    with pytest.raises(UnfreezeError, match=r"labels\.csv exists already"):
        write_csv(here / "data", here / "labels.csv", DataSettings())
    assert (here / "labels.csv").read_text() == "mine"
    (here / "link.csv").symlink_to(here / "nowhere.csv")
    with pytest.raises(UnfreezeError, match=r"link\.csv exists already"):
        write_csv(here / "data", here / "link.csv", DataSettings())
    (here / "data" / "stray.jpg").write_bytes(content("stray.jpg"))
    with pytest.raises(UnfreezeError, match=r"1 left out, and --strict was given; the first is stray\.jpg: not in a"):
        write_csv(here / "data", here / "new.csv", DataSettings(), strict=True)
    grow(here / "empty", ["notes.txt"])
    with pytest.raises(UnfreezeError, match="no image"):
        write_csv(here / "empty", here / "new.csv", DataSettings())
    assert sorted(path.name for path in here.iterdir()) == ["data", "empty", "labels.csv", "link.csv"]


def test_the_csv_comes_with_what_was_decided(here: Path) -> None:
    grow(here / "data", ["nested/{cat,dog}/*.jpg"])
    table = write_csv(here / "data", here / "labels.csv", DataSettings())
    assert table.notices == scan(here / "data").notices == ("the classes are looked for in nested",)


# A model that has classes already.


KNOWN = [
    (["{images,other}/*.jpg"], 6),
    (["test/{images,other}/*.jpg"], 6),
    (["test/images/*.jpg"], 3),
    (["{unlabelled,cat}/*.jpg"], 6),
    (["test/{unknown,cat}/*.jpg"], 6),
    (["{valid,other}/*.jpg"], 6),
    (["{images,other}/*.jpg", "images/images/*.jpg"], 9),
    (["{train1,train2}/*.jpg"], 6),
]


@pytest.mark.parametrize(("patterns", "count"), KNOWN, ids=lambda value: str(value))
def test_a_class_of_a_model_is_one_whatever_it_is_called(patterns: list[str], count: int, here: Path) -> None:
    grow(here / "data", patterns)
    names = ("cat", "images", "other", "train1", "train2", "unknown", "unlabelled", "valid")
    images = scan(here / "data", undivided(), classes=names, trains=False)
    assert len(images) == count
    for path, label in zip(images.paths, images.labels, strict=True):
        assert names[label] == path.split("/")[-2]
    assert images.rejected == ()


def test_data_are_not_listed_before_the_classes_of_the_models_are_known(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from export.foreign import verify

    def look(*_: object) -> None:
        raise KeyboardInterrupt  # no model is loaded here

    monkeypatch.setattr(verify, "look_at", look)
    grow(here / "data", ["{images,other}/*.jpg"])
    (model := here / "model.onnx").write_bytes(b"")
    with pytest.raises(KeyboardInterrupt):
        verify.verify_foreign(model, [model], here / "data")
    with pytest.raises(UnfreezeError, match=r"gone does not exist; give a folder"):
        verify.verify_foreign(model, [model], here / "gone")


@pytest.mark.parametrize(
    "pattern",
    ["{a,b,c}/{x,y}/*.txt", "{train,test}/{a,b}/{x,y}/*.txt", "out/in/{a,b}/deep/*.txt", "{train,test,notes}/in/*.txt"],
)
def test_a_folder_is_not_read_again_and_again(pattern: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once each for its folders, its images, and the names of its files, twice where those are also asked for."""
    grow(here / "data", [pattern])
    times: Counter[str] = Counter()
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: times.update([str(folder)]) or scandir(folder))
    with contextlib.suppress(UndecidedError):
        find_layout(here / "data")
    assert 1 <= max(times.values()) <= 4


def test_a_folder_without_images_is_walked_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By `predict`, which then says what is there instead."""
    from export import predict

    class Process:
        class_names = ("a", "b")
        path, load, call, end = Path("model.onnx"), *[lambda *_, **__: None] * 3

    grow(here / "photos", ["deep/*.txt"])
    times: Counter[str] = Counter()
    scandir = os.scandir
    monkeypatch.setattr(predict, "ArtefactProcess", lambda _: Process())
    monkeypatch.setattr(predict, "kind_of", lambda _: "onnx")
    monkeypatch.setattr(os, "scandir", lambda folder: times.update([str(folder)]) or scandir(folder))
    with pytest.raises(UnfreezeError, match=r"there is no image in .*photos.*\.txt"):
        predict.predict(Path("model.onnx"), [here / "photos"])
    assert times[str(here / "photos" / "deep")] == 1
