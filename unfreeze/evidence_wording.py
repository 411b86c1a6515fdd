"""What the verdicts on several files rest on, in sentences that the terminal, the page and the model card share.

Files may differ: validation images do not count for an int8 file, and a verdict may have been kept from an earlier
verification. What is the same for most of the files is said once, and after it what is different for some.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, TypeVar

from export.settings import MARGIN
from toolkit.stats.accuracy_lost import LARGEST_MARGIN, UNDECIDED, images_that_show
from unfreeze.wording import listed_words

if TYPE_CHECKING:
    from export.proof.parity import Parity

NOUNS = {"test": "test", "val": "validation", "evidence": "unlabelled"}  # part of the images -> adjective
MOST_BOUND = 0.5  # a bound above it bounds nothing, and is not named
ALIKE = 1.5  # two classes whose numbers of images differ by no more than this factor are balanced
Key = TypeVar("Key", bound=Hashable)


def evidence_words(parities: Sequence[Parity]) -> str:
    """Which images the bounds rest on: "520 test and 280 validation images". "" if no file was compared."""
    said = []
    for number, (parts, group) in enumerate(_grouped(parities, _parts)):
        left_out = any(not part.counted for parity in group for part in parity.evidence)
        label = _label(group, parities)
        subject = "it is" if number else f"{label} is"
        because = f", because validation images chose how {subject} made" if left_out else ""
        said.append(f"{label + ' on ' if number else ''}{_images(parts)}{because}")
    return "; ".join(said)


def allowed_words(parities: Sequence[Parity]) -> str:
    """The margins, and of one that follows from the number of images what it would take to show less. "" if no file was
    compared."""
    said = []
    for number, ((margin, least), group) in enumerate(_grouped(parities, _margin)):
        label = f"{_label(group, parities)}: " if number else ""
        said.append(f"{label}{points(margin)} points{least}")
    return "; ".join(said)


def smallest_class_words(parities: Sequence[Parity]) -> str:
    """What is shown of the class with the fewest test images, of the file that may lose most of it; "" if that is not
    known, or if all images are of one class."""
    known = [parity for parity in _compared(parities) if parity.smallest_class is not None]
    if not known:
        return ""
    worst = max(known, key=lambda one: one.smallest_class.lost_at_most if one.smallest_class else 0.0)
    loss = worst.smallest_class
    if loss is None or loss.images == worst.images:
        return ""
    of = f" by {worst.artefact.name}" if loss.lost_images and len(known) > 1 else ""
    lost = f"{loss.lost_images or 'none'} lost{of}"
    head = f"smallest class: {_short(loss.name)}, {loss.images:,} test image{'s' if loss.images != 1 else ''}, {lost}"
    if loss.lost_at_most > MOST_BOUND:
        return f"{head}; too few to say how many of them are lost at most"
    return f"{head}; at most {100 * loss.lost_at_most:.1f} points of its own accuracy"


def classes_words(parities: Sequence[Parity]) -> tuple[str, ...]:
    """What is said of single classes: of the smallest one unless that one collapses, and of the one that loses most."""
    collapsed = {one.name for parity in parities for one in parity.collapsed}
    smallest = {parity.smallest_class.name for parity in parities if parity.smallest_class is not None}
    said = "" if collapsed & smallest else smallest_class_words(parities)
    return tuple(filter(None, (said, class_loss_words(parities))))


def class_loss_words(parities: Sequence[Parity]) -> str:
    """The class that loses most of its recall, of the file that loses most of it: as a collapse if it is shown to lose
    more than the margin. Otherwise "" if no class loses, or if it is said elsewhere: by `smallest_class_words`, or,
    where two classes have about as many images each, by the accuracy of the whole."""
    known = [(one, parity) for parity in _compared(parities) for one in parity.classes if one.lost > 0]
    collapsed = [(one, parity) for one, parity in known if one in parity.collapsed]
    if not known:
        return ""
    worst, parity = max(collapsed or known, key=lambda pair: (pair[0].lost_at_least or 0.0, pair[0].lost))
    share = f"{worst.lost_images:,} of {worst.images:,} images lost"
    share += f" and {worst.gained_images:,} gained" if worst.gained_images else ""
    shown = f"{share} by {parity.artefact.name}"
    if collapsed:
        others = len({one.name for one, _ in collapsed}) - 1
        more = f"; {others} other class{'es' if others > 1 else ''} too" if others else ""
        least_lost = f"{100 * (worst.lost_at_least or 0.0):.1f} points at least"
        return f"class {_short(worst.name)} collapses: {shown}, {least_lost}{more}"
    least = parity.smallest_class
    if _two_alike(parity) or (least is not None and least.name == worst.name):
        return ""
    most = f", at most {100 * worst.lost_at_most:.1f} points" if worst.lost_at_most <= MOST_BOUND else ""
    few = "; too few to show that it is over the margin" if worst.lost > (parity.margin or 0.0) else ""
    return f"largest loss by class: {_short(worst.name)}, {shown}{most}{few}"


def _two_alike(parity: Parity) -> bool:
    counts = [one.images for one in parity.classes]
    return len(counts) == 2 and max(counts) <= ALIKE * min(counts)


def chance_words(parities: Sequence[Parity]) -> str:
    """That the model itself is no better than chance, so that files that lose nothing prove nothing; "" if it is."""
    for parity in parities:
        if parity.reference_at_chance and parity.reference_accuracy is not None:
            share = f"{parity.reference_accuracy:.1%} of {parity.images:,} test images"
            return (
                f"the model itself is right on {share}, no more than by chance: that a file loses nothing of it says "
                "nothing of the file"
            )
    return ""


def undecided_words(parities: Sequence[Parity]) -> str:
    """One sentence on all files of which there are too few images to tell; "" if there are none. Of a single file it
    gives the counts too."""
    unsure = [parity for parity in _compared(parities) if parity.verdict == UNDECIDED]
    if len(unsure) < 2:
        return f"{unsure[0].artefact.name}: {unsure[0].reason}" if unsure and unsure[0].reason else ""
    bounds = _span([100 * (parity.lost_at_most or 0.0) for parity in unsure], "{:.2f}".format)
    margins = _span([100 * (parity.margin or 0.0) for parity in unsure], "{:.3g}".format)
    names = listed_words([parity.artefact.name for parity in unsure])
    return (
        f"too few images to tell of {names}: each loses at most {bounds} points of accuracy, "
        f"where {margins} are allowed; {_more(unsure)}"
    )


def points(share: float) -> str:
    """A margin, a fraction, in points and without zeros at its end."""
    return f"{100 * share:.3g}"


def _more(unsure: Sequence[Parity]) -> str:
    """How many more images would tell of these files."""
    more = [
        parity.images_needed - sum(part.images for part in parity.counted)
        for parity in unsure
        if parity.images_needed is not None
    ]
    hopeless = [parity.artefact.name for parity in unsure if parity.images_needed is None]
    if not more:
        return "no realistic number of images like these would tell"
    margins = {parity.margin or 0.0 for parity in unsure}
    widened = any(not parity.margin_chosen and (parity.margin or 0.0) > MARGIN / 100 for parity in unsure)
    same = f"with --margin {points(max(margins))}, " if len(margins) == 1 else "with the same --margin, "
    told = f"{same if widened else ''}{_span(more, '{:,.0f}'.format)} more images like these would tell (80 % power)"
    return told + (f"; of {listed_words(hopeless)} no realistic number would" if hopeless else "")


def _compared(parities: Sequence[Parity]) -> list[Parity]:
    return [parity for parity in parities if parity.accuracy is not None]


def _grouped(parities: Sequence[Parity], key: Callable[[Parity], Key]) -> list[tuple[Key, list[Parity]]]:
    """The compared files by what they have in common, the largest group first."""
    groups: dict[Key, list[Parity]] = {}
    for parity in _compared(parities):
        groups.setdefault(key(parity), []).append(parity)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def _label(group: Sequence[Parity], parities: Sequence[Parity]) -> str:
    """The precision of the files of a group, if it has all files of that precision, else their names."""
    precisions = {parity.artefact.precision for parity in group}
    alike = [parity for parity in _compared(parities) if parity.artefact.precision in precisions]
    if len(precisions) == 1 and len(alike) == len(group) and all(precisions):
        return precisions.pop()
    return listed_words([parity.artefact.name for parity in group])


def _parts(parity: Parity) -> tuple[tuple[str, int], ...]:
    return tuple((part.part, part.images) for part in parity.counted)


def _images(parts: Sequence[tuple[str, int]]) -> str:
    last = parts[-1][1] if len(parts) == 1 else 2
    counts = listed_words([f"{images:,} {NOUNS.get(part, part)}" for part, images in parts])
    return f"{counts} image{'s' if last != 1 else ''}"


def _margin(parity: Parity) -> tuple[float, str]:
    """(the margin, why it is wider than `MARGIN` if that follows from the number of images)."""
    margin, images = parity.margin or 0.0, sum(part.images for part in parity.counted)
    if parity.margin_chosen or margin <= MARGIN / 100:
        return margin, ""
    others = f"{images_that_show(MARGIN / 100) - images:,} more could show {MARGIN:g}"
    if images >= images_that_show(LARGEST_MARGIN):
        return margin, f", the least that {images:,} images can show ({others})"
    fewest = f"{images_that_show(LARGEST_MARGIN) - images:,} more could"
    return margin, f", which {images:,} image{'s' if images != 1 else ''} cannot show ({fewest}, {others})"


def _short(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= 60 else f"{line[:40]}…{line[-15:]}"


def _span(values: Sequence[float], shown: Callable[[float], str]) -> str:
    """The value, or the smallest and the largest one if they do not read the same."""
    ends = dict.fromkeys([shown(min(values)), shown(max(values))])
    return " to ".join(ends)
