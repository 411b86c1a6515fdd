"""What an artefact loses on the images of each class: a small class may collapse while the whole holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from export.artefacts import UNLABELLED, Reference
from export.proof.parity import ClassLoss
from toolkit.stats.recall_lost import recalls_lost

NAMED = 3  # classes that collapse: named at most, the others are counted


def class_losses(
    reference: Reference, got: np.ndarray, parts: Sequence[str], class_names: Sequence[str]
) -> tuple[ClassLoss, ...]:
    """Each class that has images in these parts, in the order of the classes. `got`: float32 [N, C]."""
    rows = np.concatenate([reference.rows(part) for part in parts])
    rows = rows[reference.labels[rows] != UNLABELLED]
    answers = (one[rows].argmax(axis=1) for one in (reference.probabilities, got))
    return tuple(
        ClassLoss(
            class_names[one.label],
            one.pair.images,
            one.pair.lost,
            one.pair.gained,
            lost_at_most=one.at_most,
            lost_at_least=one.at_least,
        )
        for one in recalls_lost(reference.labels[rows], *answers)
    )


def collapse_words(collapsed: Sequence[ClassLoss], classes: int, margin: float) -> str:
    """Why a file does not hold of which these of `classes` classes lose more than `margin`, a fraction."""
    worst = sorted(collapsed, key=lambda one: (-one.lost_at_least, one.name))  # type: ignore[operator]  # all have it
    told = [
        f"of class {one.name} it loses {one.lost_images} of {one.images} images"
        + (f" and gains {one.gained_images}" if one.gained_images else "")
        + f": {one.lost:.1%} of its recall, and {one.lost_at_least:.1%} at least"
        for one in worst[:NAMED]
    ]
    more = [f"and {len(worst) - NAMED} other classes collapse"] if len(worst) > NAMED else []
    return f"{'; '.join([*told, *more])} (95 % for all {classes} classes together); {margin:.2%} is allowed"
