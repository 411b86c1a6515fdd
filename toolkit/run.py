"""The run folder: atomic files, and `run.json`, which says what the run is and refuses to become another one.

A file that is there is whole: everything is written to a temporary name beside it, synced and renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import UnfreezeError
from toolkit.folder import ImageFolder, scan
from toolkit.layout import Rejected
from toolkit.progress import Progress, silent
from toolkit.settings import ADOPTED, SEARCH_ONLY, Settings
from toolkit.split import split

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


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path that takes the place of `path` when the block ends well, and is removed when it does not.

    The block may write a file or make a folder there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        if temporary.is_dir():
            remove(path)
        else:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        remove(temporary)


def _sweep(folder: Path) -> None:
    """Remove what `atomic` left behind in processes that were killed."""
    for path in folder.rglob(".*.tmp*"):
        pid = path.name.partition(".tmp")[0].rpartition(".")[2]
        if pid.isdigit() and not _alive(int(pid)):
            remove(path)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _sync_folder(folder: Path) -> None:
    """Without it a power cut may undo the renaming."""
    with contextlib.suppress(OSError):  # not every file system can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove(path: Path) -> None:
    """Remove a file or a folder; none is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file of a run; UnfreezeError where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnfreezeError(f"{path} is missing; is {path.parent} a run folder whose step was completed?") from None
    except (ValueError, OSError) as error:
        raise UnfreezeError(f"{path} cannot be read ({error}); remove it and repeat the step that writes it") from None


@dataclass(frozen=True)
class Run:
    """What `run.json` holds: the data with its split, and the settings."""

    path: Path
    images: ImageFolder  # every part decided
    settings: Settings

    @property
    def cache(self) -> Path:
        """Decoded images and activations: safe to delete at any time. Runs may share it."""
        return Path(self.settings.cache_dir or self.path / "cache")


def open_run(path: Path, images: ImageFolder, settings: Settings, *, searches: bool = True) -> Run:
    """Make the run folder, or go on in it if it was made for the same data and settings; else UnfreezeError.

    `searches`: whether it is a search that asks. One in which nothing was trained yet may be made anew with others.
    """
    file = path / "run.json"
    if file.exists() and any((path / name).exists() for name in ("search", "model.keras")):
        _refuse_another(path, read_json(file), images, settings, searches)
    elif path.is_dir() and any(path.iterdir()) and not file.exists():
        raise UnfreezeError(f"{path} is not empty and holds no run; give an empty or a new folder")
    run = Run(path, images, settings)
    _sweep(path)
    try:
        write_json(file, _to_json(run))
    except (FileExistsError, NotADirectoryError):
        raise UnfreezeError(f"{path} is a file or lies below one; give a folder") from None
    except OSError as error:
        raise UnfreezeError(f"cannot write to {path} ({error.strerror}); give a folder that can be written") from None
    return run


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
    settings.check()
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
    """The data of a run in the folder `path`, with its split. `classes`: those of a model that is there already."""
    if data.is_dir() and path.resolve().is_relative_to(data.resolve()):
        raise UnfreezeError(f"{path} lies inside {data}, so its pictures would become data; give a folder elsewhere")
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


def load_run(path: Path, data: Path | None = None) -> Run:
    """The run in a folder; UnfreezeError where there is none. `data`: where its images are now, if they were moved."""
    if not (path / "run.json").is_file():
        raise UnfreezeError(f"{path} is not a run folder (it has no run.json); `unfreeze run DATA {path}` makes one")
    stored = read_json(path / "run.json")
    try:
        images = _images_from_json(stored["data"], stored["class_names"])
        settings = Settings.from_json(stored["settings"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnfreezeError(f"{path / 'run.json'} is not of format {FORMAT} ({error}); make the run anew") from None
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


def file_digest(path: Path) -> str:
    """SHA-256 of a file in hex; "" where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
