"""Below which top probability an image is unsure. The threshold is written into every file; 0: no image is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export.artefacts import Reference
from export.description import reject_below
from export.settings import ExportSettings
from toolkit.errors import UnfreezeError
from toolkit.run import Run
from toolkit.stats.rejection import Coverage, choose_threshold
from toolkit.training.held_out import HeldOut, read_held_out


def threshold(run: Run, settings: ExportSettings, description: Mapping[str, Any] | None, val: Reference) -> float:
    """The threshold of an export: the one that is given, the one that a wanted accuracy needs, else that of the earlier
    files of this model, whose `description` this is. `val`: the model's answers to the validation part.

    A threshold is chosen on the answers that were stored with the model; `val` stands for them where there are none.
    Raises UnfreezeError if no threshold reaches the wanted accuracy.
    """
    if settings.reject_below is not None:
        return float(settings.reject_below)
    if settings.wanted_accuracy is None:
        return reject_below(description)
    stored = read_held_out(run.path, len(run.images.class_names)) or HeldOut(val.probabilities, val.labels)
    if not len(stored.labels):
        raise UnfreezeError("--wanted-accuracy needs validation images, and the run has none; give --reject-below")
    choice = choose_threshold(stored.probabilities, stored.labels, settings.wanted_accuracy)
    if not choice:
        raise UnfreezeError(_out_of_reach(settings.wanted_accuracy, choice.best))
    return choice.best.threshold


def _out_of_reach(wanted: float, best: Coverage) -> str:
    """What can be reached, rounded down."""
    most = int(best.accuracy_at_least * 1e4) / 1e4
    return (
        f"--wanted-accuracy is {wanted:g}, which no threshold is shown to reach on {best.images} held-out "
        f"images; the highest that can be shown is {most:g} (--reject-below {best.threshold:g}: {best.answered} "
        f"answered, {best.wrong} wrong; with 95 % confidence); give less, or more images, or --reject-below"
    )
