"""Grey pixels against Pillow, and the parts that make and take them; whole runs are in test_grey_run.py."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from export.description import channels, read_description
from export.formats.onnx import noise
from export.proof.clients import CLIENTS, GREY_CLIENTS
from tests.pictures import draw, encode
from tests.tiny import ROW, SETTINGS
from tests.tiny import tiny as build_tiny
from toolkit.data.decoded_arrays import already_decoded, decoded, decoded_both
from toolkit.errors import UnfreezeError
from toolkit.evaluation.plots import mistakes
from toolkit.models.applications import BACKBONES
from toolkit.models.build import assemble, build_model, fresh_suffix, prefix_and_suffix
from toolkit.models.spec import STARTER_MODEL, ModelSpec
from toolkit.pixels.augment import STRENGTHS, augment
from toolkit.pixels.decode import RECIPE, decode, decode_whole, recipe
from toolkit.pixels.grey import to_grey
from toolkit.run import Run, load_run, prepare
from toolkit.settings import Settings
from toolkit.storage.files import read_json, write_json
from toolkit.training.stored_spec import read_spec
from tuning.activations.cache import _key
from tuning.activations.prefix import in_onnxruntime, in_tensorflow

# Pixels


def pillow(rgb: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] -> uint8 [H, W, 1]"""
    return np.asarray(Image.fromarray(rgb).convert("L"))[..., None]


def test_every_colour_is_the_grey_of_pillow() -> None:
    for red in range(0, 256, 32):  # 2 million colours at a time
        grid = np.meshgrid(np.arange(red, red + 32), np.arange(256), np.arange(256), indexing="ij")
        rgb = np.stack(grid, axis=-1).astype(np.uint8).reshape(32 * 256, 256, 3)
        np.testing.assert_array_equal(to_grey(rgb), pillow(rgb))


def test_grey_stays_as_it_is_in_arrays_of_any_shape() -> None:
    levels = np.arange(256, dtype=np.uint8)[:, None]
    made = to_grey(np.repeat(levels, 3, axis=-1))
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, levels)
    assert to_grey(np.zeros((2, 4, 5, 3), np.uint8)).shape == (2, 4, 5, 1)


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("name", STRENGTHS)
def test_a_grey_view_is_a_channel_of_the_view_of_the_same_in_rgb(name: str, flip: bool) -> None:
    grey = to_grey(draw(1, 40, np.random.default_rng(0)))
    for seed in range(20):
        one, three = (
            augment(image, STRENGTHS[name], np.random.default_rng(seed), flip=flip)
            for image in (grey, np.repeat(grey, 3, axis=-1))
        )
        assert one.shape == (40, 40, 1)
        np.testing.assert_array_equal(np.repeat(one, 3, axis=-1), three)


# Arrays on the disk


@pytest.fixture
def run(tiny: str, pictures: Path, tmp_path: Path) -> Run:
    return prepare(pictures, tmp_path / "run", replace(SETTINGS, colour="grey"))


def test_decoded_arrays_are_the_grey_of_those_in_rgb_and_a_third_of_their_size(run: Run) -> None:
    images = run.images.select("test")
    both = {count: decoded_both(images, run.cache, 32, channels=count) for count in (3, 1)}
    for rgb, grey in zip(both[3], both[1], strict=True):
        assert (rgb.shape, grey.shape) == ((len(images), 32, 32, 3), (len(images), 32, 32, 1))
        np.testing.assert_array_equal(grey, np.stack([pillow(image) for image in rgb]))
        assert rgb.nbytes == 3 * grey.nbytes
    assert not np.array_equal(*both[1]), "the antialiased copies are others"
    names = {Path(array.filename).name for arrays in both.values() for array in arrays}
    assert len(names) == 4, "each has a file of its own"
    for count in (3, 1):
        found = already_decoded(images, run.cache, 32, count)
        np.testing.assert_array_equal(found, decoded(images, run.cache, 32, channels=count))
        assert found is not None
        assert found.shape[-1] == count


def test_activations_are_kept_apart_by_colour(run: Run) -> None:
    keys = []
    for settings in (run.settings, replace(run.settings, colour="rgb")):
        spec = settings.spec(2, 0, 0.0, 0)
        keras.utils.set_random_seed(0)
        keys.append(_key(Run(run.path, run.images, settings), build_model(spec), spec, "tensorflow"))
    assert len(set(keys)) == 2


# The model


@pytest.mark.parametrize("mode", ["-1..1", "imagenet", "caffe", "0..255"])
def test_a_grey_image_gets_the_answer_of_the_same_in_rgb(mode: str, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, tiny, replace(ROW, pixels=mode))
    if mode == "0..255":
        own = keras.layers.Rescaling(1 / 127.5, -1.0)
        monkeypatch.setattr(keras.applications, tiny, lambda input_tensor, **rest: build_tiny(own(input_tensor)))
    spec = ModelSpec(tiny, 1.0, 32, 3, 4, 0.0, 2)
    rgb, grey = build_model(spec), build_model(replace(spec, channels=1))
    grey.set_weights(rgb.get_weights())
    assert (grey.input_shape, grey.inputs[0].dtype) == ((None, 32, 32, 1), "uint8")
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 1), np.uint8)
    answers = rgb(np.repeat(images, 3, axis=-1), training=False).numpy()
    assert np.ptp(answers, axis=0).max() > 1e-4, "answers that are all alike prove nothing"
    np.testing.assert_array_equal(grey(images, training=False).numpy(), answers)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_grey_model_is_cut_and_put_together_again(depth: int, tiny: str) -> None:
    spec = ModelSpec(tiny, 1.0, 32, 2, 4, 0.0, depth, channels=1)
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 1), np.uint8)
    model = build_model(spec)
    prefix, suffix = prefix_and_suffix(model, spec, depth)
    np.testing.assert_allclose(suffix(prefix(images)).numpy(), model(images).numpy(), atol=1e-6)
    fresh = fresh_suffix(model, spec, 0)
    whole = assemble(model, spec, fresh)
    np.testing.assert_allclose(whole(images).numpy(), fresh(prefix(images)).numpy(), atol=1e-6)
    converted = in_onnxruntime(prefix)
    assert converted is not None
    for got, wanted in zip(converted(images), in_tensorflow(prefix)(images), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_pre_trained_weights_are_those_of_the_rgb_model() -> None:
    spec = ModelSpec(*STARTER_MODEL, 64, 2, 0, 0.0, 0)
    rgb, grey = (build_model(replace(spec, channels=count), "starter") for count in (3, 1))
    grey.get_layer("probabilities").set_weights(rgb.get_layer("probabilities").get_weights())
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 1), np.uint8)
    np.testing.assert_array_equal(grey(images), rgb(np.repeat(images, 3, axis=-1)))


def test_other_numbers_of_channels_are_refused(tiny: str) -> None:
    with pytest.raises(UnfreezeError, match=r"3 channels \(RGB\) or 1 \(grey\), got 4"):
        build_model(ModelSpec(tiny, 1.0, 32, 2, 0, 0.0, 0, channels=4))


# Settings, and what is stored of them


def test_the_setting_is_one_of_two() -> None:
    assert (Settings().colour, Settings().channels, Settings(colour="grey").channels) == ("rgb", 3, 1)
    with pytest.raises(UnfreezeError, match="colour is 'gray'; give one of rgb, grey"):
        Settings(colour="gray")


def test_another_colour_is_another_run(run: Run, pictures: Path) -> None:
    (run.path / "search").mkdir()
    assert prepare(pictures, run.path, run.settings).settings.colour == "grey"
    with pytest.raises(UnfreezeError, match="--colour is grey there, rgb here"):
        prepare(pictures, run.path, replace(run.settings, colour="rgb"))


def test_a_run_of_an_earlier_version_is_rgb(finished: Run, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("cache"))
    for name, entry, left_out in (("run.json", "settings", "colour"), ("model.json", "spec", "channels")):
        stored = read_json(tmp_path / "run" / name)
        del stored[entry][left_out]
        write_json(tmp_path / "run" / name, stored)
    earlier = load_run(tmp_path / "run")
    assert earlier.settings == finished.settings
    assert read_spec(earlier) == read_spec(finished)
    assert prepare(pictures, tmp_path / "run", finished.settings).settings.colour == "rgb", "it goes on"
    with pytest.raises(UnfreezeError, match="--colour is rgb there, grey here"):
        prepare(pictures, tmp_path / "run", replace(finished.settings, colour="grey"))


@pytest.mark.parametrize("count", [0, 2, 4, "1", None])
def test_a_stored_spec_of_other_channels_is_damaged(count: object, finished: Run, tmp_path: Path) -> None:
    shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("cache", "export"))
    stored = read_json(tmp_path / "run" / "model.json")
    stored["spec"]["channels"] = count
    write_json(tmp_path / "run" / "model.json", stored)
    with pytest.raises(UnfreezeError, match=r"model\.json is damaged"):
        read_spec(load_run(tmp_path / "run"))


def test_the_recipe_says_the_colour_and_nothing_else_differs() -> None:
    assert recipe(3) == RECIPE
    grey = recipe(1)
    assert {name for name in RECIPE if grey[name] != RECIPE[name]} == {"colour"}
    assert str(grey["colour"]).startswith("grey (ITU-R 601 luma")


@pytest.mark.parametrize("count", [0, 2, 4, 10**9, "1", None, [1]])
def test_a_description_of_other_channels_is_refused(count: object) -> None:
    described = {"class_names": ["a", "b"], "input": {"shape": ["batch", 32, 32, count]}}
    with pytest.raises(ValueError, match="gives no input of"):
        read_description(json.dumps(described))
    for right in (1, 3):
        described["input"] = {"shape": ["batch", 32, 32, right]}
        assert channels(read_description(json.dumps(described)) or {}) == right


# What apps do


SIZE = 24


@pytest.mark.parametrize("number", range(len(CLIENTS)), ids=[client.name for client in CLIENTS])
def test_a_client_makes_grey_of_its_pixels(number: int) -> None:
    data = encode(draw(2, 60, np.random.default_rng(1)), quality=95)
    made = [
        each.pixels(decode_whole(data), partial(decode_whole, data), SIZE)
        for each in (GREY_CLIENTS[number], CLIENTS[number])
    ]
    np.testing.assert_array_equal(made[0], pillow(made[1]))


def test_other_ways_to_make_grey_differ_on_colours_alone() -> None:
    assert len({client.name for client in GREY_CLIENTS}) == len(GREY_CLIENTS) == len(CLIENTS) + 2
    colours = encode(draw(2, SIZE, np.random.default_rng(1)), "PNG")
    greys = encode(np.repeat(pillow(draw(2, SIZE, np.random.default_rng(1))), 3, axis=-1), "PNG")
    weights = {"mean": np.full(3, 1 / 3), "709": np.array([0.2126, 0.7152, 0.0722])}
    for client, (name, shares) in zip(GREY_CLIENTS[-2:], weights.items(), strict=True):
        assert name in client.name
        seen = client.pixels(decode_whole(colours), partial(decode_whole, colours), SIZE)
        assert seen.dtype == np.uint8
        assert np.abs(seen - decode(colours, SIZE) @ shares[:, None]).max() <= 0.51
        assert np.abs(seen.astype(int) - to_grey(decode(colours, SIZE))).max() > 2
        np.testing.assert_array_equal(
            client.pixels(decode_whole(greys), partial(decode_whole, greys), SIZE), to_grey(decode(greys, SIZE))
        )


# Small parts


def test_noise_has_as_many_channels_as_are_asked_for() -> None:
    for count in (1, 3):
        images = noise(32, count)
        assert images.shape == (4, 32, 32, count)
        assert np.ptp(images) > 200


def test_grey_images_are_drawn_grey() -> None:
    image = np.tile(np.linspace(60, 180, 40).astype(np.uint8), (40, 1))[..., None]
    figure = mistakes(image[None], ["a"])
    (shown,) = figure.axes[0].images
    drawn = shown.to_rgba(shown.get_array(), bytes=True)[..., :3].reshape(40, 40, 3)
    assert np.abs(drawn.astype(int) - image).max() <= 1  # matplotlib's map of greys rounds down
