"""Parts of the caller's in `tune`, `train` and `run`: the settings that fit them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from toolkit.own.parts import Own, settings_with
from toolkit.settings import Settings
from unfreeze.own_backbone import with_backbone


def with_own(settings: Settings, own: Own, run: Path) -> AbstractContextManager[Settings]:
    """The settings of a run with these parts, the backbone or presets of KerasHub as files in its folder. Raises
    UnfreezeError if the settings are about a part that is replaced, if the run has another backbone, or if a model is
    none."""
    return with_backbone(settings_with(own, settings), own.backbone, run)
