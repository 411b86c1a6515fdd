"""Values of options, as click gives them -> the settings records that the functions take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from export.limits import LIMIT_NAMES, Limits
from export.settings import Conversion, ExportSettings, VerifySettings
from toolkit.data.settings import CSV_FIELDS, DataSettings
from toolkit.errors import UnfreezeError
from toolkit.settings import Settings
from toolkit.settings_rules import VARIED

NAMES = [
    field.name for record in (Settings, Limits, Conversion, ExportSettings, VerifySettings) for field in fields(record)
]
COMPOUND = [name for name in NAMES if "_" in name]  # no ordinary word has an underscore


def settings(values: dict[str, Any]) -> Settings:
    """The Settings of a command's options. Options that were left out follow the backbone."""
    given = {name: value for name, value in values.items() if value is not None}
    for name, one in {"backbones": "backbone", "image_sizes": "image_size"}.items():
        if name in given and one in given:
            raise UnfreezeError(f"--{name} names what is tried; leave --{one} out".replace("_", "-"))
        given |= {one: given.pop(name)} if name in given else {}
    several = {name: value for name, value in given.items() if name in VARIED and isinstance(value, tuple)}
    if isinstance(given.get("backbone"), str) and "backbones" in values and values["backbones"]:
        several["backbone"] = (given["backbone"],)  # its text may name width and weights, too
    given = {name: value for name, value in given.items() if name not in several} | {"vary": several}
    given |= {name: str(given[name]) for name in ("cache_dir", "image_dir") if name in given}
    with _as_typed():
        made = Settings(**given)
        made.check_files()
    return made


def data_settings(values: dict[str, Any]) -> DataSettings:
    """The DataSettings of the options in READING and SPLIT, which are removed from `values`."""
    with _as_typed():
        given = {field.name: values.pop(field.name) for field in fields(DataSettings)}
        return DataSettings(**given | {"image_dir": str(given["image_dir"] or "")})


def columns(values: dict[str, Any]) -> DataSettings:
    """How a CSV is read: the options in COLUMNS, which are removed from `values`."""
    typed: dict[str, Any] = {name: str(values.pop(name, "") or "") for name in CSV_FIELDS}
    with _as_typed():
        return DataSettings(**typed)


def export_settings(values: dict[str, Any]) -> ExportSettings:
    """The ExportSettings of the options in EXPORT, which are removed from `values`."""
    with _as_typed():
        names = [field.name for field in fields(ExportSettings) if field.name in values]
        return ExportSettings(**{name: values.pop(name) for name in names})


def verify_settings(values: dict[str, Any]) -> VerifySettings:
    """The VerifySettings of the options of `unfreeze verify`."""
    threads = values["threads"] if values["times"] else ()
    with _as_typed():
        return VerifySettings(
            margin=values["margin"],
            evidence=values["evidence"],
            max_flips=values["max_flips"],
            tolerance=values["tolerance"],
            threads=threads,
            layers=values["layers"],
            retrained=values["retrained"],
            reading=columns(values),
        )


def conversion(values: dict[str, Any]) -> Conversion:
    """The Conversion of the options in CONVERSION, which are removed from `values`."""
    with _as_typed():
        return Conversion(**{field.name: values.pop(field.name) for field in fields(Conversion)})


def limits(values: dict[str, Any]) -> Limits:
    """The Limits of the options in LIMITS, which are removed from `values`."""
    with _as_typed():
        return Limits(**{name: values.pop(name) for name in LIMIT_NAMES})


def limits_of_file(runtime: str, precision: str) -> Limits:
    """Limits that say the format and the precision of a file alone."""
    with _as_typed():
        return Limits(runtime=runtime, precision=precision)


def limits_like(run: Path, given: dict[str, Any]) -> Limits:
    """The Limits of the options that were given to `unfreeze pick`; the others are those of the run's search."""
    from unfreeze.picking import limits_like as of_run

    with _as_typed():
        return of_run(run, **given)


@contextmanager
def _as_typed() -> Iterator[None]:
    """Replace the names of fields in an error by the options as they are typed: head_rate by --head-rate. A name
    without an underscore is replaced only if the message begins with it, as in "val is 2.0": elsewhere it may be an
    ordinary word."""
    try:
        yield
    except UnfreezeError as error:
        named = rf"^({'|'.join(NAMES)})(?= is )|\b({'|'.join(COMPOUND)})\b"
        told = re.sub(named, lambda name: f"--{name[0].replace('_', '-')}", str(error))
        raise UnfreezeError(told) from None
