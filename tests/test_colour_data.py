"""Colours other than sRGB's from DATA to the clients of a model: what is said, kept, and measured."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from export.description import profiles as described_profiles
from export.description import read_description
from export.foreign.verify import _recipe as reference_recipe
from export.predict import _Classifier, _predict
from export.proof.clients import CLIENTS, CONCERNS, absent, clients_of
from export.proof.pixel_sensitivity import sensitivity
from tests.pictures import draw, encode
from tests.profiles import png_with, rgb_profile
from tests.test_colour import gama
from tests.test_levels import Answering, Saying
from toolkit.data import colours_seen
from toolkit.data.decoded_arrays import decoded, decoded_both
from toolkit.data.image_columns import from_columns, to_columns
from toolkit.data.image_set import ImageSet, scan
from toolkit.data.settings import DataSettings
from toolkit.data.unlabelled import scan_unlabelled
from toolkit.errors import UnfreezeError
from toolkit.pixels.decode import decode, recipe
from toolkit.pixels.resize import resize
from toolkit.run import load_run, prepare
from toolkit.settings import Settings
from toolkit.storage.files import read_json, write_json

SIDE = 32


def picture(kind: int, seed: int) -> Image.Image:
    return Image.fromarray(draw(kind, SIDE, np.random.default_rng(seed)))


def cut_out(seed: int) -> bytes:
    rgba = picture(0, seed).convert("RGBA")
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    alpha[8:24, 8:24] = 255
    rgba.putalpha(Image.fromarray(alpha))
    return encode(rgba, "PNG")


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two classes: three images in Display P3, two PNGs with gamma, one of a damaged profile, two cut-outs, and plain
    ones."""
    p3 = rgb_profile("Display P3")
    files = {f"plain/{number}.jpg": encode(picture(1, number), quality=95) for number in range(8)}
    files |= {f"told/p{number}.jpg": encode(picture(2, number), icc_profile=p3, quality=95) for number in range(3)}
    files |= {f"told/g{number}.png": png_with(picture(0, 10 + number), gama(100000)) for number in range(2)}
    files |= {f"told/c{number}.png": cut_out(20 + number) for number in range(2)}
    files["told/damaged.png"] = encode(picture(3, 5), "PNG", icc_profile=b"no profile")
    for name, data in files.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(data)
    return tmp_path / "data"


def test_a_scan_says_how_many_and_what_is_done(mixed: Path) -> None:
    images = scan(mixed)
    assert images.profiles == "srgb"
    said = "\n".join(images.notices)
    assert "3 images have a colour profile other than sRGB: converted to sRGB, as browsers" in said
    assert "2 images have a PNG gamma other than that of sRGB: converted to sRGB" in said
    assert "1 image has a colour profile that cannot be used: taken as sRGB" in said
    assert "2 images have transparent pixels: shown on white" in said
    ignored = scan(mixed, DataSettings(profiles="ignored"))
    assert ignored.profiles == "ignored"
    assert "3 images have a colour profile other than sRGB: ignored, which browsers" in "\n".join(ignored.notices)
    assert "cannot be used" not in "\n".join(ignored.notices)
    assert images.fingerprint() == ignored.fingerprint()
    assert scan(mixed, profiles="ignored").profiles == "ignored"
    assert scan_unlabelled(mixed, profiles="srgb").profiles == "srgb"


def test_plain_images_are_not_spoken_of(pictures: Path) -> None:
    assert colours_seen.colours_seen([], "srgb") == []
    assert not [notice for notice in scan(pictures).notices if "profile" in notice or "transparent" in notice]


def test_a_scan_without_littlecms_stops_only_where_it_is_needed(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("toolkit.pixels.colour", "toolkit.data.colours_seen"):
        monkeypatch.setattr(f"{module}.has_littlecms", lambda: False)
    with pytest.raises(
        UnfreezeError, match=r"^4 images have a .*no LittleCMS.*install Pillow.*or give --profiles ignored$"
    ):
        scan(mixed)
    assert len(scan(mixed, DataSettings(profiles="ignored"))) == 16


def test_arrays_of_both_kinds_are_kept_apart(mixed: Path, tmp_path: Path) -> None:
    images, cache = scan(mixed), tmp_path / "cache"
    srgb, ignored = decoded(images, cache, 16), decoded(replace(images, profiles="ignored"), cache, 16)
    files = [(mixed / path).read_bytes() for path in images.paths]
    np.testing.assert_array_equal(srgb, [decode(data, 16, profiles="srgb") for data in files])
    np.testing.assert_array_equal(ignored, [decode(data, 16, profiles="ignored") for data in files])
    changed = {images.paths[row] for row in np.flatnonzero((srgb != ignored).any((1, 2, 3)))}
    assert changed == {f"told/{name}" for name in ("p0.jpg", "p1.jpg", "p2.jpg", "g0.png", "g1.png")}
    both = decoded_both(images, cache, 16)
    np.testing.assert_array_equal(both[0], srgb)
    assert (both[1] != decoded_both(replace(images, profiles="ignored"), cache, 16)[1]).any()


def test_the_cache_of_an_earlier_run_is_found(mixed: Path, tmp_path: Path) -> None:
    """Its name did not speak of profiles."""
    images = replace(scan(mixed), profiles="ignored")
    decoded(images, tmp_path / "cache", 16)
    name = hashlib.sha256(("2 16 False " + " ".join(images.digests)).encode()).hexdigest()[:16]
    assert (tmp_path / "cache" / f"images-{name}.npy").is_file()


def test_run_json_keeps_it_and_an_older_one_ignores_profiles(mixed: Path) -> None:
    images = scan(mixed)
    parted = replace(images, parts=("train",) * len(images))
    columns = json.loads(json.dumps(to_columns(parted)))
    assert from_columns(columns, list(images.class_names)).profiles == "srgb"
    with pytest.raises(ValueError, match="`profiles` is neither"):
        from_columns(columns | {"profiles": "p3"}, list(images.class_names))
    del columns["profiles"]
    assert from_columns(columns, list(images.class_names)).profiles == "ignored"


def test_a_run_that_was_begun_without_profiles_goes_on_so(mixed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert prepare(mixed, folder, Settings()).images.profiles == "srgb"
    (folder / "model.keras").write_bytes(b"")
    assert prepare(mixed, folder, Settings()).images.profiles == "srgb"
    with pytest.raises(UnfreezeError, match="--profiles is srgb there, ignored here"):
        prepare(mixed, folder, Settings(profiles="ignored"))
    for name in ("run.json", ".run.json"):
        stored = read_json(folder / name)
        del stored["data"]["profiles"]
        del stored["settings"]["profiles"]
        write_json(folder / name, stored)
    assert load_run(folder).images.profiles == "ignored"
    for settings in (Settings(), Settings()):  # the second time, run.json is one that this version wrote
        run = prepare(mixed, folder, settings)
        assert run.images.profiles == load_run(folder).images.profiles == "ignored"
        assert any("ignored, which browsers" in notice for notice in run.images.notices)


def test_a_description_names_it_and_an_older_one_ignores_profiles() -> None:
    entry = {"shape": ["batch", 8, 8, 3], **recipe(3, "16", "srgb")}
    described = {"class_names": ["a", "b"], "input": entry}
    assert described_profiles(read_description(json.dumps(described))) == "srgb"
    entry["profiles"] = "p3"
    with pytest.raises(ValueError, match="profiles that are none of srgb, ignored"):
        read_description(json.dumps(described))
    del entry["profiles"]
    assert described_profiles(read_description(json.dumps(described))) == "ignored"
    assert described_profiles(None) == "ignored"


def test_predict_decodes_as_the_file_says(tmp_path: Path) -> None:
    data = encode(picture(2, 1), "PNG", icc_profile=rgb_profile("ProPhoto"))
    (tmp_path / "a.png").write_bytes(data)
    for how in ("srgb", "ignored"):
        process = Answering()
        _predict(_Classifier(process, ("dark", "pale"), (16, 16), "16", how), tmp_path / "a.png")  # type: ignore[arg-type]
        np.testing.assert_array_equal(process.asked[0][0], decode(data, 16, profiles=how))


def test_a_reference_that_does_not_say_takes_colours_as_the_artefacts_do() -> None:
    paths = [Path("a.keras"), Path("0.onnx"), Path("1.onnx")]

    def looks(*told: str | None) -> dict:
        return {path: Saying(one and "16", one) for path, one in zip(paths, told, strict=False)}

    assert reference_recipe(paths[0], looks(None, "srgb", "srgb")) == ("16", "srgb")
    assert reference_recipe(paths[0], looks("ignored", "srgb")) == ("16", "ignored")
    assert reference_recipe(paths[0], looks(None, None)) == ("16", "ignored")
    with pytest.raises(
        UnfreezeError, match=r"0.onnx \(srgb\) and 1.onnx \(ignored\) take colours with different profiles"
    ):
        reference_recipe(paths[0], looks(None, "srgb", "ignored"))


# Clients


class Nervous:
    """A model that looks at each pixel by itself."""

    weights = np.random.default_rng(9).normal(0, 1, (16 * 16 * 3, 2))

    @classmethod
    def predict(cls, batch: np.ndarray) -> np.ndarray:
        answers: np.ndarray = (batch.reshape(len(batch), -1) - 128.0) @ cls.weights
        return answers


def by_hand(images: ImageSet, name: str) -> np.ndarray:
    """uint8 [N, 16, 16, 3] as the library in the client's name makes them."""
    made = []
    for path in images.paths:
        data = (images.root / path).read_bytes()
        if path.startswith(name):
            bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)  # ignores what files say, drops alpha
            made.append(resize(bgr[..., ::-1], 16))
        else:
            made.append(decode(data, 16, profiles=images.profiles))
    return np.stack(made)


@pytest.mark.parametrize(
    ("row", "files"),
    [("colour profiles ignored", "told/p"), ("PNG gamma ignored", "told/g"), ("transparency", "told/c")],
)
def test_what_opencv_does_is_measured_where_files_differ(
    row: str, files: str, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.proof.pixel_sensitivity.load", lambda path: Nervous)
    images = scan(mixed)
    rows = sensitivity(mixed, images, 16, clients=clients_of(3, "srgb"))
    (found,) = [one for one in rows if one.client.startswith(row)]
    count = sum(path.startswith(files) for path in images.paths)
    assert found.client.endswith(f"({count} images)")
    trained = Nervous.predict(np.stack([decode(mixed / path, 16, profiles="srgb") for path in images.paths])).argmax(1)
    answers = Nervous.predict(by_hand(images, files)).argmax(1)
    assert found.flips == (answers != trained).sum()
    assert found.accuracy == (answers == images.labels).mean()
    assert absent([one.client for one in rows]) == []


def test_what_browsers_do_is_measured_where_training_ignored_it(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile by Pillow's own function."""
    monkeypatch.setattr("export.proof.pixel_sensitivity.load", lambda path: Nervous)
    images = replace(scan(mixed), profiles="ignored")
    rows = sensitivity(mixed, images, 16, clients=clients_of(3, "ignored"))
    (found,) = [one for one in rows if one.client == "colour profiles applied: browsers, phones (3 images)"]
    made = []
    for path in images.paths:
        if path.startswith("told/p"):
            with Image.open(mixed / path) as image:
                own = ImageCms.getOpenProfile(io.BytesIO(image.info["icc_profile"]))
                made.append(
                    resize(np.asarray(ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"))), 16)
                )
        else:
            made.append(decode(mixed / path, 16))
    answers = Nervous.predict(np.stack(made)).argmax(1)
    assert found.accuracy == (answers == images.labels).mean()
    assert [one.client for one in rows if "PNG gamma" in one.client] == ["PNG gamma applied: browsers (2 images)"]


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("profiles", ["srgb", "ignored"])
def test_rows_are_only_there_where_an_image_has_it(
    channels: int, profiles: str, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Constant:
        @staticmethod
        def predict(batch: np.ndarray) -> np.ndarray:
            assert batch.shape[1:] == (16, 16, channels)
            return np.ones((len(batch), 2), np.float32)

    monkeypatch.setattr("export.proof.pixel_sensitivity.load", lambda path: Constant)
    images = replace(scan(pictures), profiles=profiles)
    clients = clients_of(channels, profiles)
    rows = sensitivity(pictures, images, 16, clients=clients)
    assert [row.client for row in rows] == [each.name for each in clients if not each.concerns]
    assert len([each for each in clients if each.concerns]) == len(CONCERNS)
    assert absent([row.client for row in rows]) == list(CONCERNS.values())


def test_a_grey_model_sees_what_the_clients_do_in_grey(mixed: Path) -> None:
    from toolkit.pixels.decode import decode_whole
    from toolkit.pixels.grey import to_grey

    data = cut_out(3)
    whole = partial(decode_whole, data, profiles="srgb")
    colour, grey = (clients_of(channels, "srgb")[-1] for channels in (3, 1))
    assert grey.concerns == colour.concerns == "transparency"
    np.testing.assert_array_equal(grey.pixels(whole(), whole, 16), to_grey(colour.pixels(whole(), whole, 16)))
    assert len(CLIENTS) == 15
