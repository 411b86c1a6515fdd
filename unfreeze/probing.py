"""`unfreeze probe`: the files of a search's backbones and image sizes, in a folder that goes to the device."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from export.latencies import ProbedFile, ProbeManifest
from export.limits import Limits
from export.targets.probe_folder import check_folder, file_name, write_rest
from toolkit.data.image_set import ImageSet
from toolkit.progress import Progress
from toolkit.run import Run
from toolkit.settings import Settings
from toolkit.storage.files import file_digest, scratch, sweep
from unfreeze.artefact_api import start
from unfreeze.device_limits import combinations, write_probes
from unfreeze.probe_command import search_options


def write_folder(
    folder: Path, settings: Settings, limits: Limits, classes: int, progress: Progress
) -> tuple[ProbedFile, ...]:
    """Write a model file for each backbone and image size, with the smallest head for so many classes, and what
    measures them on a device. Raises UnfreezeError if the folder holds something else."""
    check_folder(folder)
    start(progress)
    from export.probe import ProbeFile

    sweep(folder)
    run = Run(folder, _no_images(folder, classes), settings)
    bases, found = combinations(settings), []
    taken: list[tuple[str, Path]] = []
    with scratch(folder) as space:
        for key, made, features in write_probes(run, bases, limits.variant, space, progress):
            told = ProbedFile("", *key, features, 0.0, "")
            if not isinstance(made, ProbeFile):
                found.append(replace(told, trouble=made.trouble))
                continue
            name = file_name(*key, limits.precision, limits.runtime, [one for one, _ in taken])
            size = made.path.stat().st_size / 1e6
            taken.append((name, made.path))
            found.append(replace(told, file=name, size_mb=size, sha256=file_digest(made.path)))
        for name, path in taken:
            os.replace(path, folder / name)
    manifest = ProbeManifest(
        limits.runtime, limits.precision, classes, min(settings.space[0]), settings.channels, version("unfreeze")
    )
    given = ["--latencies", f"{folder}/latencies.json", "--max-latency-ms", "MS"]
    write_rest(folder, manifest, found, [*search_options(settings, limits), *given])
    progress("probing", len(bases) + 1, len(bases) + 1)
    return tuple(found)


def _no_images(folder: Path, classes: int) -> ImageSet:
    names = tuple(f"class {number}" for number in range(1, classes + 1))
    return ImageSet(folder, names, (), np.empty(0, np.int32), (), (), np.empty((0, 2), np.int32))
