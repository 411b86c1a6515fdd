"""The files of a preset, from a folder or downloaded by KerasHub, checked before anything is built of them.

A preset may come from a stranger, and KerasHub's own loader makes whatever class its configuration names. Here it names
one of KerasHub's image backbones, plain numbers and words for its constructor, and nothing else.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from toolkit.errors import UnfreezeError, one_line, short_reason
from toolkit.models.hub.preset import HANDLES, PREFIX, folder_of
from toolkit.storage.safe_read import read
from toolkit.untrusted.hdf5 import check_hdf5
from toolkit.untrusted.hub_arguments import check_arguments
from toolkit.untrusted.hub_layers import FAMILIES, PACKAGES, import_keras_hub, is_registered_name

CONFIG, CONVERTER, WEIGHTS, CARD = "config.json", "image_converter.json", "model.weights.h5", "README.md"
SHARDS = "model.weights.json"
NOT_OF_GRAPH = ("name", "trainable", "dtype")  # of a constructor: weights are read as float32


@dataclass(frozen=True)
class PresetFiles:
    """A preset whose files were checked."""

    name: str  # as the settings name it
    backbone: str  # the class in keras_hub.models
    config: dict[str, Any]  # arguments of its constructor
    converter: dict[str, Any] | None  # settings of its image converter; None: the preset has none
    weights: Path  # HDF5
    stored: int  # bytes that it has for weights
    licence: str  # "": not stated


def preset_files(name: str) -> PresetFiles:
    """The files of a preset. Raises UnfreezeError if there is none, or if it is no image backbone."""
    hub, folder = import_keras_hub(name), folder_of(name)
    if folder is None:
        _check_name(hub, name)
    elif not folder.is_dir():
        raise UnfreezeError(f"no preset at {folder}; give the folder that backbone.save_to_preset wrote")
    config = _json(_file(name, CONFIG), name)
    kind = _kind(config, name)
    converter = _json(_file(name, CONVERTER, needed=False), name)
    if _file(name, WEIGHTS, needed=False) is None and _file(name, SHARDS, needed=False):
        raise UnfreezeError(f"{name} has its weights in several files; save it with max_shard_size=None")
    weights = _file(name, WEIGHTS)
    assert weights is not None
    options = converter.get("config") if converter else None
    if converter and not isinstance(options, dict):
        raise UnfreezeError(f"{name} has an {CONVERTER} without a configuration; save it anew")
    stored = check_hdf5(weights, f"{WEIGHTS} of {name}")
    return PresetFiles(name, kind, _arguments(config, name), options, weights, stored, _licence(folder))


def _check_name(hub: Any, name: str) -> None:
    """Raises UnfreezeError if KerasHub has no image backbone of this name: nothing is downloaded to find that out."""
    own = name.removeprefix(PREFIX)
    if own.startswith(HANDLES):
        return
    known = {preset for kind in FAMILIES.values() for preset in getattr(hub.models, kind).presets}
    if own in known:
        return
    if own in hub.models.Backbone.presets:
        raise UnfreezeError(f"{name} is no image classification backbone; those of KerasHub are {_kinds()}")
    if Path(own).is_dir():
        raise UnfreezeError(f"KerasHub has no preset {one_line(own)!r}; of the folder here, write {PREFIX}./{own}")
    near = get_close_matches(own, known, n=1)
    hint = f"did you mean {PREFIX}{near[0]}?" if near else f"of a folder, write {PREFIX}./FOLDER"
    raise UnfreezeError(f"KerasHub has no preset {one_line(own)!r:.80}: {hint}")


def _file(name: str, file: str, *, needed: bool = True) -> Path | None:
    """A file of a preset, which KerasHub downloads if it is not here yet; None if it has none and it is not needed."""
    folder = folder_of(name)
    if folder is not None:
        found = folder / file
        if found.is_file() or not needed:
            return found if found.is_file() else None
        raise UnfreezeError(f"{folder} has no {file}; give the folder that backbone.save_to_preset wrote")
    from keras_hub.src.utils.preset_utils import get_file  # KerasHub has no public way to get a file alone

    try:
        return Path(get_file(name.removeprefix(PREFIX), file))
    except FileNotFoundError:
        if not needed:
            return None
        raise UnfreezeError(f"{name} has no {file}, so it is no preset of KerasHub") from None
    except Exception as error:  # its downloaders raise various classes
        raise UnfreezeError(
            f"could not download {file} of {name} ({short_reason(error)}); "
            f"download the preset elsewhere, and give its folder as {PREFIX}./FOLDER"
        ) from None


def _json(path: Path | None, name: str) -> Any:
    if path is None:
        return None
    try:
        told = json.loads(read(path))
    except (OSError, ValueError, RecursionError, UnfreezeError) as error:
        raise UnfreezeError(f"{path.name} of {name} cannot be read ({short_reason(error)})") from None
    if not isinstance(told, dict):
        raise UnfreezeError(f"{path.name} of {name} holds no configuration; get the preset anew")
    return told


def _kinds() -> str:
    return ", ".join(sorted(FAMILIES.values()))


def _kind(config: dict[str, Any], name: str) -> str:
    """The class of the backbone that a config.json names."""
    kind, module = config.get("class_name"), str(config.get("module")).partition(".")[0]
    if kind in FAMILIES.values() and module in PACKAGES:
        return str(kind)
    if kind is None and ("model_type" in config or "architecture" in config):
        raise UnfreezeError(f"{name} is of Transformers or timm; save it with KerasHub's backbone.save_to_preset first")
    raise UnfreezeError(
        f"{name} is of the class {str(kind)[:80]!a}, no image classification backbone; those of KerasHub are {_kinds()}"
    )


def _arguments(config: dict[str, Any], name: str) -> dict[str, Any]:
    """The arguments of the constructor: numbers and words. Raises UnfreezeError if one of them is an object to be
    made, or a number that no model of images has."""
    told = config.get("config")
    if not isinstance(told, dict):
        raise UnfreezeError(f"{CONFIG} of {name} holds no configuration; get the preset anew")
    told = {key: value for key, value in told.items() if key not in NOT_OF_GRAPH}
    waiting: list[Any] = [told]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict) and "class_name" in entry:
            made = entry.get("config") if entry["class_name"] == "function" else entry["class_name"]
            raise UnfreezeError(f"{CONFIG} of {name} names {str(made)[:80]!a} inside; it was not loaded")
        if is_registered_name(entry):  # a constructor would look it up
            raise UnfreezeError(f"{CONFIG} of {name} names {entry[:80]!a} inside; it was not loaded")
        waiting += entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ()
    check_arguments(told, f"{CONFIG} of {name}")
    return told


def _licence(folder: Path | None) -> str:
    """The licence that the model card in a folder states, as those of Hugging Face do."""
    card = folder / CARD if folder else None
    if card is None or not card.is_file():
        return ""
    try:
        lines = read(card).decode(errors="replace").split("\n---", 1)[0]
    except (OSError, UnfreezeError):
        return ""
    found = re.search(r"^license: *([\w.+-]+) *$", lines, re.MULTILINE) if lines.startswith("---") else None
    return found[1] if found else ""
