"""Folds for cross-validation: each image is in one of K folds, and each class is in every fold.

Images that must stay together (`toolkit.data.together`) are in one fold. The draw is that of `toolkit.data.draw`, which
keeps the shares of the classes nearer to their targets than scikit-learn's StratifiedGroupKFold where groups are large
(benchmarks/RESULTS.md). It depends on the content of the files and the seed only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from toolkit.data.draw import divide
from toolkit.data.image_set import ImageSet
from toolkit.data.settings import DATA_SETTINGS, POOLED, DataSettings
from toolkit.data.split import sets_to_draw
from toolkit.data.together import together
from toolkit.errors import UnfreezeError, counted, one_line

VAL_JOINS = "with --folds the validation part of DATA is trained on, too: each of its images is judged in its fold"


def draw_folds(images: ImageSet, count: int, settings: DataSettings = DATA_SETTINGS) -> np.ndarray:
    """int64 [N]: the fold of each training and validation image, from 0 to `count` - 1, in their order.

    Nearly the same images are in one fold if `settings` keep them together. Raises UnfreezeError if a class has fewer
    images, or groups of images, than there are folds.
    """
    pool = images.select(*POOLED)
    sets = together(pool, near=settings.near_duplicates == "keep-together").tolist()
    to_draw = sets_to_draw(pool, sets, [True] * len(pool))
    found = Counter(label for one in to_draw for label in one.counts)
    label, least = min(found.items(), key=lambda item: item[1])
    if least < count:
        name = one_line(pool.class_names[label])
        raise UnfreezeError(
            f"--folds {count}: class {name} has {counted(least, 'image')}, or groups of images, for different folds; "
            + (f"give --folds {least}" if least > 1 else "give --folds 1, or add images")
        )
    shares = {f"{fold}": 1 / (count - fold) for fold in range(count - 1)}  # of what the folds before have left
    try:
        drawn = divide(to_draw, shares, settings.seed)
    except UnfreezeError:
        raise UnfreezeError(
            f"--folds {count}: no way was found to divide the groups so that every class is in each fold: give fewer "
            "folds, or --group-by none"
        ) from None
    return np.array([int(drawn.get(one, count - 1)) for one in sets], np.int64)


def checked_for_folds(images: ImageSet, count: int, settings: DataSettings, *, val_given: bool) -> ImageSet:
    """The images, whose parts are given or drawn, with a notice if a validation part that DATA has is trained on.
    Raises UnfreezeError as `draw_folds` does."""
    if count == 1:
        return images
    draw_folds(images, count, settings)
    return replace(images, notices=(*images.notices, VAL_JOINS)) if val_given else images
