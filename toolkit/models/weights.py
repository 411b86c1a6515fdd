"""Pre-trained weights for the backbone: downloaded by Keras, from a file, or the starter.

Keras' own constructor loads the first two into a model of its own, because it can read every format that Keras ever
wrote; then they are copied from there. The starter weights, `starter.npz` beside this module, are of MobileNetV2 with
alpha 0.35, trained on computed pictures by `scripts/pretrain_starter.py`. They need no network, and are for trying out,
teaching and testing.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
import numpy as np

from toolkit.errors import UnfreezeError, first_line
from toolkit.models.backbone_file import weights_of
from toolkit.models.backbones import backbone
from toolkit.models.layer_weights import set_named_weights
from toolkit.models.spec import ModelSpec
from toolkit.storage.local_path import local_path
from toolkit.untrusted.archive import check_keras
from toolkit.untrusted.hdf5 import check_hdf5
from toolkit.untrusted.hub_layers import registered

STARTER_FILE = Path(__file__).with_name("starter.npz")
_IMAGENET_STD = np.array([0.229, 0.224, 0.225], "float32")  # RGB, of pixels in 0..1


def construct(spec: ModelSpec, **arguments: object) -> keras.Model:
    """The model of `keras.applications` without its classifier; `arguments` go to the constructor."""
    row = backbone(spec.backbone)
    alpha = {"alpha": spec.alpha} if len(row.alphas) > 1 else {}
    return getattr(keras.applications, row.name)(include_top=False, **alpha, **arguments)


def load_backbone(model: keras.Model, spec: ModelSpec, weights: str) -> None:
    """Load `weights` ("imagenet", "starter", "none" or a path) into the backbone of `build_model(spec)`.

    Raises UnfreezeError if the download fails, or if the file is missing or of another backbone or alpha.
    """
    if weights == "none":
        return
    if weights == "starter":
        _load_starter(model)
        return
    if weights == spec.backbone:
        set_named_weights(model, weights_of(Path(weights)))
        return
    source = _download(spec) if weights == "imagenet" else _read(spec, local_path(weights, "a weights file"))
    with_weights = [layer for layer in source.layers if layer.weights]
    targets = [layer for layer in model.layers if layer.weights]
    for old, new in zip(with_weights, targets, strict=False):  # the targets' last layers are the head
        new.set_weights(old.get_weights())
    _finish_normalization(model, spec, weights)


def _load_starter(model: keras.Model) -> None:
    """Load `starter.npz`, which has the float16 weights of every layer of the backbone, and none of the head."""
    with np.load(STARTER_FILE, allow_pickle=False) as arrays:
        for layer in model.layers:
            names = [f"{layer.name}/{weight.name}" for weight in layer.weights]
            if names and names[0] in arrays:
                layer.set_weights([arrays[name].astype(np.float32) for name in names])


def _download(spec: ModelSpec) -> keras.Model:
    sizes = backbone(spec.backbone).weight_sizes
    size = spec.image_size if spec.image_size in sizes else 224
    try:
        return construct(spec, weights="imagenet", input_shape=(size, size, 3))
    except Exception as error:  # Keras' downloader raises plain Exception
        raise UnfreezeError(
            f"could not download the ImageNet weights of {spec.backbone} ({first_line(error).rstrip('.')}); "
            "give a file with --weights PATH, or start from random weights with --weights none"
        ) from error


def _read(spec: ModelSpec, path: Path) -> keras.Model:
    if not path.is_file():
        raise UnfreezeError(f"no weights file at {path}; --weights takes imagenet, none or the path of an .h5 file")
    try:
        _check(path)
        with warnings.catch_warnings():
            # Keras only warns where the file has no weights for some layers.
            warnings.simplefilter("error", UserWarning)
            return construct(spec, weights=str(path), input_shape=(224, 224, 3))
    except Exception as error:  # Keras and h5py raise various classes, depending on the file
        raise UnfreezeError(
            f"{path} does not hold the weights of {spec.backbone}, alpha {spec.alpha:g}, include_top=False "
            f"({first_line(error).rstrip('.')}); check the file, --backbone and --alpha"
        ) from error


def _check(path: Path) -> None:
    """Raises UnfreezeError if the file refers to other files, or says that it holds more than it does."""
    if path.suffix == ".keras":
        check_keras(path, registered())
    elif path.suffix in (".h5", ".hdf5"):
        check_hdf5(path, str(path))
    else:  # Keras would also accept a .json file, which names other files
        raise UnfreezeError("its name does not end in .h5")


def _finish_normalization(model: keras.Model, spec: ModelSpec, weights: str) -> None:
    """Give EfficientNetB*'s Normalization the input statistics with which its convolutions were trained.

    With weights="imagenet", and only then, Keras' constructor adds a division by sqrt(std) behind Normalization. Here
    this factor goes into the variance, so that a file of the same weights gives the same function. A file whose
    Normalization is still the identity was not trained with ImageNet's statistics and stays as it is.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            mean, variance, count = layer.get_weights()
            if spec.backbone.startswith("EfficientNetB") and (weights == "imagenet" or not np.all(variance == 1)):
                layer.set_weights([mean, variance * _IMAGENET_STD, count])
            layer.finalize_state()
