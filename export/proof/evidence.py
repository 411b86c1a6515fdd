"""Images without labels: they show by how many answers an artefact differs from the model, which bounds what it loses.

The images of several arrays are addressed by one number each (`Joined`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from export.artefacts import Manifest, Reference
from export.runtimes.measure import Measurement, Task, measure
from toolkit.data.decoded_arrays import decoded
from toolkit.data.unlabelled import scan_unlabelled
from toolkit.errors import UnfreezeError
from toolkit.progress import Progress
from toolkit.run import Run


class Joined:
    """Memory-mapped arrays uint8 [N, H, W, C], one after the other."""

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self.arrays = arrays
        self.starts = np.cumsum([0, *map(len, arrays)])

    @property
    def files(self) -> tuple[Path, ...]:
        """The .npy files of the arrays."""
        return tuple(Path(array.filename) for array in self.arrays)  # type: ignore[attr-defined]  # of a memmap

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The images of these numbers, uint8 [R, H, W, C]."""
        places = np.searchsorted(self.starts, rows, side="right") - 1
        return np.stack([self.arrays[place][row - self.starts[place]] for place, row in zip(places, rows, strict=True)])


def unlabelled_reference(
    run: Run, manifest: Manifest, folder: Path, progress: Progress
) -> tuple[Reference, np.ndarray]:
    """The answers of the run's model to the images of a folder, and the decoded images. Files that are also in the run
    are left out: the model was trained on them, or they count already. Raises UnfreezeError if none is left."""
    known, told = frozenset(run.images.digests), partial(progress, "scanning")
    how = {"levels": run.images.levels, "profiles": run.images.profiles}
    images = scan_unlabelled(folder, leave_out=known, **how, progress=told)
    array = decoded(
        images,
        run.cache,
        manifest.image_size,
        channels=manifest.channels,
        progress=partial(progress, "decoding evidence"),
    )
    model = run.path / "model.keras"
    outcome = measure([Task(model, (Path(array.filename),))], progress=progress)[model]  # type: ignore[attr-defined]
    if not isinstance(outcome, Measurement):
        raise UnfreezeError(str(outcome))
    return Reference.of_unlabelled(images.paths, outcome.probabilities), array
