"""KerasHub: which of its layers a Keras file may name, and its import, where something needs it.

The package brings tokenizers and whole tasks too, which read other files: of those, none is allowed. It registers all
of its classes with Keras, so they do not count as classes that the calling program registered.
"""

from __future__ import annotations

import re
import sys
import warnings
from typing import Any

from toolkit.errors import UnfreezeError, first_line

FAMILIES = {  # folder in keras_hub.src.models -> its backbone, of which KerasHub makes image classifiers
    "cspnet": "CSPNetBackbone",
    "deit": "DeiTBackbone",
    "densenet": "DenseNetBackbone",
    "efficientnet": "EfficientNetBackbone",
    "hgnetv2": "HGNetV2Backbone",
    "mit": "MiTBackbone",
    "mobilenet": "MobileNetBackbone",
    "mobilenetv5": "MobileNetV5Backbone",
    "resnet": "ResNetBackbone",
    "swin_transformer": "SwinTransformerBackbone",
    "vgg": "VGGBackbone",
    "vit": "ViTBackbone",
    "xception": "XceptionBackbone",
}
PACKAGE = "keras_hub"
INSTALL = "pip install 'unfreeze[hub]'"
_MODULE = re.compile(rf"keras_hub\.src\.models\.({'|'.join(FAMILIES)})\.\w+")
_NO_LAYERS = ("image_classifier", "image_classifier_preprocessor", "image_converter", "presets")  # ends of modules
_MASKED = r"Layer 'attn' \(of type WindowAttention\) was passed an input with a mask"  # of SwinTransformer's own making
_brought: set[str] = set()  # names that Keras knows since KerasHub was imported here


def import_keras_hub(wanted: object) -> Any:
    """KerasHub. `wanted`: what needs it, for the message of the UnfreezeError that is raised if it is not there."""
    import keras

    before, own = set(keras.saving.get_custom_objects()), PACKAGE not in sys.modules
    try:
        import keras_hub
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == PACKAGE:
            raise UnfreezeError(f"{wanted} needs KerasHub; install it with {INSTALL}") from None
        raise UnfreezeError(
            f"{wanted} needs KerasHub, which cannot be imported ({first_line(error)}); install it anew with {INSTALL}"
        ) from None
    warnings.filterwarnings("ignore", _MASKED, UserWarning)
    if own:
        _brought.update(set(keras.saving.get_custom_objects()) - before)
    return keras_hub


def registered() -> set[str]:
    """The names of the classes and functions that the calling program itself registered with Keras."""
    import keras

    return set(keras.saving.get_custom_objects()) - _brought


def is_of_keras_hub(entry: dict[str, Any]) -> bool:
    """Whether Keras would look for an object of a configuration in KerasHub: by its module, or by a name that it has
    registered, whatever the module says."""
    names = (entry["class_name"], entry.get("registered_name"), entry.get("config"))
    by_name = any(isinstance(name, str) and name in _brought for name in names)
    return by_name or str(entry.get("module")).partition(".")[0] == PACKAGE


def is_image_layer(entry: dict[str, Any], wanted: object) -> bool:
    """Whether an object of a configuration, which is of KerasHub, is an image backbone or one of its layers. `wanted`:
    as `import_keras_hub` takes it."""
    name, module, known_as = entry["class_name"], str(entry.get("module")), entry.get("registered_name")
    if not _MODULE.fullmatch(module) or module.endswith(_NO_LAYERS):
        return False
    if known_as not in (None, name, f"{PACKAGE}>{name}"):
        return False
    import_keras_hub(wanted)
    import keras

    found = getattr(sys.modules.get(module), name, None)  # Keras would take another class that is known by the name
    return isinstance(found, type) and issubclass(found, keras.Layer) and found.__module__ == module
