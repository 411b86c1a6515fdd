"""Presets of KerasHub as backbones: features as KerasHub's own, what a preset may not be, and whole runs of them.

The presets are small, random, and saved as KerasHub saves them: nothing is downloaded.
"""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import unfreeze
from tests.hub_presets import IMAGENET, PRESETS, SIZE, made, saved
from tests.test_backbone_file import USUAL as SEARCH
from tests.test_cli import typed
from tests.test_hostile_models import packed
from toolkit.errors import UnfreezeError
from toolkit.models.backbones import backbone, short_name
from toolkit.models.build import build_model, prefix_and_suffix
from toolkit.models.hub.make import kept_preset
from toolkit.models.hub.pixels import converter_pixels, converter_size
from toolkit.models.hub.preset import origin_of
from toolkit.pixels.pixel_range import pixel_range
from toolkit.settings import Settings
from toolkit.untrusted import hub_layers
from toolkit.untrusted.allowed import check_config
from toolkit.untrusted.hub_arguments import check_arguments
from toolkit.untrusted.keras_file import read_model
from unfreeze import own_backbone

keras_hub = pytest.importorskip("keras_hub", reason="KerasHub is not installed: pip install 'unfreeze[hub]'")
pytestmark = [
    # keras 3.15 writes tensors of KerasHub's configurations with np.array(tensor, copy=False)
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Layer 'attn' .* was passed an input with a mask:UserWarning"),  # Swin's own
]
FAST = ("mobilenet_v2", "hgnet_v2", "vit")
USUAL = replace(SEARCH, image_size=SIZE)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (4, SIZE, SIZE, 3)).astype("uint8")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a preset that any test may copy."""
    return saved(made("vgg", shaken), tmp_path_factory.mktemp("presets") / "vgg", image_size=(SIZE, SIZE), **IMAGENET)


def shaken(own: Any) -> None:
    """Weights that no initialiser gives, in BatchNormalization too."""
    rng = np.random.default_rng(5)
    own.set_weights([one + rng.uniform(0, 0.1, one.shape).astype(one.dtype) for one in own.get_weights()])


def wanted(own: Any, folder: Path, images: np.ndarray) -> np.ndarray:
    """What the head of KerasHub's own classifier is given: by KerasHub's converter and backbone, pooled here."""
    pixels = keras_hub.layers.ImageConverter.from_preset(str(folder))(images.astype("float32"))
    features = own(pixels, training=False)
    if isinstance(features, dict):
        features = features[own.stage_names[-1]]
    features = np.asarray(features)
    if features.ndim == 4:
        return features.mean((1, 2))
    first = type(own).__name__ in ("ViTBackbone", "DeiTBackbone") and getattr(own, "use_class_token", True)
    return features[:, 0] if first else features.mean(1)


def test_the_families_are_those_that_keras_hub_classifies_images_with() -> None:
    models = keras_hub.models
    kinds = [one for one in vars(models).values() if isinstance(one, type) and issubclass(one, models.ImageClassifier)]
    found = {one.backbone_cls.__name__ for one in kinds if one is not models.ImageClassifier}
    assert set(hub_layers.FAMILIES.values()) == found == {kind for kind, _ in PRESETS.values()}
    for folder, kind in hub_layers.FAMILIES.items():
        assert getattr(models, kind).__module__.startswith(f"keras_hub.src.models.{folder}.")


@pytest.mark.long
@pytest.mark.parametrize("name", [one if one in FAST else pytest.param(one, marks=pytest.mark.slow) for one in PRESETS])
def test_the_features_are_those_of_keras_hub(name: str, images: np.ndarray, tmp_path: Path) -> None:
    own = made(name, shaken)
    folder = saved(own, tmp_path / name, image_size=(SIZE, SIZE), **IMAGENET)
    file = kept_preset(f"hub:{folder}", tmp_path / "backbones")
    settings = replace(USUAL, backbone=str(file), pixels="imagenet", unfreeze=(0,))
    spec = settings.spec(2, 0, 0.0, 0)
    model = build_model(spec, settings.weights)
    got, expected = prefix_and_suffix(model, spec, 0)[0](images), wanted(own, folder, images)
    assert expected.std(axis=0).max() > 1e-3 * abs(expected).max(), "features that hardly differ prove nothing"
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4 * abs(expected).max())
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(read_model(tmp_path / "model.keras")(images), model(images), atol=1e-6)
    depth = backbone(str(file)).deepest
    prefix, suffix = prefix_and_suffix(model, spec, depth // 2)
    np.testing.assert_array_equal(suffix(prefix(images)), model(images))


CONVERTERS: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({}, "0..255"),
    "unit": ({"scale": 1 / 255}, "0..1"),
    "symmetric": ({"scale": 1 / 127.5, "offset": -1}, "-1..1"),
    "imagenet": (IMAGENET, "imagenet"),
    "clip": ({"scale": [1 / 68.5, 1 / 66.6, 1 / 70.3], "offset": [-1.79, -1.75, -1.48]}, ""),
    "offset alone": ({"offset": [-123.68, -116.779, -103.939]}, "123.68,116.779,103.939/1.0,1.0,1.0"),
}


@pytest.mark.parametrize("name", CONVERTERS)
def test_pixels_are_those_of_the_converter(name: str, images: np.ndarray) -> None:
    config, text = CONVERTERS[name]
    converter = keras_hub.layers.ImageConverter(**config)
    told = converter_pixels(json.loads(json.dumps(converter.get_config())), "hub:x")
    assert text in ("", told)
    np.testing.assert_allclose(
        pixel_range(told).values(images), converter(images.astype("float32")), rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize(
    "config", [{"scale": 0}, {"scale": [1, 2]}, {"scale": "x"}, {"scale": 4}, {"scale": -1}, {"offset": float("nan")}]
)
def test_a_converter_that_gives_no_range_of_pixels_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(UnfreezeError, match="the image converter of hub:x scales pixels by"):
        converter_pixels(config, "hub:x")


def test_sizes_of_converters() -> None:
    sizes = ([96, 96], None, [96, 64], [None, None], ["a", "a"])
    assert [converter_size({"image_size": size}) for size in sizes] == [96, 0, 0, 0, 0]
    assert converter_size({"height": 224, "width": 224}) == 224


def test_names_of_presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings(backbone="hub:./a/vit").backbone == f"hub:{tmp_path / 'a' / 'vit'}"
    assert Settings(backbone="hub:vit_base").backbone == "hub:vit_base"
    handle = "hub:kaggle://keras/resnetv1/keras/resnet_18_imagenet/3"
    assert Settings(backbone=handle).backbone == handle
    assert [short_name(one) for one in ("hub:./a/vit", "hub:vit_base", handle)] == [
        *("vit", "vit_base", "resnet_18_imagenet"),
    ]
    several = Settings(vary={"backbone": ("MobileNetV2", "hub:./a/vit")})
    assert several.varied["backbone"] == ("MobileNetV2", "vit")
    with pytest.raises(UnfreezeError, match="two of the backbones are called vit"):
        Settings(vary={"backbone": ("hub:./a/vit", "hub:./b/vit")})
    with pytest.raises(UnfreezeError, match="the backbone's file holds its weights; leave --weights imagenet out"):
        Settings(backbone="hub:vit_base", weights="imagenet")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hub:resnet_18_imagene", "KerasHub has no preset 'resnet_18_imagene': did you mean hub:resnet_18_imagenet?"),
        ("hub:bert_base_en", "hub:bert_base_en is no image classification backbone; those of KerasHub are CSPNet"),
        ("hub:here", "KerasHub has no preset 'here'; of the folder here, write hub:./here"),
        ("hub:./nowhere", "no preset at .*nowhere; give the folder that backbone.save_to_preset wrote"),
        ("hub:", "KerasHub has no preset"),
    ],
)
def test_a_preset_that_is_not_there_is_refused(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnfreezeError, match=words) as caught:
        unfreeze.backbones(name)
    assert "\n" not in str(caught.value)


def test_a_download_that_fails_has_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise OSError("no route to host\nand more")

    from keras_hub.src.utils import preset_utils

    monkeypatch.setattr(preset_utils, "get_file", fails)
    with pytest.raises(UnfreezeError, match=r"could not download config.json of hub:resnet_18_imagenet \(.*route") as c:
        kept_preset("hub:resnet_18_imagenet", tmp_path)
    assert "\n" not in str(c.value)


def test_a_preset_that_keras_hub_downloads(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its downloader gives the path of each file; no other file is asked for."""
    asked = []

    def get_file(preset: str, path: str) -> str:
        asked.append((preset, path))
        return str(plain / path)

    from keras_hub.src.utils import preset_utils

    monkeypatch.setattr(preset_utils, "get_file", get_file)
    file = kept_preset("hub:vgg_11_imagenet", tmp_path / "backbones")
    assert file.name == "vgg_11_imagenet.keras"
    assert {preset for preset, _ in asked} == {"vgg_11_imagenet"}
    assert {path for _, path in asked} <= {"config.json", "image_converter.json", "model.weights.h5"}


def edited(**changes: Any) -> Callable[[Path], None]:
    """A change of config.json; `config` adds to the arguments of the constructor."""

    def edit(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        config["config"] |= changes.get("config", {})
        config |= {name: value for name, value in changes.items() if name != "config"}
        (folder / "config.json").write_text(json.dumps(config))

    return edit


def written(name: str, content: bytes | None) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        if content is not None:
            (folder / name).write_bytes(content)

    return write


def linked_elsewhere(folder: Path) -> None:
    (folder / "model.weights.h5").unlink()
    with h5py.File(folder / "model.weights.h5", "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/passwd", "/")


def of_other_shapes(folder: Path) -> None:
    own = keras_hub.models.VGGBackbone(stackwise_num_repeats=[1, 1], stackwise_num_filters=[4, 4])
    own.save_weights(folder / "model.weights.h5")


LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "4wAA"}, "registered_name": None}
TEXT = {"module": "keras_hub.src.models.bert.bert_backbone", "class_name": "BertBackbone"}
TIMM = json.dumps({"architecture": "resnet18", "num_classes": 1000}).encode()
BARE = json.dumps({"module": "keras_hub", "class_name": "VGGBackbone"}).encode()
HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "text": (
        edited(**TEXT, registered_name="keras_hub>BertBackbone"),
        "is of the class 'BertBackbone', no",
    ),
    "another package": (edited(module="evil"), "is of the class 'VGGBackbone', no image classification backbone"),
    "Popen": (edited(module="subprocess", class_name="Popen"), "is of the class 'Popen'"),
    "Lambda": (edited(config={"image_shape": LAMBDA}), "names 'Lambda' inside; it was not loaded"),
    "a function": (edited(config={"x": {"class_name": "function", "config": "system"}}), "names 'system' inside"),
    "huge": (edited(config={"stackwise_num_filters": [8, 16, 10**9]}), "has the number 1,000,000,000"),
    "deep": (edited(config={"stackwise_num_repeats": [1, 1, 60_000]}), "which asks for 60,002 layers"),
    "long": (edited(config={"stackwise_num_repeats": [0] * 10**5}), "more than 4,096 values"),
    "no number": (edited(config={"image_shape": [float("nan")] * 3}), "has the number nan"),
    "a name of KerasHub's": (edited(config={"x": "keras_hub>BertTokenizer"}), "names 'keras_hub>BertTokenizer' inside"),
    "larger than its weights": (edited(config={"stackwise_num_filters": [9999, 9999, 24]}), "MB of weights and holds"),
    "not square": (edited(config={"image_shape": [64, 32, 3]}), "64 x 32 px; a backbone takes square ones"),
    "seven channels": (edited(config={"image_shape": [64, 64, 7]}), "takes .*7.*, not images|cannot be loaded"),
    "no class": (edited(class_name=None), "is of the class 'None'"),
    "no arguments": (written("config.json", BARE), "config.json of .* holds no configuration"),
    "no JSON": (written("config.json", b"{"), "config.json of .* cannot be read"),
    "a list": (written("config.json", b"[1]"), "config.json of .* holds no configuration"),
    "timm": (written("config.json", TIMM), "is of Transformers or timm; save it with KerasHub's"),
    "without a config": (written("config.json", None), "has no config.json; give the folder that"),
    "without weights": (written("model.weights.h5", None), "has no model.weights.h5; give the folder that"),
    "broken weights": (written("model.weights.h5", b"\x89HDF nothing"), "cannot be read as HDF5"),
    "other weights": (of_other_shapes, "cannot be loaded|needs .* MB of weights"),
    "weights elsewhere": (linked_elsewhere, "holds a link to elsewhere"),
    "converter": (written("image_converter.json", b'{"config": {"scale": "x"}}'), "is no range of pixels"),
    "converter without settings": (written("image_converter.json", b'{"config": 1}'), "without a configuration"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_preset_is_refused(name: str, plain: Path, tmp_path: Path) -> None:
    change, words = HOSTILE[name]
    shutil.copytree(plain, tmp_path / "preset")
    change(tmp_path / "preset")
    with pytest.raises(UnfreezeError, match=words) as caught:
        kept_preset(f"hub:{tmp_path / 'preset'}", tmp_path / "backbones")
    assert "preset" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "backbones").exists()


def test_weights_in_several_files_are_refused(plain: Path, tmp_path: Path) -> None:
    """Their names stand in a file, which could name any other."""
    shutil.copytree(plain, tmp_path / "preset")
    (tmp_path / "preset" / "model.weights.h5").unlink()
    shards = json.dumps({"weight_map": {"/layers": "../../elsewhere.h5"}})
    (tmp_path / "preset" / "model.weights.json").write_text(shards)
    with pytest.raises(UnfreezeError, match="has its weights in several files; save it with max_shard_size=None"):
        kept_preset(f"hub:{tmp_path / 'preset'}", tmp_path / "backbones")


def opaque(folder: Path) -> dict[str, bytes]:
    """What is in the file of a ViT, which stays one layer of KerasHub."""
    file = kept_preset(f"hub:{saved(made('vit'), folder / 'vit')}", folder / "backbones")
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_file_may_name_image_layers_of_keras_hub_alone(tmp_path: Path) -> None:
    """Keras knows all of KerasHub's classes by their names here."""
    members = opaque(tmp_path)
    assert read_model(packed(tmp_path / "good.keras", members)).output_shape == (None, 32)
    text = {"module": "keras_hub.src.models.bert.bert_tokenizer", "class_name": "BertTokenizer"}
    vit, known = "keras_hub.src.models.vit", "keras_hub>BertTokenizer"
    for change in (
        text | {"registered_name": known},
        {"module": f"{vit}.vit_layers", "class_name": "BertTokenizer", "registered_name": None},
        {"module": f"{vit}.vit_backbone", "class_name": "ViTBackbone", "registered_name": known},
        {"module": "keras.layers", "class_name": "Dense", "registered_name": known},
        {"module": None, "class_name": known, "registered_name": None},
        {"module": f"{vit}.vit_layers", "class_name": "ops", "registered_name": None},
        {"module": f"{vit}.vit_layers", "class_name": "ViTEncoder", "config": {"dtype": known}},
        {"module": f"{vit}.vit_image_classifier_preprocessor", "class_name": "ViTImageClassifierPreprocessor"},
        {"module": f"{vit}.vit_image_converter", "class_name": "ViTImageConverter", "registered_name": None},
        {"module": "keras_hub.src.models.vit.vit_layers.os", "class_name": "System", "registered_name": None},
    ):
        config = json.loads(members["config.json"])
        entry = next(one for one in config["config"]["layers"] if one["module"].startswith("keras_hub"))
        entry |= change
        path = packed(tmp_path / "bad.keras", members | {"config.json": json.dumps(config).encode()})
        with pytest.raises(UnfreezeError, match="none of the layers that are safe to load"):
            read_model(path)


def test_what_keras_hub_registers_is_not_the_programs() -> None:
    """This program imported it itself."""
    assert any(map(hub_layers.is_registered_name, keras.saving.get_custom_objects()))
    assert not any(map(hub_layers.is_registered_name, hub_layers.registered()))
    keras.saving.register_keras_serializable("tests", "Mine")(Mine)
    assert "tests>Mine" in hub_layers.registered()
    keras.saving.get_custom_objects().pop("tests>Mine")


class Mine(keras.layers.Layer):
    pass


@pytest.mark.parametrize(
    ("kind", "config", "words"),
    [
        ("vit.vit_backbone.ViTBackbone", {"num_layers": 10**9}, "has the number 1,000,000,000"),
        ("vit.vit_layers.ViTEncoder", {"num_layers": 60_000}, "'num_layers', which asks for 60,000 layers"),
        ("mit.mit_backbone.MiTBackbone", {"layerwise_depths": [500] * 4}, "which asks for 2,000 layers"),
        ("mit.mit_backbone.MiTBackbone", {"layerwise_depths": [0] * 5000}, "has more than 4,096 values of"),
        (
            "swin_transformer.swin_transformer_backbone.SwinTransformerBackbone",
            {"mlp_ratio": 1e9},
            "has the number 1,0",
        ),
    ],
)
def test_layers_of_keras_hub_in_a_file_are_given_numbers_of_images(kind: str, config: Any, words: str) -> None:
    module, _, name = f"keras_hub.src.models.{kind}".rpartition(".")
    with pytest.raises(UnfreezeError, match=words) as caught:
        check_config({"module": module, "class_name": name, "config": config}, (), Path("bad.keras"))
    assert "bad.keras" in str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        {"stackwise_depth_coefficients": [5.3] * 7, "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1], "min_depth": 8},
        {"stackwise_depth_coefficients": [1.0] * 7, "stackwise_num_repeats": [4, 8, 8, 16, 24, 32, 8], "min_depth": 8},
        {"stackwise_num_repeats": [6, 12, 64, 48]},
        {"layerwise_depths": [3, 6, 40, 3], "num_layers": 4},
        {"depths": [2, 3, 6, 3], "stackwise_stage_filters": [[96, 96, 192, 2, 6, 3], [1024, 768, 2048, 6, 6, 5]]},
        {"dtype": {"class_name": "DTypePolicy", "config": {"name": "float32"}}, "num_layers": 48, "name": None},
    ],
    ids=["EfficientNetL2", "EfficientNetV2XL", "DenseNet264", "MiTB5", "HGNetV2", "ViT"],
)
def test_the_largest_models_of_images_are_not_too_large(config: dict[str, Any]) -> None:
    check_arguments(config, "preset")


def test_without_the_extra_a_file_of_keras_hub_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "vit.keras", opaque(tmp_path))
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(UnfreezeError, match=r"vit.keras needs KerasHub; install it with pip install 'unfreeze\[hub\]'"):
        read_model(path)
    with pytest.raises(UnfreezeError, match=r"hub:vit needs KerasHub; install it with pip install 'unfreeze\[hub\]'"):
        unfreeze.backbones("hub:vit")


def test_what_a_preset_states_is_shown(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(plain, tmp_path / "preset")
    (tmp_path / "preset" / "README.md").write_text("---\nlibrary_name: keras-hub\nlicense: apache-2.0\n---\n# VGG\n")
    code, out, _ = typed(capsys, "backbones", f"hub:{tmp_path / 'preset'}")
    assert code == 0
    assert "apache-2.0" in out
    assert "it takes pixels as imagenet" in out
    row = unfreeze.backbones(f"hub:{tmp_path / 'preset'}")[0]
    own = keras_hub.models.Backbone.from_preset(str(plain))
    assert (row.parameters, row.image_size, row.licence) == (own.count_params(), SIZE, "apache-2.0")
    assert len(row.cuts) == 4
    assert [line for line in out.splitlines() if row.cuts[0] in line]


def test_pixels_may_be_given_where_the_preset_states_none(plain: Path, tmp_path: Path) -> None:
    shutil.copytree(plain, tmp_path / "preset")
    (tmp_path / "preset" / "image_converter.json").unlink()
    for number, (given, told) in enumerate({"0..255": "0..255", "-1..1": "-1..1"}.items()):
        origin = origin_of(kept_preset(f"hub:{tmp_path / 'preset'}", tmp_path / str(number) / "backbones", given))
        assert origin is not None
        assert (origin.pixels, origin.image_size) == (told, 0)
    run, name = tmp_path / "1", f"hub:{tmp_path / 'preset'}"
    told = [own_backbone._file_of(name, pixels, run, True)["pixels"] for pixels in ("-1..1", "0..1", "0..255")]
    assert told == ["-1..1", "0..1", "0..255"], "a run that was begun is compared with what is given"
    kept_preset(f"hub:{plain}", tmp_path / "backbones")
    for begun in (False, True):
        with pytest.raises(UnfreezeError, match=r"takes pixels as imagenet; leave --pixels 0\.\.1 out"):
            kept_preset(f"hub:{plain}", tmp_path / "backbones", "0..1", begun=begun)


@pytest.mark.long
def test_a_whole_run_from_presets(plain: Path, pictures: Path, tmp_path: Path) -> None:
    """Search over two presets, every file proven; the run goes on when the presets have changed and disappeared."""
    presets = tmp_path / "presets"
    shutil.copytree(plain, presets / "vgg")
    saved(made("deit"), presets / "deit", image_size=(SIZE, SIZE), **IMAGENET)
    names = (f"hub:{presets / 'vgg'}", f"hub:{presets / 'deit'}")
    settings = Settings(
        vary={"backbone": names}, head_units=0, dropout=0.0, unfreeze=(0, 1), head_epochs=1, tune_epochs=1,
        batch_size=8, oracle="random", trials=2, folds=1,
    )  # fmt: skip
    export = unfreeze.ExportSettings(formats=("tflite", "onnx"), precisions=("float32",), margin=50)
    finished = unfreeze.run(pictures, tmp_path / "run", settings=settings, export=export)
    assert {trial.values["backbone"] for trial in finished.search.trials} == {"vgg", "deit"}
    assert all(parity.max_difference < 1e-4 for parity in finished.parities)
    assert len(finished.parities) == 2
    shutil.rmtree(presets)
    more = replace(settings, trials=4)
    assert len(unfreeze.tune(pictures, tmp_path / "run", settings=more).trials) == 4
    page, card = unfreeze.report(tmp_path / "run")
    assert "--backbones hub:./vgg,hub:./deit" in page.read_text(encoding="utf-8")
    told = card.read_text(encoding="utf-8").replace("\\", "")
    assert "It started from the weights in the preset hub:./" in told
    assert str(tmp_path) not in told


@pytest.mark.long
def test_a_run_keeps_the_preset_that_it_began_with(plain: Path, pictures: Path, tmp_path: Path) -> None:
    preset = tmp_path / "vgg"
    shutil.copytree(plain, preset)
    settings = replace(SEARCH, backbone=f"hub:{preset}", image_size=0, head_units=0, unfreeze=(0,), folds=1)
    train = unfreeze.train(pictures, tmp_path / "run", settings=settings)
    stored = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert stored["backbone"] == str(tmp_path / "run" / "backbones" / "vgg.keras")
    assert (stored["pixels"], stored["image_size"]) == ("imagenet", SIZE)
    shutil.rmtree(preset)
    saved(made("vgg"), preset)  # other weights
    assert unfreeze.train(pictures, tmp_path / "run", settings=settings).rows[0]["loss"] == train.rows[0]["loss"]
    shutil.move(preset, tmp_path / "other" / "vgg")
    with pytest.raises(UnfreezeError, match="holds another backbone; give another run folder"):
        unfreeze.train(pictures, tmp_path / "run", settings=replace(settings, backbone=f"hub:{tmp_path / 'other/vgg'}"))


def test_nothing_is_left_of_a_run_that_did_not_begin(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(UnfreezeError, match="does not exist"):
        unfreeze.tune(tmp_path / "nothing", tmp_path / "run", settings=replace(USUAL, backbone=f"hub:{plain}"))
    assert not (tmp_path / "run").exists()
