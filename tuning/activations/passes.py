"""One pass of the images through the prefix, written as memory-mapped arrays, one for each depth, with its checksum.

A pass marks its progress every `MARK_SECONDS`; an interrupted pass is continued from its last mark.
`tuning.activations.cache` decides which passes are needed and where their files are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.data.decoded_arrays import new_array, release
from toolkit.errors import UnfreezeError
from toolkit.storage.files import file_digest, remove, write_json
from toolkit.training.batches import Source, prefetched
from tuning.activations.prefix import Forward

IMAGES_PER_STEP = 32  # images in a step
MARK_SECONDS = 10.0  # between two marks


@dataclass(frozen=True)
class Pass:
    """A view of the part "train" or "val", and the depths whose activations are missing."""

    source: Source
    part: str
    view: int
    depths: tuple[int, ...]

    @property
    def stems(self) -> list[str]:
        return [stem(self.part, self.view, depth) for depth in self.depths]

    @property
    def mark(self) -> str:
        """The name of the file that says how far a pass over this view came. It does not depend on the depths."""
        return f"{self.part}-view{self.view}.part.json"


def stem(part: str, view: int, depth: int) -> str:
    """The name of an array, without its suffix."""
    return f"{part}-view{view}-depth{depth}"


def is_whole(folder: Path, name: str) -> bool:
    """Whether the array exists and has the checksum that was written with it."""
    try:
        told = json.loads((folder / f"{name}.json").read_text())
        return bool(file_digest(folder / f"{name}.npy") == told["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def run_pass(one: Pass, forward: Forward, folder: Path, dtype: str) -> Iterator[int]:
    """Write the arrays of a pass. Yields the number of images that are done, first after the interrupted pass, then
    after each step. `dtype`: "float16" or "float32". Raises UnfreezeError if this type cannot hold the activations."""
    total = len(one.source.labels)
    start = _resumed(one, folder)
    if not start:
        remove(folder / one.mark)  # it may belong to a pass over other depths, whose arrays are overwritten now
    yield start
    starts = range(start, total, IMAGES_PER_STEP)
    arrays: list[np.memmap] = []
    marked = time.monotonic()
    batches = prefetched(
        one.source.inputs(one.view, np.arange(first, min(first + IMAGES_PER_STEP, total))) for first in starts
    )
    for first, images in zip(starts, batches, strict=True):
        outputs = [_stored(output, dtype) for output in forward(images)]
        arrays = arrays or [
            _open(folder / f"{name}.part.npy", (total, *output.shape[1:]), output.dtype, start)
            for name, output in zip(one.stems, outputs, strict=True)
        ]
        for array, output in zip(arrays, outputs, strict=True):
            array[first : first + len(output)] = output
            release(array)
        if time.monotonic() - marked > MARK_SECONDS:
            _flush(arrays)
            write_json(folder / one.mark, {"stems": one.stems, "done": first + len(images)})
            marked = time.monotonic()
        yield len(images)
    _flush(arrays)
    remove(folder / one.mark)
    for name in one.stems:
        (folder / f"{name}.part.npy").replace(folder / f"{name}.npy")
        write_json(folder / f"{name}.json", {"sha256": file_digest(folder / f"{name}.npy")})


def _stored(output: np.ndarray, dtype: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        stored = output.astype(dtype)
    if not np.isfinite(stored).all():
        if np.isfinite(output).all():
            raise UnfreezeError(f"{dtype} cannot hold this backbone's activations; give --cache-dtype float32")
        raise UnfreezeError("this backbone's activations are not finite; are its weights damaged?")
    return stored


def _flush(arrays: list[np.memmap]) -> None:
    """Write the arrays to the disk, before a mark or a checksum says that they are there."""
    for array in arrays:
        array.flush()


def _resumed(one: Pass, folder: Path) -> int:
    """How many images an interrupted pass over the same depths has done; 0 if there was none."""
    try:
        told = json.loads((folder / one.mark).read_text())
        there = all((folder / f"{name}.part.npy").is_file() for name in one.stems)
        return int(told["done"]) if told["stems"] == one.stems and there else 0
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0


def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype, start: int) -> np.memmap:
    if start:
        return np.lib.format.open_memmap(path, mode="r+")
    return new_array(path, shape, dtype)
