"""A .keras file, or an HDF5 file of Keras -> what is in it. No model is built of it."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from export.inspect.keras_hdf5 import attributes, config_in, normaliser_steps, weights_in
from export.inspect.keras_layers import KerasLayers, read_layers
from export.inspect.model_file import NO, YES, ModelFile, Support, Weight, cut
from toolkit.errors import UnfreezeError, one_line
from toolkit.untrusted.archive import check_keras
from toolkit.untrusted.hdf5 import FLOOR, MAX_COMPRESSION, check_hdf5
from toolkit.untrusted.hdf5_model import check_model_hdf5

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
TEXT = 32 << 20  # bytes of a JSON member

ELSEWHERE = Support("phones, browsers", NO, "a Keras file is for Python: make TFLite or ONNX of it")
ADOPT = "unfreeze adopt"


def read_keras(path: Path) -> ModelFile:
    """What is in a .keras file. Raises ValueError or UnfreezeError if it is damaged, or inflates to more than weights
    do."""
    with zipfile.ZipFile(path) as archive:
        layers = read_layers(config_in(_member(archive, CONFIG, TEXT).decode(errors="replace")))
        names = archive.namelist()
        wrote = config_in(_member(archive, METADATA, TEXT).decode(errors="replace")) if METADATA in names else {}
        size = archive.getinfo(WEIGHTS).compress_size if WEIGHTS in names else 0
        inside = io.BytesIO(_member(archive, WEIGHTS, max(FLOOR, MAX_COMPRESSION * size)) if size else b"")
    weights: tuple[Weight, ...] = ()
    if size:
        check_hdf5(inside, f"{WEIGHTS} in {path}")
        weights = weights_in(inside)
    steps = normaliser_steps(inside, layers.normaliser) if size and layers.normaliser else ()
    version = wrote.get("keras_version") if isinstance(wrote, dict) else None
    how: dict[str, Any] = {"versions": {"Keras": cut(version or "unknown", 40)}}
    how |= {"notes": () if size else (f"it has no {WEIGHTS}: the layers without their weights",)}
    how |= {"support": (_adoptable(path, check_keras), ELSEWHERE)}
    return _model("Keras", path, layers, weights, steps, how)


def read_keras_hdf5(path: Path) -> ModelFile:
    """What is in an HDF5 file of Keras: a whole model, or weights only. Raises ValueError or UnfreezeError if it is
    damaged, or refers to other files."""
    check_hdf5(path, str(path))
    told, weights = attributes(path), weights_in(path)
    if not weights and "model_config" not in told:
        raise ValueError("it is an HDF5 file without arrays of weights")
    versions = {name: cut(told[key], 40) for name, key in {"Keras": "keras_version"}.items() if key in told}
    if "model_config" not in told:
        reason = "weights only: the layers are not in the file; their code, or --weights for a backbone, is needed"
        how: dict[str, Any] = {"versions": versions, "support": (Support(ADOPT, NO, reason), ELSEWHERE)}
        return _model("Keras weights", path, None, weights, (), how)
    layers = read_layers(config_in(told["model_config"]))
    steps = normaliser_steps(path, layers.normaliser) if layers.normaliser else ()
    how = {"versions": versions, "support": (_adoptable(path, check_model_hdf5), ELSEWHERE)}
    return _model("Keras HDF5", path, layers, weights, steps, how)


def _model(
    form: str, path: Path, layers: KerasLayers | None, weights: tuple[Weight, ...], steps: Any, how: dict[str, Any]
) -> ModelFile:
    kinds = Counter({kind: size for kind, size in _bytes(weights).items() if "float" in kind})
    kind = kinds.most_common(1)[0][0] if kinds else "unknown"
    policy = layers.policy if layers else ""
    told: dict[str, Any] = {}
    if layers:
        told = {"operators": layers.operators, "inputs": layers.inputs, "outputs": layers.outputs}
        told |= {"last": layers.last, "names": layers.names, "steps": (*layers.steps, *steps)}
    if layers and layers.runs_code:
        names = ", ".join(sorted(set(layers.runs_code)))
        note = f"its {names} layers run code of its author: load it only if you trust it"
        how["notes"] = (*how.get("notes", ()), note)
    return ModelFile(
        format=form,
        producer="Keras",
        precision=kind,
        activations="" if layers is None else "float16" if policy == "mixed_float16" else policy,
        weights=weights,
        bytes=path.stat().st_size,
        **({"inputs": (), "outputs": (), "operators": {}} | told | how),
    )


def _bytes(weights: tuple[Weight, ...]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for weight in weights:
        found[weight.dtype] += weight.bytes
    return found


def _adoptable(path: Path, check: Callable[[Path], Any]) -> Support:
    try:
        check(path)
    except UnfreezeError as error:
        return Support(ADOPT, NO, cut(one_line(str(error).removeprefix(f"{path} "))))
    return Support(ADOPT, YES, "Keras' own layers only")


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member of an archive. Raises ValueError if it is missing or has more than `most` bytes."""
    if name not in archive.namelist():
        raise ValueError(f"it has no {name}, so it is no .keras file of Keras 3")
    if archive.getinfo(name).file_size > most:
        raise ValueError(f"it inflates {name} to {archive.getinfo(name).file_size:,} bytes")
    with archive.open(name) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it inflates {name} to more than {most:,} bytes")
    return content
