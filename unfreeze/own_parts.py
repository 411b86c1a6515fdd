"""Parts of the caller's in `tune`, `train` and `run`: settings that fit them, and the backbone as a file in the run
folder, which the settings then name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from toolkit.models.backbones import OWN_BACKBONE
from toolkit.own.parts import Own, settings_with
from toolkit.settings import Settings
from toolkit.storage.files import remove


@contextmanager
def with_own(settings: Settings, own: Own, run: Path) -> Iterator[Settings]:
    """The settings of a run with these parts. The backbone's file is removed if the run was not begun. Raises
    UnfreezeError if the settings are about a part that is replaced, if the run has another backbone, or if the model is
    none."""
    settings = settings_with(own, settings)
    if own.backbone is None:
        yield settings
        return
    from toolkit.models.backbone_file import keep

    written = keep(own.backbone, run / OWN_BACKBONE)
    try:
        yield replace(settings, backbone=str(run / OWN_BACKBONE))
    finally:
        if written and not (run / "run.json").exists():
            remove(run / OWN_BACKBONE)
