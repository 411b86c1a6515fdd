"""An HDF5 file of a whole model, .h5 or .hdf5, checked before anything in it is used."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import UnfreezeError, one_line, short_reason
from toolkit.untrusted.archive import TEXT
from toolkit.untrusted.hdf5 import check_hdf5

GROUP = "model_weights"


@dataclass(frozen=True)
class StoredHDF5:
    """What an HDF5 file of a whole model holds."""

    config: Any
    keras: str  # the version of Keras that wrote it; "" if the file does not say
    weights: int  # bytes of all arrays
    strings: int  # bytes that a string in it may have at most


def check_model_hdf5(path: Path) -> StoredHDF5:
    """Check an HDF5 file without loading it. Raises UnfreezeError if it holds no model, or arrays that
    `toolkit.untrusted.hdf5` refuses."""
    import h5py

    weights = check_hdf5(path, str(path))
    try:
        with h5py.File(path, "r") as file:
            text = _text(file, "model_config")
            if text is None or not isinstance(file.get(GROUP), h5py.Group):
                raise UnfreezeError(
                    f"{path} holds weights without a model; build the model in Python, then "
                    f"model.load_weights({path.name!r}), model.save('NAME.keras'), and give that"
                )
            if (_text(file, "keras_version") or "").startswith(("0.", "1.")):
                raise UnfreezeError(f"{path} was made by Keras 1; open it with Keras 2.3 or earlier, and save it anew")
            backend = _text(file, "backend") or "tensorflow"
            if backend not in ("tensorflow", "jax", "torch"):
                raise UnfreezeError(
                    f"{path} was made by Keras on {one_line(backend[:20])}, whose convolutions differ; open it with "
                    "Keras 2.3 on TensorFlow, and save it anew"
                )
            return StoredHDF5(json.loads(text), _text(file, "keras_version") or "", weights, _strings(file, path))
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise UnfreezeError(f"{path} cannot be loaded as a Keras model ({short_reason(error)})") from None


def _text(file: Any, name: str) -> str | None:
    """An attribute that is one string; None if there is none."""
    import h5py

    if name not in file.attrs:
        return None
    if h5py.h5a.open(file.id, name.encode()).shape not in ((), (1,)):
        raise ValueError(f"{name} is not one text")
    value = file.attrs[name]
    value = value[0] if getattr(value, "shape", ()) == (1,) else value
    text = value.decode("utf-8") if isinstance(value, bytes) else str(value)
    if len(text) > TEXT:
        raise ValueError(f"{name} has {len(text):,} characters, and {TEXT:,} are the most")
    return text


def _strings(file: Any, path: Path) -> int:
    """What the file has beside its arrays: no string in it can be longer."""
    import h5py

    stored = 0

    def see(_: str, entry: Any) -> None:
        nonlocal stored
        stored += entry.id.get_storage_size() if isinstance(entry, h5py.Dataset) else 0

    file.visititems(see)
    return max(path.stat().st_size - stored, 0)
