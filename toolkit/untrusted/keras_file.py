"""A .keras file that may come from a stranger -> keras.Model. No code in the file is run, and no other file is read.

Keras' safe mode refuses Python code in the file. But it lets a layer call any public function of Keras, those that
download or write files too, and it reads as much as the archive declares. So the archive, the layers and the weights
are checked here before Keras reads them, against a list of what is allowed.
"""

from __future__ import annotations

import copy
import io
import itertools
import json
import math
import re
import zipfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import UnfreezeError, short_reason
from toolkit.untrusted.hdf5 import FLOOR, MAX_COMPRESSION, check_hdf5

if TYPE_CHECKING:
    import keras

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
TEXT = 32 << 20  # bytes of a JSON member; the longest of keras.applications' has 2 MB
SLACK = 16 << 20  # bytes of variables that need not be in the file, such as those of random generators
ACTIVATIONS = 1 << 30  # how many numbers a layer may give for one image: 4 GB of float32
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
REFUSED = {  # layers that run other code or read files; models of images do not need them
    *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
    *("StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization"),
    *("get", "serialize", "deserialize"),
}
VALUES = {
    *("__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"),
}


@dataclass(frozen=True)
class Stored:
    """What a .keras file holds."""

    config: dict[str, Any]
    weights: int  # bytes


def read_model(path: Path) -> keras.Model:
    """The model in a .keras file, not compiled. Raises UnfreezeError if the file has no model, or one that is not safe
    to load."""
    import keras

    known = set(keras.saving.get_custom_objects())  # layers that the calling program itself registered
    stored = check_keras(path, known)
    try:
        _check_size(stored, path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        _name(model)
        try:
            _check_inside(model, path)
        except Exception as error:
            if isinstance(error, UnfreezeError) or not known:
                raise  # else it is ignored: a registered layer may be unable to run in a graph
        return model
    except UnfreezeError:
        raise
    except Exception as error:  # Keras raises every exception of its layers
        raise UnfreezeError(f"{path} cannot be loaded as a Keras model ({short_reason(error)})") from None


def check_keras(path: Path, known: Collection[str] = ()) -> Stored:
    """Check a .keras file without loading it. `known`: the names of classes and functions that the program registered.

    Raises UnfreezeError if it is not such a file, has members that Keras does not write, inflates too much, names
    anything but Keras' own layers and functions, or has weights that `toolkit.untrusted.hdf5` refuses.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path)
            config = json.loads(archive.read(CONFIG))
            _check_config(config, known, path)
            weights = io.BytesIO(archive.read(WEIGHTS))  # all at once, as Keras does: seeking in a member is slow
            return Stored(config, check_hdf5(weights, f"{WEIGHTS} in {path}"))
    except zipfile.BadZipFile:
        raise UnfreezeError(
            f"{path} is no .keras file or is damaged; save the model anew with model.save('NAME.keras'): "
            "whole models as .h5 are not loaded"
        ) from None
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise UnfreezeError(f"{path} cannot be loaded as a Keras model ({short_reason(error)})") from None


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    members = [member for member in archive.infolist() if member.filename != "assets/" or member.file_size]
    names = [member.filename for member in members]
    other = [name for name in names if name not in (CONFIG, WEIGHTS, METADATA)]
    if other or len(set(names)) < len(names):
        wrong = (other or [name for name in names if names.count(name) > 1])[0]
        raise _refused(path, f"holds {wrong[:80]!a}, which is not of a model of images, or twice")
    missing = [name for name in (CONFIG, WEIGHTS) if name not in names]
    if missing:
        raise UnfreezeError(f"{path} has no {missing[0]}, so it is no .keras file of Keras 3; save the model anew")
    for member in members:
        most = max(FLOOR, MAX_COMPRESSION * member.compress_size) if member.filename == WEIGHTS else TEXT
        if member.file_size > most:
            raise _refused(
                path, f"inflates {member.filename} from {member.compress_size:,} to {member.file_size:,} bytes"
            )


def _check_config(config: Any, known: Collection[str], path: Path) -> None:
    if not isinstance(config, dict) or "class_name" not in config:
        raise UnfreezeError(f"{path} has a config.json that describes no model; save the model anew")
    waiting: list[Any] = [{key: value for key, value in config.items() if key != "compile_config"}]  # never compiled
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            if "class_name" in entry and not _allowed(entry, known):
                name = entry.get("config") if entry["class_name"] == "function" else entry["class_name"]
                what = ".".join(str(one) for one in (entry.get("module"), name) if one)
                raise UnfreezeError(
                    f"{path} uses {what[:80]!a}, which is none of the layers that are safe to load; build the model of "
                    "Keras' own layers, or verify an ONNX or TFLite file of it"
                )
            waiting += entry.values()
        elif isinstance(entry, list):
            waiting += entry


def _allowed(entry: dict[str, Any], known: Collection[str]) -> bool:
    """Whether an object of a config is an allowed one of Keras' own, or one that the program registered."""
    name, module, registered = entry["class_name"], entry.get("module"), entry.get("registered_name")
    if not isinstance(name, str) or not all(isinstance(one, (str, type(None))) for one in (module, registered)):
        return False
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


def _check_size(stored: Stored, path: Path) -> None:
    """Build the model without its variables. Refuse it if the file has too few bytes for them, or if a layer gives more
    numbers than memory holds.

    A config of a few bytes may describe a layer of terabytes, and building it would end this process.
    """
    import keras
    from keras.src.backend.common import global_state

    try:
        with keras.StatelessScope(initialize_variables=False):
            config = copy.deepcopy(stored.config) | {"compile_config": None}  # Keras changes the config that it reads
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    finally:  # Keras would create the variables later, and offers no public way to drop them
        global_state.set_global_attribute("uninitialized_variables", [])
    needed = sum(_size(variable) for variable in getattr(model, "variables", ()))
    if needed > stored.weights + SLACK:
        raise _refused(path, f"describes {needed / 1e6:,.0f} MB of weights and holds {stored.weights / 1e6:,.0f} MB")
    _check_given((_numbers(one) for one in getattr(model, "operations", ())), path)


def _check_given(numbers: Iterable[int], path: Path) -> None:
    given = max(numbers, default=0)
    if given > ACTIVATIONS:
        raise _refused(path, f"has a layer that gives {given:,} numbers for an image")


def _name(model: Any) -> None:
    """Give each layer a name that TensorFlow allows in graphs, which excludes blanks and umlauts; all are different."""
    layers = getattr(model, "_flatten_layers", lambda **_: ())(include_self=False)
    taken = {layer.name for layer in layers}
    for layer in layers:
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", layer.name)
        name = name if name[:1].isalnum() else f"layer{name}"
        if name != layer.name:
            numbered = (f"{name}_{number}" for number in itertools.count(2))
            layer.name = next(one for one in itertools.chain((name,), numbered) if one not in taken)
            taken.add(layer.name)


def _check_inside(model: Any, path: Path) -> None:
    """Check how many numbers every operation gives for one image, inside nested models and wrapped layers too. The
    model is traced as a graph; nothing is computed."""
    import tensorflow as tf

    inputs: Any = getattr(model, "inputs", None) or ()
    if _is_plain(model) or len(inputs) != 1 or None in inputs[0].shape[1:]:
        return  # nothing is nested in it; or it takes no image, and is refused later
    entry = tf.TensorSpec((1, *inputs[0].shape[1:]), inputs[0].dtype)
    drawn = tf.function(lambda image: model(image, training=False), autograph=False).get_concrete_function(entry)
    shapes = (tensor.shape for operation in drawn.graph.get_operations() for tensor in operation.outputs)
    _check_given((shape.num_elements() for shape in shapes if shape.is_fully_defined()), path)


def _is_plain(model: Any) -> bool:
    """Whether `_check_size` has checked everything: all operations are layers without layers inside. (An operation that
    is no layer may turn the numbers of an image into further images.) Tracing the graph, which is not needed then,
    takes a quarter of the time that loading a model takes."""
    import keras

    operations = getattr(model, "operations", ())
    return bool(operations) and all(isinstance(one, keras.Layer) and not one._layers for one in operations)


def _size(variable: Any) -> int:
    bits = re.search(r"\d+", variable.dtype)
    return math.prod(variable.shape) * int(bits[0] if bits else 8) // 8


def _numbers(operation: Any) -> int:
    """How many numbers an operation gives for one image; axes of unknown size count as 1."""
    outputs = getattr(operation, "output", None)
    shapes = [getattr(one, "shape", ()) for one in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]
    return max((math.prod(size or 1 for size in shape) for shape in shapes), default=0)


def _refused(path: Path, what: str) -> UnfreezeError:
    return UnfreezeError(f"{path} {what}; it was not loaded")
