"""What the commands about backbones do, as functions: which there are, and what they cost on a device."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from export.limits import NO_LIMITS, Limits
from toolkit.checks import Rule, check_value
from toolkit.models.applications import BACKBONES, Backbone
from toolkit.models.hub.preset import is_preset
from toolkit.progress import SILENT, Listener
from toolkit.settings import Settings
from toolkit.storage.local_path import local_path
from unfreeze.artefact_api import PathLike
from unfreeze.own_backbone import preset_row, with_backbone

if TYPE_CHECKING:  # light at import: `--help` loads this module
    from export.latencies import ProbedFile

SEARCH = Settings()


def backbones(*files: PathLike) -> list[Backbone]:
    """The table of backbones: the default image size of each, its cut layer at each unfreeze depth, its parameters, the
    licence of its weights. With `files`: the same of the backbones in these Keras files and presets of KerasHub
    ("hub:PRESET"), their stages found."""
    if not files:
        return list(BACKBONES.values())
    from toolkit.models.backbones import backbone

    return [
        preset_row(str(file)) if is_preset(str(file)) else backbone(str(local_path(file).resolve())) for file in files
    ]


def probe(
    folder: PathLike,
    *,
    settings: Settings = SEARCH,
    limits: Limits = NO_LIMITS,
    classes: int = 2,
    listener: Listener = SILENT,
) -> tuple[ProbedFile, ...]:
    """Write a file for each backbone and image size of a search into FOLDER, untrained, with scripts that measure them
    on a device. `limits`: only the format and the precision count. `classes`: of the head; they hardly matter."""
    from toolkit.run import MAX_CLASSES

    possible = Rule(int, f"a whole number from 2 to {MAX_CLASSES}", lambda value: 2 <= value <= MAX_CLASSES)
    check_value("classes", classes, possible)
    settings.check_files()
    from unfreeze.probing import write_folder

    here = local_path(folder, "a local folder")
    with TemporaryDirectory() as scratch, with_backbone(settings, None, Path(scratch)) as chosen:
        return write_folder(here, chosen, limits, classes, listener.progress)
