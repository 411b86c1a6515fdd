"""`DataSettings`: how DATA is read and divided. `toolkit.settings.Settings` has the same fields, and more."""

from __future__ import annotations

from dataclasses import dataclass, fields

from toolkit.checks import Number, Rule, check, one_of
from toolkit.data.groups import NONE, is_group_by
from toolkit.storage.local_path import local_path

POOLED = ("train", "val")  # parts whose images are divided into folds
FEW, FOLDS = (
    500,
    5,
)  # up to so many images in these parts folds pay (benchmarks/RESULTS.md), and how many there are then
NEAR_DUPLICATES = ("keep-together", "warn", "off")
LEVEL_OPTIONS = ("auto", "full", "percentile")
PROFILE_OPTIONS = ("srgb", "ignored")  # as `toolkit.pixels.colour` says
CSV_FIELDS = ("image_column", "label_column", "image_dir", "suffix")  # those that say how a CSV is read
FRACTION = Rule(Number, "a fraction between 0 and 1, such as 0.2", lambda value: 0 < value < 1)
DATA_RULES = {
    "image_column": Rule(str, "the name of a column, or an empty text"),
    "label_column": Rule(str, "the name of a column, or an empty text"),
    "image_dir": Rule(str, "the path of a folder as text"),
    "suffix": Rule(str, "the end of the files' names, such as .jpg"),
    "group_by": Rule(str, "column:NAME, folder, folder:N, a regular expression, or none", is_group_by),
    "near_duplicates": one_of(NEAR_DUPLICATES),
    "levels": one_of(LEVEL_OPTIONS),
    "profiles": one_of(PROFILE_OPTIONS),
    "val": FRACTION,
    "test": FRACTION,
    "seed": Rule(int, f"a number from 0 to {2**32 - 1}", lambda value: 0 <= value < 2**32),
}


@dataclass(frozen=True)
class DataSettings:
    """How DATA is read, and how images that have no part are divided. Raises UnfreezeError if a value has the wrong
    type or is out of range."""

    image_column: str = ""  # of a CSV: the paths; "": found by its name
    label_column: str = ""  # of a CSV: the classes; "": found by its name
    image_dir: str = ""  # the folder that a CSV's paths are relative to; "": the CSV's own
    suffix: str = ""  # added to each of a CSV's paths, such as ".jpg"
    group_by: str = ""  # what keeps images in one part: column:NAME, folder[:N], a regular expression, "none"
    near_duplicates: str = "keep-together"  # or "warn", "off": copies of an image that were resized or encoded anew
    levels: str = "auto"  # or "full", "percentile": how 16-bit samples become 8 bits
    profiles: str = "srgb"  # or "ignored": whether colours become those of sRGB where a file says that they are others
    val: float = 0.2  # fraction for validation, if the data has no validation part
    test: float = 0.2  # fraction for the test, if the data has no test part
    seed: int = 0  # of the split

    def __post_init__(self) -> None:
        check(self, DATA_RULES)
        if self.image_dir:  # absolute, so that it is found from any working directory
            absolute = str(local_path(self.image_dir, "a folder on this machine").resolve())
            object.__setattr__(self, "image_dir", absolute)  # the record is frozen


DATA_SETTINGS = DataSettings()


def undivided(settings: DataSettings = DATA_SETTINGS, **changed: str) -> DataSettings:
    """How data are read of which nothing is divided, with the columns, levels and profiles of `settings`: groups and
    copies are not looked for."""
    known = {field.name: getattr(settings, field.name) for field in fields(DataSettings)}
    return DataSettings(**known | changed | {"group_by": NONE, "near_duplicates": "off"})
