"""Folders that are read as classes, and are named like what computers and people put beside classes."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit.data.sources.alike import without_copy_mark
from toolkit.data.sources.layout.undecided import few

UNLIKELY = {  # in lower case; classes may be called `other`, `unknown` and `trash`
    *("thumbnail", "thumbnails", "thumbs", "preview", "previews", "cache", "tmp", "temp"),
    *("backup", "backups", "bak", "old", "archive", "copies", "duplicates"),
    *("rejected", "rejects", "discarded", "deleted", "excluded", "unused", "unsorted", "to sort"),
    *("new folder", "untitled folder", "neuer ordner", "nouveau dossier", "nueva carpeta"),
}


def unlikely(names: Iterable[str]) -> str:
    """A note that names those of the classes that are none, perhaps; "" if there is none."""
    found = sorted({name for name in names if _is_unlikely(name)})
    if len(found) > 1:
        return f"{few(found)} are read as classes: move away what is none"
    return f"{few(found)} is read as a class: move it away if it is none" if found else ""


def _is_unlikely(name: str) -> bool:
    kept = without_copy_mark(name)
    return kept != name or name.startswith("_") or kept.casefold().replace("_", " ").strip() in UNLIKELY
