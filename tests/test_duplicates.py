"""Copies of an image: the same pixels whatever the file, and nearly the same ones; what is none."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from PIL import Image, ImageOps

from tests.format_files import by_opencv
from tests.pictures import draw, encode, write_pictures
from toolkit.data import copies as copies_of
from toolkit.data import together as together_module
from toolkit.data.copies import FAR, Copies, Seen, _close, difference, find_copies
from toolkit.data.image_columns import from_columns, to_columns
from toolkit.data.image_set import scan
from toolkit.data.settings import DataSettings
from toolkit.data.split import divide_by
from toolkit.data.together import near_duplicates, near_leaks
from toolkit.errors import UnfreezeError, few
from toolkit.pixels.decode import measure, pixel_digest
from toolkit.pixels.look import Look
from toolkit.pixels.perceptual_hash import perceptual_hash
from unfreeze.cli import cli
from unfreeze.digits_demo import write_digits
from unfreeze.pages.pair_sheet import copies, draw_pairs
from unfreeze.screen.tables import show_folder


def scene(seed: int, width: int = 320, height: int = 240) -> Image.Image:
    """A picture with detail of all sizes, as photographs have: noise whose strength falls with its frequency."""
    rng = np.random.default_rng(seed)
    y, x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    strength = 1 / np.maximum(np.hypot(y, x), 1 / max(width, height)) ** 1.3
    planes = []
    for _ in range(3):
        waves = strength * np.exp(2j * np.pi * rng.random(strength.shape))
        plane = np.fft.irfft2(waves, (height, width))
        planes.append(128 + 45 * (plane - plane.mean()) / plane.std())
    return Image.fromarray(np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8))


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def seen(folder: Path) -> list[Seen]:
    found = []
    for path in sorted(folder.iterdir()):
        measured = measure(path.read_bytes())
        found.append(Seen(path, path.name, measured.size, measured.look))
    return found


def with_comment(jpeg: bytes, text: bytes = b"hello") -> bytes:
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def turned(image: Image.Image, orientation: int) -> bytes:
    """A PNG that is stored otherwise and shown as `image`."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    inverse = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    undo = Image.Exif()
    undo[0x0112] = inverse
    stored = Image.open(io.BytesIO(encode(image, "PNG", exif=undo.tobytes())))
    return encode(ImageOps.exif_transpose(stored), "PNG", exif=exif.tobytes())


def palette(image: Image.Image) -> Image.Image:
    return image.quantize(64)


SAME = {  # how the same pixels come as other bytes: (one file, the other)
    "a comment in a JPEG": lambda i: (("JPEG", encode(i)), ("JPEG", with_comment(encode(i)))),
    "EXIF in a JPEG": lambda i: (("JPEG", encode(i)), ("JPEG", encode(i, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"))),
    "PNG, packed again": lambda i: (("PNG", encode(i, "PNG", compress_level=1)), ("PNG", encode(i, "PNG"))),
    "PNG and BMP": lambda i: (("PNG", encode(i, "PNG")), ("BMP", encode(i, "BMP"))),
    "PNG and WebP without loss": lambda i: (("PNG", encode(i, "PNG")), ("WebP", encode(i, "WEBP", lossless=True))),
    "palette and RGB": lambda i: (
        ("PNG", encode(palette(i), "PNG")),
        ("PNG", encode(palette(i).convert("RGB"), "PNG")),
    ),
    "grey and RGB": lambda i: (
        ("PNG", encode(i.convert("L"), "PNG")),
        ("PNG", encode(i.convert("L").convert("RGB"), "PNG")),
    ),
    "alpha that hides nothing": lambda i: (("PNG", encode(i, "PNG")), ("PNG", encode(i.convert("RGBA"), "PNG"))),
    "a JPEG as it is decoded": lambda i: (
        ("JPEG", encode(i)),
        ("PNG", encode(Image.open(io.BytesIO(encode(i))), "PNG")),
    ),
    **{
        f"on its side, orientation {n}": lambda i, n=n: (("PNG", encode(i, "PNG")), ("PNG", turned(i, n)))
        for n in range(2, 9)
    },
}
SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "WebP": ".webp"}


@pytest.mark.parametrize("what", SAME)
@pytest.mark.parametrize("near", [True, False])
def test_the_same_pixels_in_other_files(tmp_path: Path, what: str, near: bool) -> None:
    """The oracle is Pillow: both files show the same pixels."""
    shown = []
    for number, (form, data) in enumerate(SAME[what](scene(1))):
        put(tmp_path / f"{number}{SUFFIX[form]}", data)
        shown.append(np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")))
    assert np.array_equal(*shown)
    found = find_copies(seen(tmp_path), near=near)
    names = tuple(sorted(path.name for path in tmp_path.iterdir()))
    if what == "a JPEG as it is decoded" and not near:
        assert found == Copies()  # the reduced JPEG differs from the reduced PNG: only near pictures are compared
    else:
        assert found == Copies(same=(names,))


def deep_files() -> dict[str, bytes]:
    """The same 16 bits in several formats, and what differs from them in a high byte."""
    samples = np.random.default_rng(0).integers(0, 65536, (40, 50, 3), dtype=np.uint16)
    other = samples.copy()
    other[0, 0, 0] ^= 0x8000
    kinds = {"": samples, "other": other, "grey": samples[..., 0], "other grey": other[..., 0]}
    return {
        f"{name}{form}": by_opencv(form, own)
        for name, own in kinds.items()
        for form in (".png", ".tif", ".pgm" if own.ndim == 2 else ".ppm")
    }


def shallow_files() -> dict[str, bytes]:
    made = {}
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        image = scene(1, 40, 50).convert(mode)
        made |= {f"{mode} {form}": encode(image, form) for form in ("PNG", "TIFF", "GIF")}
        made[f"{mode} as RGB"] = encode(image.convert("RGB"), "PNG")
    return made


@pytest.mark.parametrize("files", [deep_files, shallow_files])
def test_equal_pixels_look_the_same(files: Callable[[], dict[str, bytes]]) -> None:
    made = {name: (pixel_digest(data), measure(data).look.pixels) for name, data in files().items()}
    equal = [(one, other) for one, other in itertools.combinations(made, 2) if made[one][0] == made[other][0]]
    assert len(equal) > 10
    assert [pair for pair in equal if made[pair[0]][1] != made[pair[1]][1]] == []


def test_equal_pictures_that_hang_together_by_a_third_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are near to the third, which has another size; that they are near to each other does not come up."""
    rows = []
    for number, size in enumerate([(80, 60), (40, 30), (80, 60), (90, 60)]):
        put(tmp_path / f"{number}.png", encode(scene(1).resize(size), "PNG"))
        rows.append(Seen(tmp_path / f"{number}.png", str(number), size, Look(f"{number}", None)))
    monkeypatch.setattr(copies_of, "_near_pairs", lambda files: ([(0, 1), (2, 1), (1, 3)], False))
    assert find_copies(rows).same == (("0", "2"),)


@given(st.integers(0, 1000), st.sampled_from(["L", "RGB", "RGBA", "P", "I;16"]), st.integers(0, 5), st.integers(0, 5))
def test_one_pixel_makes_another_image(seed: int, mode: str, x: int, y: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 200, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(pixels[..., 0].astype(np.uint16) + 1) if mode == "I;16" else Image.fromarray(pixels)
    image = image.convert(mode) if mode != "I;16" else image
    other = image.copy()
    value = image.getpixel((x, y))
    other.putpixel((x, y), value + 1 if isinstance(value, int) else (value[0] + 1, *value[1:]))
    same = pixel_digest(encode(image, "PNG")) == pixel_digest(encode(other, "PNG"))
    shown = [np.asarray(one if mode == "I;16" else one.convert("RGB")) for one in (image, other)]
    assert same == np.array_equal(*shown)


def test_dark_16_bit_images_are_not_all_the_same(tmp_path: Path) -> None:
    """Their high bytes are all 0: 12-bit sensors."""
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        put(tmp_path / name, encode(Image.fromarray(rng.integers(0, 250, (64, 64), dtype=np.uint16)), "PNG"))
    assert find_copies(seen(tmp_path)) == Copies()


RESIZED = [(scale, how, form) for scale in (0.5, 0.75, 1, 1.5, 2) for how in (2, 3, 1) for form in (30, 75, 95, "PNG")]


@pytest.mark.parametrize("seed", range(4))
def test_copies_that_were_resized_or_encoded_anew_are_found(tmp_path: Path, seed: int) -> None:
    image = scene(seed, 400 + 37 * seed, 300)
    put(tmp_path / "a.jpg", encode(image, quality=95))
    for number, (scale, how, form) in enumerate(RESIZED):
        size = (round(image.width * scale), round(image.height * scale))
        copy = image.resize(size, Image.Resampling(how))
        data = encode(copy, "PNG") if form == "PNG" else encode(copy, quality=form)
        put(tmp_path / f"{number}{'.png' if form == 'PNG' else '.jpg'}", data)
    assert sorted(len(group) for group in groups(seen(tmp_path))) == [len(RESIZED) + 1]


def groups(files: list[Seen]) -> list[set[str]]:
    """The sets of names that are copies of each other."""
    found = find_copies(files)
    sets = [{seen.digest} for seen in files]
    for one in (*found.same, *found.near):
        joined = [own for own in sets if own & {*one}]
        sets = [own for own in sets if not own & {*one}] + [set().union(*joined)]
    return [own for own in sets if len(own) > 1]


NONE = {  # pictures that are not near: how the second is made of the first
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "on its side": lambda i: i.transpose(Image.Transpose.ROTATE_90),
    "negative": ImageOps.invert,
    "other colours": lambda i: Image.merge("RGB", i.split()[::-1]),
    "other colours of the same brightness": lambda i: Image.merge(
        "YCbCr", [i.convert("YCbCr").split()[n] for n in (0, 2, 1)]
    ).convert("RGB"),
    "half of it": lambda i: i.crop((0, 0, i.width // 2, i.height)),
    "another": lambda i: scene(99),
}


@pytest.mark.parametrize("what", NONE)
def test_what_is_no_copy(tmp_path: Path, what: str) -> None:
    put(tmp_path / "a.png", encode(scene(3), "PNG"))
    put(tmp_path / "b.png", encode(NONE[what](scene(3)), "PNG"))
    assert find_copies(seen(tmp_path)) == Copies()


FLAT = {
    "plain": [Image.new("RGB", (200, 200), (n, n, n)) for n in range(0, 200, 9)],
    "slopes": [Image.fromarray(draw(3, 200, np.random.default_rng(n))) for n in range(20)],
    "tiny": [scene(n // 2, 31, 31).point(lambda value, n=n: value + n % 2) for n in range(20)],
    "enlarged": [scene(n, 8, 8).resize((128, 128), Image.Resampling.BICUBIC) for n in range(40)],
    "different": [scene(n) for n in range(60)],
    "stripes": [Image.fromarray(draw(0, 128, np.random.default_rng(n))) for n in range(40)],
}


@pytest.mark.parametrize("what", FLAT)
def test_flat_small_and_smooth_pictures_are_not_taken_for_each_other(tmp_path: Path, what: str) -> None:
    for number, image in enumerate(FLAT[what]):
        put(tmp_path / f"{number}.png", encode(image, "PNG"))
    assert find_copies(seen(tmp_path)).near == ()


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=60), st.integers(0, 2**32 - 1))
def test_every_pair_of_close_hashes_is_found(values: list[int], seed: int) -> None:
    """The oracle compares all pairs."""
    rng = np.random.default_rng(seed)
    flipped = [
        value ^ sum(1 << int(bit) for bit in {*rng.integers(0, 64, rng.integers(0, 12)).tolist()}) for value in values
    ]
    hashes = np.array(values + flipped, np.uint64)
    found = [(int(i), int(j)) for pairs in _close(hashes) for i, j in pairs]
    both = values + flipped
    expected = {(i, j) for j in range(len(both)) for i in range(j) if (both[i] ^ both[j]).bit_count() <= FAR}
    assert len(found) == len(expected)
    assert {*found} == expected


def test_hashes_that_share_a_band_are_not_compared_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are far apart, so that no pictures are compared; random ones take less than the bound."""
    monkeypatch.setattr(copies_of, "HASHES", 100)
    drawn = np.random.default_rng(0).integers(0, 2**64, 4000, dtype=np.uint64)
    assert sum(map(len, _close(drawn))) < 10
    alike = [
        Seen(Path(str(n)), str(n), (64, 64), Look(str(n), int(value) >> 13 << 13)) for n, value in enumerate(drawn)
    ]
    asked: list[int] = []
    monkeypatch.setattr(copies_of._Thumbnails, "_decode", lambda _, row: asked.append(row))
    assert find_copies(alike).crowded
    assert not asked


def test_pictures_are_compared_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """All have one hash, and are the same."""
    largest: list[int] = []

    def counted(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        largest.append(len(one))
        return np.zeros(len(one), np.float32)

    monkeypatch.setattr(copies_of, "difference", counted)
    monkeypatch.setattr(copies_of, "thumbnail", lambda file, side: np.zeros((side, side, 3), np.uint8))
    monkeypatch.setattr(copies_of, "pixel_digest", str)
    files = [Seen(Path(f"{n:04d}"), f"{n:04d}", (64, 64), Look(str(n), 7)) for n in range(3000)]
    assert len(find_copies(files).near) == 2999
    assert max(largest) <= copies_of.COMPARED


def test_the_hash_does_not_see_brightness_and_sees_a_mirror() -> None:
    grey = scene(5).convert("L")
    own = perceptual_hash(grey, grey.size)
    assert own is not None
    brighter = perceptual_hash(grey.point(lambda value: value * 0.8 + 30), grey.size)
    mirrored = perceptual_hash(ImageOps.mirror(grey), grey.size)
    assert brighter is not None
    assert mirrored is not None
    assert (own ^ brighter).bit_count() <= 2
    assert (own ^ mirrored).bit_count() > 3 * FAR // 2


def test_the_difference_is_relative_to_the_contrast() -> None:
    picture = np.asarray(scene(1).resize((16, 16)))[None]
    assert difference(picture, picture) == 0
    assert difference(picture, np.zeros_like(picture)) == np.inf


# In a scan.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten scenes of each class, one of them resized, one with a comment, one with both labels."""
    root = tmp_path / "data"
    for number in range(20):
        put(root / ("ab"[number % 2]) / f"{number:02d}.jpg", encode(scene(number), quality=95))
    put(root / "a" / "half.jpg", encode(scene(0).resize((160, 120)), quality=60))
    put(root / "b" / "again.jpg", with_comment((root / "b" / "01.jpg").read_bytes()))
    put(root / "b" / "disputed.jpg", with_comment((root / "a" / "02.jpg").read_bytes()))
    return root


def test_scan_tells_copies_and_leaves_out_labels_that_they_dispute(folder: Path) -> None:
    images = scan(folder)
    assert images.duplicates() == (("b/01.jpg", "b/again.jpg"),)
    assert near_duplicates(images) == (("a/00.jpg", "a/half.jpg"),)
    assert {left.path: left.reason for left in images.rejected} == {
        "a/02.jpg": "with the same pixels as b/disputed.jpg, which is labelled b",
        "b/disputed.jpg": "with the same pixels as a/02.jpg, which is labelled a",
    }


@pytest.mark.parametrize("way", ["keep-together", "warn", "off"])
def test_the_three_ways(folder: Path, way: str) -> None:
    settings = [DataSettings(near_duplicates=way, seed=seed) for seed in range(12)]
    done = [divide_by(scan(folder, one), one) for one in settings]
    parts = [dict(zip(images.paths, images.parts, strict=True)) for images in done]
    assert all(one["b/01.jpg"] == one["b/again.jpg"] for one in parts)
    apart = [one["a/00.jpg"] != one["a/half.jpg"] for one in parts]
    assert any(apart) == (way != "keep-together")
    assert [bool(near_duplicates(images)) for images in done] == [way != "off"] * len(done)
    assert [bool(near_leaks(images)) for images in done] == [one and way == "warn" for one in apart]


def test_copies_in_two_given_parts_are_told(folder: Path) -> None:
    for name in ("a/half.jpg", "b/again.jpg", *(f"{'ab'[n % 2]}/{n:02d}.jpg" for n in range(10, 20))):
        put(folder / "test" / name, (folder / name).read_bytes())
        (folder / name).unlink()
    (folder / "train").mkdir()
    (folder / "a").rename(folder / "train" / "a")
    (folder / "b").rename(folder / "train" / "b")
    images = divide_by(scan(folder), DataSettings())
    assert images.leaks() == (("test/b/again.jpg", "train/b/01.jpg"),)
    assert near_leaks(images) == (("test/a/half.jpg", "train/a/00.jpg"),)
    from unfreeze.screen.tables import warnings

    assert "nearly the same image in two parts, so the test is too easy: 1" in [*warnings(images)]


def test_copies_are_kept_in_the_columns_of_a_run(folder: Path) -> None:
    images = divide_by(scan(folder), DataSettings())
    read = from_columns(to_columns(images), list(images.class_names))
    assert (read.same, read.near) == (images.same, images.near)
    assert near_duplicates(read) == near_duplicates(images)
    assert read.select("train").duplicates() == images.select("train").duplicates()


def test_a_sheet_shows_each_pair(folder: Path, tmp_path: Path) -> None:
    images = divide_by(scan(folder), DataSettings())
    names = [(images.paths[one], images.paths[other]) for one, other in copies(images)]
    assert names == [("a/00.jpg", "a/half.jpg"), ("b/01.jpg", "b/again.jpg")]
    assert draw_pairs(images, tmp_path / "sheet.png") == 2
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 800
    alone = divide_by(scan(write_pictures(tmp_path / "few", size=16)), DataSettings())
    assert draw_pairs(alone, tmp_path / "none.png") == 0
    assert not (tmp_path / "none.png").exists()


def test_a_sheet_shows_16_bits_as_the_model_gets_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10 bits the high byte is nearly black."""
    for number, name in enumerate("aabb"):
        grey = np.asarray(scene(number // 2 * 2).convert("L")).astype(np.uint16) * 4 + number
        put(tmp_path / "data" / name / f"{number}.png", encode(Image.fromarray(grey), "PNG"))
    shown: list[np.ndarray] = []
    monkeypatch.setattr(Axes, "imshow", lambda axes, picture, **options: shown.append(np.asarray(picture)))
    images = scan(tmp_path / "data")
    assert draw_pairs(images, tmp_path / "sheet.png") == 2
    assert images.levels == "10"
    assert all(picture.max() > 200 for picture in shown)


def test_the_digits_of_the_demo_are_no_copies_of_each_other(tmp_path: Path) -> None:
    """They are 8 x 8 pixels, enlarged: some differ by less than copies of a photograph do."""
    assert near_duplicates(scan(write_digits(tmp_path / "digits"))) == ()


@pytest.mark.real
def test_among_3182_photographs_one_pair_is_nearly_the_same(shared: Path) -> None:
    """dog.74 and dog.180 are one photograph, encoded twice: a fact about this data set, found by looking at it."""
    images = scan(shared / "data" / "cats_dogs")
    assert near_duplicates(images) == (("train/dog/dog.180.jpg", "train/dog/dog.74.jpg"),)


def test_pictures_that_cannot_be_compared_are_counted_where_none_are_nearly_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_pictures(tmp_path / "data", per_class=6)
    for number in range(3):  # plain, each of a colour of its own
        plain = np.full((48, 48, 3), 60 * number + 20, np.uint8)
        (folder / "dots" / f"plain{number}.png").write_bytes(encode(plain, "PNG"))
    images = scan(folder)
    assert images.uncompared == 3
    show_folder(images)
    assert "nearly the same: none (3 pictures are too small or too smooth to be compared)\n" in capsys.readouterr().out
    show_folder(replace(images, uncompared=0))
    assert "nearly the same: none\n" in capsys.readouterr().out
    off = scan(folder, DataSettings(near_duplicates="off"))
    assert off.uncompared is None
    show_folder(off)
    assert "nearly the same: not looked for\n" in capsys.readouterr().out


def test_strict_refuses_a_picture_that_data_puts_into_two_parts_with_both_names(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for seed, part in enumerate(("train", "test")):
        write_pictures(folder / part, per_class=5, seed=seed)
    divide_by(scan(folder), DataSettings(), strict=True)
    (folder / "test" / "dots" / "copy.jpg").write_bytes((folder / "train" / "dots" / "002.jpg").read_bytes())
    images = scan(folder)
    assert divide_by(images, DataSettings()).leaks() == (("test/dots/copy.jpg", "train/dots/002.jpg"),)
    with pytest.raises(UnfreezeError) as told:
        divide_by(images, DataSettings(), strict=True)
    assert str(told.value) == (
        "1 picture stands in two parts, and --strict was given; the first: test/dots/copy.jpg (test) and "
        "train/dots/002.jpg (train)"
    )


def test_scan_looks_for_nearly_the_same_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_pictures(tmp_path / "data", per_class=6)
    calls = []
    real = together_module._near_rows
    monkeypatch.setattr(together_module, "_near_rows", lambda images: calls.append(images) or real(images))
    assert CliRunner().invoke(cli, ["scan", str(folder), "--sheet", str(tmp_path / "s.png")]).exit_code == 0
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("names", "said"),
    [("", ""), ("a", "a"), ("abc", "a, b, c"), ("abcd", "a, b, c and 1 more"), ("abcde", "a, b, c and 2 more")],
)
def test_the_first_names_and_how_many_more(names: str, said: str) -> None:
    assert few(list(names), 3) == said
