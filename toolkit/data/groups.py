"""`group_by` -> the group of each image: the patient, animal, video or site whose images stay in one part.

A group comes from a column of a CSV, from a folder that a file lies in, or from a part of its path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from toolkit.data.sources.listing import Entry, Listing
from toolkit.errors import UnfreezeError, one_line

COLUMN, FOLDER, NONE = "column:", "folder", "none"
ALONE = ""  # the group of an image that has none: it may stand in any part


def is_group_by(text: str) -> bool:
    """Whether the text is one that `--group-by` takes."""
    if text.startswith((COLUMN, FOLDER + ":")):
        kind, _, value = text.partition(":")
        return bool(value.strip()) if kind == "column" else value.isdecimal() and int(value) > 0
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def column_of(group_by: str) -> str | None:
    """The column of a CSV that holds the groups; None if they come from elsewhere."""
    return group_by.removeprefix(COLUMN) if group_by.startswith(COLUMN) else None


def with_groups(listing: Listing, group_by: str, where: str) -> Listing:
    """The listing, each entry with its group. A CSV has filled in those of a column. Raises UnfreezeError if an entry
    has none, or if each class is a group."""
    if group_by in ("", NONE) or not listing.entries:
        return listing
    if column_of(group_by) is None:
        name = _folder_name(group_by) if _is_folder(group_by) else _match(group_by)
        groups = [name(entry.path) for entry in listing.entries]
        _refuse_without(listing.entries, groups, group_by, where)
        entries = [replace(entry, group=group or ALONE) for entry, group in zip(listing.entries, groups, strict=True)]
    else:
        entries = listing.entries
        if not any(entry.group for entry in entries):
            raise UnfreezeError(
                one_line(f"{where}: --group-by {group_by} finds no group: column:NAME is for a CSV that has one")
            )
    _refuse_classes(entries, group_by, where)
    return replace(listing, entries=entries)


def _is_folder(group_by: str) -> bool:
    return group_by.partition(":")[0] == FOLDER


def _folder_name(group_by: str) -> Callable[[str], str | None]:
    above = int(group_by.partition(":")[2] or 1)

    def name(path: str) -> str | None:
        folders = PurePosixPath(path).parts[:-1]
        return folders[-above] if len(folders) >= above else None

    return name


def _match(group_by: str) -> Callable[[str], str | None]:
    pattern = re.compile(group_by)

    def name(path: str) -> str | None:
        found = pattern.search(path)
        return found[1 if pattern.groups else 0] if found else None

    return name


def _refuse_without(entries: Sequence[Entry], groups: Sequence[str | None], group_by: str, where: str) -> None:
    without = [entry.path for entry, group in zip(entries, groups, strict=True) if not group]
    if without:
        raise UnfreezeError(
            one_line(
                f"{where}: --group-by {group_by} finds no group in {len(without)} of {len(entries)} paths, such as "
                f"{without[0]}: give column:NAME of a CSV, folder, folder:2, or a regular expression that each path has"
            )
        )


def _refuse_classes(entries: Sequence[Entry], group_by: str, where: str) -> None:
    """Raises UnfreezeError if there is one group, or if the groups are the classes: nothing could be divided."""
    groups = {entry.group for entry in entries if entry.group != ALONE}
    pairs = {(entry.group, entry.label) for entry in entries}
    if len(groups) == 1 and all(entry.group for entry in entries):
        found = f"the one group {next(iter(groups))}"
    elif len(groups) > 1 and len(pairs) == len(groups) == len({label for _, label in pairs}):
        found = "the classes themselves"
    else:
        return
    raise UnfreezeError(
        one_line(
            f"{where}: --group-by {group_by} finds {found}, which cannot be divided; name what is within a class, such "
            "as folder for CLASS/ANIMAL/IMAGE.jpg"
        )
    )
