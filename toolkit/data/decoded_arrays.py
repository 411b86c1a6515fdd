"""Decoded images on disk: each image is decoded once, in threads, and read from a memory-mapped array from then on.

Arrays are kept in a run's `cache/`. An array's name is a digest of what it depends on (contents and order of the files,
size, colour, levels, profiles, way of resizing, version of the recipe), so a changed image or size gives another array.
The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from toolkit.data.image_set import ImageSet, read_unchanged
from toolkit.errors import UnfreezeError
from toolkit.pixels.colour import IGNORED
from toolkit.pixels.decode import DECODE_VERSION, decode, decode_both
from toolkit.pixels.grey import to_grey
from toolkit.pixels.levels import FULL
from toolkit.pixels.resize import Size, sides
from toolkit.process.cores import cores
from toolkit.storage.files import remove, reserve
from toolkit.storage.lock import in_turn

CHUNK = 64  # images that a thread decodes before it reports
CountProgress = Callable[[int, int], None]  # (images done, images in all)
Form = tuple[Size, int]  # side of the square in pixels, channels


def decoded(
    images: ImageSet,
    cache: Path,
    size: Size,
    *,
    channels: int = 3,
    antialias: bool = False,
    progress: CountProgress = lambda done, total: None,
) -> np.ndarray:
    """uint8 [N, height, width, channels], memory-mapped and read-only, in the order of `images.paths`. `channels`: 3
    for RGB, 1 for grey.

    Raises UnfreezeError if an image vanished or changed after the scan, or if the disk has no room.
    """
    return _arrays(images, cache, (size, channels), (antialias,), progress)[0]


def decoded_both(
    images: ImageSet,
    cache: Path,
    size: Size,
    *,
    channels: int = 3,
    progress: CountProgress = lambda done, total: None,
) -> tuple[np.ndarray, np.ndarray]:
    """`decoded` without and with `antialias`. If both arrays are missing, each file is read and decoded only once."""
    plain, antialiased = _arrays(images, cache, (size, channels), (False, True), progress)
    return plain, antialiased


def _arrays(
    images: ImageSet, cache: Path, form: Form, kinds: tuple[bool, ...], progress: CountProgress
) -> list[np.ndarray]:
    """One array for each of `kinds` (False: plain, True: antialiased). Arrays that are missing are written together."""
    paths = {kind: _path(images, cache, form, kind) for kind in kinds}
    make_cache(cache)
    missing = [path for path in paths.values() if not _is_array(path)]
    with ExitStack() as locks:
        for path in missing:  # all processes lock the plain array first, so that no two wait for each other
            waiting = in_turn(path.with_suffix(".lock"), lambda done, total: progress(0, len(images.paths)))
            locks.enter_context(waiting)
        still = {kind: path for kind, path in paths.items() if path in missing and not _is_array(path)}
        if still:
            _write(images, still, form, progress)
    return [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths.values()]


def already_decoded(images: ImageSet, cache: Path, size: Size, channels: int = 3) -> np.ndarray | None:
    """The plain array if the file exists and is whole; None otherwise."""
    path = _path(images, cache, (size, channels), False)
    return np.load(path, mmap_mode="r", allow_pickle=False) if _is_array(path) else None


def _is_array(path: Path) -> bool:
    """Whether the file exists and is as long as its header says. A damaged file is written anew."""
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return True


def _path(images: ImageSet, cache: Path, form: Form, antialias: bool) -> Path:
    size, channels = form
    grey = "" if channels == 3 else "grey "  # what earlier versions did is not named, as in their caches
    levels = "" if images.levels == FULL else f"{images.levels} levels "
    profiles = "" if images.profiles == IGNORED else f"{images.profiles} profiles "
    what = f"{DECODE_VERSION} {size} {antialias} {grey}{levels}{profiles}" + " ".join(images.digests)
    return cache / f"images-{hashlib.sha256(what.encode()).hexdigest()[:16]}.npy"


def _write(images: ImageSet, paths: dict[bool, Path], form: Form, progress: CountProgress) -> None:
    """Decode each image once into the arrays of `paths`, whose keys say whether an array is antialiased."""
    total, (size, channels) = len(images.paths), form
    # A killed process leaves its part files behind. The next process holds the lock and overwrites them.
    parts = {kind: path.with_suffix(".part.npy") for kind, path in paths.items()}
    for part in parts.values():
        remove(part)
    shape = (total, *sides(size), channels)
    _check_room(next(iter(paths.values())).parent, len(paths) * math.prod(shape))
    with ExitStack() as kept:
        for part in parts.values():
            kept.enter_context(_kept(part))
        arrays = {kind: new_array(part, shape, np.dtype(np.uint8)) for kind, part in parts.items()}

        def fill(start: int) -> int:
            stop = min(start + CHUNK, total)
            for row in range(start, stop):
                how = images.levels, images.profiles
                for kind, pixels in _decoded_as(read_unchanged(images, row), size, tuple(arrays), how):
                    arrays[kind][row] = pixels if channels == 3 else to_grey(pixels)
            return stop - start

        done = 0
        with ThreadPoolExecutor(cores()) as pool:
            for count in pool.map(fill, range(0, total, CHUNK)):
                done += count
                for array in arrays.values():
                    release(array)
                progress(done, total)
        for kind, array in arrays.items():
            array.flush()
            os.replace(parts[kind], paths[kind])


def _decoded_as(
    content: bytes, size: Size, kinds: tuple[bool, ...], how: tuple[str, str]
) -> Iterable[tuple[bool, np.ndarray]]:
    """`how`: levels and profiles."""
    if len(kinds) == 1:
        return [(kinds[0], decode(content, size, kinds[0], *how))]
    return zip((False, True), decode_both(content, size, *how), strict=True)


@contextmanager
def _kept(part: Path) -> Iterator[None]:
    """Remove the file if the block raises."""
    try:
        yield
    except BaseException:
        remove(part)
        raise


def new_array(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.memmap:
    """A new .npy file to write into. Raises OSError if the disk has no room for all of it."""
    array: np.memmap = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    try:
        reserve(path, path.stat().st_size)  # raises if the disk is full; else writing a page would give SIGBUS
    except OSError:
        remove(path)
        raise
    return array


def release(array: np.ndarray | None) -> None:
    """Take the pages of a memory-mapped array out of this process' resident memory (madvise). Nothing is lost: they
    stay in the system's file cache as long as it has room."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        mapped.madvise(mmap.MADV_DONTNEED)


def make_cache(folder: Path) -> None:
    """Make the folder. Raises UnfreezeError if that is not possible."""
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
