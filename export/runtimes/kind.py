"""What kind of model file a path is, by its content; its suffix decides only where the content does not."""

from __future__ import annotations

import zipfile
from pathlib import Path

from toolkit.errors import UnfreezeError

HEAD = 64  # bytes that are read
ZIP = b"PK\x03\x04"
MAGIC = {(4, b"TFL3"): "tflite", (4, b"ORTM"): "onnx", (0, ZIP): "keras", (0, b"\x89HDF\r\n\x1a\n"): "keras"}
SUFFIXES = {
    ".onnx": "onnx",
    ".ort": "onnx",
    ".tflite": "tflite",
    ".lite": "tflite",
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
}
EXPECTED = "an .onnx, .tflite, .keras or .h5 file or a SavedModel folder"


def kind_of(path: Path, expected: str = EXPECTED) -> str:
    """ "onnx", "tflite", "saved_model" or "keras". Raises UnfreezeError if the path is none of them.

    `expected`: what to give, for messages."""
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return "saved_model"
        raise UnfreezeError(f"{path} is a folder without saved_model.pb; give {expected}")
    if not path.exists():
        raise UnfreezeError(f"{path} does not exist; give {expected}")
    if not path.is_file():
        raise UnfreezeError(f"{path} is not a file; give {expected}")
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if head.startswith(b"version https://git-lfs"):
        raise UnfreezeError(f"{path} is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`")
    if head.startswith(ZIP):
        _check_archive(path, expected)
    for (start, magic), kind in MAGIC.items():
        if head[start:].startswith(magic):
            return kind
    if path.suffix.lower() not in SUFFIXES:
        raise UnfreezeError(f"{path} is no model file; give {expected}")
    return SUFFIXES[path.suffix.lower()]


def _check_archive(path: Path, expected: str) -> None:
    """Raises UnfreezeError if a zip archive is no .keras file, such as PyTorch's."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):  # damaged: its reader says how
        return
    if any(name.endswith("data.pkl") for name in names):
        raise UnfreezeError(f"{path} is a PyTorch file, which holds code; export it with torch.onnx.export")
    if path.suffix.lower() in (".zip", ".mlpackage", ".task", ".mar", ".jar"):
        raise UnfreezeError(f"{path} is an archive; give {expected}")
