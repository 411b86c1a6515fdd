"""The files that an export can write: formats, precisions, and the combinations that exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from shlex import quote

from toolkit.errors import UnfreezeError

FORMATS = ("saved_model", "tflite", "onnx")
PRECISIONS = ("float32", "float16", "dynamic", "int8")  # written unless others are asked for
GPU = "float16_gpu"
ON_REQUEST = ("int16x8", GPU)  # written only if it is asked for


@dataclass(frozen=True)
class Variant:
    """One file of an export."""

    name: str  # below the export folder
    format: str
    # "float32" and "float16": of the weights. "dynamic": int8 weights, float activations. "int8": both in int8,
    # calibrated. "int16x8": int8 weights and 16-bit activations, calibrated. "float16_gpu": float16 weights, and an
    # input of float32, as GPU delegates take no integers.
    precision: str


VARIANTS = (
    Variant("saved_model", "saved_model", "float32"),
    Variant("model.tflite", "tflite", "float32"),
    Variant("model_fp16.tflite", "tflite", "float16"),
    Variant("model_dynamic.tflite", "tflite", "dynamic"),
    Variant("model_int8.tflite", "tflite", "int8"),
    Variant("model.onnx", "onnx", "float32"),
    Variant("model_fp16.onnx", "onnx", "float16"),
    Variant("model_int8.onnx", "onnx", "int8"),
)
ALL_VARIANTS = (  # those on request, too
    *VARIANTS,
    Variant("model_int16x8.tflite", "tflite", "int16x8"),
    Variant("model_fp16_gpu.tflite", "tflite", GPU),
)
WHY_NOT = {
    ("onnx", "dynamic"): "onnxruntime's dynamic int8 has one scale for each tensor, with which depthwise convolutions "
    "lose a third of the answers; int8 is as small and holds",
    ("onnx", "int16x8"): "16-bit activations are written for TFLite only",
    ("onnx", GPU): "it is for TFLite's GPU delegates; ONNX runtimes on a GPU take model.onnx",
    **{("saved_model", name): "TensorFlow runs it in float32 only" for name in (*PRECISIONS[1:], *ON_REQUEST)},
}


def choose_variants(
    formats: Sequence[str] | None = None, precisions: Sequence[str] | None = None
) -> tuple[Variant, ...]:
    """The variants of these formats and precisions. None means all formats, and all precisions but those of
    `ON_REQUEST`. Raises UnfreezeError if a name is unknown or no file has it in this combination."""
    _check_known("format", formats, FORMATS)
    _check_known("precision", precisions, (*PRECISIONS, *ON_REQUEST))
    chosen = tuple(
        variant
        for variant in ALL_VARIANTS
        if variant.format in (formats or FORMATS) and variant.precision in (precisions or PRECISIONS)
    )
    without = [name for name in formats or () if name not in {variant.format for variant in chosen}]
    if without:
        raise UnfreezeError(_no_file(without[0], (precisions or PRECISIONS)[0]))
    without = [name for name in precisions or () if name not in {variant.precision for variant in chosen}]
    if without:
        raise UnfreezeError(_no_file((formats or FORMATS)[0], without[0]))
    return chosen


def choose_written_variants(
    formats: Sequence[str] | None = None, precisions: Sequence[str] | None = None
) -> tuple[Variant, ...]:
    """The variants that may have been written: like `choose_variants`, but None includes those of `ON_REQUEST`."""
    chosen = choose_variants(formats, precisions)
    if precisions is not None:
        return chosen
    more = (one for one in ALL_VARIANTS if one.precision in ON_REQUEST and one.format in (formats or FORMATS))
    return (*chosen, *more)


def _check_known(what: str, names: Sequence[str] | None, known: Sequence[str]) -> None:
    if names is None:
        return
    if not names or isinstance(names, str):
        raise UnfreezeError(f"{what}s is {names!r}; give some of {', '.join(known)}, as a list")
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise UnfreezeError(f"no {what} {name!r}; {hint}")


def export_command(path: Path) -> str:
    """The command that writes this artefact of a run again; "" if the path is not in an export folder."""
    for variant in ALL_VARIANTS:
        if variant.name == path.name and (path.parent / "manifest.json").is_file():
            run = quote(str(path.parent.parent))
            return f"unfreeze export {run} --formats {variant.format} --precisions {variant.precision}"
    return ""


def export_advice(path: Path) -> str:
    """What to do to have this artefact written again, as the end of an error message."""
    command = export_command(path)
    return f"`{command}` writes it again" if command else "export it again"


def _no_file(format: str, precision: str) -> str:
    there = ", ".join(variant.precision for variant in ALL_VARIANTS if variant.format == format)
    return f"there is no {format} file in {precision}: {WHY_NOT[format, precision]}. {format} comes in {there}"
