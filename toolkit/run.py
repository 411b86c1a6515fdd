"""The run folder: `run.json` says what the run is, and refuses to become another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.image_set import ImageFolder, scan
from toolkit.data.sources.listing import Rejected
from toolkit.data.split import split
from toolkit.errors import UnfreezeError
from toolkit.progress import Progress, silent
from toolkit.settings import ADOPTED, SEARCH_ONLY, Settings
from toolkit.storage.files import file_digest, read_json, remove, write_json, write_text
from toolkit.storage.lock import CACHE, COPY, check_run

FORMAT = 1
MAX_CLASSES = 2000  # metrics.json holds their confusion matrix: 36 MB; of 10,000 it would be a gigabyte
PACKAGES = (
    "unfreeze",
    "keras",
    "tensorflow",
    "keras-tuner",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "ai-edge-litert",
    "numpy",
    "pillow",
)
MAY_CHANGE = {"trials", "pick", "refit", "cache_limit", "cache_dir"}  # settings that a resumed search may be given anew


@dataclass(frozen=True)
class Run:
    """What `run.json` holds: the data with its split, and the settings."""

    path: Path
    images: ImageFolder  # every part decided
    settings: Settings

    @property
    def cache(self) -> Path:
        """Decoded images and activations: safe to delete at any time. Runs may share it."""
        return Path(self.settings.cache_dir or self.path / CACHE)


def open_run(path: Path, images: ImageFolder, settings: Settings, *, searches: bool = True) -> Run:
    """Make the run folder, or go on in it if it was made for the same data and settings; else UnfreezeError.

    `searches`: whether it is a search that asks. One in which nothing was trained yet may be made anew with others.
    """
    file = path / "run.json"
    _restore(path)
    if file.exists() and any((path / name).exists() for name in ("search", "model.keras")):
        _refuse_another(path, _stored(path), images, settings, searches)
    elif path.is_dir() and any(_shown(path)) and not file.exists():
        lost = f"; its run.json was lost, and {COPY}" if (path / "search").is_dir() else ""
        raise UnfreezeError(f"{path} is not empty and holds no run{lost}; give an empty or a new folder")
    run = Run(path, images, settings)
    try:
        for name in (file, path / COPY):
            write_json(name, _to_json(run))
    except (FileExistsError, NotADirectoryError):
        raise UnfreezeError(f"{path} is a file or lies below one; give a folder") from None
    except OSError as error:
        raise UnfreezeError(f"cannot write to {path} ({error.strerror}); give a folder that can be written") from None
    return run


def _shown(folder: Path) -> Iterator[Path]:
    """What a person sees in a folder: a lock, or what the system leaves there, makes it no other one."""
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def prepare(
    data: Path,
    path: Path,
    settings: Settings,
    *,
    strict: bool = False,
    searches: bool = True,
    progress: Progress = silent,
) -> Run:
    """Scan the data, split it, and open the run folder for it. Nothing is written where anything is wrong."""
    settings.check_files()
    images = read_images(data, path, settings, strict=strict, progress=progress)
    return open_run(path, images, settings, searches=searches)


def read_images(
    data: Path,
    path: Path,
    settings: Settings,
    *,
    strict: bool = False,
    classes: tuple[str, ...] | None = None,
    progress: Progress = silent,
) -> ImageFolder:
    """The data of a run in the folder `path`, with its split. `classes`: those of a model that exists already.

    UnfreezeError where the data cannot be used, and where the run folder or the cache lies inside DATA.
    """
    _refuse_inside(data, path, "its pictures would become data; give a folder elsewhere")
    if settings.cache_dir:
        why = "the next call would take its files for data; give another --cache-dir"
        _refuse_inside(data, Path(settings.cache_dir), why)
    images = scan(data, strict=strict, classes=classes, progress=partial(progress, "scanning"))
    if len(images.class_names) > MAX_CLASSES:
        raise UnfreezeError(
            f"{data} has {len(images.class_names)} classes and a run takes at most {MAX_CLASSES}, whose confusions can "
            "still be kept and shown: merge classes"
        )
    return split(
        images,
        val=settings.val,
        test=settings.test,
        seed=settings.seed,
    )


def _refuse_inside(data: Path, path: Path, why: str) -> None:
    if data.is_dir() and path.resolve().is_relative_to(data.resolve()):
        raise UnfreezeError(f"{path} lies inside {data}, so {why}")


def _restore(path: Path) -> None:
    """Take run.json from its copy where it was damaged or lost."""
    if not _is_run(path / "run.json") and _is_run(path / COPY):
        remove(path / "run.json")
        write_text(path / "run.json", (path / COPY).read_text(encoding="utf-8"))


def _stored(path: Path) -> Any:
    """What run.json says, after `_restore`."""
    try:
        return read_json(path / "run.json")
    except UnfreezeError:
        raise UnfreezeError(
            f"{path / 'run.json'} cannot be read, and {COPY}, its copy, cannot either; put one of them back from a "
            "backup, or give another run folder"
        ) from None


def _is_run(file: Path) -> bool:
    try:
        stored = read_json(file)
    except UnfreezeError:
        return False
    return isinstance(stored, dict) and {"settings", "data", "class_names"} <= set(stored)


def load_run(path: Path, data: Path | None = None) -> Run:
    """The run in a folder; UnfreezeError where there is none. `data`: where its images are now, if they were moved."""
    check_run(path)
    _restore(path)
    stored = _stored(path)
    try:
        images = _images_from_json(stored["data"], stored["class_names"])
        settings = Settings.from_json(stored["settings"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, UnfreezeError) as error:
        raise UnfreezeError(
            f"{path / 'run.json'} is not of format {FORMAT} ({error}); give another run folder"
        ) from None
    return Run(path, replace(images, root=_root(data)) if data else images, settings)


def _root(data: Path) -> Path:
    """What the paths in DATA are relative to."""
    if not data.exists():
        raise UnfreezeError(f"{data} does not exist; give the folder or the CSV that the run was made of")
    return data if data.is_dir() else data.parent


def _to_json(run: Run) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "versions": {name: version(name) for name in PACKAGES},
        "fingerprint": run.images.fingerprint(),
        "class_names": list(run.images.class_names),
        "settings": run.settings.to_json(),
        "weights_sha256": file_digest(Path(run.settings.weights)),
        "data": _images_to_json(run.images),
    }


def _images_to_json(images: ImageFolder) -> dict[str, Any]:
    """Which file is in which part, and what was left out, as columns."""
    return {
        "root": str(images.root.resolve()),
        "paths": list(images.paths),
        "labels": images.labels.tolist(),
        "parts": list(images.parts),
        "sha256": list(images.digests),
        "sizes": images.sizes.tolist(),
        "rejected": [[left.path, left.reason] for left in images.rejected],
        "ignored": images.ignored,
    }


def _images_from_json(columns: dict[str, Any], class_names: list[str]) -> ImageFolder:
    """ValueError or the like where the columns do not fit together."""
    _check_columns(columns, class_names)
    return ImageFolder(
        root=Path(columns["root"]),
        class_names=tuple(class_names),
        paths=tuple(columns["paths"]),
        labels=np.array(columns["labels"], np.int32),
        digests=tuple(columns["sha256"]),
        parts=tuple(columns["parts"]),
        sizes=np.array(columns["sizes"], np.int32).reshape(-1, 2),
        rejected=tuple(Rejected(path, reason) for path, reason in columns["rejected"]),
        ignored=columns["ignored"],
    )


def _check_columns(columns: dict[str, Any], class_names: list[str]) -> None:
    """A run may come from a stranger, or from an editor."""
    texts = [columns["root"], *class_names, *columns["paths"], *columns["sha256"], *columns["parts"]]
    if not all(isinstance(text, str) and "\0" not in text for text in texts):
        raise ValueError("a name in it is no text")
    if len(set(class_names)) < len(class_names) or not set(columns["parts"]) <= {"train", "val", "test"}:
        raise ValueError("its classes or its parts are none")
    if len({len(columns[name]) for name in ("paths", "labels", "sha256", "parts", "sizes")}) > 1:
        raise ValueError("its columns have different lengths")
    if not all(type(label) is int and 0 <= label < len(class_names) for label in columns["labels"]):
        raise ValueError("a label in it is of no class")
    left = [text for row in columns["rejected"] for text in row]
    if type(columns["ignored"]) is not int or not all(isinstance(text, str) for text in left):
        raise ValueError("what was left out is none")


DATA, WEIGHTS = "data (its images or their split)", "content of the weights file"


def _refuse_another(path: Path, stored: Any, images: ImageFolder, settings: Settings, searches: bool) -> None:
    before = stored.get("settings") if isinstance(stored, dict) else None
    if not isinstance(before, dict) or not before:
        raise UnfreezeError(f"{path / 'run.json'} is not of format {FORMAT}; give another run folder")
    if (before.get("backbone") == ADOPTED) != (settings.backbone == ADOPTED):
        model = "a model that was adopted" if before.get("backbone") == ADOPTED else "a model that was trained here"
        raise UnfreezeError(f"{path} holds {model}; give another run folder")
    wanted: dict[str, Any] = {DATA: images.fingerprint(), WEIGHTS: file_digest(Path(settings.weights))}
    there = dict(zip(wanted, (stored.get("fingerprint"), stored.get("weights_sha256")), strict=True))
    skip = MAY_CHANGE | ({"weights"} if wanted[WEIGHTS] else set())  # same content, another path: the same
    wanted |= {name: value for name, value in settings.to_json().items() if name not in skip}
    known = Settings.from_json(before).to_json()  # with the defaults of settings that are newer
    there |= {name: value for name, value in known.items() if name not in skip}
    different = [name for name in wanted if wanted[name] != there.get(name)]
    if not different:
        return
    typed = [name for name in different if searches or name not in SEARCH_ONLY]
    shown = [_difference(name, there.get(name), wanted[name]) for name in typed]
    shown += ["it is that of a search"] if len(typed) < len(different) else []
    raise UnfreezeError(
        f"{path} holds another run: {'; '.join(shown)}. Give another run folder, or the settings of that one"
    )


def _difference(name: str, there: object, wanted: object) -> str:
    """As a person types it."""
    if name in (DATA, WEIGHTS):
        return f"the {name} differs"
    option = f"--{name.replace('_', '-')}"
    if isinstance(wanted, bool):
        return f"{option if there else '--no-' + option[2:]} there, {option if wanted else '--no-' + option[2:]} here"
    return f"{option} is {_typed(there)} there, {_typed(wanted)} here"


def _typed(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(_typed, value))
    return "not given" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
