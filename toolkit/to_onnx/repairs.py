"""Repairs of what tf2onnx or onnxruntime get wrong in a graph of Keras, each with its reason."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx


def convertible(model: keras.Model) -> keras.Model:
    """A float32 copy of `model` that computes the same function and that tf2onnx can convert."""
    copy = keras.models.clone_model(model, clone_function=_layer)
    for old, new in zip(model.layers, copy.layers, strict=True):
        values = old.get_weights()
        if type(new) is not type(old):  # a convolution that became depthwise
            values[0] = values[0].transpose(0, 1, 3, 2)  # [h, w, 1, C] -> [h, w, C, 1]
        new.set_weights(values)
        if isinstance(new, keras.layers.Normalization):
            # Keras holds eager tensors here, which tf2onnx turns into extra inputs of the graph.
            new.mean, new.variance = np.asarray(old.mean), np.asarray(old.variance)
    for inside in copy._flatten_layers(include_self=False):
        for name, value in list(vars(inside).items()):
            # The same, of layers that are not Keras' own, such as ViT's embedding. A tensor of a graph has no values.
            if isinstance(value, tf.Tensor) and hasattr(value, "numpy"):
                setattr(inside, name, np.asarray(value))
    return copy


def _layer(old: keras.Operation) -> keras.Operation:
    if isinstance(old, keras.Sequential):  # ConvNeXt's stem and its steps to the next resolution
        return keras.models.clone_model(old, clone_function=_layer)
    config = old.get_config()
    if not isinstance(old, keras.Layer):
        return type(old).from_config(config)
    config["dtype"] = "float32"  # mixed_float16 would only leave casts, which lose precision
    if isinstance(old, keras.layers.Conv2D) and 1 < old.groups == old.filters == old.input_spec.axes[-1]:
        # Keras runs a grouped convolution in an XLA function, and tf2onnx leaves the call of it in the graph.
        return _depthwise(config)
    return type(old).from_config(config)


def _depthwise(config: dict[str, Any]) -> keras.layers.DepthwiseConv2D:
    kept = ["name", "dtype", "kernel_size", "strides", "padding", "dilation_rate", "activation", "use_bias"]
    return keras.layers.DepthwiseConv2D(**{key: config[key] for key in kept})


def guard_max_pooling(graph: onnx.ModelProto) -> None:
    """Pad with the smallest positive float32 instead of 0 before a MaxPool.

    onnxruntime folds a Pad with 0 into the MaxPool, whose own padding is minus infinity, which is wrong where
    activations are negative, as in ResNetV2. Seen in 1.31 and onnxruntime-web 1.30, repaired in 1.32.
    """
    name = "smallest_positive"
    pooled = {node.input[0] for node in graph.graph.node if node.op_type == "MaxPool"}
    pads = [node for node in graph.graph.node if node.op_type == "Pad" and node.output[0] in pooled]
    for node in pads:
        node.input[:] = [*node.input[:2], name]
    if pads:
        graph.graph.initializer.append(onnx.numpy_helper.from_array(np.finfo(np.float32).tiny, name))


def _erfc(context: Any, node: Any, _name: str, _args: Any) -> None:
    """Write Erfc(x) as 1 - Erf(x): exact GELU uses Erfc, for which tf2onnx has no handler."""
    result = node.output[0]
    consumers = context.find_output_consumers(result)
    shape, dtype = context.get_shape(result), context.get_dtype(result)
    one = context.make_const(tf2onnx.utils.make_name("one"), np.array(1, np.float32))
    node.type = "Erf"
    difference = context.make_node("Sub", [one.output[0], result], shapes=[shape], dtypes=[dtype])
    for consumer in consumers:
        context.replace_input(consumer, result, difference.output[0])


CUSTOM_OPS: dict[str, tuple[Any, list[Any]]] = {"Erfc": (_erfc, [])}
