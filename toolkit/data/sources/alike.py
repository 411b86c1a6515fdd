"""Class names that are nearly the same: an error if only the spelling differs, otherwise a hint in a message."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from difflib import get_close_matches

from toolkit.errors import UnfreezeError, one_line


def refuse_alike(classes: Iterable[tuple[str, str]], where: str) -> None:
    """Raises UnfreezeError if two of the classes (name, part) differ only in capitals, outer blanks, or how accents are
    encoded: they would be trained as two. Single letters may differ in case, as those of handwriting do."""
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
