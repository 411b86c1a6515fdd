"""The header of a TIFF, before a decoder runs: the first page alone, reduced to the tags that its pixels need.

Pillow and libtiff believe what the tags say, and warn on standard error. So each tag is checked here, and a new header
is written that has no others. Orientation is taken out of it, because it is applied here for all formats alike.
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from functools import cache

from PIL import Image

from toolkit.errors import UnfreezeError
from toolkit.pixels.colours_told import LARGEST
from toolkit.pixels.formats import unsupported

MAX_STRIPS = 100_000  # or tiles; a page of 100 million pixels has a few thousand
MAX_SAMPLES = 6  # per pixel; Pillow logs an error for more
MAX_TILE = 25_000_000  # pixels, if the page is smaller

WIDTH, HEIGHT, BITS, COMPRESSION, COLOUR = 256, 257, 258, 259, 262
STRIPS, ORIENTATION, SAMPLES, ROWS, STRIP_BYTES, PLANES = 273, 274, 277, 278, 279, 284
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, EXTRA, FORM = 322, 323, 324, 325, 338, 339
ICC = 34675
_KEPT = {  # tag -> how many values it may have at most
    **dict.fromkeys((WIDTH, HEIGHT, COMPRESSION, COLOUR, 266, SAMPLES, ROWS, PLANES, 317, TILE_WIDTH, TILE_HEIGHT), 1),
    **dict.fromkeys((BITS, EXTRA, FORM), 8),
    **dict.fromkeys((STRIPS, STRIP_BYTES, TILES, TILE_BYTES), MAX_STRIPS),
    ORIENTATION: 1,
    320: 3 << 16,  # the colours of a palette
    347: 65536,  # tables of a JPEG
    **dict.fromkeys((292, 293), 1),  # options of a fax
    530: 2,  # subsampling of the colours
}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LETTERS = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q"}  # types of numbers that the tags above may have
_COMPRESSIONS = (
    1,  # none
    2,  # fax: modified Huffman
    3,  # fax: group 3
    4,  # fax: group 4
    5,  # LZW
    7,  # JPEG
    8,  # deflate
    32773,  # PackBits
    32946,  # deflate, by its older number
    34925,  # LZMA
    50000,  # Zstandard
)
_RAW = {32803: "camera raw (TIFF)", 34892: "camera raw (DNG)"}
_DNG, _SUBFILE, _SUB_PAGES = 50706, 254, 330

Tags = dict[int, tuple[int, ...]]


@dataclass(frozen=True)
class Page:
    """The first page of a TIFF."""

    data: bytes  # the file with a new header
    width: int  # pixels, as stored
    height: int
    bits: int  # per sample
    samples: int  # per pixel
    orientation: int
    inverted: bool  # whether 0 is white
    premultiplied: bool  # whether colours are multiplied by alpha
    profile: dict[str, bytes]  # under "icc_profile", as Pillow has it, that of the ICC; b"" if it is damaged


def first_page(data: bytes) -> Page:
    """Raises UnfreezeError if the header is damaged, no decoder here knows its kind, or it would take too much
    memory."""
    order = "<" if data.startswith(b"II") else ">"
    tags, raw = _tags(data, order)
    width, height = (tags.get(name, (0,))[0] for name in (WIDTH, HEIGHT))
    bits, samples = tags.get(BITS, (1,)), tags.get(SAMPLES, (1,))[0]
    _refuse_kind(tags, max(bits, default=1), samples)
    _refuse_parts(tags, width, height)
    kept = {tag: entry for tag, entry in raw.items() if tag in _KEPT and tag != ORIENTATION}
    return Page(
        _written(data, order, kept),
        width,
        height,
        max(bits, default=1),
        samples,
        tags.get(ORIENTATION, (1,))[0],
        tags.get(COLOUR, (0,))[0] == 0,
        tags.get(EXTRA, (0,))[:1] == (1,),
        {"icc_profile": raw[ICC][2]} if ICC in raw else {},
    )


@cache
def silence_libtiff() -> None:
    """Takes away its two functions that write to standard error what they think of a file: an exception tells it, too.
    Pillow does not (seen with Pillow 13). Where libtiff is a part of Pillow's own library, as on Windows, it stays."""
    library = ctypes.CDLL(Image.core.__file__)
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        if function := getattr(library, name, None):
            function.restype, function.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
            function(None)


def _tags(data: bytes, order: str) -> tuple[Tags, dict[int, tuple[int, int, bytes]]]:
    """The values of the tags in `_KEPT`, and (type, count, bytes) of each. Raises UnfreezeError if it is camera raw, of
    which the first page is a thumbnail."""
    big = data[2:4] in (b"+\0", b"\0+")
    entry, number, head = (f"{order}HHQ", f"{order}Q", 20) if big else (f"{order}HHI", f"{order}I", 12)
    (start,) = struct.unpack_from(number, data, 8 if big else 4)
    (count,) = struct.unpack_from(number if big else f"{order}H", data, start)
    start, room = start + (8 if big else 2), head - struct.calcsize(entry)
    tags: Tags = {}
    raw = {}
    names = set()
    for at in range(start, start + min(count, 65535) * head, head):
        tag, kind, values = struct.unpack_from(entry, data, at)
        names.add(tag)
        if tag == ICC:
            raw[tag] = kind, values, _profile(data, at + head - room, room, number, kind, values)
        if tag in _KEPT or tag == _SUBFILE:
            content = _content(data, at + head - room, room, number, kind, values, _KEPT.get(tag, 1))
            raw[tag] = kind, values, content
            tags[tag] = struct.unpack(f"{order}{values}{_LETTERS[kind]}", content)
    if _DNG in names:
        raise unsupported("camera raw (DNG)")
    if _SUB_PAGES in names and tags.get(_SUBFILE, (0,))[0] & 1:
        raise unsupported("camera raw (TIFF)")
    return tags, raw


def _content(data: bytes, at: int, room: int, number: str, kind: int, values: int, most: int) -> bytes:
    """The bytes of a tag's values."""
    if kind not in _LETTERS or not 0 < values <= most:
        raise ValueError("a tag has another type or number of values")
    size = _SIZES[kind] * values
    if size > room:
        (at,) = struct.unpack_from(number, data, at)
    if at + size > len(data):
        raise IndexError
    return data[at : at + size]


def _profile(data: bytes, at: int, room: int, number: str, kind: int, values: int) -> bytes:
    """The bytes of the ICC profile, which the pixels do not need: b"" if they are not there."""
    try:
        return _content(data, at, room, number, kind, values, LARGEST) if _SIZES.get(kind) == 1 else b""
    except (ValueError, IndexError, struct.error):
        return b""


def _refuse_kind(tags: Tags, bits: int, samples: int) -> None:
    compression, colour = tags.get(COMPRESSION, (1,))[0], tags.get(COLOUR, (0,))[0]
    form = set(tags.get(FORM, (1,)))
    if colour in _RAW:
        raise unsupported(_RAW[colour])
    if compression not in _COMPRESSIONS:
        raise unsupported(f"a TIFF of compression {compression}")
    if form != {1} and not (form == {2} and bits == 8):
        kinds = {2: "signed numbers", 3: "floating-point numbers"}
        raise unsupported(f"a TIFF of {kinds.get(max(form), 'numbers of an unknown kind')}")
    if samples > MAX_SAMPLES:
        raise unsupported(f"a TIFF of {samples} samples per pixel")
    if bits > 16 or len(set(tags.get(BITS, (1,)))) > 1:
        raise unsupported(f"a TIFF of {' + '.join(map(str, tags[BITS]))} bits per sample")
    if colour not in (0, 1, 2, 3, 5, 6):
        raise unsupported(f"a TIFF of colour space {colour}")
    if bits > 8 and samples > 1 and tags.get(PLANES, (1,))[0] == 2:
        raise unsupported(f"a TIFF of {bits} bits per sample whose colours are stored one after the other")


def _refuse_parts(tags: Tags, width: int, height: int) -> None:
    """Refuse tiles or strips that would take more memory than the page."""
    tile = tags.get(TILE_WIDTH, (0,))[0] * tags.get(TILE_HEIGHT, (0,))[0]
    if tile > max(MAX_TILE, 4 * width * height):
        raise UnfreezeError(f"a TIFF of {width} x {height} pixels whose tiles have {tile / 1e6:.0f} million")
    if not tags.get(STRIPS if tile == 0 else TILES):
        raise IndexError


def _written(data: bytes, order: str, kept: dict[int, tuple[int, int, bytes]]) -> bytes:
    """The file with a new header behind its end, in the classic form: numbers of 8 bytes become 4."""
    at = len(data) + len(data) % 2
    table = at + 2 + 12 * len(kept) + 4
    entries, behind = [], b""
    for tag, (kind, count, content) in sorted(kept.items()):
        if kind == 16:
            content = struct.pack(f"{order}{count}I", *struct.unpack(f"{order}{count}Q", content))
        kind = 4 if kind in (13, 16) else kind
        if len(content) > 4:
            content, behind = (
                struct.pack(f"{order}I", table + len(behind)),
                behind + content + b"\0" * (len(content) % 2),
            )
        entries.append(struct.pack(f"{order}HHI", tag, kind, count) + content.ljust(4, b"\0"))
    page = struct.pack(f"{order}H", len(kept)) + b"".join(entries) + bytes(4) + behind
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return b"".join([mark, struct.pack(f"{order}I", at), data[8:], bytes(at - len(data)), page])
