"""Numbers that say what colours are (primaries, white, gamma) -> an ICC profile, for files that have only the numbers.

The profile is one of version 4 with a matrix and curves, as the specification of the ICC lays it out
(https://www.color.org/specification/ICC.1-2022-05.pdf, sections 7.2, 7.3, 9 and 10.18).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1: gamma, a, b, c, d of ICC's type 3
D65 = (0.3127, 0.3290)
_D50 = np.array([0.9642, 1.0, 0.8249])  # XYZ of the white that all profiles refer to
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_LARGEST = 32767  # of the numbers in a profile

Chromaticity = tuple[float, float]  # CIE 1931 x and y


@dataclass(frozen=True)
class Primaries:
    """The colours that red, green, blue and white of the largest value are."""

    red: Chromaticity
    green: Chromaticity
    blue: Chromaticity
    white: Chromaticity = D65


SRGB = Primaries((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
DISPLAY_P3 = Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))


def matrix_profile(primaries: Primaries, curve: Sequence[float]) -> bytes:
    """The ICC profile of an RGB image. `curve`: one number, a gamma, or the five of `SRGB_CURVE`. Raises ValueError if
    there are no such colours."""
    columns = _to_d50(primaries)
    told = _number(curve, {1: 0, 5: 3}[len(curve)])
    tags = {b"wtpt": _xyz(_D50)}
    for name, column in zip((b"r", b"g", b"b"), columns.T, strict=True):
        tags |= {name + b"XYZ": _xyz(column), name + b"TRC": told}
    return _profile(tags)


def _to_d50(primaries: Primaries) -> np.ndarray:
    """float64 [3, 3]: linear RGB -> XYZ, adapted to D50 by Bradford's method."""
    ends = [_point(*end) for end in (primaries.red, primaries.green, primaries.blue)]
    white = _point(*primaries.white)
    shares = np.linalg.solve(np.stack(ends, axis=1), white)
    if not (shares > 0).all():
        raise ValueError("white lies outside of the primaries")
    adapted = np.linalg.solve(_BRADFORD, ((_BRADFORD @ _D50) / (_BRADFORD @ white))[:, None] * _BRADFORD)
    made: np.ndarray = adapted @ (np.stack(ends, axis=1) * shares)
    return made


def _point(x: float, y: float) -> np.ndarray:
    """XYZ of a chromaticity, with Y = 1."""
    if not 0 < y <= 1:
        raise ValueError("a chromaticity without light")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values.tolist())


def _number(values: Sequence[float], kind: int) -> bytes:
    return struct.pack(">4s4xHxx", b"para", kind) + _fixed(values)


def _fixed(values: Sequence[float]) -> bytes:
    """s15Fixed16Number."""
    if not all(abs(value) <= _LARGEST for value in values):
        raise ValueError("a number that no profile can hold")
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _profile(tags: dict[bytes, bytes]) -> bytes:
    at = 132 + 12 * len(tags)
    table, body = b"", b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(content))
        body += content
    head = struct.pack(">I4xI4s4s4s12x4s28x", at + len(body), 0x04000000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    head += _fixed(_D50.tolist())
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
