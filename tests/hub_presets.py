"""Small random presets of every image backbone of KerasHub, in folders as its `save_to_preset` writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE = 64  # pixels
IMAGENET = {  # as the converters of timm's ports have it
    "scale": [1 / 255 / 0.229, 1 / 255 / 0.224, 1 / 255 / 0.225],
    "offset": [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
}
FIXED = (SIZE, SIZE, 3)


def mobilenet(v3: bool) -> dict[str, Any]:
    """Inverted bottlenecks; those of V3 with squeeze-and-excitation and hard-swish."""
    ratio, activation = (0.25, "hard_swish") if v3 else (None, "relu6")
    return {
        "stackwise_expansion": [[8, 16], [24, 24]],
        "stackwise_num_blocks": [2, 2],
        "stackwise_num_filters": [[8, 8], [12, 12]],
        "stackwise_kernel_size": [[3, 3], [5, 5]],
        "stackwise_num_strides": [[2, 1], [2, 1]],
        "stackwise_se_ratio": [[None, None], [ratio, ratio]],
        "stackwise_activation": [["relu", "relu"], [activation, activation]],
        "stackwise_padding": [[1, 1], [2, 2]],
        "output_num_filters": 32,
        "input_activation": activation,
        "output_activation": activation,
        "input_num_filters": 8,
        "depthwise_filters": 8,
        "depthwise_stride": 2,
        "depthwise_residual": False,
        "squeeze_and_excite": ratio,
        "last_layer_filter": 32,
    }


def efficientnet(kinds: list[str], ratio: float, activation: str) -> dict[str, Any]:
    """Of the block types "v1", "fused" and "unfused"."""
    count = len(kinds)
    return {
        "stackwise_width_coefficients": [1.0] * count,
        "stackwise_depth_coefficients": [1.0] * count,
        "stackwise_kernel_sizes": [3] * count,
        "stackwise_num_repeats": [2] * count,
        "stackwise_input_filters": [8, 8, 16][:count],
        "stackwise_output_filters": [8, 16, 24][:count],
        "stackwise_expansion_ratios": [1, 4, 4][:count],
        "stackwise_squeeze_and_excite_ratios": [ratio] * count,
        "stackwise_strides": [1, 2, 2][:count],
        "stackwise_block_types": kinds,
        "stackwise_force_input_filters": [0] * count,
        "stackwise_nores_option": [False] * count,
        "activation": activation,
    }  # num_features stays 1280: KerasHub 0.32 does not write it into a preset


def resnet(block: str, *, first: bool = False, deep_stem: bool = False) -> dict[str, Any]:
    """`first`: activations before the convolutions (V2). `deep_stem`: three convolutions, as ResNet-D has them."""
    return {
        "input_conv_filters": [16, 16, 64] if deep_stem else [64],
        "input_conv_kernel_sizes": [3, 3, 3] if deep_stem else [7],
        "stackwise_num_filters": [64, 64],
        "stackwise_num_blocks": [2, 2],
        "stackwise_num_strides": [1, 2],
        "block_type": block,
        "use_pre_activation": first,
    }


def cspnet(stage: str, block: str) -> dict[str, Any]:
    return {
        "stem_filters": 8,
        "stem_kernel_size": 3,
        "stem_strides": 1,
        "stackwise_depth": [1, 2, 2],
        "stackwise_strides": [2, 2, 2],
        "stackwise_num_filters": [16, 24, 32],
        "stage_type": stage,
        "block_type": block,
    }


def mobilenetv5(msfa: bool) -> dict[str, Any]:
    """Edge residuals and universal inverted bottlenecks, then multi-query attention."""
    return {
        "stackwise_block_types": [["er"], ["uir", "uir"], ["uir", "mqa"]],
        "stackwise_num_blocks": [1, 2, 2],
        "stackwise_num_filters": [[16], [24, 24], [32, 32]],
        "stackwise_strides": [[2], [2, 1], [2, 1]],
        "stackwise_act_layers": [["gelu"], ["gelu"] * 2, ["gelu"] * 2],
        "stackwise_exp_ratios": [[4.0], [4.0, 4.0], [4.0, 1.0]],
        "stackwise_se_ratios": [[0.0], [0.0, 0.0], [0.0, 0.0]],
        "stackwise_dw_kernel_sizes": [[0], [5, 5], [5, 0]],
        "stackwise_dw_start_kernel_sizes": [[0], [0, 0], [0, 0]],
        "stackwise_dw_end_kernel_sizes": [[0], [0, 0], [0, 0]],
        "stackwise_exp_kernel_sizes": [[3], [0, 0], [0, 0]],
        "stackwise_pw_kernel_sizes": [[1], [0, 0], [0, 0]],
        "stackwise_num_heads": [[0], [0, 0], [0, 2]],
        "stackwise_key_dims": [[0], [0, 0], [0, 16]],
        "stackwise_value_dims": [[0], [0, 0], [0, 16]],
        "stackwise_kv_strides": [[0], [0, 0], [0, 1]],
        "stackwise_use_cpe": [[False], [False] * 2, [False] * 2],
        "stem_size": 8,
        "use_msfa": msfa,
        **({"num_features": 32, "msfa_output_resolution": 4} if msfa else {}),
    }


VIT = {"image_shape": FIXED, "patch_size": 16, "num_layers": 2, "num_heads": 2, "hidden_dim": 32}
# name -> class in keras_hub.models, arguments of its constructor
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "mobilenet_v2": ("MobileNetBackbone", mobilenet(False)),
    "mobilenet_v3": ("MobileNetBackbone", mobilenet(True)),
    "mobilenet_v5": ("MobileNetV5Backbone", mobilenetv5(False)),
    "mobilenet_v5_msfa": ("MobileNetV5Backbone", mobilenetv5(True)),
    "efficientnet_b": ("EfficientNetBackbone", efficientnet(["v1"] * 3, 0.25, "swish")),
    "efficientnet_lite": ("EfficientNetBackbone", efficientnet(["v1"] * 3, 0.0, "relu6")),
    "efficientnet_v2": ("EfficientNetBackbone", efficientnet(["fused", "fused", "unfused"], 0.25, "swish")),
    "resnet_v1": ("ResNetBackbone", resnet("bottleneck_block")),
    "resnet_v2": ("ResNetBackbone", resnet("bottleneck_block", first=True)),
    "resnet_d": ("ResNetBackbone", resnet("bottleneck_block_vd", deep_stem=True)),
    "densenet": ("DenseNetBackbone", {"stackwise_num_repeats": [2, 3, 2], "growth_rate": 8}),
    "vgg": ("VGGBackbone", {"stackwise_num_repeats": [1, 2, 2], "stackwise_num_filters": [8, 16, 24]}),
    "xception": (
        "XceptionBackbone",
        {"stackwise_conv_filters": [[8, 16], [16, 24], [32, 32]], "stackwise_pooling": [True, True, False]},
    ),
    "csp_darknet": ("CSPNetBackbone", cspnet("dark", "dark_block")),
    "csp_resnet": (
        "CSPNetBackbone",
        cspnet("csp", "bottleneck_block") | {"bottle_ratio": [0.5], "expand_ratio": [2.0]},
    ),
    "hgnet_v2": (
        "HGNetV2Backbone",
        {
            "depths": [1, 2],
            "embedding_size": 8,
            "hidden_sizes": [16, 24],
            "stem_channels": [3, 8, 8],
            "hidden_act": "relu",
            "use_learnable_affine_block": True,
            "stackwise_stage_filters": [[8, 8, 16, 1, 2, 3], [16, 8, 24, 2, 2, 5]],
            "apply_downsample": [False, True],
            "use_lightweight_conv_block": [False, True],
        },
    ),
    "vit": ("ViTBackbone", VIT | {"mlp_dim": 64}),
    "vit_without_class_token": ("ViTBackbone", VIT | {"mlp_dim": 64, "use_class_token": False}),
    "deit": ("DeiTBackbone", VIT | {"intermediate_dim": 64}),
    "swin": (
        "SwinTransformerBackbone",
        {"image_shape": FIXED, "embed_dim": 16, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4},
    ),
    "mit": (
        "MiTBackbone",
        {
            "image_shape": FIXED,
            "layerwise_depths": [1, 2],
            "num_layers": 2,
            "layerwise_num_heads": [1, 2],
            "layerwise_sr_ratios": [2, 1],
            "max_drop_path_rate": 0.1,
            "layerwise_patch_sizes": [7, 3],
            "layerwise_strides": [4, 2],
            "hidden_dims": [16, 32],
        },
    ),
}


def made(name: str, change: Callable[[Any], None] = lambda backbone: None) -> Any:
    """KerasHub's backbone of a name in PRESETS, with random weights."""
    import keras
    import keras_hub

    kind, arguments = PRESETS[name]
    keras.utils.set_random_seed(0)
    backbone = getattr(keras_hub.models, kind)(**arguments)
    change(backbone)
    return backbone


def saved(backbone: Any, folder: Path, **converter: Any) -> Path:
    """The folder of a preset. `converter`: of the image converter; {}: there is none."""
    import keras_hub

    backbone.save_to_preset(str(folder))
    if converter:
        kind = getattr(keras_hub.layers, type(backbone).__name__.replace("Backbone", "ImageConverter"))
        kind(**converter).save_to_preset(str(folder))
    return folder
