"""A run that was begun by an earlier version, which divided data and judged trials in another way, or fitted no
temperature: what stays as it was."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from toolkit.data.image_set import ImageSet
from toolkit.data.settings import DataSettings
from toolkit.errors import one_line
from toolkit.pixels.colour import IGNORED, SRGB
from toolkit.pixels.levels import FULL
from toolkit.settings import Settings
from toolkit.settings_rules import OF_EARLIER

MARK = "earlier_split"  # true in a run.json that was written anew when such a run went on
NEW_SETTINGS = {field.name for field in fields(DataSettings)} - {"val", "test", "seed"}  # that it did not know
UNEQUAL = 1.1  # times as many images in the largest class as in the smallest, from which the losses differ
TRAIN_WITH = ("keras", "tensorflow")  # another major or minor version of these may train differently
LOSS = (
    "trials of the earlier version were judged by a loss in which classes weigh by their images, newer ones by one in "
    "which all weigh the same; another run folder begins anew"
)

UNCALIBRATED = (
    "this run was begun by a version that fitted no temperature, so its probabilities stay as they were trained; "
    "another run folder begins anew"
)


def is_earlier(stored: Any) -> bool:
    """Whether the value in a run.json is that of such a run."""
    if not isinstance(stored, dict) or not isinstance(stored.get("data"), dict):
        return False
    return bool(stored.get(MARK)) or "same_pixels" not in stored["data"]


def as_begun(stored: Any, settings: Settings) -> Settings:
    """The settings with which the run goes on. One that was begun without a temperature gets none, and one that ignored
    colour profiles goes on so."""
    return replace(settings, **{name: OF_EARLIER[name] for name in _unknown_to(stored)})


def marked(stored: Any, content: dict[str, Any]) -> dict[str, Any]:
    """The content of a run.json that is written anew, from which the next call sees, too, what `stored` showed."""
    known = {name: value for name, value in content["settings"].items() if name not in _unknown_to(stored)}
    return content | {"settings": known} | ({MARK: True} if is_earlier(stored) else {})


def _unknown_to(stored: Any) -> set[str]:
    """The settings of which the version that wrote this run.json knew nothing, where the default is another."""
    settings = stored.get("settings") if isinstance(stored, dict) else None
    return set(OF_EARLIER) - set(settings) if isinstance(settings, dict) else set()


def cautions(stored: Any, images: ImageSet, settings: Settings, searches: bool) -> tuple[str, ...]:
    """Sentences for the user about going on with such a run. `settings`: those that are asked for."""
    told = _loss_warning(images, settings) if searches and is_earlier(stored) else ()
    return (*told, UNCALIBRATED) if settings.calibrate and "calibrate" in _unknown_to(stored) else told


def recipe_of(stored: Any) -> dict[str, str | None]:
    """The levels and profiles of the run whose run.json holds `stored`, as `scan` takes them: None if DATA decides. An
    earlier version took all 16 bits, and colours as they are stored."""
    if not isinstance(stored, dict) or not isinstance(stored.get("data"), dict):
        return {"levels": None, "profiles": None}
    profiles = stored["data"].get("profiles")
    return {"levels": FULL if is_earlier(stored) else None, "profiles": profiles if profiles == SRGB else IGNORED}


def decoded_as_in(images: ImageSet, stored: dict[str, Any]) -> ImageSet:
    """The images, decoded as in that run."""
    profiles = recipe_of(stored)["profiles"] or IGNORED
    return replace(images, levels=stored["data"].get("levels", FULL), profiles=profiles)


def without_parts(images: ImageSet) -> str:
    """The fingerprint of what is not decided by a split."""
    return replace(images, parts=("",) * len(images)).fingerprint()


def with_parts_of(images: ImageSet, before: ImageSet) -> ImageSet:
    """The images with the parts of `before`, which has the same files in the same classes."""
    parts = [""] * len(images)
    for row, its in zip(_rows(images), _rows(before), strict=True):
        parts[row] = before.parts[its]
    return replace(images, parts=tuple(parts))


def _rows(images: ImageSet) -> list[int]:
    """The row numbers, in an order that does not depend on that of the rows."""
    names = [images.class_names[label] for label in images.labels]
    return sorted(range(len(images)), key=lambda i: (images.paths[i], names[i], images.digests[i]))


def _loss_warning(images: ImageSet, settings: Settings) -> tuple[str, ...]:
    """A sentence if the trials of such a run cannot be compared with those that come."""
    counts = images.counts()
    unequal = counts.max() > UNEQUAL * counts.min()
    weighed = settings.class_weights == "balanced" and settings.objective == "val_loss"
    return (LOSS,) if unequal and weighed else ()


def with_earlier(stored: Any, now: dict[str, str]) -> list[dict[str, str]]:
    """The package versions that run.json holds, those with which the run was begun first, and `now` at the end if they
    changed."""
    later = stored.get("later_versions")
    known = [stored.get("versions"), *(later if isinstance(later, list) else [])]
    earlier = [one for one in known if isinstance(one, dict) and one]
    return earlier if earlier and earlier[-1] == now else [*earlier, now]


def version_warnings(begun: dict[str, str], now: dict[str, str]) -> tuple[str, ...]:
    """A sentence for each package of TRAIN_WITH whose major or minor version is another one than when the run was
    begun."""
    return tuple(
        one_line(
            f"this run was begun with {name} {before} and goes on with {name} {now[name]}: what they train may differ; "
            f"`pip install {name}=={before}` brings the earlier one back, another run folder begins anew"
        )
        for name in TRAIN_WITH
        if isinstance(before := begun.get(name), str) and before.split(".")[:2] != now[name].split(".")[:2]
    )
