"""Colours that a file says are others than sRGB's, against the formulas of their spaces."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.hostile import png_chunk
from tests.pictures import draw, encode
from tests.profiles import (
    COLUMNS,
    CURVES,
    cmyk_profile,
    converted,
    curve,
    fixed,
    grey_profile,
    iccp,
    linear,
    png_with,
    profile,
    rgb_profile,
    shown,
)
from toolkit.errors import UnfreezeError
from toolkit.pixels import colour
from toolkit.pixels.colours_told import LARGEST
from toolkit.pixels.decode import RECIPE, decode, decode_both, decode_whole, measure, recipe
from toolkit.pixels.picture import open_picture

SIDE = 48
CLOSE = 1.01  # levels
OTHERS = ("Display P3", "Adobe RGB", "ProPhoto")
FORMATS: dict[str, dict] = {
    "JPEG": {"quality": 90},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_lzw"},
    "AVIF": {"quality": 90},
}


def colourful() -> Image.Image:
    return Image.fromarray(draw(2, SIDE, np.random.default_rng(3)))


def all_colours() -> Image.Image:
    """6 values of each channel."""
    values = np.linspace(0, 255, 6).astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(values, values, values), -1).reshape(12, 18, 3))


def told(data: bytes) -> np.ndarray:
    return decode_whole(data, profiles="srgb").astype(float)


def stored(data: bytes) -> np.ndarray:
    return decode_whole(data, profiles="ignored").astype(float)


def differ(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max())


# Profiles


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_profile_is_what_its_formula_says(form: str, name: str) -> None:
    data = encode(all_colours(), form, icc_profile=rgb_profile(name), **FORMATS[form])
    assert differ(told(data), converted(stored(data), name)) <= CLOSE
    assert differ(told(data), stored(data)) > 20
    assert measure(data).colours == "profile"


@pytest.mark.skipif(find_spec("pi_heif") is None, reason="pi-heif is not installed")
def test_the_profile_of_a_heic_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here writes HEIC: the image that pi-heif hands on is one of Pillow's."""
    image = Image.open(io.BytesIO(encode(colourful(), "PNG", icc_profile=rgb_profile("Display P3"))))
    monkeypatch.setattr("toolkit.pixels.extra_formats.open_heic", lambda data: image)
    opened = open_picture(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert opened.colours is not None
    assert colour.effect(opened.colours, opened.space) == "profile"


@pytest.mark.parametrize("form", FORMATS)
def test_without_a_profile_and_with_that_of_srgb_nothing_changes(form: str) -> None:
    for more in ({}, {"icc_profile": rgb_profile("sRGB")}):
        data = encode(all_colours(), form, **more, **FORMATS[form])
        np.testing.assert_array_equal(told(data), stored(data))
        assert measure(data).colours == ""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert measure(encode(all_colours(), form, icc_profile=made, **FORMATS[form])).colours == ""


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.6])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_grey_has_profiles_of_its_own(form: str, gamma: float) -> None:
    data = encode(colourful().convert("L"), form, icc_profile=grey_profile(gamma))
    assert differ(told(data), shown(linear(stored(data), (gamma,)))) <= CLOSE
    assert measure(data).colours == "profile"


def test_grey_in_the_colours_of_an_rgb_profile() -> None:
    data = encode(colourful().convert("L"), "PNG", icc_profile=rgb_profile("ProPhoto"))
    assert differ(told(data), shown(linear(stored(data), CURVES["ProPhoto"]))) <= CLOSE


def test_cmyk_is_converted_by_its_profile_and_naively_without_one() -> None:
    """Each ink darkens by a seventh, black by four."""
    press = cmyk_profile(lambda c, m, y, k: round(100 * (1 - (c + m + y + 4 * k) / 7)))
    inks = np.array(
        [[(255 * c, 255 * m, 255 * y, 255 * k) for y in (0, 1) for k in (0, 1)] for c in (0, 1) for m in (0, 1)]
    )
    image = Image.fromarray(inks.astype(np.uint8), "CMYK")
    lightness = 100 * (1 - (inks[..., :3].sum(2) + 4 * inks[..., 3]) / 255 / 7)
    light = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    data = encode(image, "TIFF", icc_profile=press)
    assert differ(told(data), shown(light)[..., None]) <= 3
    assert measure(data).colours == "profile"
    jpeg = encode(image.resize((64, 64), Image.Resampling.NEAREST), "JPEG", icc_profile=press, quality=100)
    assert differ(told(jpeg)[8::16, 8::16], shown(light)[..., None]) <= 6
    plain = encode(image, "TIFF")
    np.testing.assert_array_equal(told(plain), stored(plain))
    np.testing.assert_array_equal(stored(data), stored(plain))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "P with a transparent colour"])
def test_transparency_stays_as_it_was(mode: str) -> None:
    """Colours are converted first, then laid on white, as in a browser."""
    rgba = colourful().convert("RGBA")
    rgba.putalpha(Image.fromarray(np.linspace(0, 255, SIDE).astype(np.uint8)[None].repeat(SIDE, 0)))
    if mode == "LA":
        image = rgba.convert("LA")
        data = encode(image, "PNG", icc_profile=grey_profile(1.0))
        own = shown(linear(np.asarray(image)[..., :1].repeat(3, 2).astype(float), (1.0,)))
        alpha = np.asarray(image)[..., 1:] / 255
    elif mode == "RGBA":
        data = encode(rgba, "PNG", icc_profile=rgb_profile("Adobe RGB"))
        own = converted(np.asarray(rgba)[..., :3].astype(float), "Adobe RGB")
        alpha = np.asarray(rgba)[..., 3:] / 255
    else:
        image = colourful().quantize(40)
        key = {"transparency": 0} if mode != "P" else {}
        data = encode(image, "PNG", icc_profile=rgb_profile("Adobe RGB"), **key)
        own = converted(np.asarray(image.convert("RGB")).astype(float), "Adobe RGB")
        alpha = (np.asarray(image) != 0)[..., None] if key else np.ones((SIDE, SIDE, 1))
    assert differ(told(data), own * alpha + 255 * (1 - alpha)) <= 1.6
    assert measure(data).transparent == (mode != "P")


def test_16_bits_become_8_and_then_srgb() -> None:
    import cv2

    wide = np.asarray(all_colours()).astype(np.uint16) * 257
    data = cv2.imencode(".png", wide[..., ::-1])[1].tobytes()
    name, body = iccp(rgb_profile("Display P3"))
    data = data[:33] + png_chunk(name, body) + data[33:]
    assert differ(told(data), converted(np.asarray(all_colours()).astype(float), "Display P3")) <= CLOSE
    assert measure(data).colours == "profile"


def test_every_way_to_decode_converts_alike() -> None:
    data = encode(colourful(), "PNG", icc_profile=rgb_profile("ProPhoto"))
    plain, antialiased = decode_both(data, 16, profiles="srgb")
    np.testing.assert_array_equal(plain, decode(data, 16, profiles="srgb"))
    np.testing.assert_array_equal(antialiased, decode(data, 16, antialias=True, profiles="srgb"))
    assert differ(plain.astype(float), decode(data, 16).astype(float)) > 20
    np.testing.assert_array_equal(decode(data, 16), decode(encode(colourful(), "PNG"), 16))
    turned = Image.Exif()
    turned[0x0112] = 6
    upright = decode_whole(
        encode(colourful(), "PNG", icc_profile=rgb_profile("ProPhoto"), exif=turned.tobytes()), profiles="srgb"
    )
    np.testing.assert_array_equal(upright, np.rot90(told(data), -1))


def test_threads_share_a_conversion() -> None:
    data = encode(draw(1, 300, np.random.default_rng(0)), "PNG", icc_profile=rgb_profile("Adobe RGB"))
    with ThreadPoolExecutor(8) as pool:
        made = {hashlib.sha256(one.tobytes()).hexdigest() for one in pool.map(lambda _: told(data), range(32))}
    assert len(made) == 1


# What a PNG, an AVIF and a HEIC say without a profile


def gama(value: int) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", value)


ENDS = {
    "sRGB": (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
    "Display P3": (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
}
P3 = iccp(rgb_profile("Display P3"))


def by_matrix(rgb: np.ndarray, name: str, told: tuple[float, ...]) -> np.ndarray:
    matrix = np.linalg.inv(np.array(COLUMNS["sRGB"]).T) @ np.array(COLUMNS[name]).T
    return shown(linear(rgb, told) @ matrix.T)


PNGS: dict[str, tuple[list[tuple[bytes, bytes]], Callable[[np.ndarray], np.ndarray], str]] = {
    "nothing": ([], lambda rgb: rgb, ""),
    "gamma that encoders write for sRGB": ([gama(45455)], lambda rgb: rgb, ""),
    "light itself": ([gama(100000)], lambda rgb: by_matrix(rgb, "sRGB", (1.0,)), "gamma"),
    "an old Macintosh": ([gama(55556)], lambda rgb: by_matrix(rgb, "sRGB", (1.8,)), "gamma"),
    "gamma and the primaries of sRGB": (
        [gama(45455), ENDS["sRGB"]],
        lambda rgb: by_matrix(rgb, "sRGB", (2.2,)),
        "gamma",
    ),
    "gamma and other primaries": (
        [gama(55556), ENDS["Display P3"]],
        lambda rgb: by_matrix(rgb, "Display P3", (1.8,)),
        "gamma",
    ),
    "primaries alone": ([ENDS["Display P3"]], lambda rgb: rgb, ""),
    "sRGB goes before gamma": ([(b"sRGB", b"\0"), gama(100000), ENDS["Display P3"]], lambda rgb: rgb, ""),
    "a profile goes before sRGB": ([P3, (b"sRGB", b"\0")], lambda rgb: converted(rgb, "Display P3"), "profile"),
    "a profile goes before gamma": ([gama(100000), P3], lambda rgb: converted(rgb, "Display P3"), "profile"),
    "gamma where the profile is damaged": (
        [(b"iCCP", b"name\0\0rubbish"), gama(100000)],
        lambda rgb: by_matrix(rgb, "sRGB", (1.0,)),
        "gamma",
    ),
    "code points": ([(b"cICP", bytes([12, 13, 0, 1]))], lambda rgb: converted(rgb, "Display P3"), "profile"),
    "code points go before a profile": (
        [iccp(rgb_profile("ProPhoto")), (b"cICP", bytes([1, 13, 0, 1]))],
        lambda rgb: rgb,
        "",
    ),
    "code points of video": (
        [(b"cICP", bytes([1, 1, 0, 1]))],
        lambda rgb: by_matrix(rgb, "sRGB", (2.4,)),
        "profile",
    ),
    "code points of HDR": ([(b"cICP", bytes([9, 16, 0, 1]))], lambda rgb: rgb, "unusable"),
    "unknown code points": ([(b"cICP", bytes([99, 99, 0, 1]))], lambda rgb: rgb, "unusable"),
    "a gamma of 0": ([gama(0)], lambda rgb: rgb, "unusable"),
    "primaries on a line": ([gama(50000), (b"cHRM", struct.pack(">8I", *[30000] * 8))], lambda rgb: rgb, "unusable"),
    "primaries without light": ([gama(50000), (b"cHRM", bytes(32))], lambda rgb: rgb, "unusable"),
    "primaries cut short": ([gama(50000), (b"cHRM", bytes(7))], lambda rgb: rgb, "unusable"),
}


@pytest.mark.parametrize("what", PNGS)
def test_what_a_png_says(what: str) -> None:
    chunks, expected, effect = PNGS[what]
    data = png_with(all_colours(), *chunks)
    assert differ(told(data), expected(stored(data))) <= CLOSE
    np.testing.assert_array_equal(stored(data), np.asarray(all_colours()))
    assert measure(data).colours == effect


def test_chunks_behind_the_pixels_say_nothing() -> None:
    data = encode(all_colours(), "PNG")
    late = data[:-12] + png_chunk(*gama(100000)) + data[-12:]
    np.testing.assert_array_equal(told(late), stored(data))


@pytest.mark.parametrize(("points", "name"), [((12, 13), "Display P3"), ((1, 1), "sRGB"), ((1, 13), "sRGB")])
def test_the_code_points_of_an_avif(points: tuple[int, int], name: str) -> None:
    data = encode(all_colours(), "AVIF", quality=90)
    at = data.index(b"colrnclx") + 8
    data = data[:at] + struct.pack(">HH", *points) + data[at + 4 :]
    assert differ(told(data), converted(stored(data), name)) <= CLOSE
    assert measure(data).colours == ("" if name == "sRGB" else "profile")


# Files by somebody who means harm, or that are damaged


def with_bytes(at: int, content: bytes) -> bytes:
    made = bytearray(rgb_profile("Display P3"))
    made[at : at + len(content)] = content
    return bytes(made)


BLACK = {letter + b"TRC": b"curv" + bytes(4) + struct.pack(">IHH", 2, 0, 0) for letter in (b"r", b"g", b"b")}
UNUSABLE = {
    "one byte": b"x",
    "no profile": bytes(500),
    "cut short": rgb_profile("Display P3")[:200],
    "its size is none": with_bytes(0, bytes(4)),
    "tags beyond its end": with_bytes(144 + 4, b"\x7f\xff\xff\xff"),
    "millions of tags": with_bytes(128, b"\xff\xff\xff\xff"),
    "of grey": grey_profile(1.8),
    "of inks": cmyk_profile(lambda c, m, y, k: 100 - 25 * (c + m + y + k)),
    "of another space": with_bytes(16, b"XYZ "),
    "without curves": profile({b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642, 1, 0.8249)}),
    "all is black": profile(
        {
            letter + b"XYZ": b"XYZ \0\0\0\0" + fixed(*column)
            for letter, column in zip((b"r", b"g", b"b"), COLUMNS["sRGB"], strict=True)
        }
        | BLACK
    ),
    "too large": rgb_profile("Display P3") + bytes(LARGEST),
}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("what", UNUSABLE)
def test_a_profile_that_cannot_be_used_is_ignored(what: str, form: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = encode(all_colours(), form, icc_profile=UNUSABLE[what], **FORMATS[form])
    np.testing.assert_array_equal(told(data), stored(data))
    assert measure(data).colours == "unusable"
    assert capfd.readouterr() == ("", "")


def test_a_jpeg_that_lacks_a_part_of_its_profile() -> None:
    data = encode(all_colours(), "JPEG", icc_profile=rgb_profile("Display P3") + bytes(70_000))
    second = data.index(b"ICC_PROFILE\0\x02")
    (length,) = struct.unpack_from(">H", data, second - 2)
    cut = data[: second - 4] + data[second - 2 + length :]
    np.testing.assert_array_equal(told(cut), stored(data))
    assert measure(cut).colours == "unusable"


def test_a_profile_does_not_inflate_without_end() -> None:
    bomb = zlib.compress(zlib.compress(bytes(1 << 28)))
    for body in (b"name\0\0" + zlib.decompress(bomb), b"name\0\0" + bomb, b"x" * 99 + b"\0\0", b"", b"name\0\1"):
        data = png_with(all_colours(), (b"iCCP", body))
        np.testing.assert_array_equal(told(data), stored(data))
        assert measure(data).colours == "unusable"


@pytest.mark.parametrize("entry", [(7, 1 << 31, 8), (7, 100, 1 << 30), (12, 100, 8), (99, 100, 8), (7, 0, 8)])
def test_a_tiffs_tag_of_a_profile_that_leads_nowhere(entry: tuple[int, int, int]) -> None:
    data = bytearray(encode(all_colours(), "TIFF", icc_profile=rgb_profile("Display P3")))
    at = data.index(struct.pack("<H", 34675))
    struct.pack_into("<HII", data, at + 2, *entry)
    np.testing.assert_array_equal(told(bytes(data)), np.asarray(all_colours()))
    assert measure(bytes(data)).colours == "unusable"


def test_of_many_profiles_only_some_are_kept() -> None:
    for number in range(2 * colour.KEPT):
        measure(encode(colourful(), "PNG", icc_profile=grey_profile(1 + number / 100)))
    kept = colour._conversion.cache_info()
    assert kept.currsize == kept.maxsize == colour.KEPT


@pytest.mark.parametrize("seed", range(40))
def test_changed_bytes_never_raise(seed: int) -> None:
    """Of profiles with curves and with tables."""
    rng = np.random.default_rng(seed)
    for made, image in (
        (rgb_profile("Adobe RGB"), all_colours()),
        (cmyk_profile(lambda c, m, y, k: 100 - 25 * (c + m + y + k)), all_colours().convert("CMYK")),
    ):
        changed = bytearray(made)
        for _ in range(rng.integers(1, 9)):
            changed[rng.integers(128 if rng.random() < 0.7 else 0, len(changed))] = rng.integers(256)
        data = encode(image, "TIFF", icc_profile=bytes(changed))
        assert told(data).shape == (12, 18, 3)
        assert measure(data).colours in ("", "profile", "unusable")


def test_a_pillow_without_littlecms_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colour, "has_littlecms", lambda: False)
    colour._conversion.cache_clear()
    data = encode(all_colours(), "PNG", icc_profile=rgb_profile("Display P3"))
    assert measure(data).colours == "profile"
    np.testing.assert_array_equal(stored(data), np.asarray(all_colours()))
    with pytest.raises(
        UnfreezeError, match=r"^it has a colour profile, and .* no LittleCMS .*: install Pillow from PyPI$"
    ):
        told(data)
    np.testing.assert_array_equal(told(encode(all_colours(), "PNG")), np.asarray(all_colours()))


# The recipe


def test_the_recipe_says_it() -> None:
    assert recipe(3) == RECIPE
    assert recipe(3)["profiles"] == "ignored"
    made = recipe(3, "16", "srgb")
    assert made["profiles"] == "srgb"
    assert "converted to sRGB" in str(made["colour_profiles"])
    assert {name for name in made if made[name] != RECIPE[name]} == {"profiles", "colour_profiles"}


def test_the_profile_of_the_curve_that_is_written() -> None:
    """`curve` above and the product's own agree on sRGB."""
    from toolkit.pixels.icc import SRGB, SRGB_CURVE, matrix_profile

    own = matrix_profile(SRGB, SRGB_CURVE)
    assert curve(*SRGB_CURVE) in own
    data = encode(all_colours(), "PNG", icc_profile=own)
    assert measure(data).colours == ""
