"""A SavedModel folder -> what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from export.description import LONGEST_DESCRIPTION
from export.inspect.model_file import NO, YES, End, ModelFile, Support, cut, cut_labels
from export.inspect.own_description import own_description
from export.inspect.saved_model_graph import first_steps, operators, read_graph, type_name, variables
from export.runtimes.graph_files import check_saved_model
from toolkit.errors import one_line

SIGNATURES = ("serving_default", "serve")  # those that Unfreeze asks for
FILES = 100_000  # in a folder at most
LABELS = ("labels.txt", "assets/labels.txt")


def read_saved_model(path: Path) -> ModelFile:
    """What is in a SavedModel folder. Raises ValueError if it is damaged."""
    graph = read_graph(path)
    names = sorted(graph.signature_def)
    chosen = next(
        (name for name in SIGNATURES if name in names), next((name for name in names if name[:2] != "__"), "")
    )
    signature = graph.signature_def[chosen]
    weights = tuple(variables(graph))
    entries = list(signature.inputs.values())
    told = own_description(_text(path / "unfreeze.json"))
    told.setdefault("labels", None)
    if told["labels"] is None:
        told |= _labels(path)
    told["metadata"] = told.get("metadata", {}) | {"signatures": cut(", ".join(names))}
    told["notes"] = (*told.get("notes", ()), *_notes(path, weights))
    return ModelFile(
        format="SavedModel",
        versions={"TensorFlow": cut(graph.meta_info_def.tensorflow_version or "unknown", 40)},
        producer=f"TensorFlow {cut(graph.meta_info_def.tensorflow_version, 40)}".strip(),
        precision=_most(weights),
        activations=_most(weights),
        inputs=tuple(_end(name, signature.inputs[name]) for name in sorted(signature.inputs)),
        outputs=tuple(_end(name, signature.outputs[name]) for name in sorted(signature.outputs)),
        operators=operators(graph, signature),
        weights=weights,
        bytes=sum(file.lstat().st_size for file in islice(path.rglob("*"), FILES) if not file.is_dir()),
        support=_support(path, chosen),
        steps=tuple(first_steps(graph, entries[0].name)) if len(entries) == 1 else (),
        names=tuple(one.name for one in weights),
        **told,
    )


def _most(weights: Any) -> str:
    """The type that most bytes of the weights have."""
    found: dict[str, int] = {}
    for weight in weights:
        if "float" in weight.dtype:
            found[weight.dtype] = found.get(weight.dtype, 0) + weight.bytes
    return max(found, key=lambda kind: found[kind]) if found else "unknown"


def _end(name: str, info: Any) -> End:
    """Of a tensorflow.TensorInfo."""
    shape = info.tensor_shape
    open_rank = shape.unknown_rank or len(shape.dim) > 64
    sizes = tuple(int(one.size) if one.size >= 0 else "?" for one in shape.dim) if not open_rank else None
    return End(cut(name), type_name(info.dtype), sizes)


def _support(path: Path, signature: str) -> tuple[Support, ...]:
    elsewhere = Support("phones, browsers", NO, "a SavedModel is for servers: convert it to TFLite")
    try:
        check_saved_model(path)
    except ValueError as error:
        return Support("TensorFlow", NO, cut(f"Unfreeze refuses it: {one_line(str(error))}")), elsewhere
    if signature not in SIGNATURES:
        reason = f"Unfreeze asks for a signature {' or '.join(SIGNATURES)}, which it has not"
        return Support("TensorFlow", NO, reason), elsewhere
    return Support("TensorFlow", YES, "no operation that is known to read or write files"), elsewhere


def _labels(path: Path) -> dict[str, Any]:
    for name in LABELS:
        text = _text(path / name)
        if text and text.strip():
            return {"labels": cut_labels(text.rstrip().splitlines()), "labels_from": name}
    return {}


def _text(path: Path) -> str | None:
    """The text of a file of the folder; None if there is none, or if it is longer than descriptions are."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LONGEST_DESCRIPTION:
        return None
    return path.read_text(encoding="utf-8", errors="replace")


def _notes(path: Path, weights: Any) -> Iterator[str]:
    if weights and not (path / "variables" / "variables.index").is_file() and not (path / "variables").is_dir():
        yield "its folder variables/ is missing: get the whole folder"
