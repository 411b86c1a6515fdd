"""A layer's configuration as Keras 2 stores it -> a layer of Keras 3 that gives the same answers.

What only training needs is left out: initialisers, for the weights are loaded afterwards, regularisers, constraints and
augmentation. All layers compute in float32.
"""

from __future__ import annotations

import inspect
from typing import Any

from toolkit.untrusted.keras2.activations import HARD_SIGMOID, activation_name
from toolkit.untrusted.keras2.part import WITHOUT, NotRebuiltError, Part, named, of_class

SAME = {
    *("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "Dense"),
    *("Flatten", "Reshape", "Permute", "RepeatVector", "Cropping2D", "ZeroPadding2D", "UpSampling2D"),
    *("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"),
    *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D"),
    *("BatchNormalization", "LayerNormalization", "GroupNormalization", "UnitNormalization", "Normalization"),
    *("Activation", "ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax", "Rescaling", "Resizing", "CenterCrop"),
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"),
    *("MultiHeadAttention", "Identity", "LayerScale"),
}
RENAMED = {
    **{"BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization"},
    **{"SyncBatchNormalization": "BatchNormalization", "Convolution2D": "Conv2D", "MaxPool2D": "MaxPooling2D"},
    **{"Convolution2DTranspose": "Conv2DTranspose", "SeparableConvolution2D": "SeparableConv2D"},
    **{"AvgPool2D": "AveragePooling2D", "GlobalAvgPool2D": "GlobalAveragePooling2D"},
    **{"GlobalMaxPool2D": "GlobalMaxPooling2D"},
}
WITHOUT_EFFECT = {  # when a model answers
    *("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness"),
    *("RandomHeight", "RandomWidth", "ActivityRegularization", "StochasticDepth"),
}
LEFT_OUT = {  # arguments that change no answer
    *("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_dtype", "seed", "rng_type", "fused"),
    *("implementation", "renorm_momentum", "synchronized", "momentum", "autocast", "supports_masking"),
    *("query_shape", "key_shape", "value_shape"),  # of the tensors on which a layer was built
    "softmax_robust_masking",  # images have no masks
}
NEUTRAL: dict[str, tuple[Any, ...]] = {  # arguments that Keras 3 does not have, and the values at which they do nothing
    **{"ragged": (False, None), "sparse": (False, None), "optional": (False, None), "time_major": (False,)},
    **{"groups": (1, None), "renorm": (False, None), "renorm_clipping": (None,), "virtual_batch_size": (None,)},
    **{"adjustment": (None,), "quantization_config": (None,), "rms_scaling": (False,), "stateful": (False,)},
    **{"data_format": ("channels_last", None), "keepdims": (False,), "output_padding": (None,), "noise_shape": (None,)},
}
ACTIVATION_LAYERS = {"Activation", "ReLU", "LeakyReLU", "ELU", "Softmax"}  # as activations inside other layers
OTHER_NAMES = {"alpha": "negative_slope"}  # of LeakyReLU


def rebuilt_layer(entry: Any, taken: set[str]) -> Part:
    """The layer that an entry of a configuration describes. `taken`: the names of the model's layers, which a new name
    joins. Raises NotRebuiltError if it cannot be rebuilt so that it answers the same."""
    import keras

    name, kind, config = named(entry)
    known, where = RENAMED.get(kind, kind), f"the layer {name[:60]!a}"
    if kind in WITHOUT_EFFECT:
        layer, after = keras.layers.Identity(name=free_name(name, taken), dtype="float32"), []
    elif known in SAME:
        form = _class(known)
        arguments, after = _arguments(form, config, where), _after(config.get("activation"), where, taken, name)
        layer = form(**arguments, name=free_name(name, taken), dtype="float32")
    else:
        raise of_class(name, kind)
    layer.trainable = trainable = config.get("trainable") is not False

    def call(inputs: Any, **more: Any) -> Any:
        outputs = layer(inputs, **more)
        for one in after:
            outputs = one(outputs)
        return outputs

    return Part(name, kind, call, layer, trainable=trainable)


def _class(name: str) -> Any:
    import keras

    if name == "LayerScale":  # of ConvNeXt, which has it of its own
        from keras.src.applications.convnext import LayerScale

        return LayerScale
    return getattr(keras.layers, name)


def _arguments(form: Any, config: dict[str, Any], where: str) -> dict[str, Any]:
    """The arguments of a layer's configuration, as Keras 3's class takes them."""
    accepted = inspect.signature(form.__init__).parameters.keys() - {"self", "args", "kwargs"}
    arguments = {}
    for given, value in config.items():
        name = OTHER_NAMES.get(given, given) if form.__name__ == "LeakyReLU" else given
        if name in LEFT_OUT or name.endswith(("_initializer", "_regularizer", "_constraint")):
            continue
        if name in accepted:
            arguments[name] = value
        elif value not in NEUTRAL.get(name, ()):
            raise NotRebuiltError(
                f"has {where} of the class {form.__name__} with {name[:60]}={str(value)[:60]}, for which Keras 3 "
                f"has no equal; {WITHOUT}"
            )
    if "activation" in arguments:
        stored = arguments["activation"]
        chained = _is_layer(stored) or activation_name(stored, where) == HARD_SIGMOID
        arguments["activation"] = "linear" if chained else activation_name(stored, where)
    if isinstance(arguments.get("axis"), list) and len(arguments["axis"]) == 1:
        arguments["axis"] = arguments["axis"][0]
    return arguments


def _after(activation: Any, where: str, taken: set[str], name: str) -> list[Any]:
    """The layers that make an activation that Keras 3's layers do not have inside."""
    import keras

    if _is_layer(activation):
        if activation.get("class_name") not in ACTIVATION_LAYERS:
            raise of_class(name, str(activation.get("class_name")))
        return [rebuilt_layer(activation, taken).call]
    if activation_name(activation, where) != HARD_SIGMOID:
        return []
    scaled, hard = (free_name(f"{name}_{one}", taken) for one in ("scaled", "hard_sigmoid"))
    return [
        keras.layers.Rescaling(6 / 5, name=scaled, dtype="float32"),
        keras.layers.Activation("hard_sigmoid", name=hard, dtype="float32"),
    ]


def _is_layer(activation: Any) -> bool:
    return isinstance(activation, dict) and activation.get("class_name") != "function"


def free_name(name: str, taken: set[str]) -> str:
    """The name without slashes, which Keras 3 refuses, and with a number if another layer has it."""
    name, number = name.replace("/", "_"), 1
    free = name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free
