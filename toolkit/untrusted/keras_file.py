"""A Keras file that may come from a stranger -> keras.Model. No code in the file is run, and no other file is read.

Keras 3 opens .keras files of its own, and few others. Models of Keras 2 are rebuilt here from Keras 3's own layers, by
`toolkit.untrusted.keras2`.

Keras' safe mode refuses Python code in the file. But it lets a layer call any public function of Keras, and it reads as
much as the file declares. So the file, the layers and the weights are checked before Keras reads them.
"""

from __future__ import annotations

import io
import itertools
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import UnfreezeError, one_line, short_reason
from toolkit.untrusted import keras3
from toolkit.untrusted.allowed import check_config
from toolkit.untrusted.archive import WEIGHTS, Stored, check_keras
from toolkit.untrusted.extent import check_inside, check_size
from toolkit.untrusted.hdf5_model import GROUP, StoredHDF5, check_model_hdf5
from toolkit.untrusted.hub_layers import registered
from toolkit.untrusted.keras2.archive_weights import fill_from_archive
from toolkit.untrusted.keras2.hdf5_weights import fill_from_hdf5
from toolkit.untrusted.keras2.model import rebuilt
from toolkit.untrusted.keras2.part import NotRebuiltError

if TYPE_CHECKING:
    import keras

ZIP, HDF5 = b"PK", b"\x89HDF\r\n\x1a\n"  # the first bytes of a file


@dataclass(frozen=True)
class _Source:
    """A file that was checked."""

    keras: str  # the version that wrote it; "" if it does not say
    weights: int  # bytes that it has for weights
    build: Callable[[], Any]  # makes the model; the numbers of its weights do not matter
    load: Callable[[], Any]  # makes it with the weights of the file


def read_model(path: Path) -> keras.Model:
    """The whole model in a file, .keras or HDF5, of Keras 2 or 3, whatever its suffix; not compiled, and its layers
    compute in float32. Raises UnfreezeError if the file has no model, or one that is not safe to load."""
    known = registered()
    source = _source(path, known)
    try:
        check_size(source.build, source.weights, path)
        model = source.load()
        _name(model)
        try:
            check_inside(model, path)
        except Exception as error:
            if isinstance(error, UnfreezeError) or not known:
                raise  # else it is ignored: a registered layer may be unable to run in a graph
        return model
    except UnfreezeError:
        raise
    except NotRebuiltError as error:
        raise UnfreezeError(f"{path} {error}") from None
    except Exception as error:  # Keras raises every exception of its layers
        reason = f"{path} cannot be loaded as a Keras model ({short_reason(error)})"
        raise UnfreezeError(f"{reason}{_versions(source.keras)}") from None


def _versions(stored: str) -> str:
    """The version of Keras that wrote a file, and this one, where they differ."""
    import keras

    if stored in ("", keras.__version__):
        return ""
    return f"; Keras {one_line(stored[:20])} wrote it, this is {keras.__version__}"


def _source(path: Path, known: set[str]) -> _Source:
    with path.open("rb") as file:
        first = file.read(len(HDF5))
    if first != HDF5:
        archive = check_keras(path, known)
        if archive.keras.startswith("2."):
            return _keras2(archive, lambda part: _fill_from_archive(path, part))
        return _Source(
            archive.keras,
            archive.weights,
            lambda: keras3.built(archive.config),
            lambda: keras3.loaded(path, archive.config),
        )
    stored = check_model_hdf5(path)
    if not stored.keras.startswith("3."):
        return _keras2(stored, lambda part: _fill(path, part, stored.strings, keras2=True))
    config = keras3.with_modules(stored.config)
    check_config(config, known, path)

    def load() -> Any:
        model = keras3.built(config)
        _fill(path, keras3.parts_of(model), stored.strings, keras2=False)
        return model

    return _Source(stored.keras, stored.weights, lambda: keras3.built(config), load)


def _keras2(stored: Stored | StoredHDF5, fill: Callable[[Any], None]) -> _Source:
    def load() -> Any:
        part = rebuilt(stored.config)
        fill(part)
        return part.model

    return _Source(stored.keras, stored.weights, lambda: rebuilt(stored.config).model, load)


def _fill(path: Path, part: Any, strings: int, *, keras2: bool) -> None:
    import h5py

    with h5py.File(path, "r") as file:
        fill_from_hdf5(file[GROUP], part, keras2=keras2, strings=strings)


def _fill_from_archive(path: Path, part: Any) -> None:
    import h5py

    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read(WEIGHTS)), "r") as file:
        fill_from_archive(file, part)


def _name(model: Any) -> None:
    """Give each layer a name that TensorFlow allows in graphs, which excludes blanks and umlauts; all are different."""
    layers = getattr(model, "_flatten_layers", lambda **_: ())(include_self=False)
    taken = {layer.name for layer in layers}
    for layer in layers:
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", layer.name)
        name = name if name[:1].isalnum() else f"layer{name}"
        if name != layer.name:
            numbered = (f"{name}_{number}" for number in itertools.count(2))
            layer.name = next(one for one in itertools.chain((name,), numbered) if one not in taken)
            taken.add(layer.name)
