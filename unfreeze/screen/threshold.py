"""The threshold below which an exported file is unsure, in words for standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.description import reject_below
from toolkit.stats.rejection import coverage

if TYPE_CHECKING:
    from export.artefacts import Manifest
    from export.proof.parity import Parity


def threshold_words(manifest: Manifest) -> str:
    """The threshold in the files and what it does on the test images, in two lines; "" if they have none."""
    limit = reject_below(manifest.description)
    if not limit:
        return ""
    from export.artefacts import TEST, read_reference

    test = read_reference(manifest).only(TEST)
    row = coverage(test.probabilities, test.labels, limit)
    right = "" if row.accuracy is None else f": {row.accuracy:.2%} are right"
    return (
        f"unsure: images whose top probability is below {limit:g}\n"
        f"of {row.images} test images {row.answered} ({row.share:.2%}) are answered, {row.wrong} wrongly{right}"
    )


def unsure_note(parity: Parity) -> str:
    """What the column of the verification's table is; "" if the files have no threshold."""
    if parity.reject_below is None:
        return ""
    return (
        f"unsure: test images for which one of file and model is unsure (below {parity.reject_below:g}) and "
        "the other is not; all other columns count unsure images, too"
    )
