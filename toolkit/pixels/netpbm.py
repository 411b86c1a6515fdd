"""PBM, PGM and PPM -> numpy: binary and text, any largest value. Pillow reads some of them sample by sample in Python,
and those of more than 8 bits in colour only to 8."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from toolkit.errors import UnfreezeError
from toolkit.pixels.bands import looked_up

MAX_NUMBERS = 20_000_000  # of a text: each takes 60 bytes while it is read
LONGEST = 5  # digits of a sample
_NUMBER = re.compile(rb"(?:\s|#[^\n]*\n)*(\d{1,10})")
_NO_BIT = bytes({*range(256)} - {*b"01"})  # a bitmap as text need not have spaces between its bits
_COMMENT = re.compile(rb"#[^\n]*")


@dataclass(frozen=True)
class Netpbm:
    """The header of a file."""

    kind: int  # 1 to 6: the digit behind the P
    width: int  # pixels
    height: int
    top: int  # the largest value that a sample may have
    start: int  # offset of the first sample

    @property
    def channels(self) -> int:
        return 3 if self.kind in (3, 6) else 1

    @property
    def bits(self) -> int:
        return 16 if self.top > 255 else 8


def read_header(data: bytes) -> Netpbm:
    """Raises UnfreezeError if it is a text of too many numbers; IndexError or ValueError if it is damaged."""
    kind, at, numbers = data[1] - ord("0"), 2, []
    for _ in range(2 if kind in (1, 4) else 3):
        found = _NUMBER.match(data, at)
        if found is None:
            raise IndexError
        numbers.append(int(found[1]))
        at = found.end()
    width, height, top = (*numbers, 1)[:3]
    if not (width and height and 0 < top < 65536):
        raise ValueError("a size or the largest value is out of range")
    header = Netpbm(kind, width, height, top, at + 1)
    if kind < 4 and width * height * header.channels > MAX_NUMBERS:
        raise UnfreezeError(f"a PNM as text of more than {MAX_NUMBERS // 10**6} million numbers: convert it to PNG")
    return header


def read_samples(data: bytes, header: Netpbm) -> np.ndarray:
    """uint8 or uint16 [H, W, C], scaled so that the largest value becomes 255 or 65535, rounded. Raises EOFError if
    the file is cut short."""
    count = header.width * header.height * header.channels
    if header.kind == 4:
        return _bits(data, header)
    if header.kind < 4:
        samples = _text(data, header, count)
    else:
        form = np.dtype(">u2" if header.bits == 16 else "u1")
        if len(data) < header.start + count * form.itemsize:
            raise EOFError("truncated pixels")
        samples = np.frombuffer(data, form, count, header.start)
    if header.kind == 1:
        samples = 1 - samples
    return _scaled(samples, header).reshape(header.height, header.width, header.channels)


def _bits(data: bytes, header: Netpbm) -> np.ndarray:
    """A row begins with a new byte; 1 is black."""
    row = (header.width + 7) // 8
    if len(data) < header.start + row * header.height:
        raise EOFError("truncated pixels")
    packed = np.frombuffer(data, np.uint8, row * header.height, header.start).reshape(header.height, row)
    return (1 - np.unpackbits(packed, axis=1)[:, : header.width, None]) * np.uint8(255)


def _text(data: bytes, header: Netpbm, count: int) -> np.ndarray:
    text = _COMMENT.sub(b"", data[header.start :].rstrip(b"\0"))  # a file may be padded
    if header.kind == 1:
        found = np.frombuffer(text.translate(None, _NO_BIT)[:count], np.uint8) & 1
    else:
        words = text.split(maxsplit=count)[:count]
        if max(map(len, words), default=0) > LONGEST:
            raise ValueError("a number of too many digits cannot be decoded")
        found = np.fromiter(map(int, words), np.uint16, len(words))
    if len(found) < count:
        raise EOFError("truncated pixels")
    return found


def _scaled(samples: np.ndarray, header: Netpbm) -> np.ndarray:
    full = np.uint16 if header.bits == 16 else np.uint8
    most = np.iinfo(full).max
    if header.top == most:
        return np.minimum(samples, most).astype(full)
    table = (np.minimum(np.arange(65536), header.top) * most + header.top // 2) // header.top
    return looked_up(table.astype(full), samples)
