"""`unfreeze scan`: what is in DATA."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from toolkit.progress import Listener
from unfreeze import api, option_records
from unfreeze import options as o
from unfreeze.commands.finish import print_result
from unfreeze.data_options import SPLIT


@click.command(short_help="Classes, counts, broken files, duplicates, the split.")
@o.DATA
@o.options(SPLIT)
@click.option(
    "--sheet",
    type=o.LocalPath(),
    help="File for a picture of the copies that were found, side by side: FILE.png.",
)
@o.STRICT
@o.JSON
@click.pass_obj
def scan(screen: Any, data: Path, sheet: Path | None, strict: bool, as_json: bool, **values: Any) -> None:
    """What is in DATA: classes, counts, sizes, broken files, duplicates, and the split that a run would make."""
    if sheet:
        from unfreeze.pages.pair_sheet import check_sheet

        check_sheet(sheet)
    images = api.scan(
        data, reading=option_records.data_settings(values), strict=strict, listener=Listener(screen.progress)
    )
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
        "notices": images.notices,
        "fingerprint": images.fingerprint(),
    }
    print_result(screen, as_json, listed, lambda: tables.show_folder(images))
    if sheet:
        from unfreeze.pages.pair_sheet import draw_pairs

        drawn = draw_pairs(images, sheet)
        screen.say(f"{sheet}: {drawn} pairs of copies" if drawn else f"no copies, so {sheet} was not written")
    screen.next(f"unfreeze run {shlex.quote(str(data))} RUN")
