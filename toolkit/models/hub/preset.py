"""What `hub:PRESET` names, and what is known of the Keras file that was made of such a preset."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from toolkit.errors import UnfreezeError
from toolkit.storage.files import read_json, write_json
from toolkit.storage.records import plain_record

PREFIX = "hub:"
FOLDER = "backbones"  # in a run folder: the files that were made of presets
HANDLES = ("kaggle://", "hf://")  # of presets that are not KerasHub's own


@dataclass(frozen=True)
class Origin:
    """What the file of a preset does not hold itself: NAME.json beside NAME.keras."""

    preset: str  # as the settings name it, a folder by its absolute path
    pixels: str  # the range that it takes, as `toolkit.pixels.pixel_range` names it
    image_size: int  # pixels, of the images that it was trained on; 0: not stated
    licence: str  # "": not stated
    stated: bool = True  # whether the preset itself says which range it takes

    @property
    def typed(self) -> str:
        """The preset as it is typed in a folder that has it."""
        folder = folder_of(self.preset)
        return f"{PREFIX}./{folder.name}" if folder else self.preset


def is_preset(name: str) -> bool:
    """Whether the text names a preset of KerasHub."""
    return name.startswith(PREFIX)


def folder_of(name: str) -> Path | None:
    """The folder of a preset on this machine; None if KerasHub knows it by its name."""
    path = name.removeprefix(PREFIX)
    if path.startswith(HANDLES) or not ("/" in path or "\\" in path or path in (".", "..")):
        return None
    return Path(path).expanduser()


def absolute_preset(name: str) -> str:
    """The same preset, named so that it is found from any working directory."""
    folder = folder_of(name)
    return f"{PREFIX}{folder.resolve()}" if folder else name


def preset_label(name: str) -> str:
    """The name of a preset in tables and of its file: the last part of its path, without the version of a handle."""
    parts = [part for part in name.removeprefix(PREFIX).split("://")[-1].replace("\\", "/").split("/") if part]
    named = [part for part in parts if not part.isdecimal()] or parts
    return named[-1] if named else ""


def write_origin(file: Path, origin: Origin) -> None:
    write_json(file.with_suffix(".json"), asdict(origin))


def origin_of(file: Path) -> Origin | None:
    """What is known of a file that was made of a preset; None if it is another one, or if that is lost."""
    told = file.with_suffix(".json")
    if file.parent.name != FOLDER or not told.is_file():
        return None
    try:
        return plain_record(Origin, {"stated": True} | read_json(told))
    except (TypeError, ValueError, KeyError, AttributeError, UnfreezeError):
        return None
