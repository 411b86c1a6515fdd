"""ModelSpec -> one flat Keras graph: uint8 pixels, normalisation, backbone, pooling, head, probabilities.

Flat, because a graph with the backbone nested in it cannot be cut into a frozen prefix and a trainable
suffix. Which layer ends which stage is the table in `toolkit.models.spec`; pre-trained weights are left to
`toolkit.models.weights`, training to `toolkit.training.train`.
"""

from __future__ import annotations

import re
from collections import Counter

import keras
import numpy as np

from toolkit.models.applications import backbone, cut_layer
from toolkit.models.spec import ModelSpec, check_spec
from toolkit.models.weights import construct, load_backbone

__all__ = ["build_model", "load_backbone", "set_unfreeze", "split"]

Weights = dict[str, list[np.ndarray]]  # of each layer, by its name

# (scale, offset) on RGB 0..255 that equal `preprocess_input`; caffe also reverses the channels.
_RESCALING: dict[str, tuple[float | list[float], float | list[float]]] = {
    "tf": (1 / 127.5, -1.0),
    "torch": (
        [1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)],
        [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
    ),
    "caffe": ([1.0, 1.0, 1.0], [-123.68, -116.779, -103.939]),
}


def build_model(spec: ModelSpec, weights: str = "none") -> keras.Model:
    """`image` uint8 [N, S, S, 3] -> `probabilities` float32 [N, C], with `set_unfreeze` at `spec.unfreeze`.

    `weights`: "imagenet", "none", or the path of a weights file of Keras' include_top=False model.
    UnfreezeError where the spec cannot be built or the weights cannot be had or do not fit.
    """
    check_spec(spec)
    image = keras.Input((spec.image_size, spec.image_size, 3), dtype="uint8", name="image")
    features = construct(spec, input_tensor=_normalised(image, spec), weights=None)
    _name_by_order(features)
    _switch_off_dropout(features)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(features.output)
    model = keras.Model(image, head(pooled, spec), name="unfreeze")
    load_backbone(model, spec, weights)
    set_unfreeze(model, spec, spec.unfreeze)
    return model


def set_unfreeze(model: keras.Model, spec: ModelSpec, depth: int) -> None:
    """Make the head and the last `depth` stages trainable; all else, and every BatchNormalization, is frozen.

    A frozen BatchNormalization runs in inference mode. `training=False` would not do: `fit` overrides it
    (keras issue 20285), and batch statistics of a small set ruin pre-trained features.
    """
    cut = cut_layer(spec.backbone, depth)
    behind = cut is None
    for operation in model.operations:  # in the graph's order; a cut may end at an operation that is no layer
        if isinstance(operation, keras.Layer):
            operation.trainable = behind and not isinstance(operation, keras.layers.BatchNormalization)
        behind = behind or operation.name == cut


def split(model: keras.Model, spec: ModelSpec, depth: int) -> tuple[keras.Model, keras.Model]:
    """(prefix, suffix) that share `model`'s layers, with suffix(prefix(image)) == model(image).

    The prefix ends with the last tensor that is frozen at `depth`: a map float32 [N, h, w, c], or [N, c], the
    pooled features, at depth 0. At the deepest depth it is the identity on the image.
    """
    tensor = cut_tensor(model, spec, depth)
    return keras.Model(model.input, tensor, name="prefix"), keras.Model(tensor, model.output, name="suffix")


def cut_tensor(model: keras.Model, spec: ModelSpec, depth: int) -> keras.KerasTensor:
    """The last tensor that is frozen at `depth`; the image at the deepest."""
    cut = cut_layer(spec.backbone, depth)
    return next(o.output for o in model.operations if o.name == cut) if cut else model.input


def fresh_suffix(model: keras.Model, spec: ModelSpec, seed: int) -> keras.Model:
    """New layers for what is trained at `spec.unfreeze`, with the weights of `model`'s backbone and a head of `spec`.

    From the cut's tensor to the probabilities; every layer is trainable but BatchNormalization. Sharing the layers,
    as `split` does, would change the prefix's own backbone under the other trials' feet. The head's initial weights
    depend on the seed and its size, not on the depth.
    """
    cut, pooled = (cut_tensor(model, spec, depth) for depth in (spec.unfreeze, 0))
    if spec.unfreeze == 0:
        entry = x = keras.Input(pooled.shape[1:], name="pooled")
    else:
        shared = keras.Model(cut, pooled)
        body = keras.models.clone_model(shared)
        body.set_weights(shared.get_weights())
        entry, x = body.input, body.output
    keras.utils.set_random_seed(seed)
    suffix = keras.Model(entry, head(x, spec), name="suffix")
    for layer in suffix.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    return suffix


def assemble(model: keras.Model, spec: ModelSpec, suffix: keras.Model) -> keras.Model:
    """A whole model of `spec`: the backbone of `model`, with the weights of `suffix` behind the cut."""
    whole = build_model(spec)
    set_backbone_weights(whole, backbone_weights(model))
    for layer in suffix.layers:
        if layer.weights:
            whole.get_layer(layer.name).set_weights(layer.get_weights())
    return whole


def backbone_weights(model: keras.Model) -> Weights:
    """Copies of the backbone's weights, for `set_backbone_weights` on another model of the same backbone."""
    own = ("head", "probabilities")
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights and layer.name not in own}


def set_backbone_weights(model: keras.Model, weights: Weights) -> None:
    """Put the weights of `backbone_weights` into a model of the same backbone and alpha, with any head."""
    for name, values in weights.items():
        layer = model.get_layer(name)
        layer.set_weights(values)
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with copies of its weights


def _normalised(image: keras.KerasTensor, spec: ModelSpec) -> keras.KerasTensor:
    mode = backbone(spec.backbone).normalisation
    if mode == "inside":
        return image
    scale, offset = _RESCALING[mode]
    pixels = keras.layers.Rescaling(scale, offset, name="normalise")(image)
    return pixels[..., ::-1] if mode == "caffe" else pixels


def head(pooled: keras.KerasTensor, spec: ModelSpec) -> keras.KerasTensor:
    """Fresh layers from the pooled features float32 [N, c] to the probabilities float32 [N, C]."""
    x = pooled
    if spec.head_units:
        x = keras.layers.Dense(spec.head_units, activation="relu", name="head")(x)
    x = keras.layers.Dropout(spec.dropout, name="dropout")(x)
    return keras.layers.Dense(spec.classes, activation="softmax", dtype="float32", name="probabilities")(x)


def _name_by_order(graph: keras.Model) -> None:
    """Rename what Keras named by a process-wide counter ("add_12"), so that equal specs have equal names."""
    seen: Counter[str] = Counter()
    for operation in graph.operations:
        stem = re.sub(r"_\d+$", "", operation.name)
        if stem == _automatic_name(operation):
            seen[stem] += 1
            operation.name = f"{stem}_{seen[stem]}"


def _automatic_name(operation: keras.Operation) -> str:
    """The stem of the name that Keras gives an unnamed operation: Conv2D -> conv2d, ReLU -> re_lu."""
    name = re.sub(r"\W+", "", type(operation).__name__)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _switch_off_dropout(graph: keras.Model) -> None:
    """EfficientNet drops blocks at random in training; a frozen prefix has to be a constant function."""
    for layer in graph.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
