"""The arrays and attributes of an HDF5 file in which Keras keeps weights, or a whole model. Only the few numbers of a
layer that normalises are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from export.inspect.model_file import Step, Weight, cut, step
from toolkit.errors import short_reason

NOT_WEIGHTS = ("optimizer", "optimizer_weights", "seed_generator", "metrics")  # groups whose arrays are none
FEW = 16  # numbers of a mean at most
TEXT = 64 << 20  # bytes of a configuration


def weights_in(source: Path | BinaryIO) -> tuple[Weight, ...]:
    """The weights in an HDF5 file that `toolkit.untrusted.hdf5.check_hdf5` has let pass. An array that stands in two
    places is listed once."""
    import h5py

    with h5py.File(source, "r") as file:
        return tuple(
            Weight(
                cut(name), _kind(array), tuple(map(int, array.shape or ())), int(array.size or 0) * array.dtype.itemsize
            )
            for name, array in _arrays(file)
        )


def _kind(array: Any) -> str:
    return str(array.dtype.name)


def _arrays(file: Any) -> Iterator[tuple[str, Any]]:
    import h5py

    waiting, seen = [("", file)], set()
    while waiting:
        prefix, group = waiting.pop()
        for key in reversed(list(group)):
            entry, name = group[key], f"{prefix}/{key}".lstrip("/")
            address = h5py.h5o.get_info(entry.id).addr
            if key in NOT_WEIGHTS or address in seen:
                continue
            seen.add(address)
            if isinstance(entry, h5py.Dataset):
                yield name, entry
            elif isinstance(entry, h5py.Group):
                waiting.append((name, entry))


def attributes(path: Path) -> dict[str, str]:
    """The attributes of a file that Keras writes: keras_version, backend, model_config. Raises ValueError if they are
    too long."""
    import h5py

    with h5py.File(path, "r") as file:
        found = {}
        for name in ("keras_version", "backend", "model_config"):
            if name not in file.attrs:
                continue
            if file.attrs.get_id(name).get_storage_size() > TEXT:
                raise ValueError(f"its attribute {name} has more than {TEXT:,} bytes")
            value = file.attrs[name]
            found[name] = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        return found


def config_in(text: str) -> Any:
    """A configuration in JSON. Raises ValueError if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its configuration is no JSON ({short_reason(error)})") from None


def normaliser_steps(source: Path | BinaryIO, layer: str) -> tuple[Step, ...]:
    """The steps of a Normalization layer whose mean and variance are among the weights; () if they are not found."""
    import h5py

    with h5py.File(source, "r") as file:
        arrays = [(name, array) for name, array in _arrays(file) if f"/{layer}/" in f"/{name}"]
        few = [array for _, array in sorted(arrays) if 0 < array.size <= FEW and array.dtype.kind == "f"]
        by_name = {name.rpartition("/")[2].partition(":")[0]: array for name, array in arrays}
        mean, variance = (by_name.get(name) for name in ("mean", "variance"))
        if mean is None and len(few) == 2:  # Keras 3 numbers them
            mean, variance = few
        if mean is None or variance is None or max(mean.size, variance.size) > FEW:
            return ()
        steps = step("subtract", mean[()]), step("divide", np.sqrt(np.maximum(variance[()], 1e-12)))
        return tuple(one for one in steps if one is not None)
