"""Which files are read, and the words for those that are not: a file of each format, and a thousand broken ones."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from tests.format_files import PAGE_TAGS, Sample, by_pillow, heic, rgb, samples, tiff_of
from tests.hostile import jpeg_of_scans, jpeg_sized, judged, worded
from tests.pictures import draw, encode, refusal, write_pictures
from toolkit.data.formats_seen import misnamed
from toolkit.data.image_columns import to_columns
from toolkit.data.image_set import scan
from toolkit.errors import UnfreezeError
from toolkit.pixels import formats, jpeg, picture
from toolkit.pixels.decode import decode, decode_whole, measure

PAGE = Path(__file__).parents[1] / "docs" / "data.md"
SAMPLES = {sample.id: sample for sample in samples()}
REFUSED = [sample for sample in samples() if sample.pixels is None]


# Each format.


@pytest.mark.parametrize("name", SAMPLES)
def test_a_format_is_read_as_its_own_decoder_reads_it_or_refused_in_these_words(name: str) -> None:
    sample = SAMPLES[name]
    if sample.pixels is None:
        assert refusal(sample.data) == sample.why
        with pytest.raises(UnfreezeError, match=re.escape(sample.why)):
            decode(sample.data, 8)
        return
    found, got = measure(sample.data), decode_whole(sample.data)
    assert got.shape == sample.pixels.shape
    assert np.abs(got.astype(int) - sample.pixels).max() <= 1
    assert found.size == (got.shape[1], got.shape[0])
    assert formats.SUFFIXES[sample.suffix] == found.form


def test_the_page_says_of_each_format_what_is_done() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Formats")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| ")]
    told = {row[0]: row[1] for row in rows[1:]}
    assert told.keys() == {sample.row for sample in samples()}
    for sample in samples():
        if sample.pixels is None:
            assert told[sample.row] == f"`{sample.why}`"
        else:
            assert told[sample.row].startswith("read")


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "data", per_class=3, size=16)


def test_a_folder_of_all_formats(classes: Path) -> None:
    """Suffixes are wrong, in capitals or missing: the content decides."""
    read = [sample for sample in samples() if sample.pixels is not None]
    for number, sample in enumerate(read):
        suffix = ("", ".dat", ".PNG", sample.suffix.upper())[number % 4]
        (classes / "dots" / f"a{number}{suffix}").write_bytes(sample.data + b"\0" * (number % 2))
    for number, sample in enumerate(REFUSED):
        (classes / "stripes" / f"b{number}{sample.suffix}").write_bytes(sample.data)
    for name in ("list.txt", "more.txt", "a.json", "README"):
        (classes / "dots" / name).write_text("no image")
    images = scan(classes)
    assert {path for path in images.paths if "/a" in path} == {
        f"dots/a{n}{('', '.dat', '.PNG', s.suffix.upper())[n % 4]}" for n, s in enumerate(read)
    }
    assert {left.path: left.reason for left in images.rejected} == {
        f"stripes/b{number}{sample.suffix}": sample.why for number, sample in enumerate(REFUSED)
    }
    assert (images.ignored, images.ignored_suffixes) == (4, {".txt": 2, ".json": 1, "": 1})
    with pytest.raises(UnfreezeError, match="left out, and --strict was given"):
        scan(classes, strict=True)


def test_what_is_no_picture_is_no_error_for_strict(classes: Path) -> None:
    for name, data in {"a.txt": b"x", "b.mp4": b"\0\0\0\x18ftypisom", "c.pdf": b"%PDF-1.4", "d.svg": b"<svg/>"}.items():
        (classes / "dots" / name).write_bytes(data)
    images = scan(classes, strict=True)
    assert images.ignored_suffixes == {".txt": 1, ".mp4": 1, ".pdf": 1, ".svg": 1}


def test_photographs_that_are_not_read_are_counted_by_format(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    for number in range(3):
        (classes / "dots" / f"IMG_{number}.HEIC").write_bytes(heic(rgb()) + bytes([number]))
    for name, head in {
        "8.CR2": b"II*\0\x10\0\0\0CR\x02\0",
        "9.CR2": b"MM\0*\0\0\0\x10CR\x02\0",
        "a.psd": b"8BPS",
    }.items():
        (classes / "dots" / f"IMG_{name}").write_bytes(head)
    images = scan(classes)
    forms = {left.path.rpartition("/")[2]: left.form for left in images.rejected}
    named = [forms[name] for name in ("IMG_0.HEIC", "IMG_8.CR2", "IMG_a.psd")]
    assert named == ["HEIC", "camera raw (CR2)", "Photoshop (PSD)"]
    assert all(len(left) == 2 for left in to_columns(images)["rejected"])
    assert images.notices == (
        "left out because their format is not read: 3 HEIC: pip install 'unfreeze[formats]', or convert it to JPEG or "
        "PNG",
        "left out because their format is not read: 2 camera raw (CR2), 1 Photoshop (PSD): convert it to JPEG or PNG",
    )
    with pytest.raises(UnfreezeError, match=r"6 left out, and --strict was given; the first is dots/IMG_0\.HEIC: HEIC"):
        scan(classes, strict=True)


@pytest.mark.parametrize(("name", "form"), [("a.tga", "TGA"), ("B.PCX", "PCX"), ("c.xbm", "XBM")])
def test_a_format_that_only_the_suffix_tells_is_named(name: str, form: str, classes: Path) -> None:
    (classes / "dots" / name).write_bytes(bytes(100))
    with pytest.raises(UnfreezeError, match=rf"{name}: {form} is not supported: convert it"):
        scan(classes, strict=True)
    with pytest.raises(UnfreezeError, match=f"{form} is not supported: convert it"):
        decode(classes / "dots" / name, 8)
    (classes / "dots" / name).write_bytes(encode(draw(0, 20, np.random.default_rng(0)), "PNG"))
    assert f"dots/{name}" in scan(classes, strict=True).paths  # the content decides where it can


def test_a_film_is_refused_by_its_first_bytes(classes: Path) -> None:
    with (classes / "dots" / "film.jpg").open("wb") as file:
        file.write(b"\0\0\0\x18ftypqt  ")
        file.truncate(10**12)
    assert "video (MP4, MOV) is not a picture" in scan(classes).rejected[0].reason


def test_files_named_for_another_format_are_counted() -> None:
    named = [
        ("a.jpg", "JPEG"),
        ("b.png", "JPEG"),
        ("c", "PNG"),
        ("d.dat", "GIF"),
        ("e.gif", "WebP"),
        ("f.JFIF", "JPEG"),
    ]
    assert misnamed(named) == ["2 files are read by the content, not the name; the first: b.png is JPEG"]
    assert misnamed(named[:1]) == []


@pytest.mark.parametrize("form", ["AVIF", "JPEG 2000", "WebP"])
def test_a_format_that_pillow_was_built_without_is_no_damage(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: name != formats.BUILT[form])
    data = SAMPLES[f"{form}, {'lossy' if form == 'WebP' else 'colour'}"].data
    assert (
        refusal(data)
        == f"{form} is not in this build of Pillow: install Pillow from PyPI, or convert it to JPEG or PNG"
    )


def test_pillow_is_left_as_it_was() -> None:
    """The extra formats are not registered: `Image.open` of another program in the process still refuses them."""
    data = SAMPLES["HEIC, colour"].data
    decode(data, 8)
    with pytest.raises(Image.UnidentifiedImageError):
        Image.open(io.BytesIO(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_tiff_is_applied(orientation: int) -> None:
    data = encode(draw(1, 40, np.random.default_rng(0))[:, :24], "TIFF", tiffinfo={0x0112: orientation})
    upright = by_pillow(data)  # Pillow itself turns TIFF
    np.testing.assert_array_equal(decode_whole(data), upright)
    assert measure(data).size == (upright.shape[1], upright.shape[0])


def test_the_orientation_of_a_heic_is_applied_once() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = rgb()
    turned = decode_whole(heic(image, exif=exif.tobytes()))
    assert turned.shape[:2] == (30, 40)
    assert np.abs(turned.astype(int) - np.rot90(np.asarray(image), -1)).mean() < 12


# Broken files.


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.id)
def test_a_file_that_is_cut_says_so_in_words_of_ours(sample: Sample) -> None:
    lengths = np.linspace(0, len(sample.data) - 1, 40).astype(int)
    said = [refusal(sample.data[:length]) for length in lengths]
    assert all(worded(why) for why in filter(None, said)), said
    assert said[0] == "the file is empty"


@settings(max_examples=1500, derandomize=True, deadline=None, database=None)
@given(
    st.sampled_from(sorted(SAMPLES)),
    st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), max_size=4),
    st.floats(0, 1),
)
def test_damaged_files_are_refused_in_words_of_ours_by_scan_and_decoder_alike(
    name: str, edits: list[tuple[int, int]], kept: float
) -> None:
    sample = SAMPLES[name]
    changed = bytearray(sample.data)
    for at, value in edits:
        changed[at % len(changed)] = value
    data = bytes(changed[: max(1, round(len(changed) * kept))] if len(edits) % 2 else changed)
    judged(sample.suffix, data)


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({256: (60_000,), 257: (60_000,)}, "60000 x 60000 pixels are more than 100 million"),
        ({322: (50_000,), 323: (50_000,), 324: (8,), 325: (8,)}, "20 x 20 pixels whose tiles have 2500 million"),
        ({258: (64,)}, "a TIFF of 64 bits per sample is not supported"),
        ({279: (2**31,)}, None),
        ({278: (2**31,)}, None),
        ({277: (60_000,)}, "cut short or damaged|not supported"),
    ],
)
def test_the_tags_of_a_tiff_are_not_believed(tags: dict[int, tuple[int, ...]], why: str | None) -> None:
    data = tiff_of(PAGE_TAGS | tags)
    said = refusal(data)
    assert (said is None) if why is None else re.search(why, said or "")
    judged(".tif", data)


def test_a_tiff_of_millions_of_strips_is_refused_at_once() -> None:
    data = bytearray(tiff_of(PAGE_TAGS, bytes(8_000_000)))
    at = data.index((273).to_bytes(2, "little") + b"\4\0")
    data[at + 4 : at + 8] = (2_000_000).to_bytes(4, "little")
    assert "cut short or damaged" in (refusal(bytes(data)) or "")


def test_libtiff_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("TIFF, tiff lzw", "TIFF, tiff adobe deflate", "TIFF, jpeg"):
        data = bytearray(SAMPLES[name].data)
        for at in range(8, len(data) // 2):
            data[at] ^= 0x55
        assert refusal(bytes(data)) is not None
    assert capfd.readouterr().err == ""


# Huge JPEGs.


@pytest.fixture
def smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "REDUCED", 10_000)
    monkeypatch.setattr(jpeg, "LARGEST", 1_000_000)
    monkeypatch.setattr(jpeg, "MAX_COEFFICIENTS", 120_000)


@pytest.mark.parametrize(("side", "scale"), [(96, 1), (104, 2), (200, 2), (208, 4), (400, 4), (408, 8), (1000, 8)])
def test_a_huge_jpeg_is_decoded_at_the_first_scale_that_fits(smaller: None, side: int, scale: int) -> None:
    data = encode(draw(1, side, np.random.default_rng(0)), quality=95)
    opened = Image.open(io.BytesIO(data))
    opened.draft("RGB", (side // scale, side // scale))
    np.testing.assert_array_equal(decode_whole(data), np.asarray(opened))
    assert opened.width == side // scale
    assert measure(data).size == (side, side)


def test_no_jpeg_that_was_read_before_is_reduced() -> None:
    """10,000 x 10,000 pixels were the most."""
    small = encode(Image.new("L", (8, 8)))
    assert jpeg.checked(jpeg_sized(small, 10_000, 10_000)).scale == 1  # type: ignore[union-attr]
    assert jpeg.checked(jpeg_sized(small, 12_000, 9_000)).scale == 2  # type: ignore[union-attr]


def test_what_a_huge_jpeg_may_take_is_bounded(smaller: None) -> None:
    noise = draw(1, 200, np.random.default_rng(0))
    assert refusal(encode(noise)) is None
    assert refusal(encode(noise, progressive=True, subsampling=0)) == (
        "a progressive JPEG of 200 x 200 pixels takes 0.0 GB: save it as a baseline JPEG, or make it smaller"
    )
    assert refusal(encode(noise, progressive=True, subsampling=2)) is None
    assert refusal(encode(Image.new("L", (2000, 600)))) == "2000 x 600 pixels are more than 1 million"


def test_a_huge_jpeg_of_few_bytes_is_bounded_in_its_scans(smaller: None) -> None:
    assert refusal(jpeg_of_scans(96, 96, 90)) is None
    assert "more than 25 scans" in (refusal(jpeg_of_scans(200, 200, 90)) or "")


def test_a_108_megapixel_photograph_is_read() -> None:
    image = Image.new("RGB", (12_000, 9_000), (200, 100, 40))
    data = encode(image)
    assert measure(data).size == (12_000, 9_000)
    assert np.abs(decode(data, 4).astype(int) - (200, 100, 40)).max() <= 3


def test_each_reader_stands_for_a_format_that_is_read() -> None:
    assert picture._OPENERS.keys() == formats.READ
