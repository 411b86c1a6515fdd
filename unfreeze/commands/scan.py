"""`unfreeze scan`: what is in DATA."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.data.settings import DATA_SETTINGS, DataSettings
from toolkit.errors import one_line
from toolkit.progress import Listener
from unfreeze import api, option_records
from unfreeze import options as o
from unfreeze.commands.finish import print_result
from unfreeze.data_options import SPLIT

if TYPE_CHECKING:
    from toolkit.data.sources.write_csv import WrittenCsv


@click.command(short_help="Classes, counts, broken files, duplicates, the split.")
@o.DATA
@o.options(SPLIT)
@click.option(
    "--sheet",
    type=o.LocalPath(),
    help="File for a picture of the copies that were found, side by side: FILE.png.",
)
@o.STRICT
@click.option(
    "--write-csv",
    type=o.LocalPath("a local file"),
    metavar="FILE",
    help="Open no image; write a CSV path,label,split of DATA, to look at, edit and give instead of it. Where DATA "
    "does not say what is a class, the CSV has the classes that the files' names seem to name, or a column for each "
    "level of folders.",
)
@o.JSON
@click.pass_obj
def scan(
    screen: Any, data: Path, strict: bool, sheet: Path | None, write_csv: Path | None, as_json: bool, **values: Any
) -> None:
    """What is in DATA: classes, counts, sizes, broken files, duplicates, and the split that a run would make."""
    reading = option_records.data_settings(values)
    if write_csv:
        table = api.write_csv(data, write_csv, reading=reading, strict=strict)
        print_result(screen, as_json, {**asdict(table), "file": str(table.file)}, lambda: _show_table(table))
        more = "" if "label" in table.columns else f" --label-column {list(table.columns)[-1]}"
        more += " --group-by column:group" if table.grouped else ""
        screen.next(f"unfreeze scan {shlex.quote(str(write_csv))}{more}")
        return
    if sheet:
        from unfreeze.pages.pair_sheet import check_sheet

        check_sheet(sheet)
    images = api.scan(data, reading=reading, strict=strict, listener=Listener(screen.progress))
    from toolkit.data.together import near_duplicates, near_leaks, split_groups
    from unfreeze.screen import tables

    counts = {part: images.counts(part) for part in ("train", "val", "test")}
    classes = {
        name: {part: int(count[number]) for part, count in counts.items()}
        for number, name in enumerate(images.class_names)
    }
    listed = {
        "classes": classes,
        "images": len(images),
        "rejected": [asdict(left) for left in images.rejected],
        "duplicates": images.duplicates(),
        "near_duplicates": near_duplicates(images),
        "leaks": tables.leaks(images),
        "near_leaks": near_leaks(images),
        "groups": len({*images.groups} - {""}),
        "split_groups": split_groups(images),
        "ignored": images.ignored,
        "ignored_suffixes": images.ignored_suffixes,
        "levels": images.levels,
        "profiles": images.profiles,
        "notices": images.notices,
        "fingerprint": images.fingerprint(),
    }
    print_result(screen, as_json, listed, lambda: tables.show_folder(images))
    if sheet:
        from unfreeze.pages.pair_sheet import draw_pairs

        drawn = draw_pairs(images, sheet)
        screen.say(f"{sheet}: {drawn} pairs of copies" if drawn else f"no copies, so {sheet} was not written")
    screen.next(f"unfreeze run {shlex.quote(str(data))} RUN{_typed(reading)}")


def _typed(reading: DataSettings) -> str:
    """The options that were given and say how DATA is read: a run has to read it so, too."""
    default = asdict(DATA_SETTINGS)
    given = {name: value for name, value in asdict(reading).items() if value != default[name]}
    return "".join(f" --{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in given.items())


def _show_table(table: WrittenCsv) -> None:
    """Print what the CSV holds: each column that may be the class, with the most frequent values."""
    from unfreeze.screen.tables import listed

    click.echo(one_line(f"{table.file}: {table.rows} images"))
    for notice in table.notices:
        click.echo(one_line(notice))
    for column, values in table.columns.items():
        listed(column, [f"{name or '(nothing)'}: {count}" for name, count in values.items()])
    listed("left out", [f"{left.path}: {left.reason}" for left in table.left_out])
