"""A CSV as people have it: what is read as what, what is refused in which words."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.pictures import write_pictures
from toolkit.data.groups import is_group_by
from toolkit.data.image_set import scan
from toolkit.data.settings import DataSettings
from toolkit.data.sources import csv_paths, walk
from toolkit.data.sources.csv_columns import LABEL_NAMES, PATH_NAMES
from toolkit.data.sources.csv_groups import GROUP_NAMES
from toolkit.data.sources.csv_parts import PART_NAMES
from toolkit.data.sources.csv_table import DELIMITERS, read_table
from toolkit.data.sources.listing import Listing
from toolkit.data.sources.open import read_listing
from toolkit.data.sources.write_csv import write_csv
from toolkit.data.split import split
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


PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
TRAIN = [f"train/{name}.jpg" for name in NAMES]
CAT_DOG = ["cat", "dog"] * 3


def rows_of(heading: str) -> list[Any]:
    """The rows of the first table below a heading of the page: the same that people read."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\|(.*)\|$", section, re.MULTILINE)[2:]
    cells = [[cell.strip() for cell in row.split(" | ")] for row in rows]
    return [pytest.param(*row, id=row[0]) for row in cells]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def options_of(cell: str, folder: Path) -> dict[str, str]:
    """The options in a cell, as fields of the settings."""
    typed = [option.split(" ", 1) for option in code(cell)]
    found = {name.removeprefix("--").replace("-", "_"): value for name, value in typed}
    return found | ({"image_dir": str(folder / found["image_dir"])} if "image_dir" in found else {})


@pytest.mark.parametrize(
    ("what", "columns", "row", "options", "path", "classes", "notes"), rows_of("CSVs that are read")
)
def test_what_is_read_as_what(
    folder: Path, what: str, columns: str, row: str, options: str, path: str, classes: str, notes: str
) -> None:
    listing = listing_of(folder, table(*code(columns), *code(row)), **options_of(options, folder))
    assert listing.rejected == []
    assert len(listing.entries) == 6
    assert listing.entries[0].path == code(path)[0]
    assert sorted({entry.label for entry in listing.entries}) == code(classes)
    assert " <br> ".join(listing.notices) == notes
    for entry in listing.entries:  # the oracle: the number in the name is that of the row
        number = int(re.findall(r"\d+", entry.path)[-1])
        assert (listing.root / entry.path).is_file()
        assert code(row)[0].count("[") == 0 or entry.label == wanted(code(columns)[0], code(row)[0], number)


def wanted(columns: str, row: str, number: int) -> str:
    """The class of a row, read off the table without the code that is tested."""
    choices = {
        column: cell.strip("[]").split("/") for column, cell in zip(columns.split(","), row.split(","), strict=True)
    }
    if {"cat", "dog"} <= {*choices}:
        return "cat" if choices["cat"][number % 2] in ("1", "True") else "dog"
    named = [
        cell
        for column, cell in choices.items()
        if column not in ("age", "sex", "a", "site", "class_id", "", "Unnamed: 0")
    ]
    values = next(cell for cell in reversed(named) if len(cell) > 1 and "{}" not in "".join(cell))
    return values[number % len(values)]


@pytest.mark.parametrize(("what", "columns", "row", "options", "error"), rows_of("CSVs that are refused"))
def test_what_is_refused_in_which_words(
    folder: Path, what: str, columns: str, row: str, options: str, error: str
) -> None:
    with pytest.raises(UnfreezeError) as raised:
        listing_of(folder, table(*code(columns), *code(row)), **options_of(options, folder))
    assert str(raised.value).replace(str(folder), "DATA") == error


PLANET = (
    "haze primary/clear primary road/clear primary/haze primary road/cloudy/clear primary water/haze primary water/"
    "haze primary road water/clear primary road water"
)


@pytest.mark.parametrize(
    "labels",
    [
        *("cat/dog/cat|dog", "cat/dog/cat;dog", "Edema|Mass/Mass|Nodule", "Edema;Mass/Mass;Nodule/Mass"),
        *("a, b/b, c", "['Drama', 'War']/['Drama']", '["Drama", "War"]/x', "a b/b c/c a/a/b/c", PLANET),
    ],
)
@pytest.mark.parametrize("delimiter", "\t,")
def test_labels_that_are_several_classes(folder: Path, labels: str, delimiter: str) -> None:
    values = labels.split("/") * 2
    text = io.StringIO()
    rows = [(f"train/{NAMES[number % 6]}.jpg", value) for number, value in enumerate(values)]
    csv.writer(text, delimiter=delimiter).writerows([("path", "label"), *rows])
    with pytest.raises(UnfreezeError, match=r"line \d+: .* names several classes, .* and .*: keep the rows"):
        listing_of(folder, text.getvalue())


@pytest.mark.parametrize(
    "labels",
    [
        *(
            "yorkshire terrier/fox terrier/west highland terrier/bull terrier/boston terrier/dog",
            "red fox/arctic fox/fox",
        ),
        *("sea/lion/sea lion", "a|b/c|d", "tench; Tinca tinca/crow; Corvus", "golden retriever/labrador retriever/dog"),
        "red apple/green apple/blue apple/red pear/green pear/blue pear/red plum/green plum/blue plum",
    ],
)
def test_labels_that_are_classes_of_their_own(folder: Path, labels: str) -> None:
    values = labels.split("/")
    rows = [f"train/{NAMES[number % 6]}.jpg,{value}" for number, value in enumerate(values)]
    assert {entry.label for entry in listing_of(folder, "\n".join(["path,label", *rows])).entries} == {*values}


class_folders = st.text(
    st.one_of(st.sampled_from("ab ,;|'\"[]&\u00a0"), st.characters(exclude_categories=["C", "Z"])),
    min_size=1,
    max_size=6,
).filter(lambda name: not {*name} & {*"/.\0"} and name.strip())


@example(["sea", "lion", "sea lion", "lion sea", "sea lion sea"], "{}", "data/written.csv")
@example(["a|b", "b|c", "a, b", "b"], "data/{}", "written.csv")
@example(["['a', 'b']", "b; c", " a ", "c"], " d /{}", "written.csv")
@given(
    st.lists(class_folders, min_size=2, max_size=6, unique_by=str.strip),
    st.sampled_from(["{}", "data/{}", " d /{}", "train/{}"]),
    st.sampled_from(["data/written.csv", "written.csv"]),
)
@settings(max_examples=40, deadline=None)
def test_the_csv_of_a_folder_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, classes: list[str], tree: str, where: str
) -> None:
    """The oracle is the folder itself: its images with their labels and parts."""
    root = tmp_path_factory.mktemp("tree")
    for number in range(3):
        for name in classes:
            file = root / "data" / tree.format(name) / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    try:
        before = read_listing(root / "data")
    except UnfreezeError:  # a folder that is not read, such as one of nearly equal names
        return
    file = root / where
    assert write_csv(root / "data", file, DataSettings()).left_out == ()
    assert rows_in(read_listing(file)) == rows_in(before)


def rows_in(listing: Listing) -> set[tuple[Path, str, str]]:
    return {((listing.root / entry.path).resolve(), entry.label, entry.part) for entry in listing.entries}


def test_the_page_names_every_column_that_is_known() -> None:
    """The rows of the first table, in the order in which they are tried."""
    known = [row[1] for row in (param.values for param in rows_of("CSV"))]
    for names, cell in zip((PATH_NAMES, LABEL_NAMES, PART_NAMES), known, strict=False):
        assert [" ".join(code(line)) for line in cell.split(" <br> ")] == [*names]
    assert " ".join(code(known[3].partition(";")[0])) == GROUP_NAMES


@pytest.mark.parametrize(
    "other", ["{}.jpg", "train\\{}.jpg", "train/{}", "{}", "C:\\old\\train\\{}.jpg", "data/train/{}.jpg"]
)
@pytest.mark.parametrize("first", ["train/{}.jpg", "{}.jpg"])
def test_paths_written_in_two_ways(folder: Path, first: str, other: str) -> None:
    rows = [f"{(other if number % 2 else first).format(name)},{CAT_DOG[number]}" for number, name in enumerate(NAMES)]
    listing = listing_of(folder, "\n".join(["path,label", *rows]))
    assert [entry.path for entry in listing.entries] == TRAIN
    if first.startswith("train"):
        said = f"3 of its 6 paths are there as they stand; 3 were found elsewhere, such as {other.format('001')} as"
        assert said.replace("\\", "") in listing.notices[0].replace("\\", "")


def test_a_path_that_is_gone_is_not_another_rows_file(folder: Path) -> None:
    rows = [*(f"train/{name}.jpg,cat" for name in NAMES[:4]), "gone/000.jpg,dog", "000.jpg,dog", "none.jpg,dog"]
    listing = listing_of(folder, "\n".join(["path,label", *rows]))
    assert [entry.path for entry in listing.entries if entry.label == "dog"] == ["000.jpg", "gone/000.jpg", "none.jpg"]
    assert listing.notices == [
        "images.csv: 4 of its 7 paths are there as they stand; 3 are no file, such as gone/000.jpg"
    ]


def test_a_class_with_too_few_images_says_which_are_gone(folder: Path) -> None:
    rows = [*(f"train/{name}.jpg,{label}" for name, label in zip(NAMES, ["cat"] * 4 + ["dog"] * 2, strict=True))]
    rows += [f"gone{number}.jpg,dog" for number in range(4)]
    (folder / "images.csv").write_text("\n".join(["path,label", *rows]))
    with pytest.raises(
        UnfreezeError, match=r"class dog has 2 distinct images .* \(left out: 4, such as gone0.jpg: cannot"
    ):
        split(scan(folder / "images.csv"))


@pytest.mark.parametrize("option", ["image_column", "label_column", "image_dir", "suffix"])
def test_options_for_a_csv_are_refused_for_a_folder(folder: Path, tmp_path: Path, option: str) -> None:
    settings = DataSettings(**{option: "x"})  # type: ignore[arg-type]
    for call in (lambda: scan(folder, settings), lambda: write_csv(folder, tmp_path / "a.csv", settings)):
        with pytest.raises(UnfreezeError, match=f"is a folder, and --{option.replace('_', '-')} is for a CSV"):
            call()


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
    "name",
    [
        form
        for name in GROUP_NAMES.split()
        for form in (name, f"{name}_id", f"{name.title()}ID", f"{name}s", f"source_{name}", f"{name}Code")
    ],
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


@pytest.mark.parametrize("name", ["id", "tray_id", "trayid", "tray code", "trayNumber", "pids"])
def test_numbers_that_several_images_share_stop_the_scan(folder: Path, name: str) -> None:
    with pytest.raises(UnfreezeError, match="--group-by column:"):
        listing_of(folder, table(f"path,label,{name}", "train/{}.jpg,[cat/dog],[7/8/9]"))
    assert listing_of(folder, table(f"path,label,{name}", "train/{}.jpg,[cat/dog],{}")).entries
    assert listing_of(folder, table(f"path,label,{name}", "train/{}.jpg,[cat/dog],[7/8]")).entries


@pytest.mark.parametrize("name", ["age", "sex", "width", "patient_age", "Patient Gender", "covid", "note"])
def test_values_that_images_share_are_not_groups(folder: Path, name: str) -> None:
    listing = listing_of(folder, table(f"path,label,{name}", "train/{}.jpg,[cat/dog],[7/8/9]"))
    assert listing.notices == [f"images.csv: not read: column {name}"]


def test_a_plural_gives_way_to_a_singular(folder: Path) -> None:
    listing = listing_of(folder, table("paths,path,labels,label", "x,train/{}.jpg,y,[cat/dog]"))
    assert [(entry.path, entry.label) for entry in listing.entries] == [*zip(TRAIN, CAT_DOG, strict=True)]


@pytest.mark.parametrize("part", ["subset", "set", "Partition", "Usage", "phase", "data set", "anything"])
@pytest.mark.parametrize("words", ["train/train/test", "Training/Training/PublicTest", "TRAIN/train_set/PrivateTest"])
def test_a_part_with_another_name_is_read_if_all_its_values_are_parts(folder: Path, part: str, words: str) -> None:
    for class_name in ("label", "of_what"):
        listing = listing_of(folder, table(f"path,{class_name},{part}", f"train/{{}}.jpg,[cat/dog],[{words}]"))
        assert [entry.part for entry in listing.entries] == ["train", "train", "test"] * 2
        assert [entry.label for entry in listing.entries] == CAT_DOG
        assert f"and `{part}` as the part" in listing.notices[0]


@pytest.mark.parametrize("part", ["split", "set", "Usage", "anything"])
def test_an_unknown_part_among_known_ones_stops_the_scan(folder: Path, part: str) -> None:
    with pytest.raises(UnfreezeError, match=f"line 4: .*{part} is 'red'.* train, val, test or nothing"):
        listing_of(folder, table(f"path,label,{part}", "train/{}.jpg,[cat/dog],[train/train/red]"))


@pytest.mark.parametrize("values", ["red/blue", "red/blue/train", "valid", "test", "1/2/3"])
def test_a_column_of_other_words_is_no_part(folder: Path, values: str) -> None:
    listing = listing_of(folder, table("path,label,colour", f"train/{{}}.jpg,[cat/dog],[{values}]"))
    assert {entry.part for entry in listing.entries} == {""}
    assert listing.notices == ["images.csv: not read: column colour"]


@pytest.mark.parametrize("name", ["is_train", "isTest", "is val", "IS_VALID", "istrain", "train"])
@pytest.mark.parametrize("values", ["0/1", "True/False", "1.0/0.0"])
def test_flags_of_a_part_stop_the_scan(folder: Path, name: str, values: str) -> None:
    text = table(f"path,label,{name}", f"train/{{}}.jpg,[cat/dog],[{values}]")
    with pytest.raises(UnfreezeError, match=f"column {name} says what is in .* a column split: put one"):
        listing_of(folder, text)
    listing = listing_of(folder, table(f"path,label,split,{name}", f"train/{{}}.jpg,[cat/dog],[train/test],[{values}]"))
    assert [entry.part for entry in listing.entries] == ["train", "test"] * 3


def test_a_class_may_be_called_train(folder: Path) -> None:
    listing = listing_of(folder, table("id,bus,train", "train/{}.jpg,[1/0],[0/1]"))
    assert [entry.label for entry in listing.entries] == ["bus", "train"] * 3
    with pytest.raises(UnfreezeError, match="column is_train says what is in train"):
        listing_of(folder, table("id,is_train,is_test", "train/{}.jpg,[1/0],[0/1]"))


def test_two_columns_of_parts_that_differ_stop_the_scan(folder: Path) -> None:
    with pytest.raises(UnfreezeError, match="columns phase, use name different parts: call one of them split"):
        listing_of(folder, table("path,label,phase,use", "train/{}.jpg,[cat/dog],[train/test],[train/train/test]"))


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


@pytest.mark.parametrize("above", ["\n", "\r\n\r\n", ",,\n", " \n\t\n"])
def test_empty_lines_above_the_header(folder: Path, above: str) -> None:
    text = above + table("path,label", "train/{}.jpg,[cat/dog]") + ",cat\n"
    listing = listing_of(folder, text)
    assert [entry.path for entry in listing.entries] == TRAIN
    assert listing.rejected[0].reason == f"line {8 + above.count(chr(10))} of images.csv has no path"


def test_the_line_that_names_the_delimiter_counts(folder: Path) -> None:
    listing = listing_of(folder, "sep=;\n" + table("path;label", "train/{}.jpg;[cat/dog]") + ";cat\n")
    assert listing.rejected[0].reason == "line 9 of images.csv has no path"


@pytest.mark.parametrize("rows", [0, 3, 9000])
def test_a_quote_that_is_not_closed_is_one_line_of_text(folder: Path, rows: int) -> None:
    text = table("path,label", "train/{}.jpg,[cat/dog]") + 'train/000.jpg,"cat\n' + "train/001.jpg,dog\n" * rows
    with pytest.raises(UnfreezeError, match=r"line 8 .*not closed") as error:
        listing_of(folder, text)
    assert "\n" not in str(error.value)
    with pytest.raises(UnfreezeError, match=r"a quote in line 1 or below is not closed"):
        listing_of(folder, 'path,"label\n0.jpg,cat\n')


def test_another_encoding_is_told_without_a_codec(folder: Path) -> None:
    with pytest.raises(UnfreezeError) as error:
        listing_of(folder, table("path,label", "train/{}.jpg,[cat/naïve]"), encoding="cp1252")
    assert str(error.value).endswith("it is not UTF-8 (byte 0xef in line 3); save it as CSV UTF-8")


def test_few_rows_without_a_one_are_left_out(folder: Path) -> None:
    rows = [f"train/{NAMES[0]}.jpg,1,0", *(f"x{number}.jpg,0,1" for number in range(60)), "y.jpg,0,0"]
    listing = listing_of(folder, "\n".join(["id,cat,dog", *rows]))
    assert [left.reason for left in listing.rejected] == ["line 63 of images.csv has no label"]
    with pytest.raises(UnfreezeError, match=r"line 64: cat, dog are 1 at once"):
        listing_of(folder, "\n".join(["id,cat,dog", *rows, "y.jpg,1,1"]))


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


@pytest.mark.parametrize("row", ["{},[cat/dog]", "old/{}.jpg,[cat/dog]"])
def test_what_lies_in_the_working_directory_changes_nothing(
    row: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder / "train", tmp_path / "data" / "train")
    expected = listing_of(tmp_path / "data", table("path,label", row)).entries
    picture = (folder / TRAIN[0]).read_bytes()
    for name in ("path", "label", *NAMES):
        (tmp_path / name).write_bytes(picture)
    monkeypatch.chdir(tmp_path)
    assert listing_of(tmp_path / "data", table("path,label", row)).entries == expected
    assert len(expected) == 6


def frames(root: Path, clips: int, each: int, clip: str = "clip_{:04d}") -> list[str]:
    """Files that only their names say are pictures, frames/clip_0000/000.jpg and so on; their paths in frames/."""
    paths = [f"{clip.format(number)}/{frame:03d}.jpg" for number in range(clips) for frame in range(each)]
    for path in paths:
        file = root / "frames" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return paths


@pytest.mark.parametrize(("clips", "each"), [(40, 20), (400, 2), (2, 400)])
def test_the_work_grows_with_the_rows(clips: int, each: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are as many ways as folders, since their files have the same names."""
    paths, tried = frames(tmp_path, clips, each), []
    path_of = csv_paths.Way.path
    monkeypatch.setattr(csv_paths.Way, "path", lambda way, given: tried.append(given) or path_of(way, given))
    lines = [f"{path},{label}" for path, label in zip(paths, ["cat", "dog"] * len(paths), strict=False)]
    listing = listing_of(tmp_path, "\n".join(["path,label", *lines]))
    assert [entry.path for entry in listing.entries] == sorted(f"frames/{path}" for path in paths)
    assert len(tried) < 5 * len(paths)


def test_no_file_is_opened_to_find_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path, other) = frames(tmp_path, 1, 2)
    (tmp_path / "frames" / "notes.txt").touch()
    opened: list[Path] = []
    monkeypatch.setattr(walk, "head", lambda file: opened.append(file) or b"")
    assert len(listing_of(tmp_path, f"path,label\n{path},cat\n{other},dog\n").entries) == 2
    assert not opened


def test_a_folder_with_too_many_files_of_any_kind_is_not_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path, other) = frames(tmp_path, 1, 2)
    for number in range(20):
        (tmp_path / f"{number}.txt").touch()
    monkeypatch.setattr(csv_paths, "MOST_ENTRIES", 20, raising=False)
    with pytest.raises(UnfreezeError, match=r"none of its 2 paths is a file in .*; give --image-dir FOLDER"):
        listing_of(tmp_path, f"path,label\n{path},cat\n{other},dog\n")


def test_a_folder_that_cannot_be_read_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path, other) = frames(tmp_path, 1, 2)
    (tmp_path / "secret").mkdir()
    scandir = os.scandir

    def refuse(folder: Path) -> Any:
        if Path(folder).name == "secret":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert len(listing_of(tmp_path, f"path,label\n{path},cat\n{other},dog\n").entries) == 2
