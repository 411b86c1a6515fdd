"""A .keras file, a zip archive, checked before anything in it is used."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import UnfreezeError, one_line, short_reason
from toolkit.untrusted.allowed import check_config
from toolkit.untrusted.hdf5 import FLOOR, MAX_COMPRESSION, check_hdf5

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
TEXT = 32 << 20  # bytes of a JSON member; the longest of keras.applications' has 2 MB


@dataclass(frozen=True)
class Stored:
    """What a .keras file holds."""

    config: dict[str, Any]
    keras: str  # the version of Keras that wrote it; "" if the file does not say
    weights: int  # bytes


def check_keras(path: Path, known: Collection[str] = ()) -> Stored:
    """Check a .keras file without loading it. `known`: the names of classes and functions that the program registered.

    Raises UnfreezeError if it is not such a file, has members that Keras does not write, inflates too much, names
    anything but Keras' own layers and functions, or has weights that `toolkit.untrusted.hdf5` refuses.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path)
            config, keras = json.loads(archive.read(CONFIG)), _version(archive)
            if not keras.startswith("2."):  # else it never reaches Keras
                check_config(config, known, path)
            weights = io.BytesIO(archive.read(WEIGHTS))  # all at once, as Keras does: seeking in a member is slow
            return Stored(config, keras, check_hdf5(weights, f"{WEIGHTS} in {path}"))
    except zipfile.BadZipFile:
        raise UnfreezeError(
            f"{path} is no .keras file or is damaged; save the whole model anew with model.save('NAME.keras')"
        ) from None
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise UnfreezeError(f"{path} cannot be loaded as a Keras model ({short_reason(error)})") from None


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    members = [member for member in archive.infolist() if member.filename != "assets/" or member.file_size]
    names = [member.filename for member in members]
    missing = [name for name in (CONFIG, WEIGHTS) if name not in names]
    if missing:
        raise UnfreezeError(f"{path} has no {missing[0]}, so it is no .keras file; {_instead(names)}")
    other = [name for name in names if name not in (CONFIG, WEIGHTS, METADATA)]
    if other or len(set(names)) < len(names):
        wrong = (other or [name for name in names if names.count(name) > 1])[0]
        raise _refused(path, f"holds {wrong[:80]!a}, which is not of a model of images, or twice")
    for member in members:
        most = max(FLOOR, MAX_COMPRESSION * member.compress_size) if member.filename == WEIGHTS else TEXT
        if member.file_size > most:
            raise _refused(
                path, f"inflates {member.filename} from {member.compress_size:,} to {member.file_size:,} bytes"
            )


def _instead(names: list[str]) -> str:
    """What to give in place of another archive, such as Teachable Machine's, which has the model in it."""
    inside = [name for name in names if name.endswith((".keras", ".h5", ".hdf5"))]
    if inside:
        return f"unpack it, and give the {one_line(inside[0][-80:])} that is in it"
    return "save the whole model anew with model.save('NAME.keras')"


def _version(archive: zipfile.ZipFile) -> str:
    told = json.loads(archive.read(METADATA)) if METADATA in archive.namelist() else {}
    version = told.get("keras_version") if isinstance(told, dict) else None
    return version if isinstance(version, str) else ""


def _refused(path: Path, what: str) -> UnfreezeError:
    return UnfreezeError(f"{path} {what}; it was not loaded")
