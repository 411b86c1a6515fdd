"""The table of backbones and the checks of a spec; test_backbones holds the cuts against the graphs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.errors import UnfreezeError
from toolkit.models.applications import BACKBONES
from toolkit.models.backbones import backbone, cut_layer, deepest
from toolkit.models.spec import ModelSpec, check_spec

GOOD = ModelSpec("MobileNetV2", 1.0, 160, 2, 0, 0.2, 1)


def spec_of(name: str) -> ModelSpec:
    row = backbone(name)
    return ModelSpec(name, row.alphas[-1], row.image_size, 2, 0, 0.0, deepest(name))


@pytest.mark.parametrize("name", BACKBONES)
def test_row_is_consistent(name: str) -> None:
    row = backbone(name)
    assert row.name == name
    assert row.pixels in {"-1..1", "caffe", "imagenet", "0..255"}
    assert 1.0 in row.alphas
    assert row.smallest <= row.image_size
    assert len(set(row.cuts)) == len(row.cuts) == deepest(name) - 1
    check_spec(spec_of(name))


def test_depths_of_the_default_backbone() -> None:
    assert cut_layer("MobileNetV2", 0) == "pool"
    assert cut_layer("MobileNetV2", 1) == "block_15_add"
    assert cut_layer("MobileNetV2", 16) == "expanded_conv_project_BN"
    assert deepest("MobileNetV2") == 17
    assert cut_layer("MobileNetV2", 17) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "mobilenetv2"}, "did you mean MobileNetV2"),
        ({"backbone": "EfficentNetB1"}, "did you mean EfficientNetB1"),
        ({"backbone": "zzz"}, "unfreeze backbones"),
        ({"alpha": 0.3}, r"alpha 0\.35, 0\.5, 0\.75, 1, 1\.3, 1\.4; got 0\.3"),
        ({"backbone": "ResNet50", "alpha": 0.5}, r"ResNet50 has alpha 1; got 0\.5"),
        ({"image_size": 31}, "at least 32 px, got 31"),
        ({"backbone": "InceptionV3", "image_size": 74}, "at least 75 px, got 74"),
        ({"classes": 1}, "at least 2 classes, got 1"),
        ({"head_units": -1}, "got -1"),
        ({"dropout": 1.0}, "below 1, got 1"),
        ({"dropout": -0.1}, r"got -0\.1"),
        ({"dropout": float("nan")}, "got nan"),
        ({"unfreeze": -1}, "from 0 to 17, got -1"),
        ({"unfreeze": 18}, "from 0 to 17, got 18"),
    ],
)
def test_impossible_spec_is_refused_with_what_is_possible(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UnfreezeError, match=message) as caught:
        check_spec(replace(GOOD, **changes))
    assert "\n" not in str(caught.value)
