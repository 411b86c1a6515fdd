"""A preset of KerasHub -> a Keras file of a backbone, with what is known of it beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from toolkit.errors import UnfreezeError, short_reason
from toolkit.models.backbone_file import flat_backbone, keep
from toolkit.models.flatten import switch_off_dropout, without_dropout
from toolkit.models.hub.files import PresetFiles, preset_files
from toolkit.models.hub.pixels import converter_pixels, converter_size
from toolkit.models.hub.preset import Origin, origin_of, preset_label, write_origin
from toolkit.pixels.pixel_range import PIXELS
from toolkit.untrusted.extent import check_size
from toolkit.untrusted.hub_layers import import_keras_hub

FIRST_TOKEN = ("ViTBackbone", "DeiTBackbone")  # whose classifier reads the class token, the first one


def kept_preset(name: str, folder: Path, pixels: str = PIXELS[0], *, begun: bool = False) -> Path:
    """The Keras file of a preset in a folder, which is made if it is not there yet. `pixels`: the range where the
    preset states none. `begun`: a run has used the folder, and goes on with its file, whatever has become of the
    preset. Raises UnfreezeError if the preset is no image backbone, or if the folder has another one of this name."""
    file = folder / f"{preset_label(name)}.keras"
    known = origin_of(file)
    if begun and file.is_file() and known is not None and known.preset == name:
        _check_pixels(known, pixels)
        return file
    files = preset_files(name)
    told = files.converter or {}
    taken = converter_pixels(told, name) if files.converter else pixels
    origin = Origin(name, taken, converter_size(told), files.licence, stated=bool(files.converter))
    _check_pixels(origin, pixels)
    keep(_model(files), file)
    write_origin(file, origin)
    return file


def _check_pixels(origin: Origin, pixels: str) -> None:
    """Raises UnfreezeError if a range is given, and the preset states another one."""
    if origin.stated and pixels not in (PIXELS[0], origin.pixels):
        raise UnfreezeError(
            f"{origin.preset} states that it takes pixels as {origin.pixels}; leave --pixels {pixels} out"
        )


def _model(files: PresetFiles) -> keras.Model:
    """The backbone with its weights, from an image to a feature map, or to the vector that its classifier reads."""
    kind = getattr(import_keras_hub(files.name).models, files.backbone)
    arguments = without_dropout(files.config)

    def build() -> Any:
        return kind(**arguments, dtype="float32")

    try:
        check_size(build, files.stored, files.weights)
        backbone = build()
        switch_off_dropout(backbone)
        backbone.load_weights(files.weights)
        image = keras.Input(backbone.input.shape[1:], name="image")
        features = _pooled(_last(backbone(image), backbone), files)
        return flat_backbone(keras.Model(image, features))
    except UnfreezeError as error:
        text = str(error)
        raise UnfreezeError(text if text.startswith(files.name) else f"{files.name} is no backbone: {text}") from None
    except Exception as error:  # KerasHub raises whatever its layers do
        raise UnfreezeError(f"{files.name} cannot be loaded ({short_reason(error)})") from None


def _last(features: Any, backbone: Any) -> Any:
    """Of the outputs of HGNetV2, one for each stage, that of the last stage, which its classifier reads."""
    stages = getattr(backbone, "stage_names", None)
    return features.get(stages[-1], features) if isinstance(features, dict) and stages else features


def _pooled(features: Any, files: PresetFiles) -> Any:
    """A sequence [N, tokens, C] as the vector [N, C] that the classifier of its family reads: the class token, or the
    mean of the tokens. A feature map is left as it is."""
    if len(getattr(features, "shape", ())) != 3:
        return features
    if files.backbone in FIRST_TOKEN and files.config.get("use_class_token", True):
        return features[:, 0]
    return keras.layers.GlobalAveragePooling1D(name="mean_of_tokens")(features)
