"""What kind of model file a path is, by its first bytes. For what is no model, one line says what it is instead."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

from toolkit.errors import UnfreezeError

TFLITE, ONNX, SAVED_MODEL, KERAS, HDF5 = "TFLite", "ONNX", "SavedModel", "Keras", "Keras HDF5"
KINDS = "a .tflite, .onnx, .keras or .h5 file, a SavedModel folder or a run folder"
HEAD = 512  # bytes that are looked at
STARTS = {  # of files that are no models, or of a kind that Unfreeze does not read
    b"version https://git-lfs": "is a Git LFS pointer: fetch the file itself (`git lfs pull`, or the download link)",
    b"\x1f\x8b": "is a gzip archive: unpack it first",
    b"BZh": "is a bzip2 archive: unpack it first",
    b"7z\xbc\xaf": "is a 7z archive: unpack it first",
    b"Rar!": "is a RAR archive: unpack it first",
    b"\x80\x02": "is a pickle, which runs code when it is opened, as PyTorch's are: ask its author for ONNX",
    b"\x80\x03": "is a pickle, which runs code when it is opened: ask its author for ONNX",
    b"\x80\x04": "is a pickle, which runs code when it is opened: ask its author for ONNX",
    b"\x80\x05": "is a pickle, which runs code when it is opened: ask its author for ONNX",
    b"\x89PNG": "is a picture",
    b"\xff\xd8\xff": "is a picture",
    b"%PDF": "is a PDF",
}
PAGES = (b"<!doctype html", b"<html", b"<?xml")


def kind_of(path: Path) -> str:
    """TFLITE, ONNX, SAVED_MODEL, KERAS or HDF5. Raises UnfreezeError if it is none of them."""
    if path.is_dir():
        return _of_folder(path)
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnfreezeError(f"{path} is not a file; give {KINDS}")
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head.strip(b"\0"):
        raise UnfreezeError(f"{path} is empty{'' if not head else ' (zeros only)'}; get the file anew")
    if head[4:8] == b"TFL3":
        return TFLITE
    if head[4:8] == b"ORTM":
        raise UnfreezeError(
            f"{path} is in onnxruntime's own format (.ort), which is not read here; ask for the .onnx file"
        )
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return HDF5
    if head.startswith(b"PK"):
        return _of_archive(path)
    for start, what in STARTS.items():
        if head.startswith(start):
            raise UnfreezeError(f"{path} {what}")
    if head.lstrip().lower().startswith(PAGES):
        raise UnfreezeError(f"{path} is a web page, not the file: use the page's download link (on GitHub: Raw)")
    return _by_suffix(path, head)


def _of_folder(path: Path) -> str:
    if (path / "saved_model.pb").is_file():
        return SAVED_MODEL
    if (path / "model.json").is_file():
        raise UnfreezeError(
            f"{path} is a folder of TensorFlow.js, which Unfreeze does not read; ask for the Keras model"
        )
    raise UnfreezeError(f"{path} is a folder without saved_model.pb, so it is no SavedModel; give {KINDS}")


def _of_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, RuntimeError) as error:
        raise UnfreezeError(f"{path} is a damaged or truncated archive ({error}); get the file anew") from None
    if "config.json" in names:
        return KERAS
    ends = {name.rpartition("/")[2] for name in names[:10_000]}
    if "data.pkl" in ends:
        what = "is a PyTorch file: a pickle, which runs code when it is opened; ask its author for ONNX"
    elif "saved_model.pb" in ends or any(name.endswith((".onnx", ".keras", ".h5")) for name in ends):
        what = "is an archive that holds a model: unpack it first"
    elif any(name.endswith(".tflite") for name in ends):
        what = "is a bundle that holds TFLite files (MediaPipe's .task is one): unpack it with unzip first"
    else:
        what = f"is an archive without config.json, so it is no .keras file; give {KINDS}"
    raise UnfreezeError(f"{path} {what}")


def _by_suffix(path: Path, head: bytes) -> str:
    """ONNX bears no mark: its suffix, or the first field of its protobuf, has to do."""
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return ONNX
    if suffix in (".tflite", ".lite", ".keras", ".h5", ".hdf5"):
        raise UnfreezeError(f"{path} does not begin as {suffix} files do; get the file anew")
    if suffix == ".pb":
        raise UnfreezeError(f"{path} is a single .pb file: give the folder of a SavedModel, or convert the graph")
    if head[:1] == b"\x08" and b"\0" < head[1:2] < b"\x40":  # the version of the IR
        return ONNX
    raise UnfreezeError(f"{path} begins as no model file that is known; give {KINDS}")
