"""ModelSpec -> one flat Keras graph: uint8 pixels, normalisation, backbone, pooling, head, probabilities.

The graph is flat because a backbone nested in it could not be cut into a frozen prefix and a trainable suffix. The
layers that end the stages are told by `toolkit.models.backbones`; `toolkit.models.weights` loads pre-trained weights.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import keras

from toolkit.models.backbone_file import copy_of
from toolkit.models.backbones import backbone, cut_layer, is_file
from toolkit.models.cuts import automatic_name
from toolkit.models.flatten import switch_off_dropout
from toolkit.models.layer_weights import Weights, named_weights, set_named_weights
from toolkit.models.spec import ModelSpec, check_spec
from toolkit.models.weights import construct, load_backbone
from toolkit.pixels.pixel_range import pixel_range

__all__ = ["build_model", "load_backbone", "prefix_and_suffix", "set_unfreeze"]

Head = Callable[[keras.KerasTensor, ModelSpec], keras.KerasTensor]  # pooled features [N, c] -> probabilities [N, C]


def usual_head(pooled: keras.KerasTensor, spec: ModelSpec) -> keras.KerasTensor:
    """New layers from the pooled features float32 [N, c] to the probabilities float32 [N, C]."""
    x = pooled
    if spec.head_units:
        x = keras.layers.Dense(spec.head_units, activation="relu", name="head")(x)
    x = keras.layers.Dropout(spec.dropout, name="dropout")(x)
    return class_layer(x, spec)


def class_layer(features: keras.KerasTensor, spec: ModelSpec) -> keras.KerasTensor:
    """The last layer of every model, whose weights a temperature is folded into: [N, k] -> float32 [N, C]."""
    return keras.layers.Dense(spec.classes, activation="softmax", dtype="float32", name="probabilities")(features)


def build_model(spec: ModelSpec, weights: str = "none", head: Head = usual_head) -> keras.Model:
    """`image` uint8 [N, S, S, channels] -> `probabilities` float32 [N, C], with `set_unfreeze` at `spec.unfreeze`.

    `weights`: "imagenet", "none", or the path of a weights file of Keras' include_top=False model. Raises UnfreezeError
    if the spec cannot be built, or the weights are missing or do not fit.
    """
    check_spec(spec)
    image = keras.Input((spec.image_size, spec.image_size, spec.channels), dtype="uint8", name="image")
    features = _features(image, spec)
    pool = keras.layers.GlobalAveragePooling2D if len(features.shape) == 4 else keras.layers.Identity
    pooled = pool(name="pool")(features)
    model = keras.Model(image, head(pooled, spec), name="unfreeze")
    load_backbone(model, spec, weights)
    set_unfreeze(model, spec, spec.unfreeze)
    return model


def set_unfreeze(model: keras.Model, spec: ModelSpec, depth: int) -> None:
    """Make the last `depth` stages trainable, and freeze all other layers and every BatchNormalization of the backbone.
    The head is left as it is: a layer of a caller's head may be frozen.

    A frozen BatchNormalization runs in inference mode: the batch statistics of a small data set would ruin pre-trained
    features. `training=False` is not enough, because `fit` overrides it (keras issue 20285).
    """
    cut, head = cut_layer(spec.backbone, depth), head_layers(model)
    behind = cut is None
    for operation in model.operations:  # in the graph's order; the cut may be an operation that is not a layer
        if isinstance(operation, keras.Layer) and operation not in head:
            for layer in operation._flatten_layers():  # TensorFlow ignores a value that the outer one has already
                layer.trainable = behind and not _normalises(layer)
        behind = behind or operation.name == cut


def head_layers(model: keras.Model) -> list[keras.Layer]:
    """The layers behind the pooled features, of a whole model or of a suffix."""
    operations = list(model.operations)
    pool = next((n for n, operation in enumerate(operations) if operation.name == "pool"), 0)
    return [operation for operation in operations[pool + 1 :] if isinstance(operation, keras.Layer)]


def _normalises(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def prefix_and_suffix(model: keras.Model, spec: ModelSpec, depth: int) -> tuple[keras.Model, keras.Model]:
    """(prefix, suffix), which share the layers of `model`, with suffix(prefix(image)) == model(image).

    The prefix ends with the last tensor that is frozen at `depth`: a feature map float32 [N, h, w, c], at depth 0 the
    pooled features float32 [N, c]. At the deepest depth the prefix is the identity on the image.
    """
    tensor = cut_tensor(model, spec, depth)
    return keras.Model(model.input, tensor, name="prefix"), keras.Model(tensor, model.output, name="suffix")


def cut_tensor(model: keras.Model, spec: ModelSpec, depth: int) -> keras.KerasTensor:
    """The last tensor that is frozen at `depth`; at the deepest depth the image."""
    cut = cut_layer(spec.backbone, depth)
    return next(o.output for o in model.operations if o.name == cut) if cut else model.input


def fresh_suffix(model: keras.Model, spec: ModelSpec, seed: int, head: Head = usual_head) -> keras.Model:
    """A model from the last tensor that is frozen at `spec.unfreeze` to the probabilities, with new layers.

    It has the weights of `model`'s backbone, of which every layer but BatchNormalization is trainable, and a new head.
    Unlike those of `prefix_and_suffix`, its layers are not shared with `model`, because other trials start from `model`
    too. The head's initial weights depend on the seed and on its size, not on the depth.
    """
    cut, pooled = (cut_tensor(model, spec, depth) for depth in (spec.unfreeze, 0))
    if spec.unfreeze == 0:
        entry = x = keras.Input(pooled.shape[1:], name="pooled")
    else:
        shared = keras.Model(cut, pooled)
        body = keras.models.clone_model(shared)
        for inside in (layer for layer in body.layers if isinstance(layer, keras.Model)):
            switch_off_dropout(inside)
        set_named_weights(body, named_weights(shared))
        entry, x = body.input, body.output
    keras.utils.set_random_seed(seed)
    suffix = keras.Model(entry, head(x, spec), name="suffix")
    in_head = {id(layer) for one in head_layers(suffix) for layer in one._flatten_layers()}
    for layer in suffix._flatten_layers(include_self=False):
        if id(layer) not in in_head:
            layer.trainable = not _normalises(layer)
    return suffix


def assemble(model: keras.Model, spec: ModelSpec, suffix: keras.Model, head: Head = usual_head) -> keras.Model:
    """A new whole model of `spec`, with the weights of `suffix` behind the cut and of `model`'s backbone before it.
    `head`: that of the suffix."""
    whole = build_model(spec, head=head)
    set_named_weights(whole, backbone_weights(model) | named_weights(suffix))
    return whole


def backbone_weights(model: keras.Model) -> Weights:
    """Copies of the weights of all layers but the head's, for models with the same backbone and alpha."""
    return {name: values for name, values in named_weights(model).items() if name not in ("head", "probabilities")}


def _features(image: keras.KerasTensor, spec: ModelSpec) -> keras.KerasTensor:
    """The backbone's features of images, float32 [N, h, w, c], or [N, c] of a backbone that pools them itself."""
    row = backbone(spec.backbone)
    pixels = image if image.shape[-1] == row.channels else keras.layers.Concatenate(name="grey_to_rgb")([image] * 3)
    if row.pixels != "0..255":  # else the backbone of the table takes the pixels as they are
        pixels = normalised(pixels, row.pixels or spec.pixels)
    if is_file(row.name):
        _name_by_order(keras.Model(image, pixels))
        return copy_of(Path(row.name), pixels)
    graph = construct(spec, input_tensor=pixels, weights=None)
    _name_by_order(graph)
    _switch_off_dropout(graph)
    return graph.output


def normalised(pixels: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Pixels from 0 to 255, [N, H, W, 3 or 1], -> float32 of the same shape in the range `name`."""
    named, count = pixel_range(name), pixels.shape[-1]
    factor, offset = (one[0] if named.fits_grey else list(one)[:count] for one in (named.factor, named.offset))
    values = keras.layers.Rescaling(factor, offset, dtype="float32", name="normalise")(pixels)
    return values[..., ::-1] if named.reversed else values


def _name_by_order(graph: keras.Model) -> None:
    """Number the operations that Keras named by a process-wide counter ("add_12") in the order of the graph, so that
    models of equal specs have equal names."""
    seen: Counter[str] = Counter()
    for operation in graph.operations:
        stem = re.sub(r"_\d+$", "", operation.name)
        if stem == automatic_name(operation):
            seen[stem] += 1
            operation.name = f"{stem}_{seen[stem]}"


def _switch_off_dropout(graph: keras.Model) -> None:
    """Switch off EfficientNet's random dropping of blocks in training: a frozen prefix has to give the same activations
    in every epoch."""
    for layer in graph.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
