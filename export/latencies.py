"""What another device took for the files that `unfreeze probe` wrote: probes.json, the list of these files, and the
JSON file of a device beside it.

    {"device": "...", "runtime": "...", "threads": 1, "latencies": {FILE: {"latency_ms": 1.5, "memory_mb": 12.0}}}

`memory_mb` may be missing. A file that does not run there has {"trouble": "why"} instead. `device`, `runtime` and
`threads` are for people: any text or number. Both files may come from a stranger, so all of them is checked.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.limits import Limits, Probe, Probed
from toolkit.errors import UnfreezeError, one_line
from toolkit.storage.records import plain_fields, plain_record
from toolkit.storage.safe_read import read

MANIFEST = "probes.json"
MOST = 1e9  # of milliseconds, megabytes, features and classes: what is larger was not measured
LONGEST = 100  # characters of a text that is shown


@dataclass(frozen=True)
class ProbedFile:
    """A model file of `unfreeze probe`: a line of its manifest."""

    file: str  # its name; "": it could not be written
    backbone: str  # its label
    image_size: int  # pixels
    features: int  # channels of the pooled features
    size_mb: float  # millions of bytes; 0: it could not be written
    sha256: str
    trouble: str = ""  # why it could not be written


@dataclass(frozen=True)
class ProbeManifest:
    """What holds for all files of `unfreeze probe`."""

    runtime: str
    precision: str
    classes: int
    head_units: int
    channels: int  # of the images
    unfreeze: str  # the version that wrote them


@dataclass(frozen=True)
class DeviceLatencies:
    """What a device took for the files of a manifest."""

    classes: int
    head_units: int
    probed: dict[tuple[str, int], Probed]  # by backbone and image size; those that the device measured or cannot run


@dataclass(frozen=True)
class _Measured:
    """A file's entry."""

    latency_ms: float | None = None
    memory_mb: float | None = None
    trouble: str = ""


def read_latencies(limits: Limits) -> DeviceLatencies:
    """What `limits.latencies` tells. Raises UnfreezeError in one line if it or the manifest beside it is not what it
    should be, or if its files are of another format or precision than that of the limits."""
    path = Path(limits.latencies or "")
    told = _object(path, "give a JSON file that a script of `unfreeze probe` wrote")
    manifest, files = read_manifest(path.parent)
    there, here = f"{manifest.runtime} {manifest.precision}", f"{limits.runtime} {limits.precision}"
    if there != here:
        raise UnfreezeError(
            f"{one_line(str(path))} is of {_short(there)} files and the limits are those of {here} files; give the "
            "same --runtime and --precision to both"
        )
    measured = told.get("latencies")
    if not isinstance(measured, dict):
        raise _not(path, f"`latencies` is {_shown(measured)}, not an object with an entry for each model file")
    source = f"{_short(path.name)} on {_device(told)}"
    probed = {
        (one.backbone, one.image_size): Probed(
            one.backbone, one.image_size, one.features, _probe(path, one, measured), source
        )
        for one in files
        if one.trouble or one.file in measured
    }
    return DeviceLatencies(manifest.classes, manifest.head_units, probed)


def _probe(path: Path, file: ProbedFile, measured: dict[str, Any]) -> Probe:
    if file.trouble:
        return Probe(trouble=_short(file.trouble))
    entry = _entry(path, _short(file.file), measured[file.file])
    if entry.trouble:
        return Probe(trouble=f"it does not run on the device ({_short(entry.trouble)})")
    return Probe(float(file.size_mb), entry.latency_ms, entry.memory_mb)


def read_manifest(folder: Path) -> tuple[ProbeManifest, tuple[ProbedFile, ...]]:
    """The manifest of a folder that `unfreeze probe` wrote. Raises UnfreezeError if it has none, or a damaged one."""
    path = folder / MANIFEST
    advice = "keep the file of latencies in the folder that `unfreeze probe` wrote"
    told = _object(path, advice)
    try:
        listed = told["probes"]
        manifest = plain_record(ProbeManifest, told)
        files = tuple(plain_record(ProbedFile, one) for one in listed)
        for value in (manifest.classes, *(one.features for one in files), *(one.image_size for one in files)):
            if not 0 < value < MOST:
                raise ValueError(f"{value:.6g} is out of range")
        if not 0 <= manifest.head_units < MOST:
            raise ValueError(f"head_units is {manifest.head_units:.6g}")
        if any(not one.trouble and not _is_amount(one.size_mb) for one in files):
            raise ValueError("a size is no positive number")
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise UnfreezeError(
            f"{one_line(str(path))} is damaged ({_short(str(error))}); `unfreeze probe` writes it anew"
        ) from None
    return manifest, files


def _object(path: Path, advice: str) -> dict[str, Any]:
    """The object in a JSON file."""
    try:
        told = json.loads(read(path).decode())
    except (OSError, ValueError, RecursionError, UnfreezeError) as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else f"it cannot be read ({error})"
        raise UnfreezeError(f"{one_line(str(path))}: {_short(why)}; {advice}") from None
    if not isinstance(told, dict):
        raise UnfreezeError(f"{one_line(str(path))} holds {_shown(told)}, not an object; {advice}")
    return told


def _entry(path: Path, file: str, value: Any) -> _Measured:
    """What a device measured of one file."""
    try:
        entry = _Measured(**plain_fields(_Measured, value))
    except ValueError as error:
        raise _not(path, f"the entry of {file} is wrong: {error}") from None
    if entry.trouble:
        return entry
    if not _is_amount(entry.latency_ms):
        raise _not(path, f"latency_ms of {file} is {_shown(entry.latency_ms)}, not a positive number of milliseconds")
    if entry.memory_mb is not None and not 0 <= entry.memory_mb < MOST:
        raise _not(path, f"memory_mb of {file} is {_shown(entry.memory_mb)}, not a number of megabytes")
    return entry


def _is_amount(value: float | None) -> bool:
    return value is not None and 0 < value < MOST and math.isfinite(value)


def _not(path: Path, why: str) -> UnfreezeError:
    return UnfreezeError(one_line(f"{path} is no file of latencies: {why}"))


def _device(told: dict[str, Any]) -> str:
    """Who measured, in words."""
    device, runtime, threads = (told.get(name) for name in ("device", "runtime", "threads"))
    name = _short(device) if isinstance(device, str) and device.strip() else "a device without a name"
    more = [_short(runtime)] if isinstance(runtime, str) and runtime.strip() else []
    if isinstance(threads, (int, str)) and not isinstance(threads, bool) and str(threads).strip():
        more.append(f"{_short(str(threads))} thread{'' if str(threads) == '1' else 's'}")
    return f"{name} ({', '.join(more)})" if more else name


def _short(text: str) -> str:
    """A text of a stranger as it may be shown."""
    return one_line(" ".join(text.split())[:LONGEST])


def _shown(value: Any) -> str:
    return f"{value!r:.40}"
