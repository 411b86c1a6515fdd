"""A file's name -> the class that it seems to name: `cat.0.jpg`, `dog_123.jpg`, `Abyssinian (12).jpg`, `7-rose.png`.

Nothing is trained on such a guess: people are shown it, and offered a CSV.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from toolkit.data.sources.part_names import part_of, says_only_data

CAMERAS = {"dsc", "dscn", "dscf", "mvi", "pxl", "frame", "photo", "picture", "scan", "screenshot"}
_ENDS = (  # what is cut off, the first that fits: numbers after a gap, numbers at the end, numbers at the beginning
    re.compile(r"(?:[\s._\-(]+\d+\)?)+$"),
    re.compile(r"\d+$"),
    re.compile(r"^\d+(?:[\s._\-]+\d+)*[\s._\-]+"),
)


def class_in_name(file: Path) -> str:
    """The name of the file without its number; "" if it has no number, if nothing else is in it, or if it names a
    camera, a part, or no more than an image."""
    for end in _ENDS:
        name, cut = end.subn("", file.stem)
        if cut:
            return "" if _says_nothing(name) else name.strip(" ._-")
    return ""


def _says_nothing(name: str) -> bool:
    words = name.strip(" ._-").lower()
    return not any(map(str.isalpha, words)) or words in CAMERAS or says_only_data(words) or part_of(words) is not None


def classes_in_names(files: Iterable[Path]) -> dict[str, int]:
    """class -> how many files name it, the most frequent first. {} if they do not look like classes: these are two or
    more, of two files or more on average."""
    found = Counter(name for file in files if (name := class_in_name(file)))
    return dict(found.most_common()) if len(found) > 1 and found.total() >= 2 * len(found) else {}
