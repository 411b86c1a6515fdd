"""`ImageSet` as columns in run.json, and back: which file is in which part, and what was left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.image_set import ImageSet
from toolkit.data.sources.listing import Rejected
from toolkit.pixels.colour import IGNORED, PROFILES
from toolkit.pixels.levels import FULL, LEVELS


def to_columns(images: ImageSet) -> dict[str, Any]:
    """The columns: lists with a value for each image, and lists of what was left out."""
    return {
        "root": str(images.root.resolve()),
        "paths": list(images.paths),
        "labels": images.labels.tolist(),
        "parts": list(images.parts),
        "sha256": list(images.digests),
        "sizes": images.sizes.tolist(),
        "rejected": [[left.path, left.reason] for left in images.rejected],
        "ignored": images.ignored,
        "ignored_suffixes": images.ignored_suffixes,
        "levels": images.levels,
        "profiles": images.profiles,
        "notices": list(images.notices),
        "groups": list(images.groups),
        "same_pixels": [list(alike) for alike in images.same],
        "nearly_the_same": [list(pair) for pair in images.near],
    }


def from_columns(columns: dict[str, Any], class_names: list[str]) -> ImageSet:
    """The images that `to_columns` wrote as columns. Raises KeyError, TypeError, ValueError or AttributeError if they
    are damaged."""
    _check_columns(columns, class_names)
    return ImageSet(
        root=Path(columns["root"]),
        class_names=tuple(class_names),
        paths=tuple(columns["paths"]),
        labels=np.array(columns["labels"], np.int32),
        digests=tuple(columns["sha256"]),
        parts=tuple(columns["parts"]),
        sizes=np.array(columns["sizes"], np.int32).reshape(-1, 2),
        rejected=tuple(Rejected(path, reason) for path, reason in columns["rejected"]),
        ignored=columns["ignored"],
        ignored_suffixes=dict(columns.get("ignored_suffixes", {})),  # an older run.json has none of these
        levels=columns.get("levels", FULL),
        profiles=columns.get("profiles", IGNORED),
        notices=tuple(columns.get("notices", ())),
        groups=tuple(columns.get("groups", ())),
        same=tuple(map(tuple, columns.get("same_pixels", ()))),
        near=tuple((one, other) for one, other in columns.get("nearly_the_same", ())),
    )


def _check_columns(columns: dict[str, Any], class_names: list[str]) -> None:
    """Check every column, because somebody else may have made or edited the run."""
    texts = [columns["root"], *class_names, *columns["paths"], *columns["sha256"], *columns["parts"]]
    if not all(isinstance(text, str) and "\0" not in text for text in texts):
        raise ValueError("a path, class name, digest or part is not text")
    if len(set(class_names)) < len(class_names) or not set(columns["parts"]) <= {"train", "val", "test"}:
        raise ValueError("a class name occurs twice, or a part is not train, val or test")
    if len({len(columns[name]) for name in ("paths", "labels", "sha256", "parts", "sizes")}) > 1:
        raise ValueError("its columns have different lengths")
    if not all(type(label) is int and 0 <= label < len(class_names) for label in columns["labels"]):
        raise ValueError("a label is not the number of a class")
    if columns.get("levels", FULL) not in LEVELS:
        raise ValueError("`levels` is not a number of bits from 8 to 16 or percentile")
    if columns.get("profiles", IGNORED) not in PROFILES:
        raise ValueError("`profiles` is neither srgb nor ignored")
    if not all(type(count) is int for count in columns.get("ignored_suffixes", {}).values()):
        raise ValueError("`ignored_suffixes` holds no numbers")
    if columns.get("groups") and len(columns["groups"]) != len(columns["paths"]):
        raise ValueError("`groups` has another length than `paths`")
    said = list(columns.get("groups", ()))
    said += [text for name in ("same_pixels", "nearly_the_same") for row in columns.get(name, ()) for text in row]
    said += [text for row in columns["rejected"] for text in row] + list(columns.get("notices", ()))
    if type(columns["ignored"]) is not int or not all(isinstance(text, str) for text in said):
        raise ValueError("`rejected`, `ignored`, `notices`, `groups` or a list of copies has the wrong type")
