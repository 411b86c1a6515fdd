from __future__ import annotations

import pytest

from export.variants import FORMATS, PRECISIONS, VARIANTS, choose_variants
from toolkit.errors import UnfreezeError


def names(*chosen) -> list[str]:
    return [variant.name for variant in choose_variants(*chosen)]


def test_all_of_them_by_default_and_when_all_are_named() -> None:
    assert choose_variants() == VARIANTS == choose_variants(FORMATS, PRECISIONS)
    assert len({variant.name for variant in VARIANTS}) == 8


@pytest.mark.parametrize(
    ("formats", "precisions", "expected"),
    [
        (["onnx"], None, ["model.onnx", "model_fp16.onnx", "model_int8.onnx"]),
        (None, ["int8"], ["model_int8.tflite", "model_int8.onnx"]),
        (["tflite"], ["dynamic", "float32"], ["model.tflite", "model_dynamic.tflite"]),
        (None, ["int16x8"], ["model_int16x8.tflite"]),
        (["tflite"], ["int8", "int16x8"], ["model_int8.tflite", "model_int16x8.tflite"]),
        (["saved_model", "onnx"], ["float32", "int8"], ["saved_model", "model.onnx", "model_int8.onnx"]),
    ],
)
def test_some(formats: list[str] | None, precisions: list[str] | None, expected: list[str]) -> None:
    assert names(formats, precisions) == expected


@pytest.mark.parametrize(
    ("formats", "precisions", "said"),
    [
        (["onnx"], ["dynamic"], "there is no onnx file in dynamic: .*depthwise.* onnx comes in float32, float16, int8"),
        (
            ["saved_model", "tflite"],
            ["int8"],
            "there is no saved_model file in int8: TensorFlow runs it in float32 only",
        ),
        (["onnx"], ["int16x8"], "there is no onnx file in int16x8: .* TFLite only"),
        (["saved_model"], ["float32", "float16"], "there is no saved_model file in float16"),
    ],
)
def test_what_there_is_not_is_said(formats: list[str], precisions: list[str], said: str) -> None:
    with pytest.raises(UnfreezeError, match=said):
        choose_variants(formats, precisions)
