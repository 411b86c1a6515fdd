"""A Keras model in a file as a backbone: read safely, made flat, checked, and its stages found.

What acts only in training (dropout, noise, augmentation, the dropping of paths) is left out or switched off, so that a
frozen prefix gives the same activations in every epoch.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np

from toolkit.errors import UnfreezeError, short_reason
from toolkit.models.applications import Backbone
from toolkit.models.cuts import find_stages
from toolkit.models.flatten import Copies, run_flat
from toolkit.models.hub.preset import origin_of
from toolkit.models.layer_weights import Weights, named_weights
from toolkit.storage.files import atomic
from toolkit.untrusted.keras_file import read_model

OWN = ("image", "grey_to_rgb", "normalise", "get_item_1", "pool", "head", "dropout", "probabilities")  # of build_model
SIZE = 224  # pixels, the default for a backbone that takes images of any size
SMALLEST = 16  # pixels, of the images that a backbone of any size is given
TRIED = (64, 128, 224, 384)  # pixels of the images with which such a one is tried, until it takes them
SAME = 1e-4  # largest difference of the flat graph's features from the model's own, relative to their largest


def row_of(path: Path) -> Backbone:
    """What is known of the backbone in a file. Raises UnfreezeError if it is none."""
    row, origin = _read(*_version(path))[1], origin_of(path)
    if origin is None:
        return row
    size = row.image_size if row.fixed or not origin.image_size else origin.image_size
    return replace(row, image_size=size, licence=origin.licence, source=origin.typed)


def keep(model: keras.Model, path: Path) -> bool:
    """Write a model into a file as a backbone, unless it is there already. Returns whether it was written. Raises
    UnfreezeError if the file holds another one, or if the model cannot be saved."""
    if not isinstance(model, keras.Model):
        raise UnfreezeError(f"backbone is a keras.Model, got {type(model).__name__}; a file is named in the settings")
    with tempfile.TemporaryDirectory() as scratch:
        saved = Path(scratch) / path.name
        try:
            model.save(saved)
        except Exception as error:  # Keras raises whatever its layers do
            raise UnfreezeError(f"the model {model.name} cannot be saved ({short_reason(error)})") from None
        if path.is_file():
            if not _same(saved, path):
                raise UnfreezeError(f"{path} holds another backbone; give another run folder")
            return False
        with atomic(path) as temporary:
            shutil.copyfile(saved, temporary)
    return True


def _same(one: Path, other: Path) -> bool:
    """Whether two .keras files hold the same layers with the same weights."""
    parts = []
    for path in (one, other):
        model = read_model(path)
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"), object_hook=_without_ids)
        parts.append((config, [array.tobytes() for array in model.get_weights()]))
    return parts[0] == parts[1]


def _without_ids(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of a configuration without the numbers by which a process knows its objects."""
    return {name: value for name, value in entry.items() if name != "shared_object_id"}


def copy_of(path: Path, image: keras.KerasTensor) -> keras.KerasTensor:
    """The features that a copy of the backbone in a file, with new weights, gives for `image`. Raises UnfreezeError if
    it takes no images of this size."""
    try:
        return run_flat(_read(*_version(path))[0], image, Copies(renames=False).call, opens=False)
    except UnfreezeError:
        raise
    except Exception as error:  # Keras' layers raise various classes
        size = image.shape[1]
        raise UnfreezeError(f"{path} cannot take images of {size} px ({short_reason(error)})") from None


def weights_of(path: Path) -> Weights:
    """The weights in the file, for the layers of `copy_of`."""
    return named_weights(_read(*_version(path))[0])


def _version(path: Path) -> tuple[Path, int, int]:
    """What tells whether a file was changed since it was read."""
    if path.is_dir():
        raise UnfreezeError(f"{path} is a folder; a backbone is one Keras file")
    if not path.is_file():
        raise UnfreezeError(
            f"no backbone at {path}; --backbone takes a name that `unfreeze backbones` lists, or a file"
        )
    told = path.stat()
    return path, told.st_mtime_ns, told.st_size


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int) -> tuple[keras.Model, Backbone]:
    """(the flat graph of the model in a file, frozen, with its weights; what is known of it)."""
    try:
        own = read_model(path)
        model = flat_backbone(own)
        side, channels = own.inputs[0].shape[1], own.inputs[0].shape[-1]
    except UnfreezeError as error:
        text = str(error)
        raise UnfreezeError(text if text.startswith(str(path)) else f"{path} is no backbone: {text}") from None
    cuts = find_stages(model)
    row = Backbone(str(path), side or SIZE, "", cuts, model.count_params(), smallest=side or SMALLEST)
    return model, replace(row, fixed=side is not None, channels=channels)


def flat_backbone(own: keras.Model) -> keras.Model:
    """The flat graph of a model from images to features, frozen, with its weights, checked. Of the models inside, those
    of KerasHub stay one layer each where their own layers cannot be made anew. Raises UnfreezeError if it is no
    backbone."""
    _check(own)
    plain = keras.Model(own.inputs[0], own.outputs[0])  # not from a list or dict of one
    try:
        return _flat(plain, opens=True)
    except UnfreezeError:
        if not any(type(layer).__module__.startswith("keras_hub.") for layer in own.layers):
            raise
    return _flat(plain, opens=False)


def _check(model: Any) -> None:
    """Raises UnfreezeError if the model does not go from one image to features."""
    if isinstance(model, keras.Sequential) and not model.built:
        raise UnfreezeError("it does not say what it takes; begin it with keras.Input((height, width, 3))")
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise UnfreezeError("it must have one input, images, and one output, their features")
    shape, features = model.inputs[0].shape, model.outputs[0].shape
    if len(shape) != 4 or shape[-1] not in (1, 3):
        raise UnfreezeError(f"it takes {list(shape[1:])}, not images [height, width, 3 or 1]")
    if shape[1] != shape[2]:
        raise UnfreezeError(f"it takes images of {shape[1]} x {shape[2]} px; a backbone takes square ones")
    if len(features) not in (2, 4) or features[-1] is None:
        raise UnfreezeError(f"it gives {list(features[1:])}; features are a vector, or a map [height, width, channels]")


def _flat(own: keras.Model, *, opens: bool) -> keras.Model:
    image = keras.Input(own.inputs[0].shape[1:], dtype=own.inputs[0].dtype, name="image")
    copies = Copies(OWN)
    try:
        model = keras.Model(image, run_flat(own, image, copies.call, opens=opens), name="backbone")
    except UnfreezeError:
        raise
    except Exception as error:  # a layer of somebody's own raises whatever it does
        raise UnfreezeError(f"its layers cannot be made anew ({short_reason(error)})") from None
    copies.copy_weights()
    model.trainable = False
    _refuse_classifier(model)
    _check_same(own, model)
    return model


def _refuse_classifier(flat: keras.Model) -> None:
    last = flat.output._keras_history.operation
    activation = getattr(getattr(last, "activation", None), "__name__", type(last).__name__.lower())
    if len(flat.output.shape) == 2 and activation in ("softmax", "sigmoid"):
        raise UnfreezeError(
            "it is a whole classifier, whose last layer gives probabilities; save the model before that layer, "
            "keras.Model(model.inputs, model.layers[-2].output), or use it as it is with `unfreeze adopt`"
        )


def _check_same(own: keras.Model, flat: keras.Model) -> None:
    """Raises UnfreezeError if the flat graph gives other features than the model, or others in training."""
    image, wanted = _tried(own)
    given = np.asarray(flat(image, training=False))
    if not np.isfinite(wanted).all():
        raise UnfreezeError("its features are no finite numbers; are its weights damaged?")
    if not _near(wanted, given):
        raise UnfreezeError("its layers in one flat graph give other features; save it as one functional model")
    before = [variable.numpy() for variable in flat.variables]
    if not _near(given, np.asarray(flat(image, training=True))):
        raise UnfreezeError(f"its layer {_acts_in_training(flat, image)!r} answers otherwise in training; leave it out")
    for variable, value in zip(flat.variables, before, strict=True):
        if not np.array_equal(variable.numpy(), value):
            raise UnfreezeError(f"its layer {variable.path.split('/')[0]!r} changes while it is used; leave it out")


def _tried(own: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """(images, the model's features of them), of the smallest of some sizes that it takes. Raises UnfreezeError if
    there is none."""
    fixed = own.inputs[0].shape[1]
    for side in (fixed,) if fixed else TRIED:
        image = np.random.default_rng(0).uniform(0, 255, (2, side, side, own.inputs[0].shape[-1]))
        image = image.astype(own.inputs[0].dtype)
        try:
            return image, np.asarray(own(image, training=False))
        except Exception as error:  # TensorFlow raises various classes
            reason = short_reason(error)
    raise UnfreezeError(f"it does not run on images of {side} px ({reason})")


def _near(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and bool(np.abs(one - other).max() <= SAME * np.abs(one).max())


def _acts_in_training(flat: keras.Model, image: np.ndarray) -> str:
    """The name of the first layer that gives something else in training."""
    for layer in flat.layers:
        part = keras.Model(flat.input, layer._inbound_nodes[-1].output_tensors)  # a model inside has others, too
        both = [keras.tree.flatten(part(image, training=mode)) for mode in (False, True)]
        if not all(_near(np.asarray(one), np.asarray(other)) for one, other in zip(*both, strict=True)):
            return str(layer.name)
    return str(flat.layers[-1].name)
