"""Files from strangers: valid pictures of every kind, what breaks them, bombs made by hand, folders and CSVs.

Everything is a function of a `random.Random`, so that an input is named by its number.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import warnings
import zlib
from collections.abc import Callable
from contextlib import chdir
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from tests.format_files import PAGE_TAGS, samples, tiff_of
from tests.pictures import draw, encode, refusal
from toolkit.data.image_set import read_unchanged, scan
from toolkit.errors import UnfreezeError, one_line
from toolkit.pixels.decode import decode
from toolkit.pixels.reasons import DETAILS

INTERESTING = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 50_000, 65535, 2**24 - 1, 2**31 - 1, 2**31, 2**32 - 1)
NAMES = (  # odd names of files and classes
    "new\nline", "emoji 🐈‍⬛", "x" * 240, "-rf", "--help", "trailing ", " leading", "tab\t", "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07", "bell\x07", "\x9b2J", "\u202egpj.exe", "\u2028line", "\x85next", "null\\0", "a'b\"c",
    "<b>&amp;", "[red]rich[/red]", "$(reboot)", "%s%n", "é", "é", "..dots", "a,b;c", "*", "?", "\\",
    "\udcff\udcfe", "\x7f", "{{7*7}}", "CON.", "\r",
)  # fmt: skip


# Valid pictures.


@cache
def seeds() -> dict[str, tuple[str, bytes]]:
    """name -> (suffix, bytes) of pictures that can be used."""
    rgb = Image.fromarray(draw(1, 24, np.random.default_rng(0)))
    alpha = rgb.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(rgb.size))
    second = Image.fromarray(draw(2, 24, np.random.default_rng(1)))
    palette = rgb.quantize(16)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    tags = exif.tobytes()
    cmyk = encode(rgb.convert("CMYK"))
    at = cmyk.index(b"Adobe") + 11
    jpeg = {
        "rgb": encode(rgb),
        "gray": encode(rgb.convert("L")),
        "cmyk": cmyk,
        "ycck": cmyk[:at] + b"\2" + cmyk[at + 1 :],
        "progressive": encode(rgb, progressive=True),
        "444": encode(rgb, subsampling=0),
        "411": encode(rgb, subsampling="4:1:1"),
        "exif": encode(rgb, exif=tags),
        "restart": encode(rgb, restart_marker_rows=1),
        "mpo": encode(rgb, "MPO", save_all=True, append_images=[second]),
    }
    png = {
        "rgb": encode(rgb, "PNG"),
        "rgba": encode(alpha, "PNG"),
        "gray": encode(rgb.convert("L"), "PNG"),
        "la": encode(alpha.convert("LA"), "PNG"),
        "bits": encode(rgb.convert("1"), "PNG"),
        "palette": encode(palette, "PNG"),
        "palette alpha": encode(palette, "PNG", transparency=b"\0\x80\xff"),
        "key": encode(rgb, "PNG", transparency=rgb.getpixel((0, 0))),
        "16": encode(Image.fromarray(np.arange(576, dtype=np.uint16).reshape(24, 24) * 113), "PNG"),
        "16 rgb": png_of(24, 24, 16, 2, bytes(24 * (1 + 24 * 6))),
        "interlaced": png_of(24, 24, 8, 0, bytes(24 * 24 + 45), interlace=1),
        "exif": encode(rgb, "PNG", exif=tags),
        "animated": encode(rgb, "PNG", save_all=True, append_images=[second]),
    }
    gif = {
        "plain": encode(palette, "GIF"),
        "animated": encode(palette, "GIF", save_all=True, append_images=[second.quantize(8)]),
        "transparent": encode(palette, "GIF", transparency=3),
        "gray": encode(rgb.convert("L"), "GIF"),
    }
    bmp = {
        "rgb": encode(rgb, "BMP"),
        "rgba": encode(alpha, "BMP"),
        "palette": encode(palette, "BMP"),
        "gray": encode(rgb.convert("L"), "BMP"),
        "bits": encode(rgb.convert("1"), "BMP"),
        "rle8": bmp_of(8, 3, 8, 1, b"\x08\x01\x00\x00" * 3 + b"\0\1"),
        "rle4": bmp_of(8, 2, 4, 2, b"\x08\x12\x00\x00\x00\x04\x12\x34\x04\x55\x00\x00\0\1"),
        "565": bmp_of(4, 2, 16, 3, bytes(range(16)), masks=(0xF800, 0x7E0, 0x1F)),
    }
    webp = {
        "lossy": encode(rgb, "WEBP"),
        "lossless": encode(rgb, "WEBP", lossless=True),
        "alpha": encode(alpha, "WEBP"),
        "animated": encode(rgb, "WEBP", save_all=True, append_images=[second]),
        "exif": encode(rgb, "WEBP", exif=tags),
    }
    kinds = {".jpg": jpeg, ".png": png, ".gif": gif, ".bmp": bmp, ".webp": webp}
    made = {f"{suffix[1:]} {name}": (suffix, data) for suffix, own in kinds.items() for name, data in own.items()}
    return made | {one.id: (one.suffix, one.data) for one in samples() if one.pixels is not None}


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(
    width: int, height: int, bits: int, colour: int, rows: bytes, *, interlace: int = 0, extra: bytes = b""
) -> bytes:
    """A PNG of these filtered rows; `extra`: chunks that stand before the pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace))
    pixels = png_chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + png_chunk(b"IEND", b"")


def bmp_of(
    width: int, height: int, bits: int, compression: int, pixels: bytes, *, masks: tuple[int, ...] = ()
) -> bytes:
    colours = b"".join(bytes((n * 40 % 256, n * 90 % 256, n, 0)) for n in range(1 << bits if bits <= 8 else 0))
    between = struct.pack(f"<{len(masks)}I", *masks) + colours
    start = 54 + len(between)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + between + pixels


# Bombs: small files that ask for much.


def deflated_zeros(count: int) -> bytes:
    """`count` zero bytes, deflated, without ever holding them."""
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    parts = [packer.compress(block[: min(len(block), count - at)]) for at in range(0, count, len(block))]
    return b"".join([*parts, packer.flush()])


def jpeg_sized(data: bytes, width: int, height: int) -> bytes:
    """The same JPEG with another size in its frame header."""
    at = next(at for marker in (b"\xff\xc0", b"\xff\xc2") if (at := data.find(marker)) > 0)
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def jpeg_of_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive gray JPEG, all zeros, whose `scans` scans each run over the whole image."""
    start = encode(Image.new("L", (8, 8)), progressive=True)
    start = jpeg_sized(start[: start.index(b"\xff\xda")], width, height)
    blocks = ((width + 7) // 8) * ((height + 7) // 8)
    table = b"\xff\xc4" + struct.pack(">HB", 19 + 1, 0x10) + bytes([1] + [0] * 15) + b"\xe0"  # "0": EOB run of 2^14
    runs = -(-blocks // (1 << 15))
    bits = "0" + "1" * 14
    code = "".join(bits for _ in range(runs))
    code += "1" * (-len(code) % 8)
    packed = int(code, 2).to_bytes(len(code) // 8, "big").replace(b"\xff", b"\xff\0")
    scan = b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0x00, 1, 63, 0x00]) + packed
    first = b"\xff\xc4" + struct.pack(">HB", 19 + 1, 0x00) + bytes([1] + [0] * 15) + b"\x00"  # "0": difference 0
    zeros = "0" * blocks + "1" * (-blocks % 8)
    dc = (
        b"\xff\xda"
        + struct.pack(">HB", 8, 1)
        + bytes([1, 0x00, 0, 0, 0x00])
        + int(zeros, 2).to_bytes(len(zeros) // 8, "big")
    )
    return start + first + dc + table + scan * scans + b"\xff\xd9"


def gif_framed(canvas: tuple[int, int], frame: tuple[int, int, int, int]) -> bytes:
    """A GIF whose first frame is placed at (x, y) with a width and height of its own."""
    return (
        b"GIF89a"
        + struct.pack("<HH", *canvas)
        + b"\x80\0\0"
        + bytes(6)
        + b","
        + struct.pack("<HHHH", *frame)
        + (b"\0\x02\x02\x4c\x01\x00;")
    )


def webp_canvas(width: int, height: int) -> bytes:
    """An animated WebP that claims a canvas."""
    frame = encode(Image.new("RGB", (16, 16)), "WEBP", lossless=True)[12:]

    def chunk(name: bytes, content: bytes) -> bytes:
        return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)

    def three(value: int) -> bytes:
        return struct.pack("<I", value)[:3]

    body = chunk(b"VP8X", bytes([2, 0, 0, 0]) + three(width - 1) + three(height - 1))
    body += chunk(b"ANIM", bytes(6)) + chunk(b"ANMF", three(0) * 2 + three(15) * 2 + three(100) + b"\0" + frame)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def tiff_of_exif(entries: int, start: int = 8, tag: int = 0x0110) -> bytes:
    """EXIF with so many entries, at an offset that may lie anywhere."""
    rows = struct.pack("<HHII", tag, 3, 1, 1) * min(entries, 5000)
    return b"II*\0" + struct.pack("<I", start) + struct.pack("<H", entries) + rows


def with_exif(data: bytes, exif: bytes) -> bytes:
    """A JPEG with this EXIF behind its first marker."""
    content = b"Exif\0\0" + exif[:65000]
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:]


@cache
def bombs() -> dict[str, tuple[str, bytes]]:
    """name -> (suffix, bytes) of files made by hand, each against one thing that a decoder may trust."""
    jpeg, png = seeds()["jpg rgb"][1], seeds()["png rgb"][1]
    big = deflated_zeros(200_000_000)
    text = {
        "zTXt": png_chunk(b"zTXt", b"Comment\0\0" + big),
        "iTXt": png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + big),
        "iCCP": png_chunk(b"iCCP", b"icc\0\0" + big),
        "many zTXt": png_chunk(b"zTXt", b"Comment\0\0" + deflated_zeros(1_000_000)) * 500,
        "acTL 0": png_chunk(b"acTL", struct.pack(">II", 0, 0)),
        "acTL twice": png_chunk(b"acTL", struct.pack(">II", 2, 0)) * 2,
        "fcTL huge": png_chunk(b"acTL", struct.pack(">II", 2, 0))
        + png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 50_000, 50_000, 0, 0, 1, 1, 0, 0)),
        "text called exif": png_chunk(b"iTXt", b"exif\0\0\0\0\0II*"),
        "text called transparency": png_chunk(b"tEXt", b"transparency\0x"),
        "exif": png_chunk(b"eXIf", tiff_of_exif(65535)),
    }
    made = {
        "png 50000": (".png", png_of(50_000, 50_000, 8, 2, b"\0" * 1000)),
        "png 2^31": (".png", png_of(2**31 - 1, 2**31 - 1, 8, 2, b"\0" * 1000)),
        "png 0": (".png", png_of(0, 10, 8, 2, b"\0" * 1000)),
        "png wide": (".png", png_of(50_000_000, 1, 1, 0, bytes(1 + 50_000_000 // 8))),
        "png tall": (".png", png_of(1, 3_000_000, 8, 0, bytes(6_000_000))),
        "png longer than it says": (".png", png_of(8, 8, 8, 2, bytes(50_000_000))),
        "jpeg 50000": (".jpg", jpeg_sized(jpeg, 50_000, 50_000)),
        "jpeg 9999": (".jpg", jpeg_sized(jpeg, 9999, 9999)),
        "jpeg 65535 x 1": (".jpg", jpeg_sized(jpeg, 65_535, 1)),
        "jpeg 0": (".jpg", jpeg_sized(jpeg, 0, 0)),
        "jpeg scans": (".jpg", jpeg_of_scans(6000, 6000, 3000)),
        "jpeg junk": (".jpg", b"\xff\xd8\xff" + b"\xe0\0\2" + b"\0" * 2_000_000),
        "gif 50000": (".gif", gif_framed((50_000, 50_000), (0, 0, 8, 8))),
        "gif frame 50000": (".gif", gif_framed((8, 8), (0, 0, 50_000, 50_000))),
        "gif frame outside": (".gif", gif_framed((8, 8), (9_000, 10_000, 8, 8))),
        "gif 9999": (".gif", gif_framed((9_999, 9_999), (0, 0, 9_999, 9_999))),
        "bmp 50000": (".bmp", bmp_of(50_000, 50_000, 24, 0, b"\0" * 100)),
        "bmp negative": (".bmp", bmp_of(-5, -5, 24, 0, b"\0" * 100)),
        "bmp 0": (".bmp", bmp_of(0, 2**31 - 1, 24, 0, b"\0" * 100)),
        "bmp rle end of line": (".bmp", bmp_of(90_000_000, 1, 8, 1, b"\1\1" + b"\0\0" * 20)),
        "bmp rle delta": (".bmp", bmp_of(300_000, 300, 8, 1, b"\0\2\xff\xff" * 400)),
        "bmp rle lines": (".bmp", bmp_of(9_000, 9_000, 8, 1, b"\1\1\0\0" * 9_000)),
        "webp 16383": (".webp", webp_canvas(16_383, 16_383)),
        "webp 2^24": (".webp", webp_canvas(2**24, 2**24)),
        "exif entries": (".jpg", with_exif(jpeg, tiff_of_exif(65535))),
        "exif offset": (".jpg", with_exif(jpeg, tiff_of_exif(3, start=2**32 - 1))),
        "exif loop": (".jpg", with_exif(jpeg, tiff_of_exif(1, tag=0x8769))),
        "exif many": (
            ".jpg",
            b"".join([jpeg[:2], *[with_exif(jpeg, tiff_of_exif(5000))[2 : 65000 + 12]] * 1, jpeg[2:]]),
        ),
        "mpo": (".jpg", seeds()["jpg mpo"][1][:-200]),
        "one byte": (".jpg", b"\xff"),
        "magic only": (".png", b"\x89PNG\r\n\x1a\n"),
        "zeros": (".png", bytes(100_000)),
        "text": (".gif", b"GIF8" * 1000),
        "two in one": (".png", png + jpeg),
    }
    made |= _of_other_formats()
    made |= {f"png {name}": (".png", png[:33] + chunks + png[33:]) for name, chunks in text.items()}
    return made


def _of_other_formats() -> dict[str, tuple[str, bytes]]:
    """Headers that claim much, before the pixels of a picture of 30 x 40."""
    good = {one.id: one.data for one in samples()}
    size, claimed = struct.pack(">II", 30, 40), struct.pack(">II", 50_000, 50_000)
    jp2, stream = good["JPEG 2000, colour"], good["JPEG 2000, codestream"]
    at = jp2.index(b"\xff\x4f\xff\x51") + 8
    heic = good["HEIC, colour"]
    jxl = bytearray(good["JPEG XL, colour"])
    jxl[2:8] = b"\xfe" + bytes([0xFF] * 5)
    page = PAGE_TAGS | {256: (9_999,), 257: (9_999,), 278: (9_999,), 279: (99_980_001,)}
    return {
        "tiff 50000": (".tif", tiff_of(PAGE_TAGS | {256: (50_000,), 257: (50_000,)})),
        "tiff 9999": (".tif", tiff_of(page)),
        "tiff 9999 deflate": (".tif", tiff_of(page | {259: (8,)}, deflated_zeros(99_980_001))),
        "tiff tile": (".tif", tiff_of(PAGE_TAGS | {322: (65_536,), 323: (65_536,), 324: (8,), 325: (8,)})),
        "tiff strips of none": (".tif", tiff_of(PAGE_TAGS | {278: (0,)})),
        "tiff entries": (".tif", tiff_of_exif(65535)),
        "tiff offset": (".tif", tiff_of_exif(3, start=2**32 - 1)),
        "bmp masks 0": (".bmp", bmp_of(8_323_102, 0, 16, 3, bytes(2000), masks=(0xF00, 0xF0, 0xF))),
        "tiff samples": (".tif", tiff_of(PAGE_TAGS | {277: (30_000,)})),
        "pnm 50000": (".ppm", b"P6 50000 50000 255\n" + bytes(1000)),
        "pnm 9999": (".ppm", b"P6 9999 9999 65535\n" + bytes(1000)),
        "pnm text": (".pgm", b"P2 9000 9000 255\n" + b"1 " * 1000),
        "pnm digits": (".pgm", b"P2 " + b"9" * 100_000 + b" 1 255\n"),
        "pnm comment": (".pgm", b"P2 3 #" + b"#" * 1_000_000 + b"\n" * 1_000_000),
        "jp2 50000": (".jp2", jp2.replace(size[4:] + size[:4], claimed, 1)),
        "jp2 stream 50000": (".jp2", jp2[:at] + claimed + jp2[at + 8 :]),
        "j2k tiles": (".j2k", stream[:8] + struct.pack(">IIIIII", 9_999, 9_999, 0, 0, 1, 1) + stream[32:]),
        "j2k 9999": (".j2k", stream[:8] + struct.pack(">IIIIII", 9_999, 9_999, 0, 0, 9_999, 9_999) + stream[32:]),
        "jxl huge": (".jxl", bytes(jxl)),
        "avif 50000": (".avif", good["AVIF, colour"].replace(size, claimed)),
        "heic 50000": (".heic", heic[: heic.index(b"ispe") + 8] + claimed + heic[heic.index(b"ispe") + 16 :]),
    }


# What breaks a picture.


def damaged(random: Random) -> tuple[str, bytes]:
    """(suffix, bytes): a picture with one to four things done to it."""
    suffix, data = seeds()[random.choice(sorted(seeds()))]
    for _ in range(random.randint(1, 4)):
        data = random.choice(DAMAGES)(data, random)
    if random.random() < 0.05:
        suffix = random.choice([".jpg", ".png", ".gif", ".bmp", ".webp", ".JPG", ""])
    return suffix, data


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randint(0, len(data))]


def _garble(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5, 50))):
        if changed:
            changed[random.randrange(len(changed))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    return bytes(changed)


def _header(data: bytes, random: Random) -> bytes:
    """A byte of the first hundred, where sizes and counts stand."""
    if not data:
        return data
    at = random.randrange(min(100, len(data)))
    return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]


def _number(data: bytes, random: Random) -> bytes:
    """A number of 2 or 4 bytes at the front, where sizes stand."""
    at = random.randrange(min(len(data) + 1, 200))
    value, form = random.choice(INTERESTING), random.choice(("<I", ">I", "<H", ">H"))
    number = struct.pack(form, value & (0xFFFF if form[1] == "H" else 0xFFFFFFFF))
    return data[:at] + number + data[at + len(number) :]


def _piece(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randint(0, len(data))
    return start, min(len(data), start + random.choice((1, 4, 16, 64, 300)))


def _drop(data: bytes, random: Random) -> bytes:
    start, stop = _piece(data, random)
    return data[:start] + data[stop:]


def _repeat(data: bytes, random: Random) -> bytes:
    start, stop = _piece(data, random)
    return data[:stop] + data[start:stop] * random.choice((1, 2, 50)) + data[stop:]


def _insert(data: bytes, random: Random) -> bytes:
    at = random.randint(0, len(data))
    return data[:at] + random.randbytes(random.choice((1, 2, 8, 100))) + data[at:]


def _splice(data: bytes, random: Random) -> bytes:
    _, other = seeds()[random.choice(sorted(seeds()))]
    return data[: random.randint(0, len(data))] + other[random.randint(0, len(other)) :]


def _chunk(data: bytes, random: Random) -> bytes:
    """A chunk with a right checksum into a PNG, or one of its own changed and its checksum mended."""
    if not data.startswith(b"\x89PNG"):
        return _garble(data, random)
    at, places = 8, []
    while at + 12 <= len(data):
        places.append(at)
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    if not places:
        return data
    at = random.choice(places)
    size = int.from_bytes(data[at : at + 4], "big")
    name, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
    if random.random() < 0.5:
        return data[:at] + png_chunk(name, _garble(content, random)) + data[at + 12 + size :]
    name = random.choice((b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"tRNS", b"PLTE", b"acTL", b"fcTL", b"fdAT", b"eXIf",
                          b"gAMA", b"cHRM", b"pHYs", b"sRGB", b"IDAT", b"IEND", b"IHDR", b"abCD"))  # fmt: skip
    word = random.choice((b"exif", b"transparency", b"icc_profile", b"Raw profile type exif", b"interlace", b"bbox"))
    content = random.choice((b"", word + b"\0" + random.randbytes(9), random.randbytes(random.randint(0, 40)), content))
    return data[:at] + png_chunk(name, content) + data[at:]


def _exif(data: bytes, random: Random) -> bytes:
    if not data.startswith(b"\xff\xd8"):
        return _number(data, random)
    tiff = tiff_of_exif(
        random.choice((0, 1, 3, 5000, 65535)), random.choice(INTERESTING), random.choice((0x0112, 0x8769))
    )
    return with_exif(data, _garble(tiff[: random.randint(0, len(tiff))], random))


DAMAGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _cut, _garble, _garble, _header, _number, _number, _drop, _repeat, _insert, _splice, _chunk, _chunk, _exif,
)  # fmt: skip


# Folders and CSVs.


def write_folder(root: Path, random: Random) -> Path:
    """A folder with classes and files of every odd kind; what the file system refuses is left out."""
    root.mkdir(parents=True)
    good = [seeds()[name] for name in ("jpg rgb", "png rgb", "gif plain", "bmp rgb", "webp lossy")]
    parts = random.choice(((), (), ("train",), ("train", "val"), ("train", "test", "other")))
    labels = _labels(random)
    for part in parts or ("",):
        for label in labels:
            folder = root / part / label
            if _allowed(lambda folder=folder: folder.mkdir(parents=True, exist_ok=True)):
                for number in range(random.choice((3, 4, 5, 6, 0) if random.random() < 0.3 else (3, 4))):
                    suffix, data = random.choice(good) if random.random() < 0.7 else damaged(random)
                    name = random.choice((str(number), random.choice(NAMES))) + suffix
                    extra = random.randbytes(4) if random.random() < 0.7 else b""  # otherwise the same file again
                    _allowed(lambda file=folder / name, data=data + extra: file.write_bytes(data))
                for _ in range(random.choice((0, 0, 1, 3))):
                    _allowed(lambda folder=folder: random.choice(ODDITIES)(folder, root, random))
    for _ in range(random.choice((0, 0, 1))):
        _allowed(lambda: random.choice(ODDITIES)(root, root, random))
    return root


def _labels(random: Random) -> list[str]:
    """Class names: in two cases of three those that a class may have."""
    fine = [name for name in ("cat", "dog", *NAMES) if not name.startswith(".") and one_line(name) == name]
    names = fine if random.random() < 0.67 else ["cat", "dog", *NAMES]
    return random.sample(names, random.choice((1, 2, 2, 2, 3, 3, 5, 0)))


def _allowed(make: Callable[[], object]) -> bool:
    try:
        make()
    except (OSError, ValueError):
        return False
    return True


def _name(random: Random) -> str:
    return random.choice(("odd", *NAMES)) + random.choice((".jpg", ".png", ".webp", "", ".txt"))


def _fifo(folder: Path, root: Path, random: Random) -> None:
    os.mkfifo(folder / _name(random))


def _socket(folder: Path, root: Path, random: Random) -> None:
    put_socket(folder, "s.jpg")


def put_socket(folder: Path, name: str) -> None:
    """A socket's address holds 107 bytes, which no folder's path may be held to: named from inside the folder."""
    with chdir(folder), socket.socket(socket.AF_UNIX) as made:
        made.bind(name)


def _link(folder: Path, root: Path, random: Random) -> None:
    targets = (
        "/dev/zero", "/dev/stdin", "/dev/full", "/dev/null", "/etc/passwd", "/proc/self/mem", "/proc/self/maps", "/",
        ".", "..", "../..", str(root), str(root.parent), "self", "nowhere", "x" * 300, str(folder / "0.jpg"), "0.jpg",
    )  # fmt: skip
    target = random.choice(targets)
    (folder / (_name(random) if target != "self" else "self")).symlink_to(target)


def _folder_named_like_an_image(folder: Path, root: Path, random: Random) -> None:
    (folder / "inner.jpg").mkdir()
    (folder / "inner.jpg" / "a.png").write_bytes(seeds()["png rgb"][1])


def _deep(folder: Path, root: Path, random: Random) -> None:
    deep = folder.joinpath(*["d"] * random.choice((5, 200)))
    deep.mkdir(parents=True)
    (deep / "deep.jpg").write_bytes(seeds()["jpg rgb"][1])


def _closed(folder: Path, root: Path, random: Random) -> None:
    file = folder / "closed.jpg"
    file.write_bytes(seeds()["jpg rgb"][1])
    file.chmod(0)


ODDITIES = (_fifo, _socket, _link, _link, _link, _folder_named_like_an_image, _deep, _closed)


def csv_bytes(random: Random) -> bytes:
    """A CSV as somebody may write it; beside it stand 0.jpg to 3.jpg and sub/0.jpg."""
    header = random.choice((*["path,label"] * 8, *["path,label,split"] * 5, "label,path", "Path;Label", "file,class",
                            "", "path", '"path","label"', " PATH , label ,split,note", "path,label,label"))  # fmt: skip
    paths = ("0.jpg", "1.jpg", "2.jpg", "3.jpg", "./0.jpg", "sub/0.jpg", "sub/../1.jpg", "../outside.jpg",
             "/etc/passwd", "/dev/zero", "fifo.jpg", "", ".", "..", "/", "gone.jpg", "sub", "x" * 5000, "\0", "0.jpg\0",
             "~/0.jpg", "C:\\0.jpg", "\\\\host\\share", "file:///etc/passwd", "https://example.org/0.jpg",
             *NAMES)  # fmt: skip
    labels = ("cat", "dog", *_labels(random), *random.choice(((), (), ("", "y" * 2000, '"', "=1+1", *NAMES))))
    splits = ("", "", "train", "val", "TEST", *random.choice(((), (), ("nonsense",))))
    rows = [header, "0.jpg,cat", "1.jpg,dog"]
    for _ in range(random.choice((0, 1, 2, 5, 20))):
        cells = [random.choice(paths), random.choice(labels), random.choice(splits)]
        cells = cells[: random.choice((1, 2, 2, 2, 3, 3))] + ["more"] * random.choice((0, 0, 0, 5))
        quote = random.random() < 0.3
        rows.append(",".join('"' + cell.replace('"', '""') + '"' if quote else cell for cell in cells))
    text = random.choice(("\n", "\r\n", "\n\n", "\r")).join(rows) + random.choice(("", "\n", '"', "\0"))
    encoding = random.choice((*["utf-8"] * 5, *["utf-8-sig"] * 2, "latin-1", "utf-16"))
    escaped = "surrogateescape" if encoding == "utf-8" and random.random() < 0.2 else "replace"
    data = text.encode(encoding, escaped)
    return data if random.random() < 0.8 else _garble(data, random)


def write_csv_folder(root: Path, random: Random) -> Path:
    """A CSV with files beside it; its path."""
    (root / "sub").mkdir(parents=True)
    for number in range(4):
        (root / f"{number}.jpg").write_bytes(seeds()["jpg rgb"][1] + bytes([number]))
    (root / "sub" / "0.jpg").write_bytes(seeds()["jpg rgb"][1])
    (root.parent / "outside.jpg").write_bytes(seeds()["jpg rgb"][1])
    os.mkfifo(root / "fifo.jpg")
    file = root / "images.csv"
    file.write_bytes(csv_bytes(random))
    return file


def crash(*_: object) -> None:
    """What a file may do to the process that reads it."""
    os.abort()


# What must hold.


NUMBER = r"\d+(\.\d+)?"
FORMS = (  # all that may be said of a file that is not read
    "the file is empty",
    "not an image",
    rf"cut short or damaged \(({'|'.join(map(re.escape, (*DETAILS, 'its colours are missing')))})\)",
    rf"{NUMBER} x {NUMBER} pixels are more than {NUMBER} million",
    r"[^:\n]{3,100} is not supported: convert it to JPEG or PNG",
    r"video \([A-Za-z0-9, ]+\) is not a picture: take single pictures out of it",
    rf"a JPEG of more than {NUMBER} scans: convert it to PNG",
    rf"a progressive JPEG of {NUMBER} x {NUMBER} pixels takes {NUMBER} GB: save it as a baseline JPEG, or .* smaller",
    rf"a TIFF of {NUMBER} x {NUMBER} pixels whose tiles have {NUMBER} million",
    rf"a (PNM as text of more than {NUMBER} million numbers|run-length encoded BMP of .*): convert it to PNG",
    rf"a canvas of {NUMBER} x {NUMBER} pixels whose first frame reaches to {NUMBER} x {NUMBER}",
)


def worded(why: str) -> bool:
    """Whether a reason is one of ours, not a text of Python or of a library."""
    return any(re.fullmatch(form, why) for form in FORMS)


def judged(suffix: str, data: bytes, size: int = 16) -> str:
    """ "ok" or "refused"; AssertionError where the decoder does anything else, or the check says otherwise."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        why = refusal(data)
        try:
            pixels = decode(data, size)
            decode(data, size, levels="percentile")
        except UnfreezeError as error:
            reason = str(error)
        else:
            reason = None
            assert pixels.shape == (size, size, 3)
            assert pixels.dtype == np.uint8
    assert not warned, warned[0].message
    for said in filter(None, (why, reason)):
        assert said == one_line(said)
        assert worded(said), said
    assert (why is None) == (reason is None), f"check: {why}; decode: {reason}"
    return "refused" if why else "ok"


def judged_scan(data: Path, size: int = 16) -> str:
    """ "ok" or "refused" for a folder or CSV; AssertionError where the scan does anything else, or lets in a file that
    cannot be decoded."""
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            images = scan(data)
    except UnfreezeError as error:
        reason = str(error)
    else:
        reason = None
    assert not warned, warned[0].message
    if reason is not None:
        assert reason == one_line(reason)
        return "refused"
    assert len(images) >= 2
    assert len(set(images.class_names)) == len(images.class_names) >= 2
    for name in images.class_names:
        assert name.splitlines() == [name]
    for left in images.rejected:
        left.path.encode()
        assert left.reason == one_line(left.reason)
    for row in range(len(images)):
        decode(read_unchanged(images, row), size)
    assert not {left.path for left in images.rejected} & set(images.paths) or data.is_file()
    return "ok"
