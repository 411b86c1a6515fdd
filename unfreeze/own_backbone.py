"""Backbones that a run keeps as files in its folder, which the settings then name: a model, or presets of KerasHub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from toolkit.models.applications import Backbone
from toolkit.models.backbones import OWN_BACKBONE, absolute, backbone
from toolkit.models.choices import BackboneChoice
from toolkit.models.hub.preset import FOLDER, is_preset, origin_of
from toolkit.pixels.pixel_range import PIXELS
from toolkit.settings import Settings
from toolkit.storage.files import remove

if TYPE_CHECKING:
    import keras


@contextmanager
def with_backbone(settings: Settings, model: keras.Model | None, run: Path) -> Iterator[Settings]:
    """The settings of a run with this backbone; without one, with a file in place of each preset of KerasHub. What was
    written is removed if the run was not begun. Raises UnfreezeError if the run has another backbone, or if it is
    none."""
    begun = (run / "run.json").exists()
    here = {path: path.exists() for path in (run / OWN_BACKBONE, run / FOLDER)}
    try:
        yield _with_model(settings, model, run) if model is not None else _with_presets(settings, run, begun)
    finally:
        for path, before in here.items():
            if not before and not (run / "run.json").exists():
                remove(path)


def _with_model(settings: Settings, model: keras.Model, run: Path) -> Settings:
    from toolkit.models.backbone_file import keep

    keep(model, run / OWN_BACKBONE)
    return replace(settings, backbone=str(run / OWN_BACKBONE))


def _with_presets(settings: Settings, run: Path, begun: bool) -> Settings:
    several = settings.backbones
    if not any(is_preset(name) for name in (settings.backbone, *(one.backbone for one in several))):
        return settings
    from toolkit.process.keras_start import start_keras

    start_keras()
    if not several:
        return replace(settings, **_file_of(settings.backbone, settings.pixels, run, begun))
    texts = [_text(one, run, begun) for one in several]
    return replace(settings, vary={**settings.vary, "backbone": tuple(texts)})


def _text(choice: BackboneChoice, run: Path, begun: bool) -> str:
    """The text of a backbone among several, with its file in place of a preset."""
    if not is_preset(choice.backbone):
        return choice.text
    told = _file_of(choice.backbone, PIXELS[0], run, begun)
    return f"{told['backbone']}={told['pixels']}"


def _file_of(preset: str, pixels: str, run: Path, begun: bool) -> dict[str, Any]:
    """The settings of the file that is made of a preset. `pixels`: the range where the preset states none."""
    from toolkit.models.hub.make import kept_preset

    file = kept_preset(preset, run / FOLDER, pixels, begun=begun).resolve()
    origin = origin_of(file)
    return {"backbone": str(file), "pixels": origin.pixels if origin and origin.stated else pixels}


def preset_row(preset: str) -> Backbone:
    """What is known of a preset of KerasHub, by a file that is made of it and removed."""
    from toolkit.process.keras_start import start_keras

    start_keras()
    with TemporaryDirectory() as scratch:
        told = _file_of(absolute(preset), PIXELS[0], Path(scratch), begun=False)
        return replace(backbone(told["backbone"]), name=preset, pixels=told["pixels"])
