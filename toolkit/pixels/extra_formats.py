"""HEIC and JPEG XL, read by the packages of `unfreeze[formats]`, which are imported for the first such file.

pi-heif is libheif's decoder without the encoder (x265, under the GPL) that pillow-heif brings; imagecodecs brings
libjxl. Neither is registered with Pillow, so nothing else in the process changes.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import ImageFile

from toolkit.pixels.formats import unsupported

BEGINNING = 64  # bytes of a codestream that hold its size
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height, by their numbers from 1


def open_heic(data: bytes) -> ImageFile.ImageFile:
    """The primary image, turned upright by libheif as the file asks; only the header is read."""
    from pi_heif import HeifImageFile

    image: ImageFile.ImageFile = HeifImageFile(io.BytesIO(data))
    image.info.pop("exif", None)  # a phone's EXIF repeats the turn that libheif has made
    return image


def jxl_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, as stored, by the header: the decoder allocates memory for them at once. Raises
    IndexError if the file is cut short."""
    if not data.startswith(b"\xff\x0a"):
        data = _codestream(data)
    bits = _Bits(data[2:40])
    small = bits.take(1)
    height = 8 * (bits.take(5) + 1) if small else bits.take((9, 13, 18, 30)[bits.take(2)]) + 1
    ratio = bits.take(3)
    if ratio:
        across, down = _RATIOS[ratio - 1]
        return height * across // down, height
    return 8 * (bits.take(5) + 1) if small else bits.take((9, 13, 18, 30)[bits.take(2)]) + 1, height


def read_jxl(data: bytes) -> np.ndarray:
    """uint8 or uint16 [H, W, C], C = 1 to 4: the first frame, turned upright by libjxl."""
    from imagecodecs import jpegxl_decode

    pixels: np.ndarray = jpegxl_decode(data, index=0, numthreads=1)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise unsupported("a JPEG XL of floating-point numbers")
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] > 4:
        raise unsupported("a JPEG XL of more than four channels")
    return pixels


class _Bits:
    """Reads numbers from the lowest bit of the first byte up."""

    def __init__(self, data: bytes) -> None:
        self._left, self._number = 8 * len(data), int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        if count > self._left:
            raise IndexError
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        self._left -= count
        return value


def _codestream(data: bytes) -> bytes:
    """The beginning of the codestream in the boxes of a container, which may cut it anywhere."""
    found, at = b"", 0
    while len(found) < BEGINNING:
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = at + (size or len(data))  # 0: to the end of the file
        if len(name) < 4 or end < at + head:
            break
        if name in (b"jxlc", b"jxlp"):  # all of it, or a part of it behind the part's number
            found += data[at + head + (4 if name == b"jxlp" else 0) : end][:BEGINNING]
        at = end
    return found
