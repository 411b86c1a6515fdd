"""A Keras model in a file as a backbone: its features are the model's own; what it cannot be is refused by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import unfreeze
from toolkit.errors import UnfreezeError
from toolkit.evaluation.evaluate_run import evaluate_run
from toolkit.models.applications import BACKBONES
from toolkit.models.backbone_file import flat_backbone
from toolkit.models.backbones import backbone
from toolkit.models.build import assemble, build_model, fresh_suffix, prefix_and_suffix, set_unfreeze
from toolkit.models.layer_weights import named_weights, set_named_weights
from toolkit.pixels.pixel_range import PIXELS, pixel_range
from toolkit.run import prepare
from toolkit.settings import Settings
from toolkit.training.model_file import load_model
from tuning.search import search

SIZE = 32
USUAL = Settings(
    image_size=SIZE,
    head_units=(0, 4),
    dropout=(0.0,),
    unfreeze=(0, 1),
    head_epochs=1,
    tune_epochs=1,
    batch_size=8,
    oracle="random",
    trials=3,
)


def shaken(model: keras.Model) -> keras.Model:
    """The model with weights that no two layers share, and variances that are positive."""
    rng = np.random.default_rng(0)
    model.set_weights(
        [rng.uniform(0.1, 0.6, one.shape) * rng.choice([1, 1, -1]) ** (one.ndim > 1) for one in model.get_weights()]
    )
    set_named_weights(model, named_weights(model))  # a Normalization computes with copies of its weights
    return model


def plain(size: int | None = None, channels: int = 3) -> keras.Model:
    """A Sequential of three convolutions with what usually stands between them."""
    chain = [keras.Input((size, size, channels)), layers.RandomFlip(), layers.Rescaling(1 / 255)]
    for filters in (4, 6, 8):
        chain += [layers.Conv2D(filters, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()]
        chain += [layers.MaxPooling2D(), layers.Dropout(0.5)]
    return shaken(keras.Sequential(chain))


def nested() -> keras.Model:
    """A backbone in a model, as tutorials build it; layers of both have one name, or one of ours."""
    inner_image = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(6, 3, strides=2, name="head")(inner_image)
    for name in ("pool", "image"):
        y = layers.Conv2D(6, 3, padding="same", name=f"conv_{name}")(x)
        x = layers.Add(name=name)([x, layers.SpatialDropout2D(0.3)(y)])
    inner = keras.Model(inner_image, x, name="base")
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.Sequential([layers.RandomRotation(0.1), layers.RandomContrast(0.1)])(image)
    x = inner(x / 127.5 - 1.0, training=False)
    return shaken(keras.Model(image, layers.Conv2D(8, 3, name="conv_pool")(x)))


def pooled() -> keras.Model:
    """One that ends with a vector."""
    own = plain(SIZE)
    return keras.Model(own.inputs[0], layers.GlobalMaxPooling2D()(own.outputs[0]))


def attentive() -> keras.Model:
    """With attention over the places of the map, which drops weights in training."""
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Reshape((64, 8))(layers.Conv2D(8, 4, strides=4)(image))
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4, dropout=0.4)(x, x))
    return shaken(keras.Model(image, layers.Reshape((8, 8, 8))(x)))


def projected() -> keras.Model:
    """Residual blocks with a projection; dropout makes one path longer in the file than it is here."""
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(8, 3, padding="same")(image)
    for _ in range(3):
        short = layers.BatchNormalization()(layers.Conv2D(8, 1)(x))
        y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 1)(x)))
        y = layers.Dropout(0.1)(layers.BatchNormalization()(layers.Conv2D(8, 1)(y)))
        x = layers.ReLU()(layers.Add()([short, y]))
    return shaken(keras.Model(image, x))


def branched() -> keras.Model:
    """A model inside is one of two parallel branches."""
    image = keras.Input((SIZE, SIZE, 3))
    inner = keras.Sequential([keras.Input((SIZE, SIZE, 6)), *(layers.Conv2D(6, 1) for _ in range(3))])
    x = layers.Conv2D(6, 3, padding="same")(image)
    return shaken(keras.Model(image, layers.Conv2D(6, 1)(layers.Add()([layers.Conv2D(6, 1)(x), inner(x)]))))


def shared() -> keras.Model:
    """One activation and one convolution for several places."""
    image = keras.Input((SIZE, SIZE, 3))
    relu, conv = layers.ReLU(), layers.Conv2D(6, 3, padding="same")
    x = relu(layers.Conv2D(6, 3, padding="same")(image))
    x = conv(relu(conv(x)))
    for _ in range(3):
        x = relu(layers.Conv2D(6, 3, padding="same")(x))
    return shaken(keras.Model(image, x))


def standardised() -> keras.Model:
    """With Normalization behind a cut, which computes with copies of its weights."""
    chain = [keras.Input((SIZE, SIZE, 3)), *(layers.Conv2D(4, 3) for _ in range(3))]
    return shaken(keras.Sequential([*chain, layers.Normalization(), layers.Conv2D(5, 3)]))


KINDS: dict[str, Callable[[], keras.Model]] = {
    "plain": plain,
    "nested": nested,
    "pooled": pooled,
    "attentive": attentive,
    "projected": projected,
    "branched": branched,
    "shared": shared,
    "standardised": standardised,
}


def saved(model: keras.Model, folder: Path) -> Settings:
    """The settings of a search from this model."""
    model.save(folder / "own.keras")
    return replace(USUAL, backbone=str(folder / "own.keras"))


def features(model: keras.Model, images: np.ndarray) -> np.ndarray:
    given = np.asarray(model(images.astype("float32"), training=False))
    return given.mean((1, 2)) if given.ndim == 4 else given


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (4, SIZE, SIZE, 3)).astype("uint8")


@pytest.mark.parametrize("kind", KINDS)
def test_the_features_are_the_models_own(kind: str, images: np.ndarray, tmp_path: Path) -> None:
    own = KINDS[kind]()
    settings = saved(own, tmp_path)
    spec = settings.spec(2, 0, 0.0, 0)
    model = build_model(spec, settings.weights)
    assert not any(isinstance(layer, keras.Model) or "Random" in type(layer).__name__ for layer in model.layers)
    prefix, _ = prefix_and_suffix(model, spec, 0)
    np.testing.assert_allclose(prefix(images), features(own, images), rtol=1e-4, atol=1e-4)
    again = build_model(spec, settings.weights)
    assert [one.name for one in again.operations] == [one.name for one in model.operations]
    assert [one.tolist() for one in again.get_weights()[:4]] == [one.tolist() for one in model.get_weights()[:4]]


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_every_depth_is_a_cut_and_training_leaves_the_prefix_alone(
    kind: str, images: np.ndarray, tmp_path: Path
) -> None:
    settings = saved(KINDS[kind](), tmp_path)
    cuts = backbone(settings.backbone).cuts
    for depth in range(len(cuts) + 2):
        spec = settings.spec(2, 0, 0.0, depth)
        model = build_model(spec, settings.weights)
        prefix, suffix = prefix_and_suffix(model, spec, depth)
        np.testing.assert_array_equal(suffix(prefix(images)), model(images))
        whole = assemble(model, spec, fresh_suffix(model, spec, 0)) if depth < len(cuts) + 1 else model
        if depth < len(cuts) + 1:
            own = fresh_suffix(model, spec, 0)
            np.testing.assert_allclose(own(prefix(images)), whole(images), atol=1e-5)
        set_unfreeze(model, spec, depth)
        before = np.asarray(prefix(images))
        np.testing.assert_array_equal(prefix(images, training=True), before)
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        model.fit(images, np.array([0, 1, 0, 1]), epochs=1, verbose=0)
        np.testing.assert_array_equal(prefix(images), before)


def test_stages_are_found(tmp_path: Path) -> None:
    plainly = backbone(saved(plain(), tmp_path).backbone)
    assert plainly.cuts == ("max_pooling2d_2", "max_pooling2d_1")
    assert (plainly.image_size, plainly.fixed) == (224, False)
    (tmp_path / "nested").mkdir()
    inside = backbone(saved(nested(), tmp_path / "nested").backbone)
    assert inside.cuts == ("pool_2",)  # the last convolution alone is no stage beside a residual block
    assert (inside.image_size, inside.fixed) == (SIZE, True)


def test_a_nested_backbone_has_the_stages_of_the_table(images: np.ndarray, tmp_path: Path) -> None:
    """The model of TensorFlow's tutorial on transfer learning, before its pooling."""
    base = keras.applications.MobileNetV2(input_shape=(SIZE, SIZE, 3), alpha=0.35, include_top=False, weights=None)
    base.trainable = False
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)])(image)
    x = base(x / 127.5 - 1, training=False)
    assert backbone(saved(keras.Model(image, x), tmp_path).backbone).cuts == BACKBONES["MobileNetV2"].cuts


@pytest.mark.parametrize("name", [*PIXELS, "100,110,120/50"])
def test_pixels_are_converted_inside(name: str, images: np.ndarray, tmp_path: Path) -> None:
    image = keras.Input((None, None, 3))
    own = shaken(keras.Model(image, layers.Conv2D(5, 3)(image)))
    settings = replace(saved(own, tmp_path), pixels=name, unfreeze=(0,))
    spec = settings.spec(2, 0, 0.0, 0)
    prefix, _ = prefix_and_suffix(build_model(spec, settings.weights), spec, 0)
    wanted = features(own, pixel_range(name).values(images))
    np.testing.assert_allclose(prefix(images), wanted, rtol=1e-4, atol=1e-4)


def test_a_grey_backbone_takes_grey_images(tmp_path: Path) -> None:
    with pytest.raises(UnfreezeError, match="takes grey images; give --colour grey"):
        saved(plain(channels=1), tmp_path)
    grey = replace(USUAL, backbone=str(tmp_path / "own.keras"), colour="grey")
    assert build_model(grey.spec(2, 0, 0.0, 0), grey.weights).input_shape == (None, SIZE, SIZE, 1)


@keras.saving.register_keras_serializable("tests")
class Counting(layers.Layer):
    """A layer that counts its calls."""

    def build(self, shape: tuple) -> None:
        self.count = self.add_weight(shape=(), trainable=False, initializer="zeros", name="count")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        self.count.assign_add(1.0)
        return x


@keras.saving.register_keras_serializable("tests")
class Louder(layers.Layer):
    """A layer that does something else in training."""

    def call(self, x: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        return 2 * x if training else x


@keras.saving.register_keras_serializable("tests")
class RandomTint(layers.Layer):
    """A layer that is called as those are that act in training only, and always acts."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return x + 9.0


def map_of(*inner: layers.Layer, shape: tuple = (SIZE, SIZE, 3)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *inner])


def classifier() -> keras.Model:
    return map_of(layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax"))


def two_outputs() -> keras.Model:
    image = keras.Input((SIZE, SIZE, 3))
    return keras.Model(image, [layers.Conv2D(4, 3)(image), layers.Conv2D(5, 3)(image)])


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (classifier, "whole classifier, whose last layer gives probabilities; save the model before"),
        (lambda: map_of(classifier()), "whole classifier"),
        (lambda: map_of(layers.Flatten(), layers.Dense(3), layers.Softmax(), layers.Dropout(0.1)), "whole classifier"),
        (two_outputs, "one input, images, and one output"),
        (lambda: map_of(layers.Conv2D(4, 3), shape=(20, 30, 3)), r"20 x 30 px; a backbone takes square ones"),
        (lambda: map_of(layers.Conv2D(4, 3), shape=(SIZE, SIZE, 7)), r"takes \[32, 32, 7\], not images"),
        (lambda: map_of(layers.Conv2D(4, 3), layers.Reshape((900, 4))), r"gives \[900, 4\]; features are a vector"),
        (lambda: map_of(Counting(name="tally"), layers.Conv2D(4, 3)), "layer 'tally' changes while it is used"),
        (lambda: map_of(Louder(name="shout"), layers.Conv2D(4, 3)), "layer 'shout' answers otherwise in training"),
        (lambda: map_of(layers.Lambda(lambda x: x), layers.Conv2D(4, 3)), "none of the layers that are safe to load"),
        (lambda: map_of(RandomTint(), layers.Conv2D(4, 3)), "in one flat graph give other features"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_what_is_no_backbone_is_refused(made: Callable[[], keras.Model], words: str, tmp_path: Path) -> None:
    made().save(tmp_path / "own.keras")
    with pytest.raises(UnfreezeError, match=words) as caught:
        Settings(backbone=str(tmp_path / "own.keras"))
    assert str(tmp_path / "own.keras") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image_size": 64}, "takes images of 32 px only, got 64"),
        ({"image_size": 7}, "needs images of at least 32 px, got 7"),
        ({"unfreeze": (0, 9)}, "unfreeze depth of own goes from 0 to 2, got 9"),
        ({"alpha": 0.5}, "own has alpha 1; got 0.5"),
        ({"weights": "imagenet"}, "the backbone's file holds its weights; leave --weights imagenet out"),
        ({"pixels": "2..3"}, "--pixels is '2..3'"),
        ({"backbone": "elsewhere/none.keras"}, "no backbone at .*none.keras"),
        ({"backbone": "."}, "unknown backbone"),
        ({"backbone": "./"}, "is a folder; a backbone is one Keras file"),
    ],
)
def test_settings_that_do_not_fit_are_refused(given: dict, words: str, tmp_path: Path) -> None:
    nested().save(tmp_path / "own.keras")
    with pytest.raises(UnfreezeError, match=words):
        Settings(**{"backbone": str(tmp_path / "own.keras")} | given)


def test_pixels_of_a_known_backbone_are_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UnfreezeError, match="--pixels is for a backbone from a file; MobileNetV2 is known to take -1"):
        prepare(pictures, tmp_path / "run", Settings(pixels="0..1", weights="none"))


def test_an_image_size_that_it_cannot_take_is_refused(tmp_path: Path) -> None:
    image = keras.Input((None, None, 3))
    half = layers.UpSampling2D()(layers.MaxPooling2D()(image))
    settings = replace(saved(keras.Model(image, layers.Add()([image, half])), tmp_path), image_size=51, unfreeze=(0,))
    with pytest.raises(UnfreezeError, match=r"own\.keras cannot take images of 51 px"):
        build_model(settings.spec(2, 0, 0.0, 0), settings.weights)


def test_layers_of_an_earlier_head_are_given_other_names() -> None:
    """A backbone may be part of a run's model, and the next run may have a head of one's own again."""
    flat = flat_backbone(map_of(layers.Conv2D(4, 3, name="own_conv2d_1"), layers.Conv2D(4, 3, name="own")))
    assert [layer.name for layer in flat.layers[1:]] == ["earlier_own_conv2d_1", "own"]


def test_a_large_stem_is_tried_with_a_large_image(tmp_path: Path) -> None:
    own = map_of(layers.Conv2D(4, 70), shape=(None, None, 3))
    assert saved(own, tmp_path).backbone == str(tmp_path / "own.keras")
    none = map_of(layers.Conv2D(2, 400), shape=(None, None, 3))
    none.save(tmp_path / "none.keras")
    with pytest.raises(UnfreezeError, match="does not run on images of 384 px"):
        Settings(backbone=str(tmp_path / "none.keras"))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.keras"
    path.write_bytes(b"PK nothing")
    with pytest.raises(UnfreezeError, match=str(path)):
        Settings(backbone=str(path))
    plain().save(path)  # the file that is there now is read
    assert Settings(backbone=str(path)).image_size == 224
    with pytest.raises(UnfreezeError, match="needs images of at least 16 px, got 7"):
        Settings(backbone=str(path), image_size=7)


@pytest.mark.long
def test_a_search_from_a_file_and_from_a_model(pictures: Path, tmp_path: Path) -> None:
    """Both ways give the same trials and the same model; another run folder, a moved file change nothing."""
    own = plain()
    settings = saved(own, tmp_path)
    run = prepare(pictures, tmp_path / "file", settings)
    result = search(run)
    accuracy = evaluate_run(run).accuracy
    other = unfreeze.tune(pictures, tmp_path / "model", settings=USUAL, own=unfreeze.Own(backbone=own))
    assert [one.val_loss for one in other.trials] == [one.val_loss for one in result.trials]
    assert unfreeze.evaluate(tmp_path / "model").accuracy == accuracy
    unfreeze.tune(pictures, tmp_path / "model", settings=USUAL, own=unfreeze.Own(backbone=own))  # goes on
    with pytest.raises(UnfreezeError, match="holds another backbone"):
        unfreeze.tune(pictures, tmp_path / "model", settings=USUAL, own=unfreeze.Own(backbone=nested()))
    (tmp_path / "moved").mkdir()
    shutil.move(tmp_path / "own.keras", tmp_path / "moved" / "own.keras")
    moved = replace(settings, backbone=str(tmp_path / "moved" / "own.keras"))
    assert search(prepare(pictures, tmp_path / "file", moved)).taken == result.taken
    other_weights = plain()
    other_weights.set_weights([one * 2 for one in own.get_weights()])
    other_weights.save(tmp_path / "moved" / "own.keras")
    with pytest.raises(UnfreezeError, match="content of the weights file"):
        prepare(pictures, tmp_path / "file", moved)


@pytest.mark.long
def test_shared_activations_train_as_whole_models_do(pictures: Path, tmp_path: Path) -> None:
    settings = replace(saved(nested(), tmp_path), cache_dtype="float32", augment="none")
    cached = search(prepare(pictures, tmp_path / "cached", settings))
    whole = search(prepare(pictures, tmp_path / "whole", replace(settings, cache=False)))
    for one, other in zip(cached.trials, whole.trials, strict=True):
        assert one.val_loss == pytest.approx(other.val_loss, abs=1e-4)


def test_nothing_is_left_of_a_run_that_did_not_begin(tmp_path: Path) -> None:
    with pytest.raises(UnfreezeError, match="does not exist"):
        unfreeze.tune(tmp_path / "nothing", tmp_path / "run", settings=USUAL, own=unfreeze.Own(backbone=plain()))
    assert not (tmp_path / "run").exists()
    (tmp_path / "own").mkdir()
    plain().save(tmp_path / "own" / "backbone.keras")  # what was there stays
    own = keras.models.load_model(tmp_path / "own" / "backbone.keras")
    with pytest.raises(UnfreezeError, match="does not exist"):
        unfreeze.tune(tmp_path / "nothing", tmp_path / "own", settings=USUAL, own=unfreeze.Own(backbone=own))
    assert (tmp_path / "own" / "backbone.keras").is_file()
    with pytest.raises(UnfreezeError, match="got str; a file is named in the settings"):
        unfreeze.tune(tmp_path / "nothing", tmp_path / "run", settings=USUAL, own=unfreeze.Own(backbone="own.keras"))  # type: ignore[arg-type]


def test_the_model_of_a_run_needs_the_file_no_more(pictures: Path, tmp_path: Path) -> None:
    settings = saved(plain(), tmp_path)
    run = prepare(pictures, tmp_path / "run", settings)
    search(run)
    (tmp_path / "own.keras").unlink()
    assert load_model(run).output_shape == (None, 2)
    page, card = unfreeze.report(tmp_path / "run")
    assert "own.keras" in page.read_text(encoding="utf-8")
    told = card.read_text(encoding="utf-8").replace("\\", "")  # which escapes what could be markup
    assert str(tmp_path) not in told
