"""Folds for cross-validation: each image is in one of K folds, and each class is in every fold.

Images that must stay together (`toolkit.data.together`) are in one fold. The draw is that of `toolkit.data.draw`, which
keeps the shares of the classes nearer to their targets than scikit-learn's StratifiedGroupKFold where groups are large
(benchmarks/RESULTS.md). It depends on the content of the files and the seed only.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from toolkit.data.draw import divide
from toolkit.data.image_set import ImageSet
from toolkit.data.split import sets_to_draw
from toolkit.data.together import together
from toolkit.errors import UnfreezeError, counted, one_line


def draw_folds(images: ImageSet, count: int, *, seed: int, near: bool = True) -> np.ndarray:
    """int64 [N]: the fold of each image, from 0 to `count` - 1.

    `near`: nearly the same images are in one fold, too. Raises UnfreezeError if a class has fewer sets of images that
    must stay together than there are folds.
    """
    sets = together(images, near=near).tolist()
    to_draw = sets_to_draw(images, sets, [True] * len(images))
    found = Counter(label for one in to_draw for label in one.counts)
    label, least = min(found.items(), key=lambda item: item[1])
    if least < count:
        name = one_line(images.class_names[label])
        raise UnfreezeError(
            f"--folds {count}: class {name} has {counted(least, 'image')}, or groups of images, for different folds; "
            + (f"give --folds {least}" if least > 1 else "give --folds 1, or add images")
        )
    shares = {f"{fold}": 1 / (count - fold) for fold in range(count - 1)}  # of what the folds before have left
    drawn = divide(to_draw, shares, seed)
    return np.array([int(drawn.get(one, count - 1)) for one in sets], np.int64)
