"""ICC profiles, and files with them, for the tests: written here by the specification, not by the code under test."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from tests.hostile import png_chunk
from tests.pictures import encode

D50 = (0.9642, 1.0, 0.8249)
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
# Columns of linear RGB -> XYZ under D50, as published by ICC and Adobe and in ISO 22028-2.
COLUMNS = {
    "sRGB": ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
    "Display P3": ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    "Adobe RGB": ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
    "ProPhoto": ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491)),
}
CURVES: dict[str, tuple[float, ...]] = {
    "sRGB": SRGB_CURVE,
    "Display P3": SRGB_CURVE,
    "Adobe RGB": (563 / 256,),
    "ProPhoto": (1.8,),
}


def fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def curve(*values: float) -> bytes:
    """One value: a gamma; five: a curve as sRGB's."""
    return struct.pack(">4s4xHxx", b"para", {1: 0, 5: 3}[len(values)]) + fixed(*values)


def profile(tags: dict[bytes, bytes], space: bytes = b"RGB ", kind: bytes = b"mntr", pcs: bytes = b"XYZ ") -> bytes:
    """A profile of version 4, of version 2 if it has a table."""
    at, table, body = 132 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    version = 0x02400000 if b"A2B0" in tags else 0x04000000
    head = struct.pack(">I4xI4s4s4s12x4s28x", at + len(body), version, kind, space, pcs, b"acsp") + fixed(*D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def rgb_profile(name: str) -> bytes:
    tags = {b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50)}
    for letter, column in zip((b"r", b"g", b"b"), COLUMNS[name], strict=True):
        tags |= {letter + b"XYZ": b"XYZ \0\0\0\0" + fixed(*column), letter + b"TRC": curve(*CURVES[name])}
    return profile(tags)


def grey_profile(gamma: float) -> bytes:
    return profile({b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50), b"kTRC": curve(gamma)}, b"GRAY")


def cmyk_profile(lightness: Callable[[int, int, int, int], int]) -> bytes:
    """Of a press that prints greys: L* from 0 to 100 for each corner, of no ink or all of each."""
    corners = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    grid = b"".join(bytes([round(lightness(*corner) * 2.55), 128, 128]) for corner in corners)
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + ramp * 4 + grid + ramp * 3
    return profile({b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50), b"A2B0": table}, b"CMYK", b"prtr", b"Lab ")


def linear(values: np.ndarray, told: tuple[float, ...]) -> np.ndarray:
    """Light, 0 to 1, of 8-bit values whose curve has one number, a gamma, or five."""
    share = values / 255
    if len(told) == 1:
        return share ** told[0]
    gamma, a, b, c, d = told
    return np.where(share >= d, (a * share + b) ** gamma, c * share)


def shown(light: np.ndarray) -> np.ndarray:
    """float64, 0 to 255, of sRGB, for linear light of sRGB."""
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def converted(rgb: np.ndarray, name: str) -> np.ndarray:
    """float64 [H, W, 3]: the sRGB of values in another space, by its formula."""
    to_xyz, from_xyz = np.array(COLUMNS[name]).T, np.linalg.inv(np.array(COLUMNS["sRGB"]).T)
    return shown(linear(rgb, CURVES[name]) @ (from_xyz @ to_xyz).T)


def png_with(image: Image.Image, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with these chunks behind its header."""
    data = encode(image, "PNG")
    return data[:33] + b"".join(png_chunk(name, body) for name, body in chunks) + data[33:]


def iccp(told: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"name\0\0" + zlib.compress(told)
