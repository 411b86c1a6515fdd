"""The backbones of `keras.applications`, with the cut layer of each unfreeze depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from string import ascii_lowercase

from toolkit.errors import UnfreezeError


@dataclass(frozen=True)
class Backbone:
    """A row of the table: one architecture of `keras.applications`."""

    name: str  # constructor in keras.applications
    image_size: int  # pixels, the default side of the square input
    normalisation: str  # "tf", "caffe" or "torch": modes of `preprocess_input`; "inside": done by the backbone
    cuts: tuple[str, ...]  # cuts[d - 1]: the layer whose output is the last frozen tensor at depth d >= 1
    alphas: tuple[float, ...] = (1.0,)  # width multipliers for which there are ImageNet weights
    weight_sizes: tuple[int, ...] = (224,)  # pixels, image sizes for which there are ImageNet weights
    smallest: int = 32  # pixels, the smallest side that the constructor accepts


def backbone(name: str) -> Backbone:
    """The table's row of the backbone `name`. Raises UnfreezeError, which proposes the nearest name, if there is
    none."""
    if name in BACKBONES:
        return BACKBONES[name]
    lower = {known.lower(): known for known in BACKBONES}
    near = get_close_matches(name.lower(), lower, n=1)
    hint = f"did you mean {lower[near[0]]}?" if near else "`unfreeze backbones` lists those there are"
    raise UnfreezeError(f"unknown backbone {name!r}; {hint}")


def deepest(name: str) -> int:
    """The largest unfreeze depth, at which all stages are trained."""
    return len(backbone(name).cuts) + 1


def cut_layer(name: str, depth: int) -> str | None:
    """The layer whose output is the last frozen tensor at `depth`; None if nothing is frozen. Raises UnfreezeError if
    the backbone does not have this depth."""
    cuts = ("pool", *backbone(name).cuts, None)
    if not 0 <= depth < len(cuts):
        raise UnfreezeError(f"unfreeze depth of {name} goes from 0 to {len(cuts) - 1}, got {depth}")
    return cuts[depth]


def _cuts(ends: Sequence[str]) -> tuple[str, ...]:
    """`Backbone.cuts` from `ends`, the last layer of each block in the graph's order. The stem belongs to the first
    stage."""
    return tuple(reversed(ends[:-1]))


def _mobilenet_v2() -> tuple[str, ...]:
    widening = {1, 3, 6, 10, 13, 16}  # blocks without a residual end at their projection's BatchNormalization
    ends = [f"block_{n}_project_BN" if n in widening else f"block_{n}_add" for n in range(1, 17)]
    return _cuts(["expanded_conv_project_BN", *ends])


def _mobilenet_v3(blocks: int, widening: set[int]) -> tuple[str, ...]:
    names = ["expanded_conv", *(f"expanded_conv_{n}" for n in range(1, blocks))]
    return _cuts([f"{name}_{'project_bn' if n in widening else 'add'}" for n, name in enumerate(names)])


def _efficientnet(repeats: Sequence[int], first: str = "project_bn") -> tuple[str, ...]:
    """`first`: the layer with which block 1a ends. The first block of every other stage has no residual."""
    ends = [
        f"block{stage}{ascii_lowercase[n]}_{'add' if n else 'project_bn'}"
        for stage, count in enumerate(repeats, 1)
        for n in range(count)
    ]
    return _cuts([f"block1a_{first}", *ends[1:]])


def _resnet(repeats: Sequence[int]) -> tuple[str, ...]:
    return _cuts([f"conv{stage}_block{n}_out" for stage, count in enumerate(repeats, 2) for n in range(1, count + 1)])


def _densenet(repeats: Sequence[int]) -> tuple[str, ...]:
    """A stage is four convolution blocks, which are thin here, or fewer before a transition to the next resolution."""
    ends = []
    for stage, count in enumerate(repeats, 2):
        ends += [f"conv{stage}_block{n}_concat" for n in range(4, count, 4)] + [f"pool{stage}_pool"]
    return _cuts(ends)


def _vgg(repeats: Sequence[int]) -> tuple[str, ...]:
    """A stage is one convolution, with the pooling that follows it."""
    ends = []
    for stage, count in enumerate(repeats, 1):
        ends += [f"block{stage}_conv{n}" for n in range(1, count)] + [f"block{stage}_pool"]
    return _cuts(ends)


def _adds(blocks: int) -> tuple[str, ...]:
    """For families whose additions have no names in Keras: `toolkit.models.build` numbers them in the graph's order."""
    return _cuts([f"add_{n}" for n in range(1, blocks + 1)])


def _inception_resnet_v2() -> tuple[str, ...]:
    def residuals(kind: str, count: int) -> list[str]:
        return [f"{kind}_{n}_ac" for n in range(1, count + 1)]

    return _cuts(
        [
            *residuals("block35", 10),
            "mixed_6a",
            *residuals("block17", 20),
            "mixed_7a",
            *residuals("block8", 9),
            "end",
        ]
    )


_ROWS = (
    Backbone(
        "MobileNet",
        160,
        "tf",
        _cuts([f"conv_pw_{n}_relu" for n in range(1, 14)]),
        alphas=(0.25, 0.5, 0.75, 1.0),
        weight_sizes=(128, 160, 192, 224),
    ),
    Backbone(
        "MobileNetV2",
        160,
        "tf",
        _mobilenet_v2(),
        alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
        weight_sizes=(96, 128, 160, 192, 224),
    ),
    Backbone("MobileNetV3Small", 224, "inside", _mobilenet_v3(11, {0, 1, 3, 6, 8}), alphas=(0.75, 1.0)),
    Backbone("MobileNetV3Large", 224, "inside", _mobilenet_v3(15, {1, 3, 6, 10, 12}), alphas=(0.75, 1.0)),
    Backbone("EfficientNetB0", 224, "inside", _efficientnet([1, 2, 2, 3, 3, 4, 1])),
    Backbone("EfficientNetB1", 240, "inside", _efficientnet([2, 3, 3, 4, 4, 5, 2])),
    Backbone("EfficientNetB2", 260, "inside", _efficientnet([2, 3, 3, 4, 4, 5, 2])),
    Backbone("EfficientNetB3", 300, "inside", _efficientnet([2, 3, 3, 5, 5, 6, 2])),
    Backbone("EfficientNetV2B0", 224, "inside", _efficientnet([1, 2, 2, 3, 5, 8], first="project_activation")),
    Backbone("EfficientNetV2B1", 240, "inside", _efficientnet([2, 3, 3, 4, 6, 9], first="project_activation")),
    Backbone("EfficientNetV2B2", 260, "inside", _efficientnet([2, 3, 3, 4, 6, 10], first="project_activation")),
    Backbone("EfficientNetV2B3", 300, "inside", _efficientnet([2, 3, 3, 5, 7, 12], first="project_activation")),
    Backbone("EfficientNetV2S", 384, "inside", _efficientnet([2, 4, 4, 6, 9, 15], first="add")),
    Backbone("ResNet50", 224, "caffe", _resnet([3, 4, 6, 3])),
    Backbone("ResNet101", 224, "caffe", _resnet([3, 4, 23, 3])),
    Backbone("ResNet50V2", 224, "tf", _resnet([3, 4, 6, 3])),
    Backbone("ResNet101V2", 224, "tf", _resnet([3, 4, 23, 3])),
    Backbone("DenseNet121", 224, "torch", _densenet([6, 12, 24, 16])),
    Backbone("DenseNet169", 224, "torch", _densenet([6, 12, 32, 32])),
    Backbone("ConvNeXtTiny", 224, "inside", _adds(18)),
    Backbone("ConvNeXtSmall", 224, "inside", _adds(36)),
    Backbone("Xception", 299, "tf", _adds(13), smallest=71),
    Backbone("InceptionV3", 299, "tf", _cuts([f"mixed{n}" for n in range(11)]), smallest=75),
    Backbone("InceptionResNetV2", 299, "tf", _inception_resnet_v2(), smallest=75),
    # Each cell reads the two cells before it: a single tensor can be cut only behind the first convolution.
    Backbone("NASNetMobile", 224, "tf", ("stem_bn1",)),
    Backbone("VGG16", 224, "caffe", _vgg([2, 2, 3, 3, 3])),
    Backbone("VGG19", 224, "caffe", _vgg([2, 2, 4, 4, 4])),
)


BACKBONES: dict[str, Backbone] = {row.name: row for row in _ROWS}
