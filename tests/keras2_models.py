"""Models of Keras 2 and their own answers, made by tf_keras: the oracle of `test_keras2.py`.

It runs in a process of its own, for Keras 2 and Keras 3 do not go well together in one:
`python -m tests.keras2_models FOLDER NAME...` writes NAME.h5, NAME.keras, and NAME.npz with `images` and `answers`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZE = 32
OF_255 = {  # models that take pixels of 0..255; the others take 0..1
    *("transfer_learning", "preprocessing_of_caffe", "preprocessing_of_torch", "functions", "every_layer"),
    *("operations_of_tensorflow_2_0", "adapted_normalisation"),
    *("MobileNetV3Small", "EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny", "RegNetX002", "VGG16"),
}
NOT_AS_ARCHIVE = {"preprocessing_of_caffe"}  # Keras 2 fails to write `...` into one
Model = Any


def small() -> dict[str, Callable[[], Model]]:
    """Models of a few layers, for each thing that Keras 2 stores in its own way."""
    import tensorflow as tf
    import tf_keras as keras

    layers = keras.layers
    made: dict[str, Callable[[], Model]] = {}

    def model(build: Callable[[], Model]) -> Callable[[], Model]:
        made[build.__name__] = build
        return build

    def head(x: Any, activation: Any = None) -> Any:
        return layers.Dense(3, activation=activation)(layers.GlobalAveragePooling2D()(x))

    def entrance(channels: int = 3) -> Any:
        return keras.Input((SIZE, SIZE, channels))

    def features(name: str | None = None) -> Model:
        x = entry = entrance()
        x = layers.Conv2D(6, 3, strides=2, use_bias=False, name="Conv1")(x)
        x = layers.BatchNormalization(name="bn_Conv1")(x)
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(layers.ReLU(6.0)(x))
        x = layers.BatchNormalization(name="bn_depthwise")(x)
        return keras.Model(entry, layers.Add()([x, layers.Conv2D(6, 1, name="pointwise")(x)]), name=name)

    @model
    def plain() -> Model:
        x = entry = entrance()
        for filters in (4, 6):
            x = layers.MaxPooling2D()(layers.Conv2D(filters, 3, activation="relu", padding="same")(x))
        x = layers.Dropout(0.3)(layers.Dense(8, activation="tanh")(layers.Flatten()(x)))
        return keras.Model(entry, layers.Dense(3, activation="softmax")(x))

    @model
    def teachable_machine() -> Model:
        """A Sequential of a Sequential of a functional model, and of a Sequential."""
        first = keras.Sequential([features("model1"), layers.GlobalAveragePooling2D(name="pool")], name="sequential_1")
        second = keras.Sequential(
            [
                layers.Dense(10, activation="relu", input_shape=(6,), name="dense_Dense1"),
                layers.Dense(3, activation="softmax", use_bias=False, name="dense_Dense2"),
            ],
            name="sequential_3",
        )
        return keras.Sequential([first, second], name="sequential_4")

    @model
    def one_logit() -> Model:
        entry = entrance()
        return keras.Model(entry, layers.Dense(1)(layers.GlobalAveragePooling2D()(features()(entry))))

    @model
    def compiled_and_fitted() -> Model:
        """As people save them: with an optimizer and metrics, of a nested model that is compiled, too."""
        inner = keras.Sequential([layers.Conv2D(4, 3, activation="relu", input_shape=(16, 16, 3)), layers.Flatten()])
        inner.compile("sgd", "mse", metrics=["mae"])
        whole = keras.Sequential([inner, layers.Dense(3, activation="softmax")])
        whole.compile("adam", "categorical_crossentropy", metrics=["accuracy", keras.metrics.AUC(num_thresholds=5)])
        rng = np.random.default_rng(0)
        images = rng.uniform(0, 1, (8, 16, 16, 3)).astype("float32")
        inner.fit(images, inner(images).numpy(), verbose=0)
        whole.fit(images, np.eye(3, dtype="float32")[np.arange(8) % 3], verbose=0)
        return whole

    @model
    def sequential_without_a_shape() -> Model:
        whole = keras.Sequential([layers.Conv2D(4, 3, activation="elu"), layers.Flatten(), layers.Dense(3)])
        whole(np.zeros((1, SIZE, SIZE, 3), "float32"))
        return whole

    @model
    def transfer_learning() -> Model:
        """As the official tutorial has it: augmentation, preprocessing by functions, a frozen model in the model."""
        augmentation = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)])
        base = features()
        base.trainable = False
        entry = entrance()
        x = keras.applications.mobilenet_v2.preprocess_input(augmentation(entry))
        x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(base(x, training=False)))
        return keras.Model(entry, layers.Dense(3)(x))

    @model
    def partly_frozen() -> Model:
        """The order of the weights in an HDF5 file then is none of its layers'."""
        base = features()
        base.trainable = False
        base.layers[-2].trainable = True
        base.layers[2].trainable = True
        whole = keras.Sequential([base, layers.GlobalAveragePooling2D(), layers.Dense(3)])
        whole.layers[0].layers[1].trainable = False
        return whole

    @model
    def preprocessing_of_caffe() -> Model:
        entry = entrance()
        x = keras.applications.resnet50.preprocess_input(entry)
        return keras.Model(entry, head(layers.Conv2D(4, 3)(x), "sigmoid"))

    @model
    def preprocessing_of_torch() -> Model:
        entry = entrance()
        return keras.Model(entry, head(layers.Conv2D(4, 3)(keras.applications.densenet.preprocess_input(entry))))

    @model
    def functions() -> Model:
        x = entry = entrance()
        x = tf.cast(x, tf.float32) / 255.0
        x = 1 - (2 * x - 0.5) ** 2
        x = tf.nn.relu(x[:, 2:, 1:-1]) + tf.nn.relu6(3 * x)[:, :-2, :-2] - tf.nn.silu(x)[:, 1:-1, 2:]
        x = tf.concat([x, tf.sigmoid(x), tf.nn.softmax(x)], axis=-1)
        x = tf.image.resize(x, (12, 10)) * tf.nn.softplus(-x)[:, 4:16, 3:13]
        x = tf.image.resize(x, (6, 5), method="nearest") + tf.nn.leaky_relu(x)[:, ::2, ::2]
        x = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), (-1, 9, 30))
        x = tf.stack([x, tf.square(x), tf.sqrt(tf.abs(x)), tf.exp(-x), tf.math.l2_normalize(x, axis=-1)], axis=1)
        x = tf.squeeze(tf.expand_dims(tf.maximum(tf.minimum(x, 5.0), -5.0), 1), 1) + tf.nn.gelu(x) + tf.math.tanh(x)
        x = tf.clip_by_value(tf.identity(x), -4, 4) + tf.nn.elu(x) + tf.nn.selu(x) + tf.math.rsqrt(1.0 + x * x)
        x = tf.reduce_mean(x, axis=[1, 3]) + tf.reduce_max(x, axis=[1, 3]) + 0.1 * tf.reduce_sum(x, axis=[1, 3])
        return keras.Model(entry, layers.Dense(3)(tf.reverse(x, axis=[1])))

    @model
    def functions_named_as_layers() -> Model:
        x = entry = entrance()
        x = layers.Add(name="add")([x + 1.0, x]) + 2.0
        return keras.Model(entry, head(layers.Subtract(name="subtract")([x - 1.0, x / 3.0])))

    @model
    def operations_of_tensorflow_2_0() -> Model:
        """As TensorFlow 2.0 to 2.3 stored them."""
        from tf_keras.src.engine.base_layer import TensorFlowOpLayer

        def operation(name: str, inputs: Any, constants: dict[int, Any], **attributes: Any) -> Any:
            count = len(inputs) if isinstance(inputs, list) else 1
            node = {"name": name, "op": name, "input": [f"in{n}" for n in range(count + len(constants))]}
            kinds = {"T": {"type": "DT_FLOAT"}, **attributes}
            return TensorFlowOpLayer(node | {"attr": kinds}, name, constants)(inputs)

        integers, index = {"type": "DT_INT32"}, {"Index": {"type": "DT_INT32"}}
        x = entry = entrance()
        x = operation("RealDiv", x, {1: np.float32(127.5)})
        x = operation("Sub", x, {1: np.float32(1)})
        x = operation("AddV2", [x, operation("Relu6", x, {})], {})
        ends = {1: np.array([0, 1, 0], "int32"), 2: np.array([0, 30, 0], "int32"), 3: np.array([1, 2, 1], "int32")}
        masks = {"begin_mask": {"i": "5"}, "end_mask": {"i": "5"}}
        x = operation("StridedSlice", x, ends, **index, **masks)
        x = operation("BiasAdd", x, {1: np.array([0.1, -0.2, 0.3], "float32")})
        x = layers.Conv2D(4, 3)(x)
        x = operation("Mean", x, {1: np.array([1, 2], "int32")}, Tidx=integers, keep_dims={"b": True})
        x = operation("Reshape", x, {1: np.array([-1, 4], "int32")}, Tshape=integers)
        x = operation("ConcatV2", [x, operation("Mul", [x, x], {})], {2: np.int32(-1)}, N={"i": "2"}, Tidx=integers)
        return keras.Model(entry, layers.Dense(3)(x))

    @model
    def shared_layers() -> Model:
        """A layer and a model that are called twice, the second call before the first in the file."""
        twice, base, entry = layers.Conv2D(3, 3, padding="same", name="twice"), features("base"), entrance()
        once = twice(entry)
        whole = layers.Concatenate()([base(once), base(twice(once))])
        return keras.Model(entry, head(whole))

    @model
    def several_outputs_inside() -> Model:
        entry = entrance()
        first = layers.Conv2D(4, 3, name="first")(entry)
        inner = keras.Model(entry, [first, layers.Conv2D(4, 3, padding="same", name="second")(first)])
        outer = entrance()
        one, other = inner(outer)
        merged = [merge()([one, other]) for merge in (layers.Multiply, layers.Average, layers.Maximum, layers.Minimum)]
        return keras.Model(outer, head(layers.Concatenate()([*merged, layers.Subtract()([other, one])])))

    @model
    def every_layer() -> Model:
        x = entry = entrance()
        x = layers.Rescaling(1 / 127.5, offset=-1)(x)
        x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(x)
        x = layers.ZeroPadding2D(((1, 0), (2, 1)))(x)
        x = layers.SeparableConv2D(6, 3, depth_multiplier=2, activation="swish")(x)
        x = layers.LeakyReLU(alpha=0.1)(layers.Conv2D(8, 3, groups=2, dilation_rate=2)(x))
        x = layers.PReLU(shared_axes=[1, 2])(layers.LayerNormalization()(x))
        x = layers.GroupNormalization(groups=4)(x)
        x = layers.UpSampling2D(2, interpolation="bilinear")(layers.AveragePooling2D(3, 2, padding="same")(x))
        x = layers.Conv2DTranspose(4, 3, strides=2, activation="selu")(layers.Cropping2D(2)(x))
        x = layers.SpatialDropout2D(0.1)(layers.GaussianNoise(0.1)(layers.ELU(0.7)(x)))
        x = layers.Activation("softsign")(layers.Resizing(14, 12)(layers.CenterCrop(20, 24)(x)))
        x = layers.BatchNormalization(center=False)(layers.ReLU(max_value=2, negative_slope=0.2, threshold=0.1)(x))
        x = layers.Permute((2, 1, 3))(layers.UnitNormalization()(x))
        pools = [layers.GlobalMaxPooling2D(keepdims=True), layers.GlobalAveragePooling2D(keepdims=True)]
        x = layers.Concatenate()([pool(x) for pool in pools])
        x = layers.Softmax()(layers.Reshape((8,))(x))
        return keras.Model(entry, layers.Dense(3)(x))

    @model
    def activations_inside_layers() -> Model:
        entry = entrance()
        inside = [layers.LeakyReLU(alpha=0.3), "hard_sigmoid", tf.nn.relu6, keras.activations.swish, "softplus"]
        made = [layers.Conv2D(3, 3, activation=one)(entry) for one in inside]
        made += [layers.Activation(one)(layers.Conv2D(3, 3)(entry)) for one in (tf.nn.silu, "hard_sigmoid", "gelu")]
        return keras.Model(entry, head(layers.Concatenate()(made), keras.activations.softmax))

    @model
    def adapted_normalisation() -> Model:
        normal = layers.Normalization()
        normal.adapt(np.random.default_rng(5).uniform(0, 255, (20, SIZE, SIZE, 3)))
        rest = [layers.Conv2D(4, 3), layers.GlobalMaxPooling2D()]
        return keras.Sequential([keras.Input((SIZE, SIZE, 3)), normal, *rest])

    @model
    def augmentation() -> Model:
        inner = [layers.RandomZoom(0.2), layers.RandomContrast(0.2), layers.RandomTranslation(0.1, 0.1)]
        inner += [layers.RandomBrightness(0.2), layers.RandomRotation(0.1, fill_mode="nearest")]
        x = entry = entrance()
        for layer in inner:
            x = layer(x)
        return keras.Model(entry, head(layers.Conv2D(4, 3)(x)))

    @model
    def attention() -> Model:
        x = entry = entrance()
        x = layers.Reshape((16, 6))(layers.Conv2D(6, 8, strides=8)(x))
        x = layers.Add()([x, layers.MultiHeadAttention(num_heads=2, key_dim=3)(x, x)])
        return keras.Model(entry, layers.Dense(3)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))))

    @model
    def half_precision(policy: str = "mixed_float16") -> Model:
        keras.mixed_precision.set_global_policy(policy)
        try:
            entry = entrance()
            x = layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(entry))
            return keras.Model(entry, layers.Dense(3, dtype="float32")(layers.GlobalAveragePooling2D()(x)))
        finally:
            keras.mixed_precision.set_global_policy("float32")

    @model
    def channels_first() -> Model:
        x = entry = keras.Input((3, SIZE, SIZE))
        x = layers.DepthwiseConv2D(3, data_format="channels_first")(x)
        x = layers.BatchNormalization(axis=1)(layers.Conv2D(4, 3, data_format="channels_first")(x))
        x = layers.MaxPooling2D(data_format="channels_first")(x)
        return keras.Model(entry, layers.Dense(3)(layers.Flatten(data_format="channels_first")(x)))

    @model
    def slashes_in_names() -> Model:
        x = entry = entrance()
        x = layers.Conv2D(4, 3, name="block")(x)
        x = layers.Conv2D(4, 3, name="block/conv")(x)
        x = layers.BatchNormalization(name="block/conv/bn")(x)
        return keras.Model(entry, head(x))

    return made


def applications() -> dict[str, Callable[[], Model]]:
    """Those of `tf_keras.applications`, with random weights."""
    import tf_keras as keras

    app, how = keras.applications, {"weights": None, "classes": 3}
    return {
        "MobileNet": lambda: app.MobileNet((64, 64, 3), alpha=0.25, **how),
        "MobileNetV2": lambda: app.MobileNetV2((64, 64, 3), alpha=0.35, **how),
        "MobileNetV3Small": lambda: app.MobileNetV3Small((64, 64, 3), **how),
        "EfficientNetB0": lambda: app.EfficientNetB0(input_shape=(64, 64, 3), **how),
        "EfficientNetV2B0": lambda: app.EfficientNetV2B0(input_shape=(64, 64, 3), **how),
        "ResNet50": lambda: app.ResNet50(input_shape=(64, 64, 3), **how),
        "ResNet50V2": lambda: app.ResNet50V2(input_shape=(64, 64, 3), **how),
        "DenseNet121": lambda: app.DenseNet121(input_shape=(64, 64, 3), **how),
        "VGG16": lambda: app.VGG16(input_shape=(32, 32, 3), include_top=False, pooling="avg", weights=None),
        "InceptionV3": lambda: app.InceptionV3(input_shape=(96, 96, 3), **how),
        "Xception": lambda: app.Xception(input_shape=(96, 96, 3), **how),
        "NASNetMobile": lambda: app.NASNetMobile(input_shape=(64, 64, 3), **how),
        "ConvNeXtTiny": lambda: app.ConvNeXtTiny(input_shape=(64, 64, 3), **how),
        "RegNetX002": lambda: app.RegNetX002(input_shape=(64, 64, 3), **how),
    }


def photographs(shape: tuple[int, ...], most: float) -> np.ndarray:
    """float32 [4, *shape] of 0 to `most`: noise of different brightness and colour."""
    rng = np.random.default_rng(2)
    scale = rng.uniform(0.1, 1, (4, *(size if size <= 3 else 1 for size in shape)))
    return (most * scale * rng.uniform(0, 1, (4, *shape))).astype("float32")


def shake(model: Model, images: np.ndarray) -> None:
    """Give weights that training starts with equal to all channels others, and each BatchNormalization the statistics
    of some images: without them, deep models answer all images alike."""
    import tf_keras as keras

    rng = np.random.default_rng(1)
    layers = [one for one in model._flatten_layers() if not [*one._flatten_layers(include_self=False)]]
    shaken = [one for one in layers if not isinstance(one, keras.layers.Normalization)]
    for weight in (weight for one in shaken for weight in one.weights):
        if weight.shape.rank < 2 and weight.dtype.is_floating:
            scale, spread = (1.0, 0.3) if "gamma" in weight.name or "variance" in weight.name else (0.0, 0.1)
            weight.assign(scale + spread * rng.uniform(-1, 1, weight.shape))
    norms = [one for one in model._flatten_layers() if isinstance(one, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        model(images, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def write(folder: Path, name: str, build: Callable[[], Model]) -> None:
    import tf_keras as keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    model = build()
    images = photographs(model.input_shape[1:], 255 if name in OF_255 else 1)
    shake(model, images)
    model.save(folder / f"{name}.h5")
    if name not in NOT_AS_ARCHIVE:
        model.save(folder / f"{name}.keras")
    oracle = model
    if name == "half_precision":  # what the same weights answer in float32
        oracle = small()[name]("float32")  # type: ignore[call-arg]
        oracle.set_weights(model.get_weights())
    np.savez(folder / f"{name}.npz", images=images, answers=oracle(images, training=False).numpy())


def main(folder: Path, *names: str) -> None:
    warnings.simplefilter("ignore")
    known = small() | applications()
    for name in names or small():
        write(folder, name, known[name])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
