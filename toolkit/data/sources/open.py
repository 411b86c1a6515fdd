"""DATA -> `Listing`: a folder with a sub-folder for each class, or a CSV."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from toolkit.data.groups import with_groups
from toolkit.data.settings import CSV_FIELDS, DATA_SETTINGS, DataSettings
from toolkit.data.sources.alike import refuse_alike
from toolkit.data.sources.class_folders import read_folder
from toolkit.data.sources.csv_file import read_csv
from toolkit.data.sources.listing import Listing
from toolkit.data.sources.walk import is_true
from toolkit.errors import UnfreezeError, one_line


def read_listing(data: Path, settings: DataSettings = DATA_SETTINGS, known: Collection[str] = ()) -> Listing:
    """The entries of DATA sorted by path. `known`: the classes of a model that exists already. Raises UnfreezeError if
    DATA is neither a folder of classes nor a CSV."""
    check_data(data)
    listing = read_folder(data, settings, known) if is_true(data.is_dir) else read_csv(data, settings)
    refuse_alike(listing.classes, one_line(str(data)))
    listing.entries.sort(key=lambda entry: (entry.path, entry.label, entry.part, entry.group))
    return with_groups(listing, settings.group_by, str(data))


def check_data(data: Path) -> None:
    """Raises UnfreezeError if DATA is neither a folder nor a CSV. Nothing in it is read."""
    if is_true(data.is_dir) or (is_true(data.is_file) and data.suffix.lower() in (".csv", ".tsv")):
        return
    what = "is neither a folder nor a .csv file" if is_true(data.exists) else "does not exist"
    raise UnfreezeError(f"{one_line(str(data))} {what}; give a folder with a sub-folder per class, or a CSV path,label")


def refuse_csv_options(data: Path, settings: DataSettings) -> None:
    """Raises UnfreezeError if DATA is a folder and the settings say how a CSV is read."""
    given = [name for name in CSV_FIELDS if getattr(settings, name)]
    if given and is_true(data.is_dir):
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UnfreezeError(
            one_line(f"{data} is a folder, and {options} is for a CSV: leave it out, or give the CSV that is meant")
        )
