"""Decoded images on disk: each image is decoded once, in parallel, and read from a memory-mapped array ever after.

An array lives in a run's `cache/`. Its name is a digest of what it depends on (the files' contents and order, the
size, the recipe's version), so a changed image or size gives another array; the folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from toolkit.data.image_set import ImageFolder, read_unchanged
from toolkit.errors import UnfreezeError
from toolkit.pixels.decode import DECODE_VERSION, decode
from toolkit.process.cores import cores
from toolkit.storage.files import remove, reserve
from toolkit.storage.lock import in_turn

CHUNK = 64  # images that a thread decodes before it reports


def decoded(
    images: ImageFolder,
    cache: Path,
    size: int,
    *,
    antialias: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """uint8 [N, size, size, 3], memory-mapped and read-only, in the order of `images.paths`.

    UnfreezeError where an image vanished or changed after the scan, or where the disk has no room.
    """
    path = cache / f"images-{_key(images, size, antialias)}.npy"
    make_cache(cache)
    if not _is_array(path):
        with in_turn(path.with_suffix(".lock"), lambda done, total: progress(0, len(images.paths))):
            if not _is_array(path):
                _write(images, path, size, antialias, progress)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def already_decoded(images: ImageFolder, cache: Path, size: int) -> np.ndarray | None:
    """The same array where it is there and whole; None where it would have to be made."""
    path = cache / f"images-{_key(images, size, False)}.npy"
    return np.load(path, mmap_mode="r", allow_pickle=False) if _is_array(path) else None


def _is_array(path: Path) -> bool:
    """Whether it is there and whole: a cache that was damaged is made anew."""
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return True


def _key(images: ImageFolder, size: int, antialias: bool) -> str:
    what = f"{DECODE_VERSION} {size} {antialias} " + " ".join(images.digests)
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def _write(images: ImageFolder, path: Path, size: int, antialias: bool, progress: Callable[[int, int], None]) -> None:
    total = len(images.paths)
    part = path.with_suffix(".part.npy")  # written over by whoever comes next, should this process be killed
    remove(part)
    _check_room(path.parent, total * size * size * 3)
    with _kept(part):
        array = new_array(part, (total, size, size, 3), np.dtype(np.uint8))

        def fill(start: int) -> int:
            stop = min(start + CHUNK, total)
            for row in range(start, stop):
                array[row] = decode(read_unchanged(images, row), size, antialias)
            return stop - start

        done = 0
        with ThreadPoolExecutor(cores()) as pool:
            for count in pool.map(fill, range(0, total, CHUNK)):
                done += count
                release(array)
                progress(done, total)
        array.flush()
        os.replace(part, path)


@contextmanager
def _kept(part: Path) -> Iterator[None]:
    """Where the block does not end well, what it has written is removed."""
    try:
        yield
    except BaseException:
        remove(part)
        raise


def new_array(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.memmap:
    """A new .npy file to write into. OSError where the disk has no room for all of it."""
    array: np.memmap = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    try:
        reserve(path, path.stat().st_size)  # a full disk is an error here, and not a signal when a page is written
    except OSError:
        remove(path)
        raise
    return array


def release(array: np.ndarray | None) -> None:
    """Let go of the pages of a memory-mapped array that were read or written. Nothing is lost: they stay in the
    system's file cache as long as it has room, but are no longer resident memory of this process."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        mapped.madvise(mmap.MADV_DONTNEED)


def make_cache(folder: Path) -> None:
    """Make the folder; UnfreezeError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnfreezeError(f"cannot write to {folder} ({error.strerror}); give another --cache-dir") from None


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed * 1.05:
        raise UnfreezeError(
            f"decoded images need {needed / 1e6:.0f} MB in {folder}, {free / 1e6:.0f} MB are free; make room"
        )
