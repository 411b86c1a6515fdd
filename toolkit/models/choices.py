"""A backbone among several that a search tries, as one text: with its width, its weights and the pixels that it takes.

MobileNetV2   MobileNetV2:0.35   MobileNetV2:0.35=WEIGHTS   FILE.keras   FILE.keras=PIXELS   hub:PRESET
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import UnfreezeError
from toolkit.models.applications import BACKBONES
from toolkit.models.backbones import SUFFIXES, is_file, short_name
from toolkit.models.hub.preset import absolute_preset, is_preset, origin_of
from toolkit.models.spec import NO_FILES, STARTER_MODEL
from toolkit.pixels.pixel_range import PIXELS
from toolkit.storage.local_path import local_path

_OF_FILE = re.compile(rf"(.+(?:{'|'.join(map(re.escape, SUFFIXES))}))(?:=(.+))?")


@dataclass(frozen=True)
class BackboneChoice:
    """A backbone with all that belongs to it. The fields are settings."""

    backbone: str  # its name in keras.applications, the absolute path of a Keras file, or hub:PRESET
    alpha: float
    weights: str  # as in the settings; of a file or a preset, its own name
    pixels: str = PIXELS[0]

    @property
    def text(self) -> str:
        """The text that names this choice alone, whatever the other settings are."""
        if is_preset(self.backbone):
            return self.backbone
        if is_file(self.backbone):
            return f"{self.backbone}={self.pixels}"
        return f"{self.backbone}:{self.alpha:g}={self.weights}"

    @property
    def label(self) -> str:
        """The name in tables: of a file its own, without folder and suffix."""
        return label_of(self.backbone, self.alpha)

    @property
    def typed(self) -> str:
        """A text that names it in a folder that has the files."""
        if origin := origin_of(Path(self.backbone)):
            return origin.typed
        if is_file(self.backbone):
            return Path(self.backbone).name + (f"={self.pixels}" if self.pixels != PIXELS[0] else "")
        return self.label + (f"={Path(self.weights).name}" if self.weights != "imagenet" else "")

    @property
    def typed_without_files(self) -> str:
        """The same without the names of files."""
        if is_file(self.backbone):
            return f"{self.label}={self.pixels}"
        return f"{self.label}={self.weights}" if self.weights in NO_FILES else self.label

    def settings(self) -> dict[str, Any]:
        return asdict(self)


def label_of(backbone: str, alpha: float) -> str:
    """The name of a backbone of some width in tables."""
    return f"{short_name(backbone)}:{alpha:g}" if alpha != 1 else short_name(backbone)


def choices(
    texts: Sequence[str], *, alpha: float = 0.0, weights: str = "", pixels: str = PIXELS[0]
) -> tuple[BackboneChoice, ...]:
    """The choices that the texts name. `alpha`, `weights`, `pixels`: of those whose text does not say; 0 and "": width
    1 (of the starter weights their own) and ImageNet's weights. Raises UnfreezeError if two have the same name, or if
    none takes what is given."""
    found = tuple(_choice(text, alpha, weights, pixels) for text in texts)
    files = sum(is_file(one.backbone) for one in found)
    named = len(found) - files - sum(is_preset(one.backbone) for one in found)
    for name, given, used in (
        ("pixels", pixels != PIXELS[0], files),
        ("weights", weights, named),
        ("alpha", alpha, named),
    ):
        if given and not used:
            raise UnfreezeError(f"{name} is given, and none of the backbones takes it; leave it out")
    labels = [one.label for one in found]
    for label in labels:
        if labels.count(label) > 1:
            raise UnfreezeError(f"two of the backbones are called {label}; name each once")
    return found


def _choice(text: str, alpha: float, weights: str, pixels: str) -> BackboneChoice:
    text = text.strip()
    if is_preset(text):
        return BackboneChoice(absolute_preset(text), 1.0, absolute_preset(text))
    name, _, told = text.partition("=")
    in_file = None if name.partition(":")[0] in BACKBONES else _OF_FILE.fullmatch(text)  # a path may hold a "="
    if in_file and (is_file(name) or Path(in_file[1]).exists()):
        path = str(local_path(in_file[1], "a file on this machine").resolve())
        return BackboneChoice(path, 1.0, path, in_file[2] or pixels)
    name, colon, width = name.partition(":")
    weights = told or weights or "imagenet"
    usual = alpha or (STARTER_MODEL[1] if weights == "starter" else 1.0)
    try:
        return BackboneChoice(name, float(width) if colon else usual, weights)
    except ValueError:
        raise UnfreezeError(f"{text} has the width {width!r}; write NAME:ALPHA, such as MobileNetV2:0.35") from None
