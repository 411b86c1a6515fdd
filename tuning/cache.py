"""Activations of the frozen prefix at the cuts of a search space, memory-mapped: computed once, shared by all trials.

For each augmented view of the training images, and for the validation images as they are, one pass over the backbone
gives the activations at every cut that is missing. They live in `activations-KEY/` of the cache, an array and a JSON
beside it for each view and cut; KEY digests what they depend on (the images' contents, recipe and size, backbone and
weights, augmentation, seed, precision), so whatever changes gives other files, and the folder may be deleted at any
time. A pass that was cut short goes on at the batch where it stopped; a file whose checksum is wrong is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock
import keras
import numpy as np

from toolkit.arrays import make_cache, release
from toolkit.augment import VERSION as AUGMENT_VERSION
from toolkit.data import Part, Source, ahead, augmented, copied, plain
from toolkit.errors import UnfreezeError
from toolkit.images import DECODE_VERSION
from toolkit.model import backbone_weights, cut_tensor
from toolkit.progress import Progress, silent
from toolkit.run import Run, file_digest, remove, write_json
from toolkit.settings import Settings
from toolkit.spec import ModelSpec
from tuning.prefix import Forward, prefix

BATCH = 32  # images in a step of a pass
EVERY = 10.0  # seconds between two marks from which a pass that was cut short goes on


@dataclass(frozen=True)
class Activations:
    """The arrays of one search space. `source` gives them as what training reads."""

    folder: Path
    settings: Settings
    labels: dict[str, np.ndarray]  # "train" and "val": int32 [N]

    def source(self, part: str, depth: int) -> Source:
        """Inputs of the suffix at `depth`: float [B, ...], of epoch e for training, as they are for validation."""
        views = self.settings.view_count if part == "train" else 1
        arrays = [np.load(self.folder / f"{_stem(part, n, depth)}.npy", mmap_mode="r") for n in range(views)]
        return Source(self.labels[part], lambda epoch, rows: copied(arrays[epoch % len(arrays)], rows))


def compute(
    run: Run,
    model: keras.Model,
    spec: ModelSpec,
    parts: dict[str, Part],
    depths: Iterable[int],
    progress: Progress = silent,
) -> Activations:
    """The activations of `model`'s prefix at all `depths`, of which those that are missing are computed.

    UnfreezeError where the disk has no room for them, or half precision cannot hold them.
    """
    folder = run.cache / f"activations-{_key(run, model)}"
    make_cache(folder)
    with _alone(folder, progress):
        return _compute(folder, run, model, spec, parts, depths, progress)


def _compute(
    folder: Path,
    run: Run,
    model: keras.Model,
    spec: ModelSpec,
    parts: dict[str, Part],
    depths: Iterable[int],
    progress: Progress,
) -> Activations:
    sources = {"train": augmented(parts["train"], run.settings), "val": plain(parts["val"])}
    tensors = {depth: cut_tensor(model, spec, depth) for depth in sorted(set(depths))}
    views = [("train", n) for n in range(run.settings.view_count)] + [("val", 0)]
    absent = {(part, n): [d for d in tensors if not _whole(folder, _stem(part, n, d))] for part, n in views}
    passes = [_Pass(sources[part], part, n, tuple(cuts)) for (part, n), cuts in absent.items() if cuts]
    size = sum(one.bytes(tensors, run.settings.cache_dtype) for one in passes)
    _check_room(folder, size, run.settings)
    everything = sum(len(sources[part].labels) for part, _ in views)  # whatever is there already: the same runtime
    prefixes = {
        cuts: prefix(model, [tensors[d] for d in cuts], everything, parts["val"].images[:BATCH])
        for cuts in {one.cuts for one in passes}
    }
    done, total = 0, sum(len(one.source.labels) for one in passes)
    for one in passes:
        for count in _run(one, prefixes[one.cuts], folder, run.settings.cache_dtype):
            done += count
            progress(f"views through the backbone, {size / 1e9:.2f} GB", done, total)
    return Activations(folder, run.settings, {part: source.labels for part, source in sources.items()})


@dataclass(frozen=True)
class _Pass:
    """One view through the backbone, for the cuts that are missing."""

    source: Source
    part: str
    view: int
    cuts: tuple[int, ...]  # depths

    @property
    def stems(self) -> list[str]:
        return [_stem(self.part, self.view, depth) for depth in self.cuts]

    def bytes(self, tensors: dict[int, keras.KerasTensor], dtype: str) -> int:
        values = sum(int(np.prod(tensors[depth].shape[1:])) for depth in self.cuts)
        return len(self.source.labels) * values * np.dtype(dtype).itemsize


def _key(run: Run, model: keras.Model) -> str:
    settings = run.settings
    digests = [" ".join(run.images.select(part).digests) for part in ("train", "val")]
    told = [
        DECODE_VERSION,
        settings.backbone,
        settings.alpha,
        settings.image_size,
        settings.augment,
        AUGMENT_VERSION,
        settings.seed,
        settings.cache_dtype,
    ]
    digest = hashlib.sha256(json.dumps([*digests, *told]).encode())
    for name, arrays in backbone_weights(model).items():
        digest.update(name.encode())
        for array in arrays:
            digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def _stem(part: str, view: int, depth: int) -> str:
    return f"{part}-view{view}-depth{depth}"


def _whole(folder: Path, stem: str) -> bool:
    """Whether the array is there and is what was written."""
    record = folder / f"{stem}.json"
    if not record.is_file():
        return False
    try:
        told = json.loads(record.read_text())
        return bool(file_digest(folder / f"{stem}.npy") == told["sha256"])
    except (ValueError, KeyError, TypeError):
        return False


def _check_room(folder: Path, needed: int, settings: Settings) -> None:
    """Nothing is needed where nothing is missing, so that a search can always go on."""
    there = sum(path.stat().st_size for path in folder.parent.glob("activations-*/*.npy") if ".part." not in path.name)
    free = shutil.disk_usage(folder).free
    for left, what in ((settings.cache_limit * 1e9 - there, "--cache-limit leaves"), (free, "the disk has")):
        if needed and needed > left:
            raise UnfreezeError(
                f"the prefix activations need {needed / 1e9:.1f} GB, {what} {max(0.0, left) / 1e9:.1f} GB beside what "
                f"is in {folder.parent}; give fewer --views, a higher --cache-limit, another --cache-dir, or --no-cache"
            )


@contextlib.contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """One process at a time computes the same activations; the others wait, and find them there."""
    lock = filelock.FileLock(folder.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        progress("waiting for another search that computes the same activations", 0, 1)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _run(one: _Pass, forward: Forward, folder: Path, dtype: str) -> Iterable[int]:
    """Write the arrays of one view; yields the images done. Goes on where an earlier pass was cut short."""
    source, stems, total = one.source, one.stems, len(one.source.labels)
    mark = folder / f"{stems[0]}.part.json"
    start = _resumed(mark, folder, stems)
    yield start
    starts = range(start, total, BATCH)
    arrays: list[np.memmap] = []
    marked = time.monotonic()
    batches = ahead(source.inputs(one.view, np.arange(first, min(first + BATCH, total))) for first in starts)
    for first, images in zip(starts, batches, strict=True):
        outputs = [output.astype(dtype) for output in forward(images)]
        if not all(np.isfinite(output).all() for output in outputs):
            raise UnfreezeError(f"{dtype} cannot hold this backbone's activations; give --cache-dtype float32")
        arrays = arrays or [
            _open(folder, stem, total, output, start) for stem, output in zip(stems, outputs, strict=True)
        ]
        for array, output in zip(arrays, outputs, strict=True):
            array[first : first + len(output)] = output
            release(array)
        if time.monotonic() - marked > EVERY:
            _mark(mark, arrays, stems, first + len(images))
            marked = time.monotonic()
        yield len(images)
    for array in arrays:
        array.flush()
    for stem in stems:
        (folder / f"{stem}.part.npy").replace(folder / f"{stem}.npy")
        write_json(folder / f"{stem}.json", {"sha256": file_digest(folder / f"{stem}.npy")})
    remove(mark)


def _mark(mark: Path, arrays: list[np.memmap], stems: list[str], done: int) -> None:
    """From here the pass can go on: what the mark says is on disk before the mark is."""
    for array in arrays:
        array.flush()
    write_json(mark, {"stems": stems, "done": done})


def _resumed(mark: Path, folder: Path, stems: list[str]) -> int:
    """How many images an earlier pass over the same cuts has done."""
    try:
        told = json.loads(mark.read_text())
        there = all((folder / f"{stem}.part.npy").is_file() for stem in stems)
        return int(told["done"]) if told["stems"] == stems and there else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _open(folder: Path, stem: str, total: int, output: np.ndarray, start: int) -> np.memmap:
    path, shape = folder / f"{stem}.part.npy", (total, *output.shape[1:])
    if start:
        return np.lib.format.open_memmap(path, mode="r+")
    return np.lib.format.open_memmap(path, mode="w+", dtype=output.dtype, shape=shape)
