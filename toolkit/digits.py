"""The demo's data: 1,797 handwritten digits, which scikit-learn carries, as an image folder. No network.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998;
its test part, 8 x 8 pixels of 17 levels, by 13 writers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from toolkit.errors import UnfreezeError
from toolkit.files import atomic

MARGIN = 2  # cells of black around the 8 x 8, which the writing fills to the edge
SIDE = 120  # pixels, of the files: what people can look at


def write_digits(folder: Path) -> Path:
    """`folder` with ten sub-folders of PNG files, written as a whole; where it is there already, it stays as it is."""
    if folder.exists():
        if len(list(folder.glob("[0-9]/*.png"))) < len(_digits()[1]):
            raise UnfreezeError(f"{folder} is there and does not hold the demo's digits; remove it or give another RUN")
        return folder
    with atomic(folder) as temporary:
        for number, (pixels, label) in enumerate(zip(*_digits(), strict=True)):
            path = temporary / str(label) / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            levels = np.pad(np.rint(pixels * (255 / 16)).astype(np.uint8), MARGIN)
            Image.fromarray(levels).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)
    return folder


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """float64 [1797, 8, 8], levels 0 to 16, and int [1797]."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8), labels
