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
from toolkit.untrusted.hub_arguments import check_arguments
from toolkit.untrusted.hub_layers import is_image_layer, is_of_keras_hub, is_registered_name

CLASSES = {  # modules whose classes are allowed, with the modules below them
    *("keras.layers", "keras.initializers", "keras.regularizers", "keras.constraints", "keras.quantizers"),
    *("keras.dtype_policies", "keras.optimizers", "keras.losses", "keras.metrics"),
    *("keras.src.layers", "keras.src.models", "keras.src.ops", "keras.src.applications", "keras.src.dtype_policies"),
}
OF_KERAS = {"Model", "Sequential", "Functional", "DTypePolicy", "FloatDTypePolicy"}  # allowed in `keras` itself
BUILT_IN = ("activations", "constraints", "initializers", "losses", "metrics", "optimizers", "regularizers")  # of keras
FUNCTIONS = {
    *("keras.activations", "keras.ops", "keras.ops.nn", "keras.ops.numpy", "keras.ops.image"),
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
    `path`: the file, for the error where its layers need KerasHub, or where one of those is given too large numbers."""
    waiting: list[Any] = [{key: value for key, value in config.items() if key != "compile_config"}]  # never compiled
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            if "class_name" in entry and not _allowed(entry, known, path):
                yield entry
            names = ("class_name", "registered_name") if "class_name" in entry else ()  # which were looked at
            waiting += (value for key, value in entry.items() if key not in names)
        elif isinstance(entry, (list, tuple)):
            waiting += entry
        elif is_registered_name(entry):  # many layers look up each text that they are given
            yield {"class_name": entry}


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
    if is_of_keras_hub(entry, known):
        if not is_image_layer(entry, path):
            return False
        check_arguments(entry.get("config"), path)
        return True
    if name == "function":
        return _is_function(entry.get("config"), module or "builtins", registered, known)
    if name in REFUSED:
        return False
    if name in VALUES or name in known or registered in known:
        return True
    if module is None:  # written by an older Keras: then Keras looks among its own layers only
        return name[:1].isupper() and not registered  # a registered name belongs to the program that saved the file
    if registered not in (None, "", name):  # Keras looks an object up by it first
        return False
    if module in ("keras", "keras.models"):
        return name in OF_KERAS or name.endswith("DTypePolicy")
    return name[:1].isupper() and any(module == one or module.startswith(f"{one}.") for one in CLASSES)


def _is_function(called: Any, module: str, registered: str | None, known: Collection[str]) -> bool:
    """Whether a function of a config is an allowed one."""
    if not isinstance(called, str) or called in REFUSED:
        return False
    ends = (name.rpartition(">")[2] for name in known) if module == "builtins" else ()  # as Keras 3.6 wrote such names
    if called in known or registered in known or called in ends:
        return True
    if registered not in (None, "", "function", called):
        return False
    return _is_built_in(called) if module == "builtins" else module in FUNCTIONS


def _is_built_in(called: str) -> bool:
    """Whether Keras finds a function that has no module among its own: else it takes any registered one whose name ends
    like that."""
    import keras

    return any(hasattr(getattr(keras, module), called) for module in BUILT_IN)
