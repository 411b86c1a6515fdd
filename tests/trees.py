"""Folders of tiny images, grown from patterns such as `{train,test}/{cat,dog}/*.jpg`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tests.pictures import encode

EACH = 3  # files that a star stands for
_BRACES = re.compile(r"\{([^{}]*)\}")
_FORMS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".gif": "GIF", ".bmp": "BMP", ".webp": "WEBP"}


def paths(pattern: str, each: int = EACH) -> list[str]:
    """What a pattern stands for: `{a,b}` for either, `*` for 0, 1, 2. A folder that is empty ends in a slash."""
    if braces := _BRACES.search(pattern):
        before, after = pattern[: braces.start()], pattern[braces.end() :]
        return [path for one in braces[1].split(",") for path in paths(before + one + after, each)]
    return [pattern.replace("*", str(number)) for number in range(each if "*" in pattern else 1)]


def grow(root: Path, patterns: Iterable[str], each: int = EACH) -> Path:
    """Makes the files and folders. No two images are alike; a file without an image's suffix has no image in it."""
    root.mkdir(parents=True, exist_ok=True)
    for pattern in patterns:
        for path in paths(pattern, each):
            if path.endswith("/"):
                (root / path).mkdir(parents=True)
            else:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_bytes(content(path))
    return root


def content(path: str) -> bytes:
    """An image of 8 x 8 pixels that depends on the whole path, in the format that its suffix names."""
    form = _FORMS.get(Path(path).suffix.lower())
    if form is None:
        return b"no image"
    seed = int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()[:8], "big")
    return encode(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8), form)
