"""A keras.Model as the backbone of a run: it is kept in the run folder as a file, which the settings then name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.models.backbones import OWN_BACKBONE
from toolkit.settings import Settings
from toolkit.storage.files import remove

if TYPE_CHECKING:
    import keras


@contextmanager
def with_backbone(settings: Settings, model: keras.Model | None, run: Path) -> Iterator[Settings]:
    """The settings of a run with this backbone; without one, as they are. The file is removed if the run was not begun.
    Raises UnfreezeError if the run has another backbone, or if the model is none."""
    if model is None:
        yield settings
        return
    from toolkit.models.backbone_file import keep

    written = keep(model, run / OWN_BACKBONE)
    try:
        yield replace(settings, backbone=str(run / OWN_BACKBONE))
    finally:
        if written and not (run / "run.json").exists():
            remove(run / OWN_BACKBONE)
