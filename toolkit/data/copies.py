"""Copies of an image: files with the same pixels, and those that were resized or encoded anew.

Two files have the same pixels if all of them are equal once they are decoded; only those whose reduced pixels are equal
are decoded for that. Two pictures are nearly the same if their perceptual hashes differ in at most `FAR` bits and their
colours, at 16 x 16 pixels, differ by at most `DIFFERENT` of their contrast.

Hashes are compared where one of their five bands differs in at most one bit, which finds every pair within FAR = 9 bits
(multi-index hashing: M. Norouzi, A. Punjani, D. Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", 2012).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.components import Components, connected
from toolkit.errors import UnfreezeError
from toolkit.pixels.decode import pixel_digest, thumbnail
from toolkit.pixels.look import Look
from toolkit.process.cores import cores

FAR = 9  # bits of 64
BANDS = ((0, 13), (13, 13), (26, 13), (39, 13), (52, 12))  # first bit, number of bits
DIFFERENT = 0.12  # of the contrast
SIDE = 16  # pixels
LEADERS = 16  # different pictures with one hash that others are compared with, at most
AT_ONCE = 2_000_000  # pairs of hashes that are compared together
COMPARED = 1024  # pairs of pictures that are
# Comparisons for each picture; where it takes more, all pictures look alike, and the search ends.
MOST = 50  # of pictures
HASHES = 10_000  # of hashes: a million random ones take half of that

Pair = tuple[int, int]


class _CrowdedError(Exception):
    """Too many pictures look alike to compare them all."""


@dataclass(frozen=True)
class Seen:
    """A file with the look of its picture."""

    file: Path
    digest: str  # of its bytes
    size: tuple[int, int]  # pixels
    look: Look


@dataclass(frozen=True)
class Copies:
    """Digests of files that are copies of each other."""

    same: tuple[tuple[str, ...], ...] = ()  # sets with the same pixels
    near: tuple[tuple[str, str], ...] = ()  # pairs that link nearly the same pictures; not all pairs of a chain
    crowded: bool = False  # whether the search for these was ended because too many pictures look alike
    uncompared: int | None = field(default=None, compare=False)  # too small or too smooth; None: none was looked for


def first_of_each(same: Sequence[Sequence[str]]) -> dict[str, str]:
    """Digest of a file -> the first digest of its set of files with the same pixels, for files that are in one."""
    return {digest: alike[0] for alike in same for digest in alike}


def find_copies(files: Sequence[Seen], *, near: bool = True) -> Copies:
    """The copies among files. `near`: nearly the same pictures are looked for, too."""
    distinct = sorted({seen.digest: seen for seen in files}.values(), key=lambda seen: seen.digest)
    pairs, crowded = _near_pairs(distinct) if near else ([], False)
    same = _same(distinct, pairs)
    first = first_of_each(same)
    links = {
        (min(one, other), max(one, other))
        for pair in pairs
        for one, other in [[first.get(distinct[row].digest, distinct[row].digest) for row in pair]]
        if one != other
    }
    uncompared = sum(seen.look.hash is None for seen in distinct) if near else None
    return Copies(same, tuple(sorted(links)), crowded, uncompared)


def _same(distinct: Sequence[Seen], near: Sequence[Pair]) -> tuple[tuple[str, ...], ...]:
    """The sets of files with the same pixels: those of one size that look the same, or are in one set of nearly the
    same, are decoded."""
    sets = connected(len(distinct), near).tolist()
    alike: dict[object, set[int]] = defaultdict(set)
    for row, (seen, number) in enumerate(zip(distinct, sets, strict=True)):
        alike[seen.size, seen.look.pixels].add(row)
        alike[seen.size, number].add(row)
    asked = {row for rows in alike.values() if len(rows) > 1 for row in rows}
    pixels = _each(sorted(asked), lambda row: _pixels(distinct[row].file))
    found: dict[str, list[str]] = defaultdict(list)
    for row, digest in pixels.items():
        found[digest].append(distinct[row].digest)
    return tuple(sorted(tuple(sorted(digests)) for pixel, digests in found.items() if pixel and len(digests) > 1))


def _pixels(file: Path) -> str:
    """Digest of the pixels; "" if the file changed since it was scanned: decoding it for training says so."""
    try:
        return pixel_digest(file)
    except (UnfreezeError, OSError):
        return ""


def _each(rows: Sequence[int], work: Callable[[int], Any]) -> dict[int, Any]:
    with ThreadPoolExecutor(cores()) as threads:
        return dict(zip(rows, threads.map(work, rows), strict=True))


class _Thumbnails:
    """The pictures at SIDE x SIDE pixels, as far as they were asked for; each is decoded once."""

    def __init__(self, files: Sequence[Seen]) -> None:
        self.files = files
        self.rows: dict[int, np.ndarray] = {}  # uint8 [SIDE, SIDE, 3]

    def near(self, pairs: np.ndarray) -> np.ndarray:
        """bool [P]: which of the pairs of row numbers, int [P, 2], are nearly the same."""
        if missing := sorted({*pairs.ravel().tolist()} - self.rows.keys()):
            self.rows |= _each(missing, self._decode)
        pieces = (pairs[start : start + COMPARED].T.tolist() for start in range(0, len(pairs), COMPARED))
        stacked = ([np.stack([self.rows[row] for row in side]) for side in sides] for sides in pieces)
        return np.concatenate([np.zeros(0, bool), *(difference(*sides) <= DIFFERENT for sides in stacked)])

    def _decode(self, row: int) -> np.ndarray:
        try:
            return thumbnail(self.files[row].file, SIDE)
        except (UnfreezeError, OSError):
            return np.zeros((SIDE, SIDE, 3), np.uint8)  # it changed since it was scanned: nothing is near it


def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float32 [P]: root mean square of the difference of pictures [P, H, W, C], as a share of the smaller contrast."""
    first, second = one.astype(np.float32), other.astype(np.float32)
    contrast = np.minimum(*(pixels.std(axis=(1, 2)).mean(axis=1) for pixels in (first, second)))
    apart = np.sqrt(((first - second) ** 2).mean(axis=(1, 2, 3)))
    return np.where(contrast > 1, apart / np.maximum(contrast, 1), np.inf)


def _near_pairs(files: Sequence[Seen]) -> tuple[list[Pair], bool]:
    """(pairs that connect each set of nearly the same pictures, whether the search was ended because too many pictures
    look alike)."""
    hashed = np.array([row for row, seen in enumerate(files) if seen.look.hash is not None], np.int64)
    hashes = np.array([files[row].look.hash for row in hashed], np.uint64)
    thumbnails = _Thumbnails(files)
    leaders, found = _with_equal_hash(hashes, lambda pairs: thumbnails.near(hashed[pairs]))
    sets, left, crowded = Components(len(leaders)), MOST * len(files), False
    try:
        for pairs in _close(hashes[leaders]):
            apart = pairs[sets.of[pairs[:, 0]] != sets.of[pairs[:, 1]]]
            left -= len(apart)
            if left < 0:
                raise _CrowdedError
            near = apart[thumbnails.near(hashed[leaders[apart]])]
            linked = [pair for pair in near.tolist() if sets.join(*pair)]
            found += [(int(leaders[one]), int(leaders[other])) for one, other in linked]
    except _CrowdedError:
        crowded = True
    return [(int(hashed[one]), int(hashed[other])) for one, other in found], crowded


def _with_equal_hash(hashes: np.ndarray, near: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, list[Pair]]:
    """(one row for each different picture, pairs of nearly the same with equal hashes). A hash that many different
    pictures share says little: from the seventeenth on they are left alone."""
    equal: dict[int, list[int]] = defaultdict(list)
    for row, value in enumerate(hashes.tolist()):
        equal[value].append(row)
    groups, leaders, pairs = [*equal.values()], [], []
    for _ in range(LEADERS):
        leaders += [rows[0] for rows in groups]
        asked = np.array([(rows[0], row) for rows in groups for row in rows[1:]], np.int64).reshape(-1, 2)
        same = near(asked)
        pairs += [(one, other) for one, other in asked[same].tolist()]
        rest: dict[int, list[int]] = defaultdict(list)
        for leader, row in asked[~same].tolist():
            rest[leader].append(row)
        groups = [*rest.values()]
    return np.array(sorted(leaders), np.int64), pairs


def _close(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """int64 [P, 2], P <= COMPARED: row numbers, i < j, whose hashes differ in at most FAR bits, each pair once, piece
    by piece. Raises _CrowdedError if that takes more than HASHES comparisons for each hash."""
    count, left = len(hashes), HASHES * len(hashes)
    for band, (at, bits) in enumerate(BANDS):
        values = (hashes >> np.uint64(at) & np.uint64(2**bits - 1)).astype(np.int64)
        order = np.argsort(values, kind="stable")
        values = values[order]
        keys = values * count + order  # sorted: by the band, then by the row
        for flipped in (0, *(1 << bit for bit in range(bits))):
            wanted = (values ^ flipped) * count
            first, last = np.searchsorted(keys, wanted + order + 1), np.searchsorted(keys, wanted + count)
            for rows in _pieces(last - first):
                counts = (last - first)[rows]
                left -= int(counts.sum())
                if left < 0:
                    raise _CrowdedError
                i = order[np.repeat(rows, counts)]
                j = order[np.arange(counts.sum()) + np.repeat(first[rows] - (np.cumsum(counts) - counts), counts)]
                pairs = _first_seen(hashes, i, j, band)
                yield from (pairs[start : start + COMPARED] for start in range(0, len(pairs), COMPARED))


def _first_seen(hashes: np.ndarray, i: np.ndarray, j: np.ndarray, band: int) -> np.ndarray:
    """int64 [P, 2]: the pairs that differ in at most FAR bits, but those that an earlier band has found."""
    close = np.flatnonzero(np.bitwise_count(hashes[i] ^ hashes[j]) <= FAR)
    pairs = np.stack([i[close], j[close]], axis=1)
    apart = hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]
    new = np.ones(len(pairs), bool)
    for at, bits in BANDS[:band]:
        new &= np.bitwise_count(apart >> np.uint64(at) & np.uint64(2**bits - 1)) > 1
    return pairs[new]


def _pieces(counts: np.ndarray) -> Iterator[np.ndarray]:
    """The numbers of the rows that have partners, in pieces of about AT_ONCE pairs."""
    rows = np.flatnonzero(counts)
    total = np.cumsum(counts[rows])
    edges = np.searchsorted(total, np.arange(AT_ONCE, total[-1] if len(rows) else 0, AT_ONCE))
    return (piece for piece in np.split(rows, np.unique(edges)) if len(piece))
