"""How many folds judge a trial where the user does not say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from toolkit.data.folds import draw_folds
from toolkit.data.image_set import ImageSet
from toolkit.data.settings import FEW, FOLDS, POOLED, DataSettings
from toolkit.errors import UnfreezeError
from toolkit.settings import Settings

CHOSEN = (
    f"few images (no more than {FEW} beside the test part), so each trial is judged in {FOLDS} folds, on all of them "
    "that are no test images (--folds 1: on a validation part)"
)


def with_folds(images: ImageSet, settings: Settings, stored: Any, *, chooses: bool) -> tuple[ImageSet, Settings]:
    """The images and the settings with the folds that were left open: those of the run that goes on, or those that are
    chosen now, which a notice tells."""
    before = stored.get("settings") if isinstance(stored, dict) else None
    if isinstance(before, dict):
        folds, data = before.get("folds", 1), stored.get("data")
        told = isinstance(data, dict) and CHOSEN in str(data.get("notices"))
        if settings.refit and folds != 1:
            raise UnfreezeError(
                f"the run was begun with {folds} folds, and --refit needs validation images that no model was trained "
                "on; give another run folder, with --refit from the beginning"
            )
    else:
        folds = choose_folds(images, settings) if chooses and not settings.refit else 1
        told = folds > 1
    return replace(images, notices=(*images.notices, *[CHOSEN] * told)), replace(settings, folds=folds)


def choose_folds(images: ImageSet, settings: DataSettings) -> int:
    """How many folds judge a trial where neither the user nor DATA says: `FOLDS` if there are few images, 1 if there
    are more, or if a class has too few images or groups for folds. `images`: with all parts."""
    if len(images.select(*POOLED)) > FEW:
        return 1
    try:
        draw_folds(images, FOLDS, settings)
    except UnfreezeError:
        return 1
    return FOLDS
