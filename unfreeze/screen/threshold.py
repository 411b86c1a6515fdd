"""The threshold below which an exported file is unsure, on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from export.description import reject_below
from toolkit.stats.rejection import coverage

if TYPE_CHECKING:
    from export.artefacts import Manifest
    from export.proof.parity import Parity


def show_threshold(manifest: Manifest) -> None:
    """Print the threshold in the files, if they have one, and what it does on the test images."""
    limit = reject_below(manifest.description)
    if not limit:
        return
    from export.artefacts import TEST, read_reference

    test = read_reference(manifest).only(TEST)
    row = coverage(test.probabilities, test.labels, limit)
    right = "" if row.accuracy is None else f": {row.accuracy:.2%} are right"
    click.echo(f"\nunsure: images whose top probability is below {limit:g}")
    click.echo(f"of {row.images} test images {row.answered} ({row.share:.2%}) are answered, {row.wrong} wrongly{right}")


def unsure_note(parity: Parity) -> str:
    """What the column of the verification's table is; "" if the files have no threshold."""
    if parity.reject_below is None:
        return ""
    return (
        f"unsure otherwise: test images for which one of file and model is unsure (below {parity.reject_below:g}) and "
        "the other is not; all other columns count unsure images, too"
    )
