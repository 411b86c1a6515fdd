"""Labels of a CSV that name several classes at once: a classifier gives one class for an image.

A label that is the folder which its image lies in is a class of its own, whatever it is called: so a CSV that was
written of a folder of classes means what the folder means.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from toolkit.data.sources.csv_table import Table
from toolkit.errors import UnfreezeError, one_line

SEPARATORS = "|;,"
RECURRING = 0.2  # share of the labels with separators that have a word of another label, from which they are several
COMBINED = 0.2  # share of the labels with blanks whose words are all labels, too, from which they are several
FEWEST = 3  # labels with blanks, from which they are several
LABELS_OF_A_WORD = 3  # in how many labels a word is in the mean, if labels with blanks are several classes
MISTAKES = 0.05  # share of the images with rows of several labels, from which they are no mistakes
MANY = 5  # the same, as a number of images
PAGE = "docs/recipes/multi-label.md says how"
_LIST = re.compile(r"[\[({].*[\])}]")  # as Python and JSON write a list


def refuse_several(table: Table, paths: Sequence[str], labels: Sequence[str]) -> None:
    """Raises UnfreezeError if labels are plainly several classes. `paths`: of the images, POSIX."""
    outside: dict[str, int] = {}  # label -> the first line in which it is not the folder of the image
    for (line, _), path, label in zip(table.rows, paths, labels, strict=True):
        if label not in outside and f"/{label}/" not in f"/{path}":
            outside[label] = line
    for label, words in _several({*labels} - {""}):
        if label in outside:
            raise UnfreezeError(
                one_line(
                    f"{table.file}, line {outside[label]}: {label[:80]} names several classes, "
                    f"{' and '.join(words)[:80]}, and a classifier gives one class for an image: keep the rows that "
                    "have one, or write a name without blanks and separators if it is a class of its own, or train "
                    f"a classifier for each class ({PAGE})"
                )
            )
    _refuse_rows(table, paths, labels)


def _refuse_rows(table: Table, paths: Sequence[str], labels: Sequence[str]) -> None:
    """Raises UnfreezeError if many images have several rows, with other labels. A few are taken for mistakes, and
    their images are left out."""
    found: dict[str, dict[str, int]] = defaultdict(dict)  # path -> label -> line
    for (line, _), path, label in zip(table.rows, paths, labels, strict=True):
        if path and label:
            found[path].setdefault(label, line)
    several = {path: own for path, own in found.items() if len(own) > 1}
    if len(several) >= max(MANY, MISTAKES * len(found)):
        path, own = next(iter(several.items()))
        (one, _), (other, line), *_ = own.items()
        raise UnfreezeError(
            one_line(
                f"{table.file}, line {line}: {path[-80:]} is {other[:40]}, and in line {own[one]} {one[:40]}; "
                f"{len(several)} of {len(found)} images have several labels, and a classifier gives one class for an "
                f"image: keep the rows of those that have one, or train a classifier for each class ({PAGE})"
            )
        )


def _several(labels: set[str]) -> Iterable[tuple[str, list[str]]]:
    """(label, its words) of the labels that are several classes."""
    lists = {label: _cut(label[1:-1], ",") for label in labels if _LIST.fullmatch(label)}
    yield from ((label, words) for label, words in sorted(lists.items()) if len(words) > 1)
    for separator in SEPARATORS:
        yield from _recurring({label: _cut(label, separator) for label in labels})
    yield from _with_blanks({label: label.split() for label in labels})


def _cut(label: str, separator: str) -> list[str]:
    return [word for word in (part.strip(" '\"") for part in label.split(separator)) if word]


def _recurring(words: Mapping[str, list[str]]) -> list[tuple[str, list[str]]]:
    """Those of several words, if enough of them have a word of another label."""
    counts = Counter(word for own in words.values() for word in {*own})
    several = {label: own for label, own in sorted(words.items()) if len(own) > 1}
    found = [(label, own) for label, own in several.items() if any(counts[word] > 1 for word in own)]
    return found if len(found) >= RECURRING * len(several) else []


def _with_blanks(words: Mapping[str, list[str]]) -> list[tuple[str, list[str]]]:
    """Those of several words, if many consist of other labels, or if the labels are put together of few words. Names
    that all have as many words are of one pattern, such as a colour and a thing."""
    several = [(label, own) for label, own in sorted(words.items()) if len(own) > 1]
    combined = [(label, own) for label, own in several if {*own} <= words.keys()]
    if len(combined) >= max(FEWEST, COMBINED * len(words)):
        return combined
    of_word: dict[str, int] = defaultdict(int)
    for own in words.values():
        for word in {*own}:
            of_word[word] += 1
    mean = sum(of_word.values()) / max(1, len(of_word))
    lengths = {len(own) for own in words.values()}
    return several if 2 * len(several) > len(words) and mean >= LABELS_OF_A_WORD and len(lengths) > 1 else []
