"""The backbones of `keras.applications`, with the cut layer of each unfreeze depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase


@dataclass(frozen=True)
class Backbone:
    """A row of the table: one architecture of `keras.applications`; or the backbone in a file."""

    name: str  # constructor in keras.applications, or the path of a file
    image_size: int  # pixels, the default side of the square input
    pixels: str  # the range that it takes, as `toolkit.pixels.pixel_range` names it; "": that of its spec
    cuts: tuple[str, ...]  # cuts[d - 1]: the layer whose output is the last frozen tensor at depth d >= 1
    parameters: int = 0  # of the backbone alone, at alpha 1
    licence: str = ""  # of the ImageNet weights, as an SPDX identifier; "": not stated
    source: str = ""  # whose training the weights are
    alphas: tuple[float, ...] = (1.0,)  # width multipliers for which there are ImageNet weights
    weight_sizes: tuple[int, ...] = (224,)  # pixels, image sizes for which there are ImageNet weights
    smallest: int = 32  # pixels, the smallest side that the constructor accepts
    fixed: bool = False  # whether it takes images of `image_size` only
    channels: int = 3  # of the images that it takes; 1: grey ones only

    @property
    def deepest(self) -> int:
        """The largest unfreeze depth, at which all stages are trained."""
        return len(self.cuts) + 1


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


# the parameters of each at alpha 1
_PARAMETERS = {
    "MobileNet": 3_228_864,
    "MobileNetV2": 2_257_984,
    "MobileNetV3Small": 939_120,
    "MobileNetV3Large": 2_996_352,
    "EfficientNetB0": 4_049_571,
    "EfficientNetB1": 6_575_239,
    "EfficientNetB2": 7_768_569,
    "EfficientNetB3": 10_783_535,
    "EfficientNetV2B0": 5_919_312,
    "EfficientNetV2B1": 6_931_124,
    "EfficientNetV2B2": 8_769_374,
    "EfficientNetV2B3": 12_930_622,
    "EfficientNetV2S": 20_331_360,
    "ResNet50": 23_587_712,
    "ResNet101": 42_658_176,
    "ResNet50V2": 23_564_800,
    "ResNet101V2": 42_626_560,
    "DenseNet121": 7_037_504,
    "DenseNet169": 12_642_880,
    "ConvNeXtTiny": 27_820_128,
    "ConvNeXtSmall": 49_454_688,
    "Xception": 20_861_480,
    "InceptionV3": 21_802_784,
    "InceptionResNetV2": 54_336_736,
    "NASNetMobile": 4_269_716,
    "VGG16": 14_714_688,
    "VGG19": 20_024_384,
}
# the licence and source of the ImageNet weights, by the beginning of the name, as Keras' documentation or the
# repositories state them from which they were converted; nothing is stated of ResNet50V2's and ResNet101V2's
_LICENCES = {
    ("MobileNet", "Inception", "NASNet"): ("Apache-2.0", "tensorflow/models"),
    ("EfficientNetB",): ("Apache-2.0", "tensorflow/tpu"),
    ("EfficientNetV2",): ("Apache-2.0", "google/automl"),
    ("DenseNet",): ("BSD-3-Clause", "liuzhuang13/DenseNet"),
    ("ConvNeXt",): ("MIT", "facebookresearch/ConvNeXt"),
    ("Xception",): ("MIT", "Keras"),
    ("VGG",): ("CC-BY-4.0", "VGG, University of Oxford"),
}
_LICENCE_OF = {name: ("MIT", "KaimingHe/deep-residual-networks") for name in ("ResNet50", "ResNet101")}


def _with_facts(row: Backbone) -> Backbone:
    found = [told for names, told in _LICENCES.items() if row.name.startswith(names)]
    licence, source = _LICENCE_OF.get(row.name, found[0] if found else ("", ""))
    return replace(row, parameters=_PARAMETERS[row.name], licence=licence, source=source)


_ROWS = (
    Backbone(
        "MobileNet",
        160,
        "-1..1",
        _cuts([f"conv_pw_{n}_relu" for n in range(1, 14)]),
        alphas=(0.25, 0.5, 0.75, 1.0),
        weight_sizes=(128, 160, 192, 224),
    ),
    Backbone(
        "MobileNetV2",
        160,
        "-1..1",
        _mobilenet_v2(),
        alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
        weight_sizes=(96, 128, 160, 192, 224),
    ),
    Backbone("MobileNetV3Small", 224, "0..255", _mobilenet_v3(11, {0, 1, 3, 6, 8}), alphas=(0.75, 1.0)),
    Backbone("MobileNetV3Large", 224, "0..255", _mobilenet_v3(15, {1, 3, 6, 10, 12}), alphas=(0.75, 1.0)),
    Backbone("EfficientNetB0", 224, "0..255", _efficientnet([1, 2, 2, 3, 3, 4, 1])),
    Backbone("EfficientNetB1", 240, "0..255", _efficientnet([2, 3, 3, 4, 4, 5, 2])),
    Backbone("EfficientNetB2", 260, "0..255", _efficientnet([2, 3, 3, 4, 4, 5, 2])),
    Backbone("EfficientNetB3", 300, "0..255", _efficientnet([2, 3, 3, 5, 5, 6, 2])),
    Backbone("EfficientNetV2B0", 224, "0..255", _efficientnet([1, 2, 2, 3, 5, 8], first="project_activation")),
    Backbone("EfficientNetV2B1", 240, "0..255", _efficientnet([2, 3, 3, 4, 6, 9], first="project_activation")),
    Backbone("EfficientNetV2B2", 260, "0..255", _efficientnet([2, 3, 3, 4, 6, 10], first="project_activation")),
    Backbone("EfficientNetV2B3", 300, "0..255", _efficientnet([2, 3, 3, 5, 7, 12], first="project_activation")),
    Backbone("EfficientNetV2S", 384, "0..255", _efficientnet([2, 4, 4, 6, 9, 15], first="add")),
    Backbone("ResNet50", 224, "caffe", _resnet([3, 4, 6, 3])),
    Backbone("ResNet101", 224, "caffe", _resnet([3, 4, 23, 3])),
    Backbone("ResNet50V2", 224, "-1..1", _resnet([3, 4, 6, 3])),
    Backbone("ResNet101V2", 224, "-1..1", _resnet([3, 4, 23, 3])),
    Backbone("DenseNet121", 224, "imagenet", _densenet([6, 12, 24, 16])),
    Backbone("DenseNet169", 224, "imagenet", _densenet([6, 12, 32, 32])),
    Backbone("ConvNeXtTiny", 224, "0..255", _adds(18)),
    Backbone("ConvNeXtSmall", 224, "0..255", _adds(36)),
    Backbone("Xception", 299, "-1..1", _adds(13), smallest=71),
    Backbone("InceptionV3", 299, "-1..1", _cuts([f"mixed{n}" for n in range(11)]), smallest=75),
    Backbone("InceptionResNetV2", 299, "-1..1", _inception_resnet_v2(), smallest=75),
    # Each cell reads the two cells before it: a single tensor can be cut only behind the first convolution.
    Backbone("NASNetMobile", 224, "-1..1", ("stem_bn1",)),
    Backbone("VGG16", 224, "caffe", _vgg([2, 2, 3, 3, 3])),
    Backbone("VGG19", 224, "caffe", _vgg([2, 2, 4, 4, 4])),
)


BACKBONES: dict[str, Backbone] = {row.name: _with_facts(row) for row in _ROWS}
