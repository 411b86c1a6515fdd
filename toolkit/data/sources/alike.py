"""Class names that are nearly the same: an error if only the spelling or the mark of a copy differs, otherwise a hint
in a message."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from difflib import get_close_matches

from toolkit.errors import UnfreezeError, one_line

_COPY = r"cop(?:y|ie|ia)|kopie"
_MARKS = (  # `dog - Copy (2)`, `dog copy 2`, `dog_copy`; `dog (1)`; `copy of dog`
    re.compile(rf"[\s_-]+(?:{_COPY})(?:[\s_]*\(?\d+\)?)?$", re.IGNORECASE),
    re.compile(r"\s*\(\d+\)$"),
    re.compile(r"^copy(?:\s*\(\d+\))?[\s_]+of[\s_]+", re.IGNORECASE),
)


def refuse_alike(classes: Collection[tuple[str, str]], where: str) -> None:
    """Raises UnfreezeError if two of the classes (name, part) differ only in capitals, outer blanks, how accents are
    encoded, or the mark of a copy: they would be trained as two. Single letters may differ in case."""
    first: dict[str, tuple[str, str]] = {}
    for name, part in sorted(classes):
        other, others_part = first.setdefault(_spelling(name), (name, part))
        if other != name:
            what = _difference(other, name)
            show = one_line if what == "capitals" else ascii  # other differences cannot be seen
            one, two = (f"{show(own)}{f' (in {of})' if of else ''}" for own, of in ((other, others_part), (name, part)))
            raise UnfreezeError(
                f"{where}: the classes {one} and {two} differ only in {what}: give them the same name, or names that "
                "differ more"
            )
    _refuse_copies([name for name, _ in sorted(classes)], where)


def _refuse_copies(names: list[str], where: str) -> None:
    spelled = {_spelling(name): name for name in names}
    for name in names:
        if (kept := without_copy_mark(name)) != name and _spelling(kept) in spelled:
            raise UnfreezeError(
                f"{where}: the class {one_line(name)} is called a copy of {one_line(spelled[_spelling(kept)])}: put "
                "their images together, or move one of them away"
            )


def without_copy_mark(name: str) -> str:
    """The name without what computers add to the name of a copy, and of a download that is there already."""
    for mark in _MARKS:
        kept = mark.sub("", name)
        if kept and kept != name:
            return kept
    return name


def nearest(name: str, names: Collection[str]) -> str | None:
    """The one of the names that was meant, perhaps: other capitals, a plural, a slip of the pen."""
    spelled = {_spelling(other): other for other in names}
    near = get_close_matches(_spelling(name), spelled, 1)
    return spelled[near[0]] if near else None


def _spelling(name: str) -> str:
    """Equal for names that nobody tells apart when they are read aloud."""
    composed = unicodedata.normalize("NFC", name).strip()
    return composed if len(composed) == 1 else unicodedata.normalize("NFC", composed.casefold())


def _difference(one: str, other: str) -> str:
    if one.strip() == other.strip():
        return "blanks at an end"
    return "capitals" if one.casefold() == other.casefold() else "how their letters are encoded"
