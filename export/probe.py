"""A model that nobody has trained yet, written as one file of an export and measured in its runtime.

Neither size, nor latency, nor memory of a file depends on the values of its weights, so they are known before any
training. But converters store equal arrays once, so the weights must not be those that layers begin with.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import keras
import numpy as np

from export.artefacts import describe, size
from export.formats.onnx import noise
from export.intermediates import Intermediates
from export.limits import Probe, scaled
from export.runtimes.measure import Measurement, Task, measure
from export.settings import EXPORT
from export.variants import Variant
from export.write_variants import write_unjudged
from toolkit.errors import UnfreezeError, disk_is_full, short_reason
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.storage.files import scratch

Key = TypeVar("Key", bound=Hashable)
THREADS = 1  # that a latency is measured with
IMAGES = 32  # of noise, on which it is measured


@dataclass(frozen=True)
class ProbeFile:
    """A file that was written to be measured."""

    path: Path
    images: Path  # .npy file, uint8 [N, S, S, channels]


def write_probe(run: Run, model: keras.Model, variant: Variant, folder: Path) -> ProbeFile | Probe:
    """Write the model as this variant into a folder of its own; a Probe with the trouble if that fails. The model gets
    other weights."""
    _set_unequal_weights(model)
    _, side, _, channels = model.input_shape
    images = np.concatenate([noise(side, channels)] * (IMAGES // 4))
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", images)
    path = folder / variant.name
    trouble = written(lambda: _write(run, model, variant, path, images[:4]))
    return trouble or ProbeFile(path, folder / "images.npy")


def written(write: Callable[[], object]) -> Probe | None:
    """Call a function that writes a file; a Probe with the trouble if that fails. Raises OSError if the disk is full or
    broken, because then no file can be written."""
    try:
        write()
    except Exception as error:  # converters raise classes of their own
        if isinstance(error, OSError) or disk_is_full(error):
            raise
        return Probe(trouble=f"it cannot be written ({short_reason(error)})")
    return None


def _set_unequal_weights(model: keras.Model) -> None:
    """Weights of which no two are equal. New BatchNormalizations have equal ones, and biases of 0, of which a file
    would hold one for all."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights and not isinstance(layer, keras.layers.Normalization):
            layer.set_weights([array + rng.uniform(0.001, 0.1, array.shape) for array in layer.get_weights()])


def _write(run: Run, model: keras.Model, variant: Variant, path: Path, images: np.ndarray) -> None:
    """`images`: uint8 [N, S, S, channels], on which int8 is calibrated."""
    described, nobody = describe(run, model.input_shape[1]), np.empty((0, 0), np.float32)
    with scratch(path.parent) as space:
        sources = Intermediates(run, model, EXPORT, path.parent, space, described, nobody, None, silent, noise=images)
        write_unjudged(sources, variant, path)


def measure_probes(files: Mapping[Key, ProbeFile], scale: float = 1.0) -> dict[Key, Probe]:
    """Size, latency and memory of each file, by its key in `files`. `scale`: what a latency is multiplied with."""
    return {name: scaled(probe, scale) for name, (probe, _) in measured_files(files).items()}


def measured_files(
    files: Mapping[Key, ProbeFile], progress: Progress = silent
) -> dict[Key, tuple[Probe, np.ndarray | None]]:
    """Size, latency and memory of each file, and its answers to its images, float32 [N, C]; None if it does not run.
    They run in processes of their own and are timed in turn, with one thread."""
    tasks = {name: Task(file.path, (file.images,)) for name, file in files.items()}
    outcomes = measure(list(tasks.values()), threads=(THREADS,), progress=progress) if tasks else {}
    return {name: _measured(task.path, outcomes[task.path]) for name, task in tasks.items()}


def _measured(path: Path, outcome: Measurement | UnfreezeError) -> tuple[Probe, np.ndarray | None]:
    if isinstance(outcome, UnfreezeError):
        return Probe(trouble=f"it does not run ({outcome})"), None
    if not outcome.timings:
        return Probe(trouble="it could not be timed"), None
    return Probe(size(path) / 1e6, outcome.timings[0].median, outcome.memory_mb), outcome.probabilities
