"""What the configuration of a Keras 3 model may name: Keras' own layers and functions, image layers of KerasHub, and no
others.

Keras' safe mode refuses Python code in the file. But it lets a layer call any public function of Keras, those that
download or write files too. So every name is compared with a list of what is allowed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from toolkit.errors import UnfreezeError
from toolkit.untrusted.hub_layers import is_image_layer, is_of_keras_hub

CLASSES = {  # modules whose classes are allowed, with the modules below them
    *("keras.layers", "keras.initializers", "keras.regularizers", "keras.constraints", "keras.quantizers"),
    *("keras.dtype_policies", "keras.optimizers", "keras.losses", "keras.metrics"),
    *("keras.src.layers", "keras.src.models", "keras.src.ops", "keras.src.applications", "keras.src.dtype_policies"),
}
OF_KERAS = {"Model", "Sequential", "Functional", "DTypePolicy", "FloatDTypePolicy"}  # allowed in `keras` itself
FUNCTIONS = {
    *("builtins", "keras.activations", "keras.ops", "keras.ops.nn", "keras.ops.numpy", "keras.ops.image"),
    *("keras.initializers", "keras.losses", "keras.metrics"),
}
RUNS_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")  # layers that run other code
REFUSED = {  # those, and what reads files; models of images do not need them
    *RUNS_CODE,
    *("StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization"),
    *("get", "serialize", "deserialize"),
}
VALUES = {
    *("__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"),
}


def check_config(config: Any, known: Collection[str], path: Path) -> None:
    if not isinstance(config, dict) or "class_name" not in config:
        raise UnfreezeError(f"{path} has a config.json that describes no model; save the model anew")
    for entry in not_allowed(config, known, path):
        name = entry.get("config") if entry["class_name"] == "function" else entry["class_name"]
        what = ".".join(str(one) for one in (entry.get("module"), name) if one)
        raise UnfreezeError(
            f"{path} uses {what[:80]!a}, which is none of the layers that are safe to load; {_advice(entry)}"
        )


def not_allowed(config: dict[str, Any], known: Collection[str], path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a model's configuration that name what is not allowed. `known`: what the program registered.
    `path`: the file, for the error where its layers need KerasHub."""
    waiting: list[Any] = [{key: value for key, value in config.items() if key != "compile_config"}]  # never compiled
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            if "class_name" in entry and not _allowed(entry, known, path):
                yield entry
            waiting += entry.values()
        elif isinstance(entry, list):
            waiting += entry


def _advice(entry: dict[str, Any]) -> str:
    """What to do about an object that is not allowed."""
    own = "build the model with Keras' own layers in its place, copy the weights, and save it anew"
    if entry["class_name"] == "Lambda":
        return f"{own} (Rescaling scales pixels; operations such as `x / 255` need no Lambda)"
    if str(entry.get("module")).partition(".")[0] not in ("keras", "builtins"):
        return f"{own}, or call unfreeze.adopt in a Python program that registers the class"
    return own


def _allowed(entry: dict[str, Any], known: Collection[str], path: Path) -> bool:
    """Whether an object of a config is an allowed one of Keras' own, one that the program registered, or an image layer
    of KerasHub."""
    name, module, registered = entry["class_name"], entry.get("module"), entry.get("registered_name")
    if not isinstance(name, str) or not all(isinstance(one, (str, type(None))) for one in (module, registered)):
        return False
    if is_of_keras_hub(entry) and not {name, registered} & set(known):
        return is_image_layer(entry, path)
    if name == "function":
        called = entry.get("config")
        if not isinstance(called, str) or called in REFUSED:
            return False
        return called in known or registered in known or (module or "builtins") in FUNCTIONS
    if name in REFUSED:
        return False
    if name in VALUES or name in known or registered in known:
        return True
    if module is None:  # written by an older Keras: then Keras looks among its own layers only
        return name[:1].isupper() and not registered  # a registered name belongs to the program that saved the file
    if module in ("keras", "keras.models"):
        return name in OF_KERAS or name.endswith("DTypePolicy")
    return name[:1].isupper() and any(module == one or module.startswith(f"{one}.") for one in CLASSES)
