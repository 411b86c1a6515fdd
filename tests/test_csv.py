"""A CSV as people have it: what is read as what, what is refused in which words."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures import write_pictures
from toolkit.data.groups import is_group_by
from toolkit.data.image_set import scan
from toolkit.data.settings import DataSettings
from toolkit.data.sources.csv_columns import GROUP_NAMES, LABEL_NAMES, PATH_NAMES
from toolkit.data.sources.csv_table import DELIMITERS, read_table
from toolkit.data.sources.listing import Listing
from toolkit.data.sources.open import read_listing
from toolkit.errors import UnfreezeError

NAMES = [f"{number:03d}" for number in range(6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ with six pictures, test/ with two others of other names, one/ and two/ with three of six between them."""
    root = tmp_path_factory.mktemp("data")
    drawn = sorted((write_pictures(root / "drawn", per_class=4, size=16)).rglob("*.jpg"))
    for number, file in enumerate(drawn):
        name = f"train/{NAMES[number]}.jpg" if number < 6 else f"test/9{number}.jpg"
        (root / name).parent.mkdir(exist_ok=True)
        file.rename(root / name)
    for number, name in enumerate(NAMES):
        target = root / ("one" if number % 2 else "two") / f"h{name}.jpg"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((root / "train" / f"{name}.jpg").read_bytes())
    return root


def table(header: str, row: str, count: int = 6) -> str:
    """A row for each of NAMES: `{}` becomes the name, `[a b]` the values in turn."""

    def filled(number: int) -> str:
        text = row.replace("{}", NAMES[number])
        while "[" in text:
            before, _, rest = text.partition("[")
            values, _, after = rest.partition("]")
            text = before + values.split("/")[number % len(values.split("/"))] + after
        return text

    return "\n".join([header, *map(filled, range(count))]) + "\n"


def listing_of(folder: Path, text: str, name: str = "images.csv", encoding: str = "utf-8", **settings: str) -> Listing:
    (folder / name).write_bytes(text.encode(encoding))
    return read_listing(folder / name, DataSettings(**settings))  # type: ignore[arg-type]


TRAIN = [f"train/{name}.jpg" for name in NAMES]
CAT_DOG = ["cat", "dog"] * 3
READ = {  # what it is -> (header, row, options, paths, classes, what is said)
    "the documented columns": ("path,label", "train/{}.jpg,[cat/dog]", {}, TRAIN, CAT_DOG, []),
    "Kaggle: ids without an ending, beside train/": (
        *("id,breed", "{},[cat/dog]", {}, TRAIN, CAT_DOG),
        ["read column `id` as the path, column `breed` as the class", "000 was found as train/000.jpg"],
    ),
    "file names without their folder": (
        *("filename,class", "{}.jpg,[cat/dog]", {}, TRAIN, CAT_DOG),
        ["column `class` as the class", "000.jpg was found as train/000.jpg"],
    ),
    "the same with options": (
        *("id,class", "{},[cat/dog]", {"image_dir": "train", "suffix": ".jpg"}, [f"{name}.jpg" for name in NAMES]),
        *(CAT_DOG, ["column `class` as the class"]),
    ),
    "a path of Windows and of another machine": (
        *("path,label", r"C:\data\train\{}.jpg,[cat/dog]", {}, TRAIN, CAT_DOG),
        [r"C:\data\train\000.jpg was found as train/000.jpg"],
    ),
    "a path with the folder that the CSV is in": (
        *("path,label", "data/train/{}.jpg,[cat/dog]", {}, TRAIN, CAT_DOG, ["was found as train/000.jpg"]),
    ),
    "./ before the path": ("path,label", "./train/{}.jpg,[cat/dog]", {}, TRAIN, CAT_DOG, []),
    "images in two folders, each name once": (
        *("image_id,dx", "h{},[cat/dog]", {}),
        [f"{'one' if number % 2 else 'two'}/h{name}.jpg" for number, name in enumerate(NAMES)],
        *(CAT_DOG, ["`dx` as the class", "found its paths in the folders one, two"]),
    ),
    "a column of 0 and 1 for each class": (
        *("image_id,cat,dog,age", "train/{}.jpg,[1/0],[0/1],[7/8/9]", {}, TRAIN, CAT_DOG),
        ["the one of the columns cat, dog that is 1 as the class", "not read: column age"],
    ),
    "a single column of 0 and 1": (
        *("id,has_cactus", "train/{}.jpg,[0/1]", {}, TRAIN, ["0", "1"] * 3),
        ["column `has_cactus` as the class", "the classes are numbers, whose names are the texts 0, 1"],
    ),
    "two columns, of which one is plainly the path": (
        *("Image,Id", "train/{}.jpg,[w_1/w_2]", {}, TRAIN, ["w_1", "w_2"] * 3, ["column `Id` as the class"]),
    ),
    "columns that nobody reads": (
        *("path,age,label,sex", "train/{}.jpg,[1/2/3],[cat/dog],[f/f/m]", {}, TRAIN, CAT_DOG, ["columns age, sex"]),
    ),
    "what pandas adds in front": (",path,label", "[0/1/2],train/{}.jpg,[cat/dog]", {}, TRAIN, CAT_DOG, ["(no name)"]),
    "options say which": (
        *("a,b,c", "[x/y],train/{}.jpg,[cat/dog]", {"image_column": "b", "label_column": "C"}, TRAIN, CAT_DOG),
        ["read column `b` as the path, column `c` as the class", "not read: column a"],
    ),
    "a group that does not matter": (
        *("path,label,site", "train/{}.jpg,[cat/dog],[a/a/b]", {"group_by": "none"}, TRAIN, CAT_DOG, ["column site"]),
    ),
    "an id that no two images share": (
        "path,label,scan_id",
        "train/{}.jpg,[cat/dog],{}",
        {},
        TRAIN,
        CAT_DOG,
        ["scan_id"],
    ),
    "an id that is the class": (
        *("path,label,class_id", "train/{}.jpg,[cat/dog],[0/1]", {}, TRAIN, CAT_DOG, ["not read: column class_id"]),
    ),
    "names of classes with blanks": (
        *("path,label", "train/{}.jpg,[golden retriever/dog]", {}, TRAIN, ["golden retriever", "dog"] * 3, []),
    ),
}


@pytest.mark.parametrize("what", READ)
def test_what_is_read_as_what(folder: Path, what: str) -> None:
    header, row, options, paths, classes, said = READ[what]
    options = options | ({"image_dir": str(folder / options["image_dir"])} if "image_dir" in options else {})
    listing = listing_of(folder, table(header, row), **options)
    assert {entry.path: entry.label for entry in listing.entries} == dict(zip(paths, classes, strict=True))
    assert listing.rejected == []
    assert all((listing.root / path).is_file() for path in paths)
    assert len(listing.notices) == len(said)
    for notice, words in zip(listing.notices, said, strict=True):
        assert words in notice


REFUSED = {  # what it is -> (header, row, options, words of the error)
    "no known name": ("where,what,why", "train/{}.jpg,cat,x", {}, "found where, what, why: name them so, or give --"),
    "two that may be the class": (
        *("path,species,breed", "train/{}.jpg,cat,[a/b]", {}),
        "the columns species, breed may each be meant; say which: --image-column NAME --label-column NAME",
    ),
    "a column that is not there": (
        *("path,label", "train/{}.jpg,cat", {"label_column": "breed"}),
        "has no column breed, which --label-column names; it has path, label",
    ),
    "a group of the CSV that is not there": (
        *("path,label", "train/{}.jpg,cat", {"group_by": "column:p"}),
        "has no column p, which --group-by column: names",
    ),
    "no header": ("train/100.jpg,cat", "train/{}.jpg,cat", {}, "put the line path,label above it"),
    "several classes in columns": (
        *("id,cat,dog", "train/{}.jpg,1,[0/1]", {}),
        "line 3: cat, dog are 1 at once, and a classifier gives one class for an image: keep the rows that have one",
    ),
    "several classes in a text": (
        *("path,label", "train/{}.jpg,[cat/dog/cat dog]", {}),
        "line 4: cat dog names several classes, cat and dog, which other images have alone",
    ),
    "the same with bars": ("path,label", "train/{}.jpg,[cat/dog/cat|dog]", {}, "cat|dog names several classes"),
    "no file at all": (
        *("path,label", "gone/x{}.jpg,cat", {}),
        "none of its 6 paths is a file in",
    ),
    "some files in a folder": (
        *("id,label", "[000/001/002/no],[cat/dog]", {}),
        "3 are with --image-dir",
    ),
    "a patient": (
        *("path,label,Patient ID", "train/{}.jpg,[cat/dog],[p1/p1/p2]", {}),
        "give --group-by column:'Patient ID', or --group-by none",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_in_which_words(folder: Path, what: str) -> None:
    header, row, options, words = REFUSED[what]
    with pytest.raises(UnfreezeError) as error:
        listing_of(folder, table(header, row), **options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_two_folders_that_fit(folder: Path, tmp_path: Path) -> None:
    for copy in ("one", "two"):
        shutil.copytree(folder / "train", tmp_path / copy)
    with pytest.raises(
        UnfreezeError, match=r"fit the files in 2 ways; give --image-dir .*one --suffix .jpg or --image"
    ):
        listing_of(tmp_path, table("id,label", "{},[cat/dog]"))
    assert listing_of(tmp_path, table("id,label", "{},[cat/dog]"), image_dir=str(tmp_path / "two")).entries


@pytest.mark.parametrize("name", [name for row in PATH_NAMES for name in row.split()])
def test_every_name_of_the_path(folder: Path, name: str) -> None:
    listing = listing_of(folder, table(f"{name.upper()},label", "train/{}.jpg,[cat/dog]"))
    assert [entry.path for entry in listing.entries] == TRAIN


@pytest.mark.parametrize("name", [name for row in LABEL_NAMES for name in row.split()])
def test_every_name_of_the_class(folder: Path, name: str) -> None:
    listing = listing_of(folder, table(f"path,{name.title()},age", "train/{}.jpg,[cat/dog],[1/2/3]"))
    assert [entry.label for entry in listing.entries] == CAT_DOG


@pytest.mark.parametrize(
    "name", [form for name in GROUP_NAMES.split() for form in (name, f"{name}_id", f"{name.title()}ID")]
)
def test_every_name_of_a_group_stops_the_scan_until_it_is_asked_for(folder: Path, name: str) -> None:
    text = table(f"path,label,{name}", "train/{}.jpg,[cat/dog],[p1/p1/p2]")
    with pytest.raises(UnfreezeError, match=f"--group-by column:{name}, or --group-by none"):
        listing_of(folder, text)
    listing = listing_of(folder, text, group_by=f"column:{name}")
    assert [entry.group for entry in listing.entries] == ["p1", "p1", "p2"] * 2
    assert listing.notices == []


def test_an_id_that_several_images_share_stops_the_scan(folder: Path) -> None:
    with pytest.raises(UnfreezeError, match="--group-by column:owner_id"):
        listing_of(folder, table("path,label,owner_id", "train/{}.jpg,[cat/dog],[o1/o1/o2]"))


@pytest.mark.parametrize("part", ["subset", "set", "Partition"])
def test_a_part_with_another_name_is_read_if_all_its_values_are_parts(folder: Path, part: str) -> None:
    listing = listing_of(folder, table(f"path,label,{part}", "train/{}.jpg,[cat/dog],[train/train/test]"))
    assert [entry.part for entry in listing.entries] == ["train", "train", "test"] * 2
    assert f"and `{part}` as the part" in listing.notices[0]
    listing = listing_of(folder, table(f"path,label,{part}", "train/{}.jpg,[cat/dog],[train/train/red]"))
    assert {entry.part for entry in listing.entries} == {""}
    assert f"not read: column {part}" in listing.notices[0]


def test_a_row_that_is_wider_than_the_header_is_left_out(folder: Path) -> None:
    listing = listing_of(folder, table("path,label", "train/{}.jpg,[cat/dog]") + "train/a, b.jpg,cat\n")
    assert [left.reason for left in listing.rejected] == [
        "line 8 of images.csv has more cells than the header: quote those with a delimiter in them"
    ]


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_delimiters_and_encodings(folder: Path, delimiter: str, encoding: str, end: str, name: str) -> None:
    text = table("path,label", "train/{}.jpg,[Kätzchen/dog]").replace(",", delimiter).replace("\n", end)
    assert [entry.label for entry in listing_of(folder, text, name, encoding).entries] == ["Kätzchen", "dog"] * 3


def test_excel_names_the_delimiter_above_the_header(folder: Path) -> None:
    listing = listing_of(folder, "sep=;\n" + table("path;label", "train/{}.jpg;[a,b/c,d]"))
    assert {entry.label for entry in listing.entries} == {"a,b", "c,d"}


cells = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1).filter(
    lambda cell: cell == cell.strip() and not cell.startswith('"') and cell.strip("\ufeff") == cell
)


@given(
    st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=8),
    st.sampled_from([*DELIMITERS]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_a_writer_of_csvs_wrote_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list, delimiter: str, end: str, quoting: int, encoding: str
) -> None:
    """The oracle is Python's csv.writer, whose dialects are those of pandas and spreadsheets."""
    file = tmp_path_factory.getbasetemp() / "written.csv"
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([("path", "label", "note"), *rows])
    file.write_bytes(text.getvalue().encode(encoding))
    read = read_table(file)
    assert read.columns == ("path", "label", "note")
    assert [cells for _, cells in read.rows] == rows
    assert read.too_wide == ()


@pytest.mark.parametrize("text", ["column:a", "folder", "folder:2", "none", "", r"p(\d+)_", "column:a b"])
def test_what_may_be_grouped_by(text: str) -> None:
    assert is_group_by(text)
    assert DataSettings(group_by=text).group_by == text


@pytest.mark.parametrize("text", ["column:", "folder:0", "folder:x", "folder:", "(", "["])
def test_what_may_not_be_grouped_by(text: str) -> None:
    with pytest.raises(
        UnfreezeError, match=r"group_by is .*; give column:NAME, folder, folder:N, a regular expression"
    ):
        DataSettings(group_by=text)


def test_a_scan_says_what_was_guessed(folder: Path) -> None:
    (folder / "images.csv").write_text(table("id,breed", "{},[cat/dog]"))
    assert any("000 was found as train/000.jpg" in notice for notice in scan(folder / "images.csv").notices)
