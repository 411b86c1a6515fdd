"""The names that people give to the parts of a data set -> "train", "val" or "test".

A name is cut into words at blanks, `_`, `-`, `.`, between letters and numbers, and where a small letter is followed by
a capital; capitals do not count otherwise. It names a part (`part_of`) if one of its words is one of `PARTS`, and the
others are of `AFFIXES` or a year: `Training`, `test_set`, `seg_train`, `validation images`, `train2017`. An affix may
be written without a gap: `trainset`, `testimages`.

Names with other words are read together (`parts_of`): they name parts if they are alike but for the word of the part,
as `chest_xray_train` and `chest_xray_test` are. Alone, `train_station` is a class.

A name is doubtful (`is_doubtful`) if it consists of such words and of numbers or single letters, but does not say which
part it is: `test1`, `train_a`, `trainval`, `eval`. A folder is without classes (`is_unlabelled`) if it is called
`seg_pred` or `unlabeled`. `images` and `PetImages` say that data are inside (`says_data`), `images` nothing else
(`says_only_data`); `images_1` and `images_2` are shares of a heap (`are_shares`), and
`site_a` and `site_b` may be groups around the classes (`are_groups`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

PARTS = {  # a word, in lower case -> the part's name in this project
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "validate": "val",
    "dev": "val",
    "test": "test",
    "tests": "test",
    "testing": "test",
}
DATA_WORDS = {"data", "dataset", "img", "imgs", "image", "images"}
AFFIXES = {
    *DATA_WORDS,
    *("set", "sets", "split", "part", "dir", "folder", "seg", "the"),
    *("pic", "pics", "picture", "pictures", "photo", "photos", "jpg", "jpeg", "png"),
}
SHARES = {"part", "batch", "chunk", "fold", "folder", "shard", "split", "subset", "vol", "volume"}
GROUPS = {
    *("site", "center", "centre", "hospital", "clinic", "camera", "cam", "batch", "fold", "session"),
    *("patient", "subject", "participant", "day", "week", "month", "year"),
}
MONTHS = {
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
    *("jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
}
UNLABELLED = {"pred", "prediction", "predictions", "predict", "unlabeled", "unlabelled"}
DOUBTFUL = {"eval", "evaluation", "holdout", "heldout", "trn", "tst", "trainval", "trainvalid", "traintest", "testval"}
_YEAR = re.compile(r"(19|20)\d\d")
_GAPS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])|[\s_.\-]+")
_TOGETHER = re.compile(f"({'|'.join(PARTS)})({'|'.join(AFFIXES)})|({'|'.join(AFFIXES)})({'|'.join(PARTS)})")


def part_of(name: str) -> str | None:
    """The part that a name alone stands for without doubt."""
    part, rest = _read(name)
    return part if all(word in AFFIXES or _YEAR.fullmatch(word) for word in rest) else None


def parts_of(names: Iterable[str]) -> dict[str, str]:
    """name -> part, for those of the names of folders beside each other that stand for a part."""
    read = {name: _read(name) for name in names}
    found = {name: part for name in read if (part := part_of(name))}
    others = {name: (part, rest) for name, (part, rest) in read.items() if part and name not in found}
    named = [part for part, _ in others.values()]
    alike = len({tuple(rest) for _, rest in others.values()}) == 1
    if alike and len(set(named)) == len(named) > 1 and "train" in named and not found:
        return {name: part for name, (part, _) in others.items() if part}
    return found


def classes_of_parts(names: Iterable[str]) -> list[str]:
    """Those of the names that consist of a class and a part, as `cat_train`, `cat_test` and `dog_train`, `dog_test` do:
    the same other words stand with more than one part."""
    read = {name: _read(name) for name in names}
    parts: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for part, rest in read.values():
        if part and rest:
            parts[tuple(rest)].add(part)
    again = any(len(own) > 1 for own in parts.values())
    return [name for name, (part, rest) in read.items() if again and part and rest]


def is_doubtful(name: str) -> bool:
    """Whether a name is put together of the words of parts, but does not say which part it is."""
    words = _words(name)
    own = [word for word in words if word in PARTS or word in DOUBTFUL]
    rest = [word for word in words if word not in own and word not in AFFIXES]
    return bool(own) and part_of(name) is None and all(word.isdecimal() or len(word) == 1 for word in rest)


def is_unlabelled(name: str) -> bool:
    """Whether a name says that the images in a folder have no class."""
    words = set(_words(name))
    return bool(UNLABELLED & words) and all(word.isdecimal() for word in words - UNLABELLED - AFFIXES - PARTS.keys())


def says_data(name: str) -> bool:
    """Whether a name has a word such as `images` or `data`, so that it may be the folder around the classes."""
    return bool(DATA_WORDS & set(_words(name)))


def says_only_data(name: str) -> bool:
    """Whether a name has no other words but numbers, as `images` and `data_set_2` have not."""
    words = {word for word in _words(name) if not word.isdecimal()}
    return bool(words & DATA_WORDS) and words <= DATA_WORDS | {"set"}


def are_shares(names: Collection[str]) -> bool:
    """Whether several names differ only in a number, and say that data or a share of them are inside."""
    words = [_words(name) for name in names]
    alike = {tuple(word for word in own if not word.isdecimal()) for own in words}
    return len(words) > 1 and len(alike) == 1 and bool((DATA_WORDS | SHARES) & {*alike.pop()})


def are_groups(names: Collection[str]) -> bool:
    """Whether several names are those of sites, days or persons rather than of classes: each has such a word or
    consists of numbers, or they differ only in a number or a single letter."""
    words = [_words(name) for name in names]
    kept = {tuple(word for word in own if not word.isdecimal() and len(word) > 1) for own in words}
    each = all(GROUPS & {*own} or all(word.isdecimal() or word in MONTHS for word in own) for own in words)
    return len(words) > 1 and (each or (len(kept) == 1 and kept != {()}))


def _read(name: str) -> tuple[str | None, list[str]]:
    """(the part whose word is in the name, the other words). There is no part if there are two such words."""
    words = _words(name)
    own = [word for word in words if word in PARTS]
    rest = [word for word in words if word not in PARTS]
    return (PARTS[own[0]], rest) if len(own) == 1 else (None, rest)


def _words(name: str) -> list[str]:
    """The words in lower case. A part's word and an affix that are written together are two."""
    words: list[str] = []
    for word in filter(None, _GAPS.split(name)):
        small = word.lower()
        together = _TOGETHER.fullmatch(small)
        words += [part for part in together.groups() if part] if together else [small]
    return words
