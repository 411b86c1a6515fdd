"""The header of a JPEG, before a decoder runs: which kind it is, and at which scale it can be decoded.

libjpeg decodes at a half, a quarter or an eighth of the size in a fraction of the memory. What does not become smaller
by that are the coefficients of a progressive JPEG, all of which it keeps.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from PIL import features

from toolkit.errors import UnfreezeError
from toolkit.pixels.formats import unsupported

REDUCED = 100_000_000  # pixels: a JPEG of more is decoded at the first of `SCALES` that gives no more
SCALES = (1, 2, 4, 8)
LARGEST = 1_000_000_000  # pixels, which take ten seconds
MAX_SCANS = 100  # of up to `REDUCED` pixels; encoders write about ten. libjpeg goes over the whole image for each.
MAX_COEFFICIENTS = 1_200_000_000  # bytes of a larger image
START_OF_SCAN, LOSSLESS, PROGRESSIVE = 0xDA, 0xC3, (0xC2, 0xCA)
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the other three are tables
_KINDS = {  # start of frame -> what no decoder here knows
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "a hierarchical JPEG"),
    0xCB: "a lossless JPEG with arithmetic coding",
}
# second bytes of the markers that need no search
_PLAIN = frozenset(bytes([second]) for second in (*range(0xC0, 0xD0), *range(0xDA, 0xFF)))
# the next marker; ff00 and the restart markers d0 to d7 belong to a scan's data
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)


@dataclass(frozen=True)
class Frame:
    """What a JPEG says of itself before its first scan."""

    kind: int  # second byte of its start-of-frame marker
    bits: int  # per sample
    width: int  # pixels
    height: int
    factors: bytes  # of each component, how often it was sampled across (high 4 bits) and down (low 4 bits)
    scanned: int  # components in the first scan

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def lossless(self) -> bool:
        """Whether it cannot be decoded at a smaller scale."""
        return self.kind == LOSSLESS

    @property
    def scale(self) -> int:
        """1, 2, 4 or 8: the part of its width and height at which it is decoded."""
        return next((scale for scale in SCALES if self.pixels <= REDUCED * scale**2), SCALES[-1])

    @property
    def coefficients(self) -> int:
        """Bytes of those that libjpeg keeps: all, unless it can decode line by line."""
        if self.kind not in PROGRESSIVE and self.scanned == len(self.factors):
            return 0
        across, down = [factor >> 4 for factor in self.factors], [factor & 15 for factor in self.factors]
        most = max(1, max(across, default=1) * max(down, default=1))
        return 2 * self.pixels * sum(map(int.__mul__, across, down)) // most


def checked(data: bytes) -> Frame | None:
    """The frame of a JPEG; None if its header is cut short, which the decoder reports. Raises UnfreezeError if no
    decoder here knows its kind, or if it would take too much memory or time."""
    frame = _frame(data)
    if frame is None:
        _refuse_scans(data, MAX_SCANS)
        return None
    _refuse_kind(frame)
    size, most = f"{frame.width} x {frame.height} pixels", REDUCED if frame.lossless else LARGEST
    if frame.pixels > most:
        raise UnfreezeError(f"{size} are more than {most // 10**6} million")
    if frame.pixels > REDUCED and frame.coefficients > MAX_COEFFICIENTS:
        raise UnfreezeError(
            f"a progressive JPEG of {size} takes {frame.coefficients / 1e9:.1f} GB: save it as a baseline JPEG, or "
            "make it smaller"
        )
    _refuse_scans(data, MAX_SCANS * REDUCED // max(frame.pixels, REDUCED))
    return frame


def _refuse_kind(frame: Frame) -> None:
    if frame.kind in _KINDS:
        raise unsupported(_KINDS[frame.kind])
    if frame.bits != 8:
        raise unsupported(f"a {'lossless ' if frame.lossless else ''}JPEG of {frame.bits} bits per sample")
    if frame.lossless and int((features.version("libjpeg_turbo") or "0").split(".")[0]) < 3:
        raise unsupported("a lossless JPEG")


def _frame(data: bytes) -> Frame | None:
    """The first frame header; None if the file ends before its first scan."""
    kind = place = 0
    try:
        for marker, at in _segments(data):
            if marker == START_OF_SCAN:
                return _frame_at(data, kind, place, data[at + 2]) if kind else None
            if marker in FRAMES:
                kind, place = marker, at
    except (struct.error, IndexError):
        pass
    return None


def _frame_at(data: bytes, kind: int, at: int, scanned: int) -> Frame:
    bits, height, width, count = struct.unpack_from(">BHHB", data, at + 2)
    return Frame(kind, bits, width, height, data[at + 9 : at + 9 + 3 * count : 3], scanned)


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """(marker, offset of its length) of each segment of the first picture."""
    at = 2
    while True:
        mark = data[at : at + 2]  # a segment nearly always begins where the one before it ends
        if mark[:1] == b"\xff" and mark[1:] in _PLAIN:
            at += 2
        elif found := _MARKER.search(data, at):
            mark, at = b"\xff" + found[1], found.end()
        else:
            return
        if mark == b"\xff\xd9":
            return
        if mark not in (b"\xff\x01", b"\xff\xd8"):  # these markers have no length
            yield mark[1], at
            at += max(2, int.from_bytes(data[at : at + 2], "big"))


def _refuse_scans(data: bytes, most: int) -> None:
    if data.count(b"\xff\xda") <= most:  # fast, and decides for nearly every file
        return
    scans = (at for marker, at in _segments(data) if marker == START_OF_SCAN)
    if next(islice(scans, most, None), None) is not None:
        raise UnfreezeError(f"a JPEG of more than {most} scans: convert it to PNG")
