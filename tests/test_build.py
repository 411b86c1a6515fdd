"""The flat graph: its ends, what is trainable at each depth, names, saving, and pre-trained weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.calibrate import calibrate_normalization, distance, shake
from toolkit.errors import UnfreezeError
from toolkit.models.backbones import cut_layer, deepest
from toolkit.models.build import (
    backbone_weights,
    build_model,
    load_backbone,
    prefix_and_suffix,
    set_unfreeze,
)
from toolkit.models.layer_weights import set_named_weights
from toolkit.models.spec import ModelSpec

# Keras 3.15 writes tensors with np.array(tensor, copy=False), for which numpy 2 wants more of TensorFlow.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SPEC = ModelSpec("MobileNetV2", 0.35, 64, 3, 0, 0.2, 2)
EFFICIENTNET = ModelSpec("EfficientNetB0", 1.0, 64, 2, 0, 0.0, 0)


def images(spec: ModelSpec, count: int = 4) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, spec.image_size, spec.image_size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Shared: a test that changes it puts it back."""
    keras.utils.set_random_seed(0)
    model = build_model(SPEC)
    calibrate_normalization(model, images(SPEC))
    return model


@pytest.mark.parametrize("head_units", [0, 7])
def test_ends_and_head(head_units: int) -> None:
    model = build_model(replace(SPEC, head_units=head_units, dropout=0.0))
    assert (model.input.name, model.input.dtype, model.input_shape) == ("image", "uint8", (None, 64, 64, 3))
    assert model.output_names == ["probabilities"]
    assert (model.output.dtype, model.output_shape) == ("float32", (None, 3))
    head = ["head"] * bool(head_units)
    assert [layer.name for layer in model.layers][-3 - len(head) :] == ["pool", *head, "dropout", "probabilities"]
    np.testing.assert_allclose(keras.ops.sum(model(images(SPEC)), axis=1), 1, atol=1e-6)


def frozen_by_graph(model: keras.Model, cut: str | None) -> set[str]:
    """The cut and all that it is computed from, found by walking the graph backwards."""
    operations = {operation.name: operation for operation in model.operations}
    found: set[str] = set()
    waiting = [cut] if cut else []
    while waiting:
        name = waiting.pop()
        found.add(name)
        nodes = operations[name]._inbound_nodes
        waiting += [parent.operation.name for node in nodes for parent in node.parent_nodes]
    return found


@pytest.mark.parametrize("depth", [0, 1, 5, 16, 17])
def test_trainable_is_what_lies_behind_the_cut(model: keras.Model, depth: int) -> None:
    set_unfreeze(model, SPEC, depth)
    frozen = frozen_by_graph(model, cut_layer("MobileNetV2", depth))
    expected = {
        layer.name
        for layer in model.layers
        if layer.name not in frozen and not isinstance(layer, keras.layers.BatchNormalization)
    }
    assert {layer.name for layer in model.layers if layer.trainable} == expected
    assert "probabilities" in expected


def test_depth_of_the_spec_is_set_when_built() -> None:
    for depth in (0, 2):
        model = build_model(replace(SPEC, unfreeze=depth))
        before = [layer.trainable for layer in model.layers]
        set_unfreeze(model, SPEC, depth)
        assert [layer.trainable for layer in model.layers] == before


@pytest.mark.parametrize("depth", [0, 1])
def test_fit_changes_the_suffix_alone_and_the_prefix_gives_the_same_maps(depth: int) -> None:
    model = build_model(replace(SPEC, unfreeze=depth))
    calibrate_normalization(model, images(SPEC))
    prefix, _ = prefix_and_suffix(model, SPEC, depth)
    maps = prefix(images(SPEC)).numpy()
    batch_normalization = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    before = [array for layer in batch_normalization for array in layer.get_weights()]
    trained = [variable.numpy() for variable in model.trainable_variables]
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(images(SPEC), np.array([0, 1, 2, 0]), epochs=1, verbose=0)
    np.testing.assert_array_equal(prefix(images(SPEC)), maps)
    for old, new in zip(before, [a for layer in batch_normalization for a in layer.get_weights()], strict=True):
        np.testing.assert_array_equal(old, new)
    assert all((old != new.numpy()).any() for old, new in zip(trained, model.trainable_variables, strict=True))


def test_prefix_ends(model: keras.Model) -> None:
    assert prefix_and_suffix(model, SPEC, 0)[0].output_shape == (None, 1280)
    prefix, suffix = prefix_and_suffix(model, SPEC, deepest("MobileNetV2"))
    np.testing.assert_array_equal(prefix(images(SPEC)), images(SPEC))
    np.testing.assert_array_equal(suffix(images(SPEC)), model(images(SPEC)))
    assert not prefix.weights


def test_split_shares_weights(model: keras.Model) -> None:
    prefix, suffix = prefix_and_suffix(model, SPEC, 3)
    together = [*prefix.weights, *suffix.weights]
    assert {id(variable) for variable in together} == {id(variable) for variable in model.weights}


def test_depth_out_of_range_is_refused(model: keras.Model) -> None:
    for call in (set_unfreeze, prefix_and_suffix):
        with pytest.raises(UnfreezeError, match="from 0 to 17, got 18"):
            call(model, SPEC, 18)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "ConvNeXtTiny"])
def test_names_do_not_depend_on_what_was_built_before(name: str) -> None:
    """Both leave operations to a counter of the process; ConvNeXt's additions are not even layers."""
    spec = ModelSpec(name, 1.0, 32, 2, 0, 0.0, 1)
    first = [operation.name for operation in build_model(spec).operations]
    keras.layers.Add()([keras.Input((2,)), keras.Input((2,))])
    assert [operation.name for operation in build_model(spec).operations] == first
    assert len(set(first)) == len(first)


def test_trained_model_and_its_weights_come_back(tmp_path: Path) -> None:
    """With the optimizer's state, and with layers that were renamed."""
    spec = ModelSpec("MobileNetV3Small", 1.0, 32, 2, 4, 0.1, 1)
    model = build_model(spec)
    calibrate_normalization(model, images(spec))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images(spec), np.array([0, 1, 0, 1]), verbose=0)
    expected = model(images(spec)).numpy()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images(spec)), expected)
    assert [operation.name for operation in loaded.operations] == [operation.name for operation in model.operations]
    assert len(model.trainable_variables) > 4
    for old, new in zip(model.trainable_variables, loaded.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)
    for old, new in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(old, new)
    model.save_weights(tmp_path / "model.weights.h5")
    other = build_model(spec)
    assert (other(images(spec)).numpy() != expected).any()
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other(images(spec)), expected)


def test_frozen_stages_are_constant_in_training_mode() -> None:
    """EfficientNet would drop blocks at random."""
    spec = EFFICIENTNET
    prefix, _ = prefix_and_suffix(build_model(spec), spec, 1)
    np.testing.assert_array_equal(prefix(images(spec), training=True), prefix(images(spec), training=False))


def stand_alone(spec: ModelSpec, **arguments: object) -> keras.Model:
    """Keras' own model, with its features pooled."""
    shape = (spec.image_size, spec.image_size, 3)
    alpha = {"alpha": spec.alpha} if spec.backbone.startswith("MobileNet") else {}
    keras.utils.set_random_seed(0)  # the same weights whichever tests ran before
    return getattr(keras.applications, spec.backbone)(
        include_top=False, input_shape=shape, pooling="avg", **alpha, **{"weights": None} | arguments
    )


def pooled(model: keras.Model, spec: ModelSpec, depth: int = 0) -> np.ndarray:
    return prefix_and_suffix(model, spec, depth)[0](images(spec)).numpy()


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    shake(stand_alone(SPEC), images(SPEC, 16) / np.float32(127.5) - 1).save_weights(path)
    return path


def test_file_gives_the_function_of_keras_own_model(weights_file: Path) -> None:
    oracle = stand_alone(SPEC, weights=str(weights_file))
    expected = oracle(images(SPEC) / np.float32(127.5) - 1).numpy()
    actual = pooled(build_model(replace(SPEC, head_units=5), str(weights_file)), SPEC)
    assert distance(actual, expected) < 1e-3


def test_load_backbone_leaves_the_head(weights_file: Path) -> None:
    model = build_model(SPEC)
    head = model.get_layer("probabilities").get_weights()
    load_backbone(model, SPEC, "none")
    load_backbone(model, SPEC, str(weights_file))
    for old, new in zip(head, model.get_layer("probabilities").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(pooled(model, SPEC), pooled(build_model(SPEC, str(weights_file)), SPEC))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 0.5}, "does not hold the weights of MobileNetV2, alpha 0.5"),
        ({"backbone": "MobileNet", "alpha": 1.0}, "does not hold the weights of MobileNet, alpha 1"),
        ({"backbone": "VGG16", "alpha": 1.0}, "does not hold the weights of VGG16"),
    ],
)
def test_file_of_another_backbone_is_refused(changes: dict[str, object], message: str, weights_file: Path) -> None:
    spec = replace(SPEC, unfreeze=0, **changes)
    with pytest.raises(UnfreezeError, match=message) as caught:
        build_model(spec, str(weights_file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetB0"])
def test_backbone_weights_make_another_model_the_same_function(name: str) -> None:
    spec = ModelSpec(name, 1.0, 32, 2, 0, 0.0, 1)
    keras.utils.set_random_seed(1)
    first = build_model(spec)
    for layer in first.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.set_weights([np.full(3, 0.4), np.full(3, 0.1), np.array(0)])
            layer.finalize_state()
    second = build_model(replace(spec, head_units=3))
    set_named_weights(second, backbone_weights(first))
    image = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    features = [keras.Model(m.input, m.get_layer("pool").output)(image) for m in (first, second)]
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, features))


def test_missing_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnfreezeError, match=r"no weights file at .*absent\.h5"):
        build_model(SPEC, str(tmp_path / "absent.h5"))
    for name in ("broken.h5", "broken.weights.h5", "broken.txt"):
        (tmp_path / name).write_text("not HDF5")
        with pytest.raises(UnfreezeError, match=f"{name} does not hold"):
            build_model(SPEC, str(tmp_path / name))


@pytest.fixture
def download(monkeypatch: pytest.MonkeyPatch):
    """Give a function that says what Keras' downloader returns or raises; the requests end in its list."""
    asked: list[str] = []

    def answer(result: Path | Exception) -> list[str]:
        def get_file(name: str, *_args: object, **_kwargs: object) -> str:
            asked.append(name)
            if isinstance(result, Exception):
                raise result
            return str(result)

        monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
        return asked

    return answer


def test_imagenet_is_keras_download_for_the_nearest_size(download, weights_file: Path) -> None:
    asked = download(weights_file)
    actual = build_model(replace(SPEC, image_size=96), "imagenet")
    build_model(replace(SPEC, image_size=100), "imagenet")
    assert ["_96_" in asked[0], "_224_" in asked[1]] == [True, True]
    expected = build_model(SPEC, str(weights_file))
    for one, other in zip(expected.layers, actual.layers, strict=True):
        if one.name != "probabilities":
            for old, new in zip(one.get_weights(), other.get_weights(), strict=True):
                np.testing.assert_array_equal(old, new)


def test_failed_download_names_the_other_ways(download) -> None:
    download(Exception("URL fetch failure on https://example.org/w.h5: None -- no route"))
    with pytest.raises(UnfreezeError, match=r"example.org.*--weights PATH.*--weights none") as caught:
        build_model(SPEC, "imagenet")
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def efficientnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights with input statistics of their own, as ImageNet's file has."""
    source = stand_alone(EFFICIENTNET)
    normalization = next(layer for layer in source.layers if isinstance(layer, keras.layers.Normalization))
    normalization.set_weights([np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.3, 0.4]), np.array(0)])
    normalization.finalize_state()
    shake(source, images(EFFICIENTNET, 16))
    path = tmp_path_factory.mktemp("weights") / "efficientnet.weights.h5"
    source.save_weights(path)
    return path


def test_efficientnet_file_and_imagenet_give_one_function(download, efficientnet_file: Path) -> None:
    """Keras adds a rescaling for "imagenet" alone."""
    download(efficientnet_file)
    spec = EFFICIENTNET
    expected = stand_alone(spec, weights="imagenet")(images(spec)).numpy()
    naive = stand_alone(spec, weights=str(efficientnet_file))(images(spec)).numpy()
    assert distance(naive, expected) > 1, "the trap is there no more"
    for weights in ("imagenet", str(efficientnet_file)):
        assert distance(pooled(build_model(spec, weights), spec), expected) < 1e-2


def test_efficientnet_file_without_statistics_is_taken_as_it_is(tmp_path: Path) -> None:
    spec = EFFICIENTNET
    source = shake(stand_alone(spec), images(spec, 16))
    source.save_weights(tmp_path / "own.weights.h5")
    expected = source(images(spec)).numpy()
    actual = pooled(build_model(spec, str(tmp_path / "own.weights.h5")), spec)
    assert distance(actual, expected) < 1e-3


@pytest.mark.real
@pytest.mark.parametrize("alpha", [0.35, 1.0])
def test_real_weights(alpha: float, shared: Path) -> None:
    path = shared / "weights" / f"mobilenet_v2_{alpha}_224_no_top.weights.h5"
    spec = replace(SPEC, alpha=alpha, image_size=96)
    expected = stand_alone(spec, weights=str(path))(images(spec) / np.float32(127.5) - 1).numpy()
    assert distance(pooled(build_model(spec, str(path)), spec), expected) < 1e-3
