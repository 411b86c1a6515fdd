"""KerasHub: which of its layers a Keras file may name, and its import, where something needs it.

The package brings tokenizers and tasks of texts too, which read other files: of those, none is allowed. It registers
all of its classes with Keras, and Keras looks an object up by such a name first, whatever module the file says. So
whatever has such a name is KerasHub's, whether it has been imported yet or not, and by whom.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Collection
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
PACKAGES = (PACKAGE, "keras_nlp")  # its name, and its earlier one
NAMES = tuple(f"{name}>" for name in PACKAGES)  # how the names begin under which its classes are registered
INSTALL = "pip install 'unfreeze[hub]'"
_CLASSIFIER = "keras_hub.src.models.image_classifier"
_MODULE = re.compile(rf"keras_hub\.src\.models\.({'|'.join(FAMILIES)})\.\w+")
_NO_LAYERS = ("image_classifier_preprocessor", "image_converter", "presets")  # ends of modules
_MASKED = r"Layer 'attn' \(of type WindowAttention\) was passed an input with a mask"  # of SwinTransformer's own making


def import_keras_hub(wanted: object) -> Any:
    """KerasHub. `wanted`: what needs it, for the message of the UnfreezeError that is raised if it is not there."""
    try:
        import keras_hub
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == PACKAGE:
            raise UnfreezeError(f"{wanted} needs KerasHub; install it with {INSTALL}") from None
        raise UnfreezeError(
            f"{wanted} needs KerasHub, which cannot be imported ({first_line(error)}); install it anew with {INSTALL}"
        ) from None
    warnings.filterwarnings("ignore", _MASKED, UserWarning)
    return keras_hub


def registered() -> set[str]:
    """The names of the classes and functions that the calling program itself registered with Keras."""
    import keras

    objects = keras.saving.get_custom_objects().items()
    own = {name for name, one in objects if _package(getattr(one, "__module__", "")) not in PACKAGES}
    return {name for name in own if not is_registered_name(name)}


def is_registered_name(text: object) -> bool:
    """Whether a text is a name under which KerasHub registers something with Keras."""
    return isinstance(text, str) and text.startswith(NAMES)


def is_of_keras_hub(entry: dict[str, Any], known: Collection[str]) -> bool:
    """Whether Keras would look for an object of a configuration in KerasHub: by its name, whatever the module says, or
    by its module. `known`: what the program registered."""
    names = (entry["class_name"], entry.get("registered_name"), entry.get("config"))
    if any(map(is_registered_name, names)):
        return True
    return _package(entry.get("module")) in PACKAGES and entry.get("registered_name", names[0]) not in known


def _package(module: object) -> str:
    return str(module).partition(".")[0]


def is_image_layer(entry: dict[str, Any], wanted: object) -> bool:
    """Whether an object of a configuration, which is of KerasHub, is an image backbone, one of its layers, or a
    classifier of images. `wanted`: as `import_keras_hub` takes it."""
    name, module, known_as = entry["class_name"], str(entry.get("module")), entry.get("registered_name")
    if not (module == _CLASSIFIER or _MODULE.fullmatch(module)) or module.endswith(_NO_LAYERS):
        return False
    if known_as not in (None, name, f"{PACKAGE}>{name}"):
        return False
    import_keras_hub(wanted)
    import keras

    found = getattr(sys.modules.get(module), name, None)  # Keras would take another class that is known by the name
    return isinstance(found, type) and issubclass(found, keras.Layer) and found.__module__ == module
