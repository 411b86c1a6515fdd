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
@o.STRICT
@o.JSON
@click.pass_obj
def scan(screen: Any, data: Path, strict: bool, as_json: bool, **values: Any) -> None:
    """What is in DATA: classes, counts, sizes, broken files, duplicates, and the split that a run would make."""
    images = api.scan(
        data, reading=option_records.data_settings(values), strict=strict, listener=Listener(screen.progress)
    )
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
        "leaks": tables.leaks(images),
        "ignored": images.ignored,
        "ignored_suffixes": images.ignored_suffixes,
        "levels": images.levels,
        "notices": images.notices,
        "fingerprint": images.fingerprint(),
    }
    print_result(screen, as_json, listed, lambda: tables.show_folder(images))
    screen.next(f"unfreeze run {shlex.quote(str(data))} RUN")
