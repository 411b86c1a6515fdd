from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import nullcontext
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pictures import draw, encode, files_below, write_pictures
from toolkit.data.image_set import ImageSet, scan
from toolkit.errors import UnfreezeError
from toolkit.storage import safe_read


def picture(seed: int = 0, form: str = "JPEG", size: int = 16) -> bytes:
    return encode(draw(1, size, np.random.default_rng(seed)), form)


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def left_out(folder: ImageSet) -> dict[str, str]:
    return {rejected.path: rejected.reason for rejected in folder.rejected}


def write_csv(root: Path, text: str, encoding: str = "utf-8") -> Path:
    return put(root / "images.csv", text.encode(encoding))


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Two classes of three pictures each, none given a part."""
    return write_pictures(tmp_path / "data", per_class=3, size=16)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """train/ and test/, two pictures of each class in each."""
    for seed, part in enumerate(("train", "test")):
        write_pictures(tmp_path / "data" / part, per_class=2, size=16, seed=seed)
    return tmp_path / "data"


# A folder with a sub-folder per class.


def test_a_folder_of_classes(classes: Path) -> None:
    folder = scan(classes)
    assert folder.root == classes
    assert folder.class_names == ("dots", "stripes")
    assert folder.paths == tuple(f"{name}/00{n}.jpg" for name in ("dots", "stripes") for n in range(3))
    assert folder.labels.dtype == np.int32
    assert folder.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert folder.parts == ("",) * 6
    assert folder.digests == tuple(hashlib.sha256((classes / path).read_bytes()).hexdigest() for path in folder.paths)
    assert len(folder) == 6
    assert (folder.rejected, folder.ignored) == ((), 0)


def test_the_record_is_frozen(classes: Path) -> None:
    folder = scan(classes)
    with pytest.raises(FrozenInstanceError):
        folder.ignored = 1  # type: ignore[misc]


def test_sub_folders_are_walked_and_paths_sorted_as_text(classes: Path) -> None:
    put(classes / "dots" / "more" / "deep" / "a.PNG", picture(7, "PNG"))
    put(classes / "dots" / "0.jpeg", picture(8))
    folder = scan(classes)
    assert folder.paths[:2] == ("dots/0.jpeg", "dots/000.jpg")
    assert "dots/more/deep/a.PNG" in folder.paths
    assert list(folder.paths) == sorted(folder.paths)


def test_the_order_does_not_depend_on_the_file_system(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = scan(classes)
    listed = os.scandir
    backwards = lambda folder: nullcontext(sorted(listed(folder), key=lambda one: one.name, reverse=True))  # noqa: E731
    monkeypatch.setattr("toolkit.data.sources.walk.os.scandir", backwards)
    after = scan(classes)
    assert after.paths == before.paths
    assert after.fingerprint() == before.fingerprint()


def test_other_files_are_counted_and_hidden_ones_are_not_seen(classes: Path) -> None:
    for name in ("notes.txt", "dots/list.csv", "dots/more/list.xml"):
        put(classes / name, b"x")
    for name in (
        ".DS_Store",
        "dots/._000.jpg",
        ".git/a.jpg",
        "dots/.thumbnails/a.jpg",
        "__MACOSX/dots/a.jpg",
        "dots/Thumbs.db",
        "dots/@eaDir/000.jpg/SYNOPHOTO_THUMB_M.jpg",
    ):
        put(classes / name, b"x")
    folder = scan(classes)
    assert folder.ignored == 3
    assert folder.rejected == ()
    assert len(folder) == 6


def test_images_outside_the_class_folders_are_listed(classes: Path) -> None:
    put(classes / "stray.jpg", picture())
    assert left_out(scan(classes)) == {"stray.jpg": "not in a class folder"}


def test_linked_folders_are_not_followed_but_linked_files_and_classes_are(classes: Path) -> None:
    (classes / "dots" / "round").symlink_to(classes, target_is_directory=True)
    (classes / "dots" / "link.jpg").symlink_to(put(classes.parent / "elsewhere.jpg", picture(5)))
    write_pictures(classes.parent / "far", classes=["rings"], per_class=2, size=16, seed=9)
    (classes / "rings").symlink_to(classes.parent / "far" / "rings", target_is_directory=True)
    folder = scan(classes)
    assert left_out(folder) == {"dots/round": "a symbolic link to a folder, which is not followed"}
    assert "dots/link.jpg" in folder.paths
    assert folder.counts().tolist() == [4, 2, 3]


def test_sizes_are_as_shown(classes: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    put(classes / "dots" / "turned.jpg", encode(Image.new("RGB", (20, 10)), exif=turned.tobytes()))
    folder = scan(classes)
    assert folder.sizes.shape == (7, 2)
    assert folder.sizes[folder.paths.index("dots/turned.jpg")].tolist() == [10, 20]
    assert folder.sizes[0].tolist() == [16, 16]


# What cannot be used.


def test_broken_empty_and_mistyped_files_are_left_out_with_a_reason(classes: Path) -> None:
    put(classes / "dots" / "cut.jpg", picture(1)[:-100])
    put(classes / "dots" / "empty.png", b"")
    put(classes / "eggs.jpg", picture(4))
    put(classes / "dots" / "page.jpg", b"<!DOCTYPE html>")
    put(classes / "stripes" / "scan.png", picture(2, "TIFF"))
    put(classes / "stripes" / "wrong.jpg", picture(3, "PNG"))
    (classes / "stripes" / "nowhere.jpg").symlink_to(classes / "gone.jpg")
    folder = scan(classes)
    reasons = left_out(folder)
    assert list(reasons) == sorted(reasons)
    assert reasons.pop("dots/cut.jpg").startswith("cut short or damaged")
    assert reasons == {
        "dots/empty.png": "the file is empty",
        "dots/page.jpg": "not an image",
        "eggs.jpg": "not in a class folder",
        "stripes/nowhere.jpg": "cannot be read: No such file or directory",
    }
    assert len(folder) == 8
    said = "2 files are read by the content, not the name; the first: stripes/scan.png is TIFF"
    assert folder.notices == (said,)


def test_the_same_file_in_two_classes_is_left_out_of_both(classes: Path) -> None:
    shutil.copy(classes / "dots/000.jpg", classes / "dots/again.jpg")
    shutil.copy(classes / "dots/000.jpg", classes / "stripes/again.jpg")
    folder = scan(classes)
    assert left_out(folder) == {
        "dots/000.jpg": "the same file as stripes/again.jpg, which is labelled stripes",
        "dots/again.jpg": "the same file as stripes/again.jpg, which is labelled stripes",
        "stripes/again.jpg": "the same file as dots/000.jpg, which is labelled dots",
    }
    assert folder.counts().tolist() == [2, 3]


def test_strict_makes_it_an_error(classes: Path) -> None:
    assert len(scan(classes, strict=True)) == 6
    put(classes / "dots" / "a.jpg", b"")
    put(classes / "dots" / "b.jpg", b"")
    with pytest.raises(UnfreezeError, match=r"2 left out.*dots/a\.jpg: the file is empty"):
        scan(classes, strict=True)


def test_progress_counts_every_file_in_order(classes: Path) -> None:
    put(classes / "dots" / "a.jpg", b"")
    calls: list[tuple[int, int]] = []
    scan(classes, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(n, 7) for n in range(1, 8)]


def test_every_file_is_opened_once(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    opener = safe_read._without_waiting
    monkeypatch.setattr(
        safe_read, "_without_waiting", lambda path, flags: opened.append(Path(path).name) or opener(path, flags)
    )
    scan(classes)
    assert sorted(opened) == sorted(["000.jpg", "001.jpg", "002.jpg"] * 2)


# Parts.


def test_given_parts(parts: Path) -> None:
    folder = scan(parts)
    assert folder.class_names == ("dots", "stripes")
    assert folder.paths[0] == "test/dots/000.jpg"
    assert folder.parts == ("test",) * 4 + ("train",) * 4
    assert folder.counts("test").tolist() == [2, 2]
    assert folder.counts("val").tolist() == [0, 0]


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Validation"])
def test_every_name_of_the_validation_part(parts: Path, name: str) -> None:
    (parts / "test").rename(parts / name)
    assert set(scan(parts).parts) == {"train", "val"}


def test_select_keeps_the_rows_of_one_part(parts: Path) -> None:
    folder = scan(parts)
    test = folder.select("test")
    assert test.paths == folder.paths[:4]
    assert test.digests == folder.digests[:4]
    assert test.parts == ("test",) * 4
    assert test.labels.tolist() == folder.labels[:4].tolist()
    assert test.sizes.shape == (4, 2)
    assert test.class_names == folder.class_names
    assert not folder.select("val")


def test_a_class_may_be_called_train(classes: Path) -> None:
    (classes / "dots").rename(classes / "train")  # a vehicle
    folder = scan(classes)
    assert folder.class_names == ("stripes", "train")
    assert set(folder.parts) == {""}


def test_what_stands_beside_train_is_listed(parts: Path) -> None:
    put(parts / "extra" / "more" / "0.jpg", picture())
    put(parts / "test" / "loose.jpg", picture())
    put(parts / "readme.txt", b"x")
    folder = scan(parts)
    assert left_out(folder) == {
        "extra": "a folder beside train/ that is neither val/ nor test/",
        "test/loose.jpg": "not in a class folder",
    }
    assert folder.ignored == 1


def test_a_test_part_may_lack_a_class(parts: Path) -> None:
    shutil.rmtree(parts / "test" / "dots")
    assert scan(parts).counts("test").tolist() == [0, 2]


def test_duplicates_and_leaks(parts: Path) -> None:
    shutil.copy(parts / "train/dots/000.jpg", parts / "train/dots/copy.jpg")
    shutil.copy(parts / "train/stripes/001.jpg", parts / "test/stripes/copy.jpg")
    folder = scan(parts)
    leak = ("test/stripes/copy.jpg", "train/stripes/001.jpg")
    assert folder.duplicates() == (leak, ("train/dots/000.jpg", "train/dots/copy.jpg"))
    assert folder.leaks() == (leak,)
    assert folder.rejected == ()


def test_a_copy_without_a_part_is_no_leak(classes: Path) -> None:
    shutil.copy(classes / "dots/000.jpg", classes / "dots/copy.jpg")
    rows = ["dots/000.jpg,a,test", "dots/copy.jpg,a,", "dots/001.jpg,a,", "stripes/000.jpg,b,"]
    folder = scan(write_csv(classes, "\n".join(["path,label,split", *rows])))
    assert folder.duplicates() == (("dots/000.jpg", "dots/copy.jpg"),)
    assert folder.leaks() == ()


# The fingerprint.


def test_the_fingerprint_is_that_of_the_data_not_of_the_place(parts: Path) -> None:
    before = scan(parts).fingerprint()
    shutil.copytree(parts, parts.parent / "moved")
    put(parts.parent / "moved" / "notes.txt", b"x")
    assert scan(parts.parent / "moved").fingerprint() == before


@pytest.mark.parametrize("change", ["content", "name", "label", "part", "gone"])
def test_the_fingerprint_sees(parts: Path, change: str) -> None:
    before = scan(parts).fingerprint()
    file = parts / "train/dots/000.jpg"
    match change:
        case "content":
            file.write_bytes(picture(99))
        case "name":
            file.rename(file.with_name("other.jpg"))
        case "label":
            (parts / "train/dots").rename(parts / "train/spots")
            (parts / "test/dots").rename(parts / "test/spots")
        case "part":
            file.rename(parts / "test/dots/moved.jpg")
        case "gone":
            file.unlink()
    assert scan(parts).fingerprint() != before


@pytest.mark.parametrize("change", ["b,train", "a,val", "a,"])
def test_the_fingerprint_sees_what_only_a_csv_can_change(classes: Path, change: str) -> None:
    rows = "path,label,split\ndots/000.jpg,a,train\nstripes/000.jpg,b,train\ndots/001.jpg,"
    before = scan(write_csv(classes, rows + "a,train")).fingerprint()
    assert scan(write_csv(classes, rows + change)).fingerprint() != before


# CSV.


def test_csv(classes: Path) -> None:
    file = write_csv(classes, "path,label\nstripes/001.jpg,b\ndots/000.jpg,a\n./dots/001.jpg,a\n")
    folder = scan(file)
    assert folder.root == classes
    assert folder.class_names == ("a", "b")
    assert folder.paths == ("dots/000.jpg", "dots/001.jpg", "stripes/001.jpg")
    assert folder.labels.tolist() == [0, 0, 1]
    assert folder.parts == ("", "", "")


def test_csv_as_spreadsheets_write_it(classes: Path) -> None:
    put(classes / "a, b.jpg", picture(5))
    rows = [
        "Label, Split ,PATH,note",
        'x,, "a, b.jpg",',
        "",
        '"y ""z""",Valid,dots/000.jpg,n',
        "x,train,dots/001.jpg",
    ]
    file = write_csv(classes, "\r\n".join([*rows, 'y "z",TEST,dots/002.jpg', 'y "z",,stripes/000.jpg']), "utf-8-sig")
    folder = scan(file)
    assert folder.class_names == ("x", 'y "z"')
    assert dict(zip(folder.paths, folder.parts, strict=True)) == {
        "a, b.jpg": "",
        "dots/000.jpg": "val",
        "dots/001.jpg": "train",
        "dots/002.jpg": "test",
        "stripes/000.jpg": "",
    }


def test_csv_rows_that_cannot_be_used_are_listed(classes: Path) -> None:
    rows = ["dots/000.jpg,a", "stripes/000.jpg,b", "gone.jpg,a", "dots/001.jpg,", "dots/000.jpg,a", ",a"]
    folder = scan(write_csv(classes, "\n".join(["path,label", *rows])))
    assert left_out(folder) == {
        "": "line 7 of images.csv has no path",
        "dots/000.jpg": "line 6 of images.csv repeats an earlier one",
        "dots/001.jpg": "line 5 of images.csv has no label",
        "gone.jpg": "cannot be read: No such file or directory",
    }
    assert folder.paths == ("dots/000.jpg", "stripes/000.jpg")


def test_csv_that_labels_a_file_twice(classes: Path) -> None:
    rows = ["dots/000.jpg,a", "dots/000.jpg,b", "dots/001.jpg,a", "stripes/000.jpg,b"]
    folder = scan(write_csv(classes, "\n".join(["path,label", *rows])))
    assert folder.paths == ("dots/001.jpg", "stripes/000.jpg")
    assert [rejected.path for rejected in folder.rejected] == ["dots/000.jpg"] * 2


# Errors.


def one_class(root: Path) -> None:
    shutil.rmtree(root / "dots")


def no_class_folders(root: Path) -> None:
    shutil.rmtree(root / "stripes")
    (root / "dots").rename(root / ".dots")


def nothing_usable(root: Path) -> None:
    for file in (root / "dots").iterdir():
        file.write_bytes(b"")


def empty_class(root: Path) -> None:
    (root / "rings").mkdir()


def no_train(root: Path) -> None:
    (root / "val").mkdir()
    (root / "stripes").rename(root / "val" / "stripes")
    (root / "dots").rename(root / "test")


def unknown_test_class(root: Path) -> None:
    write_pictures(root / "train", per_class=1)
    write_pictures(root / "test", classes=["rings"], per_class=1)


def class_only_in_test(root: Path) -> None:
    write_pictures(root / "train", per_class=1)
    write_pictures(root / "test", per_class=1, seed=1)
    (root / "train" / "dots" / "000.jpg").unlink()


def class_only_disputed(root: Path) -> None:
    shutil.rmtree(root / "dots")
    put(root / "dots" / "a.jpg", (root / "stripes" / "000.jpg").read_bytes())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, "does not exist; give a folder"),
        (one_class, "only one class, stripes: a classifier needs two"),
        (no_class_folders, "has no class folders: put"),
        (nothing_usable, "class dots has no usable image to train on"),
        (empty_class, "class rings has no usable image to train on"),
        (no_train, "has val/ but no train/"),
        (unknown_test_class, "class rings is in test but not in train"),
        (class_only_in_test, "class dots has no usable image to train on"),
        (class_only_disputed, "class dots has no usable image to train on"),
    ],
)
def test_folders_that_will_not_do(classes: Path, change: object, message: str) -> None:
    change(classes)  # type: ignore[operator]
    with pytest.raises(UnfreezeError) as error:
        scan(classes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the columns path,label[,split], found none"),
        ("where,what\na.jpg,x\n", "expected the columns path,label[,split], found where, what"),
        ("path:label\na.jpg:x\n", "found path:label"),
        ("path,label\n", "has no row with a path and a label"),
        ("path,label\n,\n", "has no row with a path and a label"),
        (
            "path,label,split\ndots/000.jpg,a,fold1\n",
            "line 2: split is 'fold1'; write train, val, test or nothing",
        ),
        ("path,label\ndots/000.jpg,a\n", "only one class, a"),
        ("path,label,split\ndots/000.jpg,a,test\n", "class a is in test but not in train"),
        ("path,label\ngone.jpg,a\ndots/000.jpg,b\n", "class a has no usable image"),
        ("path,label\n\xff\xfe", "cannot be read as a CSV: "),
    ],
)
def test_csvs_that_will_not_do(classes: Path, text: str, message: str) -> None:
    with pytest.raises(UnfreezeError) as error:
        scan(write_csv(classes, text, "latin-1"))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_csv(classes: Path) -> None:
    with pytest.raises(UnfreezeError, match=r"000\.jpg is neither a folder nor a \.csv file"):
        scan(classes / "dots" / "000.jpg")


def test_a_folder_that_may_not_be_read(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("toolkit.data.sources.walk.os.scandir", refuse)
    with pytest.raises(UnfreezeError, match="data cannot be read: Permission denied"):
        scan(classes)


def test_a_folder_to_predict_is_walked_as_data_are(classes: Path) -> None:
    """The images that `scan` uses are those that `predict FOLDER` answers."""
    data = picture()
    for hidden in (".thumbnails/a.jpg", "__MACOSX/dots/000.jpg", "dots/._000.jpg", "dots/.trash/a.jpg"):
        put(classes / hidden, data)
    put(classes / "dots" / "deeper" / "more" / "Z.JPEG", data)
    put(classes / "dots" / "notes.txt", b"")
    put(classes.parent / "elsewhere" / "a.jpg", picture(1))
    (classes / "dots" / "linked.jpg").symlink_to(classes.parent / "elsewhere" / "a.jpg")
    (classes / "dots" / "linked").symlink_to(classes.parent / "elsewhere")
    (classes / "dots" / "round").symlink_to(classes)
    expected = sorted(classes / path for path in scan(classes).paths)
    assert len(expected) == 8
    assert files_below(classes) == expected
