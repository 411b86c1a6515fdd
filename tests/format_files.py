"""A file of each format and variant, written by Pillow, by the packages of unfreeze[formats] or by hand; its pixels
as the program that wrote it reads them, or the words with which it is refused.

`row` is the row of the table in docs/data.md that speaks of it.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import cache

import cv2
import imagecodecs
import numpy as np
import pi_heif
import pillow_heif
from PIL import Image, ImageCms

from tests.pictures import draw, encode

CONVERT = "is not supported: convert it to JPEG or PNG"
# of a grey page of 20 x 20 pixels: size, bits, compression, colour, samples, rows in a strip, bytes of the strip
PAGE_TAGS = {256: (20,), 257: (20,), 258: (8,), 259: (1,), 262: (1,), 277: (1,), 278: (20,), 279: (400,)}


@dataclass(frozen=True)
class Sample:
    row: str
    name: str
    suffix: str
    data: bytes
    pixels: np.ndarray | None  # uint8 [H, W, 3]; None: it is refused
    why: str = ""  # with these words

    @property
    def id(self) -> str:
        return f"{self.row}, {self.name}"


def rgb() -> Image.Image:
    return Image.fromarray(draw(1, 40, np.random.default_rng(0))[:, :30])


def deep(channels: int = 3, seed: int = 0) -> np.ndarray:
    """uint16 [40, 30, C], or [40, 30] of one channel."""
    made = np.random.default_rng(seed).integers(0, 65536, (40, 30, channels), dtype=np.uint16)
    return made[..., 0] if channels == 1 else made


def by_pillow(data: bytes) -> np.ndarray:
    """What `Image.open` and `convert` give, on white."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            return np.asarray(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB"))
        return np.asarray(image.convert("RGB"))


def high(samples: np.ndarray) -> np.ndarray:
    """uint16 [H, W] or [H, W, 3] -> uint8 [H, W, 3]: the high bytes."""
    eight = (samples >> 8).astype(np.uint8)
    return np.repeat(eight[..., None], 3, 2) if eight.ndim == 2 else eight


def by_opencv(suffix: str, samples: np.ndarray, *options: int) -> bytes:
    """The file that OpenCV writes of RGB, RGBA or grey."""
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(samples.shape[-1] if samples.ndim == 3 else 0)
    return cv2.imencode(suffix, samples[..., order] if order else samples, options)[1].tobytes()


def heic(image: Image.Image, **options: object) -> bytes:
    content = io.BytesIO()
    pillow_heif.from_pillow(image).save(content, quality=90, **options)
    return content.getvalue()


def by_libheif(data: bytes) -> np.ndarray:
    return np.asarray(pi_heif.read_heif(io.BytesIO(data)).to_pillow().convert("RGB"))


def masked_bmp(pixels: np.ndarray, bits: int, masks: tuple[int, int, int]) -> bytes:
    """A BMP of uint8 [H, W, 3] whose colours stand under `masks`; only the highest bits of each fit."""
    height, width = pixels.shape[:2]
    packed = np.zeros((height, width), np.uint32)
    for channel, mask in enumerate(masks):
        low, length = (mask & -mask).bit_length() - 1, mask.bit_count()
        packed |= (pixels[..., channel].astype(np.uint32) >> (8 - length)) << low
    rows = np.ascontiguousarray(packed[::-1].astype(f"<u{bits // 8}")).view(np.uint8).reshape(height, -1)
    body = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).tobytes()
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 3, len(body), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 66 + len(body), 0, 0, 66) + info + struct.pack("<III", *masks) + body


def arithmetic_jpeg() -> bytes:
    """One grey block, all of whose coefficients are 0."""
    tables = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    frame = b"\xff\xc9" + struct.pack(">HBHHB", 11, 8, 8, 8, 1) + bytes([1, 0x11, 0])
    scan = b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, 0, 63, 0]) + bytes(20)
    return b"\xff\xd8" + tables + frame + scan + b"\xff\xd9"


def tiff_of(tags: dict[int, tuple[int, ...]], body: bytes = b"\0" * 1200) -> bytes:
    """A little-endian TIFF with these tags, all of type LONG, and `body` behind them; tag 273 is set to where it is."""
    tags = tags | {273: (8 + 2 + 12 * (len(tags) + (273 not in tags)) + 4,)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, values[0]) for tag, values in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + body


@cache
def samples() -> tuple[Sample, ...]:
    return (*_jpegs(), *_tiffs(), *_deep(), *_others(), *_extra(), *_refused())


def _read(row: str, suffix: str, **files: bytes) -> list[Sample]:
    """Files that Pillow reads as they are to be read."""
    return [Sample(row, name.replace("_", " "), suffix, data, by_pillow(data)) for name, data in files.items()]


def _jpegs() -> list[Sample]:
    image = rgb()
    pixels = np.asarray(image)
    lossless = imagecodecs.jpeg8_encode(np.ascontiguousarray(pixels), lossless=True)
    return [
        *_read(
            "JPEG",
            ".jpg",
            baseline=encode(image),
            progressive=encode(image, progressive=True),
            grey=encode(image.convert("L")),
            cmyk=encode(image.convert("CMYK")),
        ),
        *_read("JPEG", ".jfif", jfif=encode(image)),
        *_read("JPEG", ".mpo", two_pictures=encode(image, "MPO", save_all=True, append_images=[image])),
        Sample("JPEG, arithmetic coding", "a block", ".jpg", arithmetic_jpeg(), np.full((8, 8, 3), 128, np.uint8)),
        Sample("JPEG, lossless, 8 bits", "colour", ".jpg", lossless, pixels),
    ]


def _tiffs() -> list[Sample]:
    image = rgb()
    ways = (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma")
    packed = {str(way): encode(image, "TIFF", compression=way) for way in ways}
    modes = {mode: encode(image.convert(mode), "TIFF") for mode in ("1", "L", "P", "CMYK", "YCbCr", "LA", "RGBA")}
    second = Image.new("RGB", (9, 9))
    return [
        *_read("TIFF", ".tif", **packed, **modes, big=encode(image, "TIFF", big_tiff=True)),
        *_read("TIFF", ".tiff", fax=encode(image.convert("1"), "TIFF", compression="group4")),
        *_read("TIFF", ".tif", pages=encode(image, "TIFF", save_all=True, append_images=[second])),
        *_read("TIFF", ".tif", strips=encode(image, "TIFF", tiffinfo={278: 7}, compression="tiff_lzw")),
        Sample("TIFF", "tiles", ".tif", tiled_tiff(), tiled_pixels()),
    ]


def tiled_pixels() -> np.ndarray:
    return draw(2, 32, np.random.default_rng(3))


def tiled_tiff() -> bytes:
    """32 x 32 pixels in four tiles of 16 x 16, not compressed, by hand."""
    pixels = tiled_pixels()
    tiles = [pixels[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16)]
    head = {256: 32, 257: 32, 259: 1, 262: 2, 277: 3, 284: 1, 322: 16, 323: 16}
    places = {258: (3, [8, 8, 8]), 324: (4, [0] * 4), 325: (4, [len(tile) for tile in tiles])}
    count = len(head) + len(places)
    at = 8 + 2 + 12 * count + 4
    where = {258: at, 324: at + 6, 325: at + 22}
    start = at + 38
    places[324] = (4, [start + sum(map(len, tiles[:number])) for number in range(4)])
    entries = [struct.pack("<HHII", tag, 3, 1, value) for tag, value in head.items()]
    entries += [struct.pack("<HHII", tag, kind, len(v), where[tag]) for tag, (kind, v) in places.items()]
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    body = struct.pack("<3H", *places[258][1]) + struct.pack("<4I4I", *places[324][1], *places[325][1])
    return b"II*\0" + struct.pack("<IH", 8, count) + b"".join(entries) + bytes(4) + body + b"".join(tiles)


def _deep() -> list[Sample]:
    """With all 16 bits: their high bytes."""
    grey, colour = deep(1), deep(3)
    opaque = np.dstack([colour, np.full((40, 30), 65535, np.uint16)])
    files = {
        ".png": {"grey": (by_opencv(".png", grey), grey), "colour": (by_opencv(".png", colour), colour)},
        ".tif": {
            "grey": (by_opencv(".tif", grey), grey),
            "colour": (by_opencv(".tif", colour), colour),
            "colour uncompressed": (by_opencv(".tif", colour, cv2.IMWRITE_TIFF_COMPRESSION, 1), colour),
            "big-endian": (encode(Image.fromarray(grey.astype(">u2")), "TIFF"), grey),
        },
        ".pgm": {"grey": (by_opencv(".pgm", grey), grey)},
        ".ppm": {"colour": (by_opencv(".ppm", colour), colour)},
        ".jp2": {"grey": (encode(Image.fromarray(grey), "JPEG2000"), grey)},
        ".jxl": {"colour": (imagecodecs.jpegxl_encode(colour, lossless=True), colour)},
    }
    rows = [
        Sample("16 bits per sample", f"{suffix[1:]} {name}", suffix, data, high(wanted))
        for suffix, own in files.items()
        for name, (data, wanted) in own.items()
    ]
    alpha = [(suffix, by_opencv(suffix, opaque)) for suffix in (".png", ".tif")]
    return rows + [Sample("16 bits per sample", f"{s[1:]} alpha", s, data, high(colour)) for s, data in alpha]


def _others() -> list[Sample]:
    image = rgb()
    alpha = image.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(image.size))
    small = np.asarray(image)[:3, :2]
    text = "P3 # colours\n2 3\n255\n" + " ".join(map(str, small.ravel()))
    bits = "P1\n3 2\n1 0 1\n010\n"
    bit_pixels = np.array([[[0] * 3, [255] * 3, [0] * 3], [[255] * 3, [0] * 3, [255] * 3]], np.uint8)
    few = (np.asarray(image) >> 4).astype(np.uint8)
    odd = masked_bmp(np.asarray(image), 32, (0x000000FF, 0x0000FF00, 0x00FF0000))
    short = masked_bmp(np.asarray(image) & 0xF0, 16, (0x0F00, 0x00F0, 0x000F))
    return [
        *_read("PNG", ".png", colour=encode(image, "PNG"), alpha=encode(alpha, "PNG")),
        *_read("GIF", ".gif", palette=encode(image.quantize(16), "GIF")),
        *_read("BMP", ".bmp", colour=encode(image, "BMP"), palette=encode(image.quantize(16), "BMP")),
        Sample("BMP", "red in the lowest byte", ".bmp", odd, np.asarray(image)),
        Sample("BMP", "4 bits a colour", ".dib", short, ((np.asarray(image) >> 4) * 17).astype(np.uint8)),
        *_read("WebP", ".webp", lossy=encode(image, "WEBP"), alpha=encode(alpha, "WEBP", lossless=True)),
        *_read("PBM, PGM, PPM", ".ppm", colour=encode(image, "PPM")),
        *_read("PBM, PGM, PPM", ".pgm", grey=encode(image.convert("L"), "PPM")),
        *_read("PBM, PGM, PPM", ".pbm", bits=encode(image.convert("1"), "PPM")),
        Sample("PBM, PGM, PPM", "text", ".ppm", text.encode(), small),
        Sample("PBM, PGM, PPM", "text of bits", ".pbm", bits.encode(), bit_pixels),
        *_read("PBM, PGM, PPM", ".ppm", largest_value_15=b"P6 30 40 15\n" + few.tobytes()),
        *_read("AVIF", ".avif", colour=encode(image, "AVIF"), alpha=encode(alpha, "AVIF")),
        *_read(
            "JPEG 2000",
            ".jp2",
            colour=encode(image, "JPEG2000"),
            grey=encode(image.convert("L"), "JPEG2000"),
            alpha=encode(alpha, "JPEG2000"),
        ),
        *_read("JPEG 2000", ".j2k", codestream=encode(image, "JPEG2000", no_jp2=True)),
    ]


def _extra() -> list[Sample]:
    image = rgb()
    pixels = np.ascontiguousarray(image)
    grey, photo = heic(image.convert("L")), heic(image)
    lossless = imagecodecs.jpegxl_encode(pixels, lossless=True)
    return [
        Sample("HEIC", "colour", ".heic", photo, by_libheif(photo)),
        Sample("HEIC", "grey", ".heif", grey, by_libheif(grey)),
        Sample("JPEG XL", "colour", ".jxl", lossless, pixels),
        Sample("JPEG XL", "boxes", ".jxl", imagecodecs.jpegxl_encode(pixels, lossless=True, usecontainer=True), pixels),
    ]


def _refused() -> list[Sample]:
    """Those under whose row nothing is read."""
    made = {**_unsupported(), **_other_kinds()}
    return [Sample(row, "a file", suffix, data, None, why) for row, (suffix, why, data) in made.items()]


def _unsupported() -> dict[str, tuple[str, str, bytes]]:
    """row -> (suffix, words, data), of formats that are read but for these kinds."""
    image = rgb()
    twelve = imagecodecs.jpeg8_encode(deep() >> 4, bitspersample=12)
    sixteen = imagecodecs.jpeg8_encode(deep(), lossless=True, bitspersample=16)
    floats = imagecodecs.jpegxl_encode(deep().astype(np.float32) / 65535, lossless=True)
    lab = ImageCms.createProfile("LAB")
    in_lab = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
    jpeg_in_bmp = bytearray(encode(image, "BMP"))
    jpeg_in_bmp[30] = 4
    made = {
        "JPEG of 12 bits": (".jpg", "a JPEG of 12 bits per sample", twelve),
        "JPEG, lossless, 16 bits": (".jpg", "a lossless JPEG of 16 bits per sample", sixteen),
        "JPEG, hierarchical": (".jpg", "a hierarchical JPEG", arithmetic_jpeg().replace(b"\xff\xc9", b"\xff\xc5")),
        "TIFF of floating-point numbers": (
            ".tif",
            "a TIFF of floating-point numbers",
            encode(image.convert("F"), "TIFF"),
        ),
        "TIFF of signed numbers": (".tif", "a TIFF of signed numbers", encode(image.convert("I"), "TIFF")),
        "TIFF in L\\*a\\*b\\*": (".tif", "a TIFF of colour space 8", encode(in_lab, "TIFF")),
        "TIFF, old JPEG": (".tif", "a TIFF of compression 6", tiff_of(PAGE_TAGS | {259: (6,)})),
        "BMP that holds a JPEG": (".bmp", "a BMP of an unusual compression", bytes(jpeg_in_bmp)),
        "JPEG XL of floating-point numbers": (".jxl", "a JPEG XL of floating-point numbers", floats),
        "DNG": (".dng", "camera raw (DNG)", tiff_of(PAGE_TAGS | {50706: (1,)})),
        "NEF, ARW, PEF": (".nef", "camera raw (TIFF)", tiff_of(PAGE_TAGS | {254: (1,), 330: (8,)})),
    }
    return {row: (suffix, f"{what} {CONVERT}", data) for row, (suffix, what, data) in made.items()}


def _other_kinds() -> dict[str, tuple[str, str, bytes]]:
    """row -> (suffix, words, data), of formats that are not read at all: their first bytes, and then anything."""
    box = struct.pack(">I", 24)
    heads = {
        "CR2": (".cr2", "camera raw (CR2)", b"II*\0\x10\0\0\0CR\x02\0"),
        "CR3": (".cr3", "camera raw (CR3)", box + b"ftypcrx "),
        "RAF": (".raf", "camera raw (RAF)", b"FUJIFILMCCD-RAW 0201"),
        "ORF": (".orf", "camera raw (ORF)", b"IIRO\x08\0\0\0"),
        "RW2": (".rw2", "camera raw (RW2)", b"IIU\0\x08\0\0\0"),
        "Photoshop": (".psd", "Photoshop (PSD)", b"8BPS\0\1"),
        "DICOM": (".dcm", "DICOM", bytes(128) + b"DICM"),
        "OpenEXR": (".exr", "OpenEXR", b"\x76\x2f\x31\x01"),
        "FITS": (".fits", "FITS", b"SIMPLE  =                    T"),
        "SGI": (".sgi", "SGI", b"\x01\xda\x01\x01\0\3"),
        "PFM": (".pfm", "PFM", b"PF\n3 2\n-1.0\n"),
        "JPEG-LS": (".jls", "JPEG-LS", b"\xff\xd8\xff\xf7\0\x0b"),
        "PDF under a picture's name": (".jpg", "PDF", b"%PDF-1.7\n"),
        "SVG under a picture's name": (".png", "SVG", b"<?xml version='1.0'?>\n<svg xmlns='x'></svg>"),
    }
    video = "video (MP4, MOV) is not a picture: take single pictures out of it"
    return {row: (suffix, f"{what} {CONVERT}", head + bytes(500)) for row, (suffix, what, head) in heads.items()} | {
        "video under a picture's name": (".jpg", video, box + b"ftypisom" + bytes(500)),
        "web page under a picture's name": (".jpg", "not an image", b"<!DOCTYPE html><html>Not found</html>"),
    }
