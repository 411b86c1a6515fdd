"""Activations of the frozen prefix at the cuts of a search space, memory-mapped: computed once, shared by all trials.

For each augmented view of the training images, and for the validation images as they are, one pass over the backbone
gives the activations at every cut for which they are missing. They are in `activations-KEY/` of the cache, an array and
a JSON file for each view and depth. KEY is a digest of all that they depend on (the images' contents, decoding and
size, the backbone with its cuts and weights, augmentation, the caller's by its source and what that names, seed,
precision, runtime), so that any change gives other files. Between searches the folder may be deleted. A pass that was
interrupted is continued; a file whose checksum is wrong is written anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np

from toolkit.data.decoded_arrays import make_cache
from toolkit.errors import UnfreezeError, first_line
from toolkit.models.backbones import backbone, is_file
from toolkit.models.build import backbone_weights, cut_tensor
from toolkit.models.spec import ModelSpec
from toolkit.own.function_digest import function_digest
from toolkit.pixels.augment import VERSION as AUGMENT_VERSION
from toolkit.pixels.colour import IGNORED
from toolkit.pixels.decode import DECODE_VERSION
from toolkit.pixels.levels import FULL
from toolkit.pixels.pixel_range import PIXELS
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.settings import Settings
from toolkit.storage.files import file_digest
from toolkit.storage.lock import in_turn
from toolkit.training.batches import Part, Source, augmented, copy_rows, unaugmented
from tuning.activations.passes import IMAGES_PER_STEP, Pass, is_whole, run_pass, stem
from tuning.activations.prefix import faster_runtime, prefix

PASS = "views through the backbone"  # what `progress` is told of


@dataclass(frozen=True)
class Activations:
    """The arrays of one search space."""

    folder: Path
    settings: Settings
    labels: dict[str, np.ndarray]  # "train" and "val": int32 [N]

    def source(self, part: str, depth: int) -> Source:
        """The inputs, float [B, ...], of the suffix that is trained at `depth`, for the part "train" or "val". Raises
        UnfreezeError if a file is gone."""
        views = self.settings.view_count if part == "train" else 1
        files = [self.folder / f"{stem(part, n, depth)}.npy" for n in range(views)]
        try:
            arrays = [np.load(file, mmap_mode="r", allow_pickle=False) for file in files]
        except OSError:
            raise UnfreezeError(f"{self.folder} was changed while it was in use; repeat the command") from None
        return Source(self.labels[part], lambda epoch, rows: copy_rows(arrays[epoch % len(arrays)], rows), views)


def compute_activations(
    run: Run,
    model: keras.Model,
    spec: ModelSpec,
    parts: dict[str, Part],
    depths: Iterable[int],
    progress: Progress = silent,
) -> Activations:
    """The activations of `model`'s prefix at all `depths`. Missing ones are computed.

    `parts`: "train" and "val". Raises UnfreezeError if there is no room for them, if half precision cannot hold them,
    or if the prefix cannot be computed.
    """
    sources = {"train": augmented(parts["train"], run.settings), "val": unaugmented(parts["val"])}
    tensors = {depth: cut_tensor(model, spec, depth) for depth in sorted(set(depths))}
    views = [("train", n) for n in range(run.settings.view_count)] + [("val", 0)]
    images = sum(len(sources[part].labels) for part, _ in views)  # of all views: KEY does not depend on missing ones
    folder = run.cache / f"activations-{_key(run, model, spec, faster_runtime(images))}"
    make_cache(folder)
    waiting = partial(progress, "waiting for another search that computes the same activations")
    with in_turn(folder.with_suffix(".lock"), waiting), _faults_told():
        absent = {(part, n): [d for d in tensors if not is_whole(folder, stem(part, n, d))] for part, n in views}
        passes = [Pass(sources[part], part, n, tuple(missing)) for (part, n), missing in absent.items() if missing]
        size = _check_room(folder, passes, tensors, run.settings)
        what = f"{PASS}, {size / 1e9:.2f} GB"
        done, total = 0, sum(len(one.source.labels) for one in passes)
        if passes:
            progress(what, done, total)
        sample = parts["val"].images[:IMAGES_PER_STEP]
        forward = {d: prefix(model, [tensors[n] for n in d], images, sample) for d in {one.depths for one in passes}}
        for one in passes:
            for count in run_pass(one, forward[one.depths], folder, run.settings.cache_dtype):
                done += count
                progress(what, done, total)
    return Activations(folder, run.settings, {part: source.labels for part, source in sources.items()})


def _key(run: Run, model: keras.Model, spec: ModelSpec, runtime: str) -> str:
    """A digest of all that the activations depend on, 16 hexadecimal digits."""
    settings = run.settings
    digests = [" ".join(run.images.select(*parts).digests) for parts in (settings.trained_on, settings.judged_on)]
    told = [
        DECODE_VERSION,
        file_digest(Path(spec.backbone)) if is_file(spec.backbone) else spec.backbone,
        backbone(spec.backbone).cuts,
        spec.alpha,
        spec.image_size,
        settings.augment,
        settings.flip,
        AUGMENT_VERSION,
        settings.seed,
        settings.cache_dtype,
        runtime,
        *([settings.colour] if spec.channels != 3 else []),  # what earlier versions did is not named, as in
        *([spec.pixels] if spec.pixels != PIXELS[0] else []),
        *([run.images.levels] if run.images.levels != FULL else []),  # their caches
        *([run.images.profiles] if run.images.profiles != IGNORED else []),
        *([f"augment {function_digest(run.own.augment)}"] if run.own.augment is not None else []),
    ]
    digest = hashlib.sha256(json.dumps([*digests, *told]).encode())
    for name, arrays in backbone_weights(model).items():
        digest.update(name.encode())
        for array in arrays:
            digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def _check_room(folder: Path, passes: list[Pass], tensors: dict[int, keras.KerasTensor], settings: Settings) -> int:
    """How many bytes the passes will write. Raises UnfreezeError if `--cache-limit` or the disk has no room for
    them."""
    values = {depth: int(np.prod(tensor.shape[1:])) for depth, tensor in tensors.items()}
    item = np.dtype(settings.cache_dtype).itemsize
    needed = sum(len(one.source.labels) * values[depth] * item for one in passes for depth in one.depths)
    written = {folder / f"{name}{suffix}.npy" for one in passes for name in one.stems for suffix in ("", ".part")}
    others = sum(path.stat().st_size for path in folder.parent.glob("activations-*/*.npy") if path not in written)
    begun = sum(path.stat().st_blocks * 512 for path in written if path.exists())  # by an interrupted pass, bytes
    left = {
        "--cache-limit leaves": settings.cache_limit * 1e9 - others,
        "the disk has": shutil.disk_usage(folder).free + begun,
    }
    for what, room in left.items():
        if needed and needed > room:  # if no activations are missing, the search can always continue
            raise UnfreezeError(
                f"the prefix activations need {needed / 1e9:.1f} GB, {what} {max(0.0, room) / 1e9:.1f} GB beside what "
                f"is in {folder.parent}; make room, or give fewer --views, a higher --cache-limit, another "
                "--cache-dir, or --no-cache"
            )
    return needed


@contextlib.contextmanager
def _faults_told() -> Iterator[None]:
    """Turn every exception of a pass into an UnfreezeError, which ends the search. Otherwise every trial would fail in
    the same way, and KerasTuner would record them all as failed."""
    try:
        yield
    except (UnfreezeError, OSError):
        raise
    except Exception as error:
        raise UnfreezeError(f"the frozen prefix could not be computed: {first_line(error)}") from error
