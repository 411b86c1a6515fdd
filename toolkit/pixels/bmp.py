"""BMPs whose colours stand at unusual bits, which Pillow does not read: the masks of the header say where."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from toolkit.pixels.bands import bands

_BITFIELDS, _ALPHABITFIELDS = 3, 6


@dataclass(frozen=True)
class Masked:
    """A BMP of 16 or 32 bits per pixel with masks."""

    width: int  # pixels
    height: int
    upwards: bool  # whether the last row comes first
    bits: int  # per pixel
    masks: tuple[int, int, int, int]  # of red, green, blue and alpha
    start: int  # offset of the pixels


def masked(data: bytes) -> Masked | None:
    """The header of a BMP with masks; None if it has none. Raises struct.error if it is cut short."""
    (start, size) = struct.unpack_from("<II", data, 10)
    if size < 40:
        return None
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression not in (_BITFIELDS, _ALPHABITFIELDS) or bits not in (16, 32):
        return None
    fourth = size >= 56 or compression == _ALPHABITFIELDS
    masks = struct.unpack_from("<IIII" if fourth else "<III", data, 54)
    return Masked(width, abs(height), height > 0, bits, (*masks, 0)[:4], start)


def read_masked(data: bytes, header: Masked) -> np.ndarray:
    """uint8 [H, W, 3], or [H, W, 4] with alpha. Raises EOFError if the file is cut short, ValueError if a mask makes
    no sense."""
    size = header.bits // 8
    row = (header.width * size + 3) // 4 * 4
    if header.width <= 0 or len(data) < header.start + row * header.height:
        raise EOFError("truncated pixels")
    packed = np.frombuffer(data, np.uint8, row * header.height, header.start).reshape(header.height, row)
    masks = header.masks if header.masks[3] else header.masks[:3]
    made = np.empty((header.height, header.width, len(masks)), np.uint8)
    for rows in bands(made):
        pixels = np.ascontiguousarray(packed[rows, : header.width * size]).view(f"<u{size}")
        for channel, mask in enumerate(masks):
            made[rows, :, channel] = _channel(pixels, mask)
    return made[::-1] if header.upwards else made


def _channel(pixels: np.ndarray, mask: int) -> np.ndarray:
    """The bits under a mask, scaled to 0 to 255."""
    low = (mask & -mask).bit_length() - 1
    top = mask >> low if mask else 0
    if not mask or top & (top + 1):
        raise ValueError("a mask that is not of bits side by side")
    values = (pixels & np.array(mask, pixels.dtype)) >> np.array(low, pixels.dtype)
    return ((values.astype(np.uint64) * 255 + top // 2) // top).astype(np.uint8)
