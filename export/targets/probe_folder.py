"""The folder of `unfreeze probe`: model files, their list, a script for each kind of device, and what to type.

`device_scripts/` holds the scripts as they are copied. Each writes latencies.json in the form that `export.latencies`
reads.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from string import Template

from export.latencies import MANIFEST, ProbedFile, ProbeManifest, read_manifest
from toolkit.errors import UnfreezeError
from toolkit.storage.files import remove, write_json, write_text

SCRIPTS = Path(__file__).parent / "device_scripts"
FOR = {  # the scripts for the files of a runtime
    "tflite": ("measure.py", "measure.html", "measure_android.sh"),
    "onnx": ("measure.py", "measure.html"),
}
PACKAGES = {"tflite": "ai-edge-litert", "onnx": "onnxruntime"}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def check_folder(folder: Path) -> None:
    """Raises UnfreezeError if the folder holds something else than probes, which would be overwritten or pushed to a
    device."""
    if folder.exists() and not folder.is_dir():
        raise UnfreezeError(f"{folder} is a file; give a folder")
    there = folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())
    if there and not (folder / MANIFEST).exists():
        raise UnfreezeError(f"{folder} is not empty and holds no {MANIFEST}; give an empty or a new folder")


def file_name(backbone: str, image_size: int, precision: str, runtime: str, taken: Sequence[str]) -> str:
    """A name that can be read and typed, without characters that a shell, a URL or a file system may take for
    something else. `taken`: names of other files."""
    label = _UNSAFE.sub("-", backbone).strip("-.") or "backbone"
    name, number = f"{label}_{image_size}px_{precision}", 1
    lower = {one.lower() for one in taken}
    while f"{name}.{runtime}".lower() in lower:
        number += 1
        name = f"{label}-{number}_{image_size}px_{precision}"
    return f"{name}.{runtime}"


def write_rest(folder: Path, manifest: ProbeManifest, files: Sequence[ProbedFile], options: Sequence[str]) -> None:
    """Write the list of the files, the scripts and the README. Files of an earlier list that are in this one no more
    are removed. `options`: those of a search over these files."""
    for name in _earlier(folder) - {one.file for one in files}:
        remove(folder / name)
    for name in {name for names in FOR.values() for name in names}:
        remove(folder / name)
    for name in FOR[manifest.runtime]:
        (folder / name).write_bytes((SCRIPTS / name).read_bytes())
    android = SCRIPTS.joinpath("android.md.txt").read_text(encoding="utf-8") if manifest.runtime == "tflite" else ""
    readme = Template((SCRIPTS / "README.md.txt").read_text(encoding="utf-8"))
    search = shlex.join(["unfreeze", "run", "DATA", "RUN", *options])
    values = {"package": PACKAGES[manifest.runtime], "android": android, "search": search, "folder": folder.name}
    write_text(folder / "README.md", readme.substitute(values))
    write_json(folder / MANIFEST, {**asdict(manifest), "probes": [asdict(one) for one in files]})


def _earlier(folder: Path) -> set[str]:
    """The model files of an earlier list, as far as they lie in the folder itself."""
    if not (folder / MANIFEST).exists():
        return set()
    try:
        files = read_manifest(folder)[1]
    except UnfreezeError:
        return set()
    return {one.file for one in files if Path(one.file).suffix in (".tflite", ".onnx") and not _UNSAFE.search(one.file)}
