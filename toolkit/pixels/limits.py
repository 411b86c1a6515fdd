"""Checks of an image file's header before any decoder runs: the memory and time that it would take.

A file of a kilobyte can make a decoder use gigabytes or minutes. Such files are refused here, with the reason. A PNG is
reduced to the chunks that hold its pixels. JPEG and TIFF have modules of their own. Decoding is left to
`toolkit.pixels.decode`.
"""

from __future__ import annotations

import struct

from toolkit.errors import UnfreezeError

MAX_PIXELS = 100_000_000
MAX_RUNS = 10_000_000  # pixels of a run-length encoded BMP, which Pillow decodes in Python: 0.1 us each

# Text, colour profiles and animation are removed: they may inflate without end, and a text with the keyword
# "transparency" or "exif" would be taken for the image's transparency or EXIF by Pillow.
_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND")


def refuse_size(width: int, height: int) -> None:
    """Raises UnfreezeError if an image has more than `MAX_PIXELS` pixels."""
    if width * height > MAX_PIXELS:
        raise UnfreezeError(f"{width} x {height} pixels are more than {MAX_PIXELS // 10**6} million")


def refuse_bomb(name: str, data: bytes) -> None:
    """Raises UnfreezeError if a file of format `name` would take more memory or time than an image of `MAX_PIXELS`. The
    size in pixels is checked here only for formats in which Pillow allocates memory for it on opening."""
    try:
        if name == "GIF":
            _refuse_grown(data)
        elif name == "BMP":
            _refuse_runs(data)
        elif name == "WebP":
            refuse_size(*_webp_size(data))
    except (struct.error, IndexError):
        return  # the file is cut short, which the decoder reports


def png_pixels(data: bytes) -> bytes:
    """The PNG with only the chunks in `_PNG_CHUNKS`. Bytes behind the last complete chunk are kept as they are."""
    kept, at = [data[:8]], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        if data[at + 4 : at + 8] in _PNG_CHUNKS:
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]])


def _refuse_runs(data: bytes) -> None:
    (size,) = struct.unpack_from("<I", data, 14)
    if size < 40:  # the header of OS/2, which has no compression
        return
    width, height, compression = struct.unpack_from("<ii4xI", data, 18)  # planes and depth between them
    if compression in (1, 2) and abs(width * height) > MAX_RUNS:
        raise UnfreezeError(
            f"a run-length encoded BMP of more than {MAX_RUNS // 10**6} million pixels: convert it to PNG"
        )


def _refuse_grown(data: bytes) -> None:
    """Refuse a GIF whose canvas is too large, or whose first frame reaches so far beyond it that it becomes too large:
    Pillow enlarges the canvas to hold this frame."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    refuse_size(width, height)
    at = 13 + ((6 << (flags & 7)) if flags & 128 else 0)
    while data[at] != 0x2C:  # the first frame
        at = _gif_blocks(data, at + 2) if data[at] == 0x21 else at + 1
    x, y, across, down = struct.unpack_from("<HHHH", data, at + 1)
    right, bottom = max(width, x + across), max(height, y + down)
    if (right, bottom) != (width, height) and right * bottom > MAX_PIXELS // 2:
        raise UnfreezeError(f"a canvas of {width} x {height} pixels whose first frame reaches to {right} x {bottom}")


def _gif_blocks(data: bytes, at: int) -> int:
    """The offset behind an extension's sub-blocks. Like Pillow, it skips the first one even if it is empty."""
    at += 1 + data[at]
    while data[at]:
        at += 1 + data[at]
    return at + 1


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of the canvas in pixels. The decoder allocates memory for it as soon as it is created."""
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF
