"""What a file says of the colours that its samples stand for: an ICC profile, code points, or a PNG's gamma.

Nothing is converted here: `toolkit.pixels.colour` does. A file that says nothing has the colours of sRGB.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.pixels.icc import DISPLAY_P3, SRGB, SRGB_CURVE, Primaries, matrix_profile

PROFILE, GAMMA = "profile", "gamma"
LARGEST = 4 << 20  # bytes of a profile; those of presses have 0.5 to 3 million
BOXES = 1 << 16  # bytes at the beginning of an AVIF or HEIC in which its properties stand
_UNIT = 100_000  # of the numbers in gAMA and cHRM
# without cHRM; 45,455, a gamma of 2.2, is what encoders write for sRGB
_ABOUT_SRGB = range(44_455, 46_456)
# ITU-T H.273: colour primaries, and transfer characteristics as curves; what is not here cannot be used, such as HDR.
_PRIMARIES = {
    1: SRGB,
    2: SRGB,  # "unspecified"
    4: Primaries((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: Primaries((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: DISPLAY_P3,
}
_CURVES: dict[int, Sequence[float]] = {2: SRGB_CURVE, 4: (2.2,), 5: (2.8,), 8: (1.0,), 13: SRGB_CURVE}
# Transfer characteristics of video cameras, which Chromium takes for those of a screen in a PNG (ITU-R BT.1886), and
# for those of sRGB in an AVIF.
_OF_VIDEO = (1, 6, 14, 15)
_SCREEN_CURVE = (2.4,)


@dataclass(frozen=True)
class ColoursTold:
    """What stands in a file."""

    source: str  # PROFILE, for code points too, or GAMMA: gAMA or cHRM of a PNG
    icc: bytes  # an ICC profile; b"": what stands there cannot be used


def of_profile(info: Mapping[Any, Any]) -> ColoursTold | None:
    """Of the profile that Pillow found, which may be damaged."""
    if "icc_profile" not in info:
        return None
    icc = info["icc_profile"]
    return ColoursTold(PROFILE, icc if isinstance(icc, bytes) and len(icc) <= LARGEST else b"")


def of_boxes(data: bytes) -> ColoursTold | None:
    """Of the code points in an AVIF or HEIC that has no profile (ISO/IEC 23008-12, `colr` of the type `nclx`)."""
    at = data.find(b"\0\0\0\x13colrnclx", 0, BOXES)
    if at < 0 or at + 16 > len(data):
        return None
    primaries, transfer = struct.unpack_from(">HH", data, at + 12)
    return _of_code_points(primaries, 13 if transfer in _OF_VIDEO else transfer)


def of_png(data: bytes) -> ColoursTold | None:
    """Of a PNG's chunks, in the order in which they count: cICP, iCCP, sRGB, gAMA with or without cHRM
    (https://www.w3.org/TR/png-3/#color-chunk-precendence). cHRM alone tells nothing, to Chromium neither."""
    chunks = dict(_chunks_before_pixels(data))
    if len(told := chunks.get(b"cICP", b"")) == 4:
        return _of_code_points(told[0], told[1])
    damaged = None
    if (packed := chunks.get(b"iCCP")) is not None:
        if icc := _inflated(packed):
            return ColoursTold(PROFILE, icc)
        damaged = ColoursTold(PROFILE, b"")
    if b"sRGB" in chunks:
        return None
    return _of_gamma(chunks[b"gAMA"], chunks.get(b"cHRM")) if b"gAMA" in chunks else damaged


def _chunks_before_pixels(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"IDAT" or at + 12 + length > len(data):
            return
        yield name, data[at + 8 : at + 8 + length]
        at += 12 + length


def _inflated(chunk: bytes) -> bytes:
    """The profile in an iCCP chunk; b"" if it is damaged or would be too large."""
    name, _, packed = chunk.partition(b"\0")
    if len(name) > 79 or packed[:1] != b"\0":
        return b""
    inflating = zlib.decompressobj()
    try:
        icc = inflating.decompress(packed[1:], LARGEST)
    except zlib.error:
        return b""
    return icc if inflating.eof else b""


def _of_gamma(gamma: bytes, ends: bytes | None) -> ColoursTold | None:
    try:
        (value,) = struct.unpack(">I", gamma)
        if ends is None and value in _ABOUT_SRGB:
            return None
        points = [number / _UNIT for number in struct.unpack(">8I", ends)] if ends is not None else []
        white, *pairs = list(zip(points[::2], points[1::2], strict=True)) or [SRGB.white]
        primaries = Primaries(pairs[0], pairs[1], pairs[2], white) if pairs else SRGB
        return ColoursTold(GAMMA, matrix_profile(primaries, (_UNIT / value,)))
    except (ValueError, struct.error, ZeroDivisionError):
        return ColoursTold(GAMMA, b"")


def _of_code_points(primaries: int, transfer: int) -> ColoursTold | None:
    ends, curve = _PRIMARIES.get(primaries), _SCREEN_CURVE if transfer in _OF_VIDEO else _CURVES.get(transfer)
    if ends is None or curve is None:
        return ColoursTold(PROFILE, b"")
    return None if ends == SRGB and curve == SRGB_CURVE else ColoursTold(PROFILE, matrix_profile(ends, curve))
