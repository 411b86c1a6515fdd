"""Pictures, folders and CSVs from strangers: one line or an image, never a hang, a crash or a warning.

`benchmarks/fuzz.py` judges ten thousand of them in processes of their own; here are fewer, and the repaired ones.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests import hostile
from tests.hostile import (
    bmp_of,
    bombs,
    gif_framed,
    jpeg_of_scans,
    judged,
    judged_scan,
    png_chunk,
    png_of,
    put_socket,
    seeds,
)
from tests.pictures import draw, encode, files_below, refusal, write_pictures
from toolkit.data.image_set import ImageSet, scan
from toolkit.data.sources.open import read_listing
from toolkit.errors import UnfreezeError, one_line
from toolkit.evaluation import plots
from toolkit.pixels import decode as images
from toolkit.pixels import formats
from toolkit.pixels import limits as containers
from toolkit.pixels.decode import decode, measure
from toolkit.pixels.extra_formats import jxl_size
from toolkit.pixels.resize import WIDE, resize
from toolkit.run import prepare
from toolkit.settings import Settings
from toolkit.stats.metrics import evaluate
from toolkit.storage import safe_read as reading
from unfreeze.cli import cli
from unfreeze.pages import result_pictures
from unfreeze.screen.tables import show_folder

NAMES = sorted(seeds())


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "data", per_class=3, size=16)


def left_out(data: Path) -> dict[str, str]:
    return {left.path: left.reason for left in scan(data).rejected}


def examples(count: int) -> settings:
    """The same ones each time; nothing is timed and nothing kept."""
    return settings(max_examples=count, derandomize=True, deadline=None, database=None)


# Fuzzing. Each seed picture is one that can be used, so that what is done to it is what is judged.


@pytest.mark.parametrize("name", NAMES)
def test_the_seeds_can_be_used(name: str) -> None:
    suffix, data = seeds()[name]
    assert judged(suffix, data) == "ok"


@examples(1000)
@given(st.integers(0, 2**63))
def test_a_damaged_picture_is_refused_or_decoded(number: int) -> None:
    judged(*hostile.damaged(random.Random(number)))


@examples(400)
@given(st.sampled_from(NAMES), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4))
def test_bytes_may_be_any(name: str, edits: list[tuple[int, int]]) -> None:
    suffix, data = seeds()[name]
    changed = bytearray(data)
    for at, value in edits:
        changed[at % len(changed)] = value
    judged(suffix, bytes(changed))


@examples(300)
@given(
    st.sampled_from(sorted(formats.SUFFIXES)),
    st.sampled_from((*formats._MAGIC, *formats._OTHER)),
    st.binary(max_size=200),
)
def test_a_first_line_and_then_anything(suffix: str, magic: tuple[str, int, bytes], rest: bytes) -> None:
    judged(suffix, bytes(magic[1]) + magic[2] + rest)


@pytest.mark.parametrize("name", ["jpg rgb", "png palette alpha", "gif animated", "bmp rle8", "webp alpha"])
def test_a_file_cut_anywhere_is_refused_or_decoded(name: str) -> None:
    suffix, data = seeds()[name]
    said = [judged(suffix, data[:length]) for length in range(len(data))]
    assert said[0] == "refused"
    assert said.count("refused") > len(data) / 4


@examples(60)
@given(st.integers(0, 2**63))
def test_a_folder_from_a_stranger(tmp_path_factory: pytest.TempPathFactory, number: int) -> None:
    judged_scan(hostile.write_folder(tmp_path_factory.mktemp("f") / "data", random.Random(number)))


@examples(120)
@given(st.integers(0, 2**63))
def test_a_csv_from_a_stranger(tmp_path_factory: pytest.TempPathFactory, number: int) -> None:
    judged_scan(hostile.write_csv_folder(tmp_path_factory.mktemp("c") / "data", random.Random(number)))


# Bombs.

LARGE = {"jpeg 9999", "png wide", "png longer than it says"}  # take a second each; the benchmark judges them


@pytest.mark.parametrize("name", sorted(bombs().keys() - LARGE))
def test_bombs(name: str) -> None:
    suffix, data = bombs()[name]
    expected = (
        "ok" if name.startswith(("exif", "mpo", "two", "png tall")) or name[:5] in ("png z", "png i", "png m") else None
    )
    said = judged(suffix, data)
    assert expected in (None, said)


@pytest.mark.parametrize("name", [name for name in bombs() if "50000" in name or name.startswith("webp")])
def test_a_canvas_that_is_too_large_is_refused_in_our_words(name: str) -> None:
    _, data = bombs()[name]
    why = refusal(data)
    assert why is not None
    assert "pixels" in why or "do not fit its size" in why  # libheif compares two sizes that the file gives
    assert "decompression" not in why


def test_a_picture_of_one_row_is_resized_without_its_rows_in_between() -> None:
    """50 million pixels across took 31 GB and a MemoryError that was no answer."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, WIDE + 7, 3), dtype=np.uint8)
    turned = resize(np.ascontiguousarray(pixels.transpose(1, 0, 2)), 9).transpose(1, 0, 2)
    assert np.abs(resize(pixels, 9).astype(int) - turned).max() <= 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"P2 300 300 255 " + b"7" * 4000 + b" 1" * 89_999, "its pixels cannot be decoded"),
        (b"P1 2 2 " + b"01" * 2_000_000, None),
        (b"P2 2 2 9 1 2 3", "its pixels end early"),
        (b"P2 2 2 9 1 2 3 70000", "its header makes no sense"),
    ],
)
def test_a_pnm_as_text_takes_the_memory_of_its_numbers(data: bytes, why: str | None) -> None:
    tracemalloc.start()
    try:
        got = refusal(data)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()
    assert got == (why and f"cut short or damaged ({why})")


def test_samples_of_a_pnm_beyond_its_largest_value_are_that() -> None:
    assert images.decode_whole(b"P2 2 1 255 300 10")[0, :, 0].tolist() == [255, 10]


def jxl_boxes(*parts: bytes) -> bytes:
    """A JPEG XL whose codestream is cut into these parts; the last box has no length."""
    boxes = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        boxes += (0 if last else 12 + len(part)).to_bytes(4, "big") + b"jxlp"
        boxes += (number | last << 31).to_bytes(4, "big") + part
    return boxes


@pytest.mark.parametrize("cuts", [(), (2,), (1, 2, 3), (0, 2, 2, 4, 40)])
@pytest.mark.parametrize("size", [(8, 8), (500, 300), (70_001, 50_003)])
def test_the_size_of_a_jpeg_xl_is_found_wherever_its_boxes_cut_it(cuts: tuple[int, ...], size: tuple[int, int]) -> None:
    width, height = (number - 1 | 0b11 << 30 for number in size)  # 30 bits each
    bits = f"{(width & (1 << 30) - 1):030b}11000{(height & (1 << 30) - 1):030b}110"
    stream = b"\xff\x0a" + int(bits, 2).to_bytes(9, "little") + bytes(60)
    edges = (0, *cuts, len(stream))
    assert jxl_size(stream) == size
    assert jxl_size(jxl_boxes(*(stream[a:b] for a, b in itertools.pairwise(edges)))) == size
    with pytest.raises(IndexError):
        jxl_size(jxl_boxes(stream[:2], stream[2:6]))


def test_scans_of_a_jpeg_are_counted_in_the_picture_alone() -> None:
    assert "more than 100 scans" in (refusal(jpeg_of_scans(64, 64, 200)) or "")
    assert refusal(jpeg_of_scans(64, 64, 50)) is None
    picture = seeds()["jpg progressive"][1]
    film = picture + b"\xff\xda\0\4\0\0" * 500  # as a phone appends a film
    comment = picture[:2] + b"\xff\xfe" + struct.pack(">H", 2002) + b"\xff\xda" * 1000 + picture[2:]
    assert refusal(film) is None
    assert refusal(comment) is None


def test_a_run_length_encoded_bmp_is_bounded_and_others_are_not() -> None:
    assert "run-length" in (refusal(bmp_of(90_000_000, 1, 8, 1, b"\1\1\0\0")) or "")
    assert "run-length" not in (refusal(bmp_of(90_000_000, 1, 8, 0, b"\1\1\0\0")) or "")


def test_a_gif_whose_frame_reaches_far_out_is_refused_before_pillow_warns() -> None:
    why = refusal(gif_framed((8, 8), (9_000, 10_000, 8, 8)))
    assert why == "a canvas of 8 x 8 pixels whose first frame reaches to 9008 x 10008"


@pytest.mark.parametrize("word", [b"transparency", b"exif", b"interlace", b"icc_profile"])
def test_a_text_in_a_png_is_not_taken_for_a_property(word: bytes) -> None:
    """Pillow keeps both in one dictionary: with "transparency" the scan passed and the training failed."""
    rows = encode(Image.fromarray(draw(1, 8, np.random.default_rng(0))), "PNG")
    for chunk in (png_chunk(b"tEXt", word + b"\0x"), png_chunk(b"iTXt", word + b"\0\0\0\0\0x")):
        data = rows[:33] + chunk + rows[33:]
        assert refusal(data) is None
        assert (decode(data, 8) == decode(rows, 8)).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("png")])
def test_a_png_without_its_extras_has_the_same_pixels(name: str) -> None:
    data = seeds()[name][1]
    with Image.open(io.BytesIO(data)) as whole, Image.open(io.BytesIO(containers.png_pixels(data))) as cut:
        assert (np.asarray(whole.convert("RGBA")) == np.asarray(cut.convert("RGBA"))).all()


def test_an_exif_of_thousands_of_entries_is_read_to_its_end() -> None:
    tags = bytearray(hostile.tiff_of_exif(5000))
    tags[-12:] = struct.pack("<HHII", 0x0112, 3, 1, 6)
    data = hostile.with_exif(encode(Image.new("RGB", (20, 10))), bytes(tags))
    assert measure(data).size == (10, 20)


def test_large_pictures_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 100 million pixels may take 2 GB, and there is a thread for each core."""
    monkeypatch.setattr(images, "LARGE", 100)
    held = []

    def noted(*arguments: object) -> np.ndarray:
        held.append(images._one_large._is_owned())  # type: ignore[attr-defined]
        return resize(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "resize", noted)
    decode(encode(Image.new("RGB", (9, 9)), "PNG"), 4)
    decode(encode(Image.new("RGB", (20, 20)), "PNG"), 4)
    assert held == [False, True]


def test_memory_that_is_not_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*arguments: object) -> np.ndarray:
        raise MemoryError

    monkeypatch.setattr(images, "resize", none_left)
    with pytest.raises(UnfreezeError, match="needs more memory than there is"):
        decode(seeds()["jpg rgb"][1], 8)


def test_a_palette_png_without_its_palette_is_left_out_by_the_scan() -> None:
    """Found by the fuzzer: the scan let it in and the training failed."""
    data = png_of(4, 4, 8, 3, bytes(20))
    assert judged(".png", data) == "refused"
    assert refusal(data) == "cut short or damaged (its colours are missing)"


# Files that are none.


@pytest.fixture
def odd(classes: Path) -> Path:
    folder = classes / "dots"
    os.mkfifo(folder / "pipe.jpg")
    for name, target in {"zero": "/dev/zero", "null": "/dev/null", "loop": "loop.jpg", "far": "x" * 300}.items():
        (folder / f"{name}.jpg").symlink_to(target)
    (folder / "memory.jpg").symlink_to("/proc/self/mem")
    put_socket(folder, "socket.jpg")
    return classes


def test_pipes_devices_and_sockets_are_not_opened(odd: Path) -> None:
    reasons = left_out(odd)
    assert {name: reasons[f"dots/{name}.jpg"] for name in ("pipe", "zero", "null", "socket", "loop", "far")} == {
        "pipe": "not a file but a pipe",
        "zero": "not a file but a device",
        "null": "not a file but a device",
        "socket": "not a file but a socket",
        "loop": "cannot be read: Too many levels of symbolic links",
        "far": "cannot be read: File name too long",
    }
    assert "dots/memory.jpg" in reasons
    assert len(scan(odd)) == 6


def test_a_pipe_that_takes_a_file_s_place_in_between_does_not_hold_the_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "file.jpg").write_bytes(b"x")
    status = os.stat(tmp_path / "file.jpg")
    monkeypatch.setattr(reading.os, "stat", lambda path: status)
    with pytest.raises(UnfreezeError, match="not a file but a pipe"):
        reading.read(tmp_path / "pipe.jpg")


def test_a_file_that_is_too_large_is_not_read(classes: Path) -> None:
    with (classes / "dots" / "hole.jpg").open("wb") as file:
        file.truncate(10**12)
    assert left_out(classes) == {"dots/hole.jpg": "1 000 000 MB are more than 500 MB: convert it to JPEG or PNG"}


def test_predict_takes_the_same_care(odd: Path) -> None:
    (odd / "dots" / "round").symlink_to("..")
    (odd / "dots" / "inner.jpg").mkdir()
    (odd / "dots" / "inner.jpg" / "a.png").write_bytes(seeds()["png rgb"][1])
    found = files_below(odd)
    assert found == sorted(found)
    assert {path.name for path in found} >= {"pipe.jpg", "a.png", "000.jpg"}
    assert not [path for path in found if path.name == "inner.jpg" or "round" in path.parts]


def test_folders_deeper_than_the_stack_are_read(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(classes / "dots")
    for _ in range(1100):
        os.mkdir("d")
        os.chdir("d")
    Path("deep.jpg").write_bytes(seeds()["jpg rgb"][1])
    os.chdir(classes)
    try:
        assert len(scan(classes)) == 7
        assert len(files_below(classes)) == 7
    finally:  # what removes the folders of a test does recurse
        for _ in range(1100):
            os.rename("dots/d", "d")
            if os.path.exists("d/d"):
                os.rename("d/d", "dots/d")
            for name in os.listdir("d"):
                os.remove(f"d/{name}")
            os.rmdir("d")


def test_links_to_a_folder_that_they_are_in_are_left_out(classes: Path) -> None:
    (classes / "all").symlink_to(".")
    (classes / "up").symlink_to("..")
    (classes / "root").symlink_to("/")
    reason = "a symbolic link to a folder that it is in, which is not followed"
    assert left_out(classes) == dict.fromkeys(("all", "root", "up"), reason)


# Names.

CONTROLS = (
    "new\nline",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b2J",
    "\u2028",
    "\x7f",
    "back\rward",
    "\u202egpj.exe",
)


def test_a_class_whose_name_breaks_lines_is_refused(classes: Path) -> None:
    """labels.txt has a name a line: this class shifted all that follow."""
    (classes / "dots").rename(classes / "do\nts")
    with pytest.raises(UnfreezeError, match=r"class name do\\nts has a line break or another control character"):
        scan(classes)


def test_a_class_whose_name_is_not_utf8_is_refused(classes: Path) -> None:
    (classes / "dots").rename(classes / os.fsdecode(b"d\xf6ts"))
    with pytest.raises(UnfreezeError, match=r"class name d\\udcf6ts is not UTF-8"):
        scan(classes)


def test_a_class_of_a_csv_is_looked_at_likewise(classes: Path) -> None:
    (classes / "images.csv").write_text('path,label\ndots/000.jpg,"a\nb"\nstripes/000.jpg,b\n')
    with pytest.raises(UnfreezeError, match=r"images\.csv, line 3: the class name a\\nb has a line break"):
        scan(classes / "images.csv")


def test_a_label_whose_quote_never_closes_does_not_swallow_the_file(classes: Path) -> None:
    (classes / "images.csv").write_text('path,label\ndots/000.jpg,"a\nstripes/000.jpg,b\nstripes/001.jpg,b\n')
    with pytest.raises(UnfreezeError, match="a quote in line 2 or below is not closed"):
        scan(classes / "images.csv")


@pytest.mark.parametrize(
    "name", ["caf\u00e9", "\U0001f408\u200d\u2b1b", "\u05d0\u200f", "a,b", "-rf", "[red]", "x" * 250, "a b "]
)
def test_classes_may_have_any_other_name(classes: Path, name: str) -> None:
    (classes / "dots").rename(classes / name)
    assert name in scan(classes).class_names


@pytest.mark.parametrize("name", CONTROLS)
def test_what_a_terminal_would_act_on_is_shown_as_an_escape(classes: Path, name: str) -> None:
    data = (classes / "dots" / "000.jpg").read_bytes()
    (classes / "dots" / f"{name}.jpg").write_bytes(data)  # a name among the byte-identical
    (classes / "dots" / f"{name}2.jpg").write_bytes(b"x")  # and among what was left out
    shown = CliRunner().invoke(cli, ["scan", str(classes)]).output
    assert not set(name) & set("\x1b\x07\x7f\x9b\u2028\u202e\r") & set(shown)
    assert shown.count(one_line(name)) == 2
    assert name.splitlines() == [name] or name not in shown
    told = CliRunner().invoke(cli, ["--quiet", "scan", str(classes), "--json"]).stdout
    assert not set("\x1b\x07\x7f\x9b\u2028\r") & set(told)
    assert [left["path"] for left in json.loads(told)["rejected"]] == [f"dots/{name}2.jpg"]


def test_names_that_are_not_utf8_are_listed_and_can_be_written(classes: Path) -> None:
    name = os.fsdecode(b"\xff.jpg")
    (classes / "dots" / name).write_bytes(b"x")
    (classes / name).write_bytes(b"x")
    (classes / "dots" / os.fsdecode(b"\xfe")).symlink_to("..")
    assert left_out(classes) == {
        "\\udcff.jpg": "not in a class folder",
        "dots/\\udcfe": "a symbolic link to a folder, which is not followed",
        "dots/\\udcff.jpg": "its name is not UTF-8: rename it",
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u00e9 \U0001f408\u200d\u2b1b", "plain \u00e9 \U0001f408\u200d\u2b1b"),
        ("a\nb\t\x1b[2J", "a\\nb\\t\\x1b[2J"),
        ("\u202egpj", "\\u202egpj"),
        ("\udcff", "\\udcff"),
    ],
)
def test_one_line(text: str, shown: str) -> None:
    assert one_line(text) == shown
    assert one_line(shown) == shown


# CSV paths.


def test_paths_that_lead_out_of_the_csvs_folder_are_left_out_and_absolute_ones_taken(classes: Path) -> None:
    elsewhere = classes.parent / "elsewhere.jpg"
    elsewhere.write_bytes(seeds()["jpg rgb"][1])
    rows = ["dots/000.jpg,a", "stripes/000.jpg,b", "../elsewhere.jpg,a", "dots/../../elsewhere.jpg,b", f"{elsewhere},b"]
    (classes / "images.csv").write_text("\n".join(["path,label", *rows, "dots/../dots/001.jpg,a"]))
    assert scan(classes / "images.csv").paths == (str(elsewhere), "dots/000.jpg", "dots/001.jpg", "stripes/000.jpg")
    reasons = list(left_out(classes / "images.csv").values())
    assert reasons == ["line 5 of images.csv leads out of the CSV's folder: move the CSV up, or write an absolute path"]


def test_a_csv_of_nothing_but_such_paths_says_why(classes: Path) -> None:
    (classes / "images.csv").write_text("path,label\n../a.jpg,a\n")
    with pytest.raises(UnfreezeError, match=r"no row .*line 2 of images\.csv leads out of the CSV's folder"):
        scan(classes / "images.csv")


def test_a_csv_of_a_hundred_thousand_rows_is_read(classes: Path) -> None:
    rows = "stripes/000.jpg,0\r\n" + "".join(f"gone/{number}.jpg,{number % 7}\r\n" for number in range(1, 100_000))
    (classes / "images.csv").write_text("\ufeffpath,label\r\n" + rows)
    listing = read_listing(classes / "images.csv")
    assert len(listing.entries) == 100_000
    assert len(listing.classes) == 7


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"path:label\na.jpg:cat\n", "found path:label"),
        ("path,label\nh\u00e9.jpg,cat\n".encode("latin-1"), "cannot be read as a CSV: "),
        ("path,label\na.jpg,cat\n".encode("utf-16-le"), "UTF-16 without its mark"),
        (b"path,label\n" + b"x" * 200_000 + b",cat\n", "cannot be read as a CSV: "),
        (b"path,label\na.jpg,c\0t\n", "class name c\\x00t has a line break or another control character"),
        (b"path\na.jpg\n", "found path"),
        (b"path,label,split\na.jpg,cat," + b"y" * 9000, "split is 'yyy"),
    ],
)
def test_csvs_that_will_not_do_are_refused_in_a_line(classes: Path, data: bytes, message: str) -> None:
    (classes / "images.csv").write_bytes(data)
    with pytest.raises(UnfreezeError) as error:
        scan(classes / "images.csv")
    assert message in str(error.value)
    assert str(error.value) == one_line(str(error.value))
    assert len(str(error.value)) < 600


def test_a_name_that_is_too_long_does_not_exist() -> None:
    with pytest.raises(UnfreezeError, match="does not exist"):
        scan(Path("x" * 5000))


def test_the_png_by_hand_of_which_bombs_are_made_is_one() -> None:
    with Image.open(io.BytesIO(png_of(3, 2, 8, 2, bytes(20)))) as picture:
        picture.load()


# Many classes.


def test_a_run_of_more_classes_than_can_be_shown_is_refused_before_it_starts(
    classes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 2,000 the evaluation asked matplotlib for 58 GB, after the whole search."""
    monkeypatch.setattr("toolkit.run.MAX_CLASSES", 1)
    with pytest.raises(UnfreezeError, match="has 2 classes and a run takes at most 1"):
        prepare(classes, classes.parent / "run", Settings())
    assert not (classes.parent / "run").exists()


def test_the_confusion_matrix_of_many_classes_is_no_larger_picture(tmp_path: Path) -> None:
    sides = []
    for count in (220, 300):
        labels = np.arange(count)
        found = evaluate(np.eye(count, dtype=np.float32), labels, tuple(map(str, labels)))
        plots.save(plots.confusion(found), tmp_path / "confusion.png")
        with Image.open(tmp_path / "confusion.png") as picture:
            sides.append(picture.size)
        page = result_pictures.confusion(found)
        assert len(page.svg) < 2_000_000
    assert max(max(size) for size in sides) < 2500


def test_a_table_of_ten_thousand_classes_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    count = 10_000
    rows = tuple(f"c{number:05}/0.jpg" for number in range(count))
    folder = ImageSet(
        root=Path(),
        class_names=tuple(f"c{number:05}" for number in range(count)),
        paths=rows,
        labels=np.arange(count, dtype=np.int32),
        digests=rows,
        parts=("train",) * count,
        sizes=np.ones((count, 2), np.int32),
    )
    show_folder(folder)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) < 1100
    assert any("and 9000 more (--json lists all)" in line for line in shown)
