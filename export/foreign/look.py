"""A first look at model files, each in a process of its own: what it takes, its class names, its precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from export.runtimes import worker
from export.runtimes.kind import kind_of
from export.runtimes.precision import precision
from export.runtimes.processes import ArtefactProcess, ProcessGroup
from export.settings import Conversion
from toolkit.progress import Progress


@dataclass(frozen=True)
class Look:
    """What a model file is, and the process that has loaded it."""

    kind: str  # of `export.runtimes.kind`
    precision: str
    size: tuple[int, int]  # height and width in pixels of the images that it takes
    labels: tuple[str, ...] | None  # class names in the file
    process: ArtefactProcess


def look_at(conversions: Mapping[Path, Conversion], processes: ProcessGroup, progress: Progress) -> dict[Path, Look]:
    """Load each file in a process of the group, which goes on. Raises UnfreezeError if one cannot be loaded, or takes
    no images."""
    kinds = {path: kind_of(path) for path in conversions}

    def look(path: Path) -> Look:
        held = processes.start(path, 1, conversions[path])
        return Look(kinds[path], held.call(precision, path), held.call(worker.image_size), held.class_names, held)

    looks = {}
    progress("loading", 0, len(kinds))
    with processes.threads() as pool:
        for done, (path, found) in enumerate(zip(kinds, pool.map(look, kinds), strict=True), 1):
            looks[path] = found
            progress("loading", done, len(kinds))
    return looks
