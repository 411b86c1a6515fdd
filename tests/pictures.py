"""Pictures for the tests: drawn from a seed, in classes that a tiny model can tell apart."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from toolkit.data.sources.any_folder import read_any
from toolkit.errors import UnfreezeError
from toolkit.pixels.decode import measure


def draw(kind: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 [size, size, 3]: stripes (0), dots (1), rings (2) or a plain slope (3) in two random colours."""
    y, x = np.mgrid[:size, :size] / size + rng.uniform(0, 1, (2, 1, 1))
    waves = 2 * np.pi * rng.uniform(4, 6)
    height = (
        np.sin(waves * y),
        np.sin(waves * x) * np.sin(waves * y) * 2 - 0.5,
        np.sin(waves * np.hypot(y - 1, x - 1)),
        y - x,
    )[kind]
    dark, bright = rng.uniform(0, 90, 3), rng.uniform(150, 255, 3)
    share = np.clip(height * 2 + 0.5, 0, 1)[..., None]
    return np.rint(dark + (bright - dark) * share).astype(np.uint8)


def encode(image: Image.Image | np.ndarray, form: str = "JPEG", **options: Any) -> bytes:
    """The bytes of a file in Pillow's format `form`."""
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def refusal(data: bytes) -> str | None:
    """Why `measure` refuses a file with these bytes; None if it accepts it."""
    try:
        measure(data)
    except UnfreezeError as error:
        return str(error)
    return None


def write_pictures(
    root: Path,
    *,
    classes: Sequence[str] = ("stripes", "dots"),
    per_class: int = 8,
    size: int = 48,
    seed: int = 0,
) -> Path:
    """Writes `root/CLASS/NNN.jpg`, no two alike, for up to four classes; another seed draws others."""
    rng = np.random.default_rng(seed)
    for kind, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            (root / name / f"{number:03d}.jpg").write_bytes(encode(draw(kind, size, rng), quality=90))
    return root


def files_below(folder: Path) -> list[Path]:
    """What `predict FOLDER` answers."""
    return [folder / entry.path for entry in read_any(folder).entries]
