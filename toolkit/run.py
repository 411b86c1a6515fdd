"""The run folder. `run.json` holds its data, split and settings; other data or settings are refused in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from toolkit import earlier_version
from toolkit.chosen_folds import with_folds
from toolkit.data.folds import checked_for_folds
from toolkit.data.image_columns import from_columns, to_columns
from toolkit.data.image_set import ImageSet, scan
from toolkit.data.split import divide_by
from toolkit.errors import UnfreezeError, one_line
from toolkit.models.backbones import OWN_BACKBONE, is_file
from toolkit.models.hub.preset import FOLDER as PRESETS
from toolkit.own.parts import NOTHING, Own, described, refuse_others
from toolkit.progress import Progress, silent
from toolkit.setting_words import DATA, WEIGHTS, as_typed, difference, weights_digest
from toolkit.settings import ADOPTED, Settings
from toolkit.settings_rules import SEARCH_ONLY
from toolkit.storage.files import read_json, remove, write_json, write_text
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
    "opencv-python-headless",
)
MAY_CHANGE = {"trials", "pick", "refit", "final", "cache_limit", "cache_dir", "time_limit"}  # when a search goes on


@dataclass(frozen=True)
class Run:
    """The content of `run.json`: the images with their parts, and the settings."""

    path: Path
    images: ImageSet  # each one has a part
    settings: Settings
    warnings: tuple[str, ...] = ()  # sentences for the user about continuing this run
    own: Own = NOTHING  # the caller's parts; NOTHING in a run that was loaded: no file holds them

    @property
    def cache(self) -> Path:
        """Decoded images and activations: safe to delete at any time. Runs may share it."""
        return Path(self.settings.cache_dir or self.path / CACHE)


def open_run(
    path: Path,
    images: ImageSet,
    settings: Settings,
    own: Own = NOTHING,
    *,
    searches: bool = True,
    val_given: bool = True,
) -> Run:
    """Make the run folder, or continue in it. Raises UnfreezeError if its run.json has other data, settings or parts.

    A folder in which nothing was trained yet is overwritten. `searches`: False for a single training, whose error
    message leaves out options of a search. `val_given`: whether the validation part is that of DATA.
    """
    file = path / "run.json"
    versions = [{name: version(name) for name in PACKAGES}]
    stored = _begun(path)
    if settings.folds is None:
        images, settings = with_folds(images, settings, stored, chooses=searches and not val_given)
    images = checked_for_folds(images, settings.fold_count, settings, val_given=val_given)
    told: tuple[str, ...] = ()
    earlier = earlier_version.is_earlier(stored)
    if stored is not None:
        _refuse_another(path, stored, images, earlier_version.as_begun(stored, settings), searches)
        refuse_others(path, stored, own)
        images = earlier_version.decoded_as_in(images, stored)
        images = earlier_version.with_parts_of(images, _stored_images(path, stored)) if earlier else images
        told = earlier_version.cautions(stored, images, settings, searches)
        settings = earlier_version.as_begun(stored, settings)
        versions = earlier_version.with_earlier(stored, versions[0])
    elif path.is_dir() and any(_shown(path)) and not file.exists():
        lost = f"; its run.json was lost, and {COPY}" if (path / "search").is_dir() else ""
        raise UnfreezeError(f"{path} is not empty and holds no run{lost}; give an empty or a new folder")
    run = Run(path, images, settings, (*earlier_version.version_warnings(versions[0], versions[-1]), *told), own)
    try:
        for name in (file, path / COPY):
            write_json(name, earlier_version.marked(stored, _to_json(run, versions)))
    except (FileExistsError, NotADirectoryError):
        raise UnfreezeError(f"{path} is a file or lies below one; give a folder") from None
    except OSError as error:
        raise UnfreezeError(f"cannot write to {path} ({error.strerror}); give a folder that can be written") from None
    return run


def _begun(path: Path) -> Any:
    """The value in the run.json of a folder in which something was trained; None if there is none."""
    _restore(path)
    trained = any((path / name).exists() for name in ("search", "model.keras"))
    if not trained or not (path / "run.json").exists():
        return None
    stored = _stored(path)
    return {} if stored is None else stored  # JSON's null is a value, too, and no run


def _shown(folder: Path) -> Iterator[Path]:
    """Entries that are not hidden: a folder with only a lock file or .DS_Store counts as empty. So does one with
    backbones alone, which are kept there before a run is begun."""
    kept = (OWN_BACKBONE, PRESETS)
    return (path for path in folder.iterdir() if not path.name.startswith(".") and path.name not in kept)


def prepare(
    data: Path,
    path: Path,
    settings: Settings,
    own: Own = NOTHING,
    *,
    strict: bool = False,
    searches: bool = True,
    progress: Progress = silent,
) -> Run:
    """Scan the data, split it, and open the run folder for it. Nothing is written if this raises UnfreezeError."""
    settings.check_files()
    images, val_given = _read(data, path, settings, strict=strict, progress=progress)
    return open_run(path, images, settings, own, searches=searches, val_given=val_given)


def read_images(data: Path, path: Path, settings: Settings, **how: Any) -> ImageSet:
    """The images of DATA for a run in the folder `path`, each with its part. `how`: as `scan` takes it. Raises
    UnfreezeError if the data cannot be used, or if the run folder or the cache lies inside DATA."""
    return _read(data, path, settings, **how)[0]


def _read(
    data: Path,
    path: Path,
    settings: Settings,
    *,
    strict: bool = False,
    classes: tuple[str, ...] | None = None,
    trains: bool = True,
    progress: Progress = silent,
) -> tuple[ImageSet, bool]:
    """`read_images`, and whether DATA has a validation part of its own."""
    _refuse_inside(data, path, "its pictures would become data; give a folder elsewhere")
    if settings.cache_dir:
        why = "the next call would take its files for data; give another --cache-dir"
        _refuse_inside(data, Path(settings.cache_dir), why)
    told, how = partial(progress, "scanning"), earlier_version.recipe_of(_begun(path))
    images = scan(data, settings, strict=strict, classes=classes, trains=trains, **how, progress=told)
    if len(images.class_names) > MAX_CLASSES:
        raise UnfreezeError(
            f"{data} has {len(images.class_names)} classes and a run takes at most {MAX_CLASSES}, whose confusions can "
            "still be kept and shown: merge classes"
        )
    return divide_by(images, settings, strict=strict), "val" in images.parts


def _refuse_inside(data: Path, path: Path, why: str) -> None:
    if data.is_dir() and path.resolve().is_relative_to(data.resolve()):
        raise UnfreezeError(f"{path} lies inside {data}, so {why}")


def _restore(path: Path) -> None:
    """Restore run.json from its copy if it is damaged or lost."""
    if not _is_run(path / "run.json") and _is_run(path / COPY):
        remove(path / "run.json")
        write_text(path / "run.json", (path / COPY).read_text(encoding="utf-8"))


def _stored(path: Path) -> Any:
    """The value in run.json, after `_restore`. Raises UnfreezeError if it cannot be read."""
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
    """The run in a folder. Raises UnfreezeError if there is none. `data`: where its images are now, if they were
    moved."""
    check_run(path)
    _restore(path)
    stored = _stored(path)
    try:
        images = from_columns(stored["data"], stored["class_names"])
        settings = Settings.from_json(stored["settings"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, UnfreezeError) as error:
        raise _of_no_format(path, error) from None
    return Run(path, replace(images, root=_root(data, settings)) if data else images, settings)


def _root(data: Path, settings: Settings) -> Path:
    """The folder to which the paths in DATA are relative."""
    if settings.image_dir and data.is_file():
        raise UnfreezeError(
            one_line(f"the paths of this run are relative to {settings.image_dir}, not to {data}; give that folder")
        )
    if not data.exists():
        raise UnfreezeError(f"{data} does not exist; give the folder or the CSV that the run was made of")
    return data if data.is_dir() else data.parent


def _to_json(run: Run, versions: list[dict[str, str]]) -> dict[str, Any]:
    """The content of run.json. `versions`: the package versions with which the run was begun, then those with which it
    was continued."""
    later = {"later_versions": versions[1:]} if versions[1:] else {}
    return {
        "format": FORMAT,
        "versions": versions[0],
        **later,
        "fingerprint": run.images.fingerprint(),
        "class_names": list(run.images.class_names),
        "settings": run.settings.to_json(),
        **({"own": own} if (own := described(run.own)) else {}),
        "weights_sha256": weights_digest(run.settings),
        "data": to_columns(run.images),
    }


def _refuse_another(path: Path, stored: Any, images: ImageSet, settings: Settings, searches: bool) -> None:
    before = stored.get("settings") if isinstance(stored, dict) else None
    if not isinstance(before, dict) or not before:
        raise UnfreezeError(f"{path / 'run.json'} is not of format {FORMAT}; give another run folder")
    if (before.get("backbone") == ADOPTED) != (settings.backbone == ADOPTED):
        model = "a model that was adopted" if before.get("backbone") == ADOPTED else "a model that was trained here"
        raise UnfreezeError(f"{path} holds {model}; give another run folder")
    skip = set(MAY_CHANGE)
    wanted: dict[str, Any] = {DATA: images.fingerprint(), WEIGHTS: weights_digest(settings)}
    there = dict(zip(wanted, (stored.get("fingerprint"), stored.get("weights_sha256")), strict=True))
    if earlier_version.is_earlier(stored):
        there[DATA], wanted[DATA] = map(earlier_version.without_parts, (_stored_images(path, stored), images))
        skip |= earlier_version.NEW_SETTINGS
    skip |= {"weights"} if wanted[WEIGHTS] else set()  # of a weights file, only the content counts
    skip |= {"backbone"} if before.get("backbone") == before.get("weights") and is_file(settings.backbone) else set()
    wanted |= {name: value for name, value in as_typed(settings).items() if name not in skip}
    known = as_typed(Settings.from_json(before))  # with the defaults of settings that a newer version added
    there |= {name: value for name, value in known.items() if name not in skip}
    if settings.backbones and "backbones" not in there:
        wanted, there = {"backbones": wanted["backbones"]}, {}
    different = [name for name in wanted if wanted[name] != there.get(name)]
    if "backbones" in there and "backbones" not in wanted:
        wanted["backbones"], different = None, ["backbones"]
    if not different:
        return
    typed = [name for name in different if searches or name not in SEARCH_ONLY]
    shown = [difference(name, there.get(name), wanted[name]) for name in typed]
    shown += ["it is that of a search"] if len(typed) < len(different) else []
    raise UnfreezeError(
        f"{path} holds another run: {'; '.join(shown)}. Give another run folder, or the settings of that one"
    )


def _of_no_format(path: Path, error: Exception) -> UnfreezeError:
    return UnfreezeError(f"{path / 'run.json'} is not of format {FORMAT} ({error}); give another run folder")


def _stored_images(path: Path, stored: Any) -> ImageSet:
    try:
        return from_columns(stored["data"], stored["class_names"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _of_no_format(path, error) from None
