"""The demo: a run on 1,797 handwritten digits that come with scikit-learn, written as an image folder. No network.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998;
its test part, 8 x 8 pixels of 17 levels, by 13 writers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import UnfreezeError
from toolkit.progress import SILENT, Listener
from toolkit.settings import Settings
from toolkit.storage.files import atomic
from toolkit.storage.lock import alone
from unfreeze import api

if TYPE_CHECKING:  # light at import: `--help` loads this module
    import numpy as np


BORDER = 2  # black cells added around the 8 x 8, which a digit fills to the edge
FILE_SIDE = 120  # side of the image files in pixels, large enough to look at
DEMO = Settings(
    weights="starter",
    flip=False,
    test=0.4,  # 719 images: enough for a verdict on most of the artefacts
    head_units=(0, 64),
    dropout=(0.0, 0.2),
    unfreeze=(1, 2, 4),
    head_epochs=8,
    head_rate=5e-3,
    tune_epochs=6,
    tune_rate=5e-4,
)


def demo(run: api.PathLike, *, settings: Settings = DEMO, listener: Listener = SILENT) -> api.Finished:
    """`run` on 1,797 handwritten digits, from the starter weights: nothing to bring, no network.

    The digits are written as image files into a folder beside RUN, named `RUN-images`.
    """
    path = Path(run).resolve()
    if not path.name or any(one.is_file() for one in (path, *path.parents)):
        raise UnfreezeError(f"{run} cannot be a run folder; give a new one, such as runs/demo")
    with alone(path):
        images = write_digits(path.with_name(f"{path.name}-images"))
        return api.run(images, path, settings=settings, listener=listener)


def write_digits(folder: Path) -> Path:
    """Write `folder` with ten sub-folders of PNG files, completely or not at all. If it exists and is complete, it is
    not changed. Raises UnfreezeError if it exists and is not."""
    if folder.exists():
        if len(list(folder.glob("[0-9]/*.png"))) < len(_digits()[1]):
            raise UnfreezeError(f"{folder} exists and does not hold the demo's digits; remove it or give another RUN")
        return folder
    import numpy as np
    from PIL import Image

    with atomic(folder) as temporary:
        for number, (pixels, label) in enumerate(zip(*_digits(), strict=True)):
            path = temporary / str(label) / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            levels = np.pad(np.rint(pixels * (255 / 16)).astype(np.uint8), BORDER)
            Image.fromarray(levels).resize((FILE_SIDE, FILE_SIDE), Image.Resampling.BICUBIC).save(path)
    return folder


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """float64 [1797, 8, 8], levels 0 to 16, and int [1797]."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8), labels
