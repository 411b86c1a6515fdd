"""What runs an ONNX file: onnxruntime, and its build for browsers."""

from __future__ import annotations

from typing import Any

from export.inspect import onnx_graph as graph_of
from export.inspect.model_file import NO, PERHAPS, YES, Support, cut

STANDARD = ("", "ai.onnx")
CONTRIBUTED = ("com.microsoft", "ai.onnx.ml", "com.microsoft.nchwc")  # domains that onnxruntime itself has


def support(model: Any) -> tuple[Support, ...]:
    foreign, contributed, unknown = _operators(model)
    if foreign:
        reason = f"{_named(foreign)} {'is' if len(foreign) == 1 else 'are'} of no domain that it has"
        return Support("onnxruntime", NO, reason), Support("onnxruntime-web", NO, reason)
    if unknown:
        reason = f"{_named(unknown)} {'is' if len(unknown) == 1 else 'are'} not in ONNX at this opset"
        return Support("onnxruntime", PERHAPS, reason), Support("onnxruntime-web", PERHAPS, reason)
    if contributed:
        reason = f"{_named(contributed)} of onnxruntime itself"
        return Support("onnxruntime", YES, reason), Support("onnxruntime-web", PERHAPS, f"{reason}: not in every build")
    reason = "operators of the standard domain only"
    return Support("onnxruntime", YES, reason), Support("onnxruntime-web", YES, f"{reason} (WASM)")


def _operators(model: Any) -> tuple[list[str], list[str], list[str]]:
    """Operators of (domains that are not known, onnxruntime's own domains, no version of ONNX)."""
    functions = {(function.domain, function.name) for function in model.functions}
    used = {(node.domain, node.op_type) for node in graph_of.all_nodes(model)} - functions
    opset = next((entry.version for entry in model.opset_import if entry.domain in STANDARD), 0)
    foreign = sorted(f"{domain}:{name}" for domain, name in used if domain not in (*STANDARD, *CONTRIBUTED))
    contributed = sorted(f"{domain}:{name}" for domain, name in used if domain in CONTRIBUTED)
    unknown = sorted(name for domain, name in used if domain in STANDARD and not _is_known(name, opset))
    return foreign, contributed, unknown


def _is_known(name: str, opset: int) -> bool:
    import onnx

    return bool(0 < opset < 1 << 31 and onnx.defs.has(name, opset, ""))


def _named(names: list[str]) -> str:
    return ", ".join(cut(name, 60) for name in names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
