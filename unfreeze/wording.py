"""Sentences that the terminal, the page and the model card share, so that all say the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toolkit.errors import one_line
from toolkit.models.applications import BACKBONES
from toolkit.stats.accuracy_lost import EARLIER, FAILS, HOLDS, UNDECIDED
from toolkit.stats.scores import SCORES, shown

if TYPE_CHECKING:
    from export.limits import Probe, Probed
    from export.proof.parity import Parity
    from toolkit.models.spec import ModelSpec
    from toolkit.stats.metrics import Evaluation

COULD_NOT_RUN = "could not run"
VERDICTS = {HOLDS: "holds", UNDECIDED: "too few images to tell", FAILS: "does not hold"}


def verdict_words(verdict: str, ran: bool = True) -> str:
    """A verdict in words. `ran`: False for a file that could not be written or run."""
    return VERDICTS[EARLIER.get(verdict, verdict)] if ran else COULD_NOT_RUN


def at_chance_words(parity: Parity) -> str:
    """What it means that the model which others are compared with is right no more often than chance."""
    return (
        f"the reference is right on {parity.reference_accuracy:.1%} of {parity.images} images, no more than by "
        "chance, so the comparison shows nothing of the accuracy; are --pixels, --labels (their order) and the "
        "file the right ones?"
    )


def majority_words(evaluation: Evaluation) -> str:
    """That the model is not shown to be right more often than one constant answer; "" if it is."""
    if evaluation.beats_majority:
        return ""
    name, share = evaluation.majority
    return (
        f"the model is not shown to beat the majority: always answering {one_line(name)} is right on {share:.2%} of "
        f"these {evaluation.images:,} images, the model on {evaluation.accuracy:.2%}; its balanced accuracy is "
        f"{evaluation.balanced_accuracy:.2%}"
    )


def validation_words(row: Mapping[str, Any]) -> str:
    """The scores of an epoch on the validation images, as a clause: accuracy, loss, and the objective if it is
    another."""
    others = [name for name in SCORES if name in row and name not in ("val_loss", "val_accuracy")]
    more = "".join(f", {SCORES[name].words} {shown(name, row[name])}" for name in others)
    return f"validation accuracy {row['val_accuracy']:.2%}, loss {row['val_loss']:.4f}{more}"


def left_out_words(left_out: str) -> str:
    """What a search did not try for lack of time, as `tuning.results.read_left_out` gives it, and what can be done."""
    if not left_out.startswith("time limit"):
        return f"{left_out}; a new run folder tries all"
    return f"{left_out}; the same command with a higher --time-limit goes on"


def folds_words(search: Mapping[str, Any], objective: str, spread: float | None) -> str:
    """How a search with folds judged its trials and made its model, as a sentence; "" without folds. `search`: the
    fields of a SearchResult. `spread`: the standard deviation of the taken trial's objective over its folds."""
    folds = search.get("folds", 1)
    if folds == 1:
        return ""
    finals = {
        "average": f"the final model has the mean of the weights of the {folds} folds' models",
        "retrained": "the final model was trained anew on all of them",
    }
    words = SCORES[objective].words
    about = "" if spread is None else f", the {words} varies by {shown(objective, spread)} (standard deviation)"
    return (
        f"judged out of fold on all {search['judged']:,} training and validation images, in {folds} folds{about}; "
        f"{finals[search['final']]}"
    )


def listed_words(names: Sequence[str]) -> str:
    """Names as a list in a sentence: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


VARIED_WORDS = {  # a setting that a search may vary -> its name in a sentence
    "backbone": "backbone",
    "image_size": "image size",
    "augment": "augmentation",
    "batch_size": "batch size",
    "head_rate": "head rate",
    "tune_rate": "tuning rate",
    "label_smoothing": "label smoothing",
}


def varied_words(varied: Mapping[str, Any]) -> str:
    """The values of a trial's further settings: "EfficientNetB0, image size 160"; "" if there are none."""
    words = VARIED_WORDS | {"backbone": ""}
    return ", ".join(f"{words.get(name, name)} {value}".strip() for name, value in varied.items())


def probe_words(probe: Probe) -> str:
    """What was measured of a file, in columns; "" if nothing was."""
    if probe.size_mb is None or probe.latency_ms is None:
        return ""
    memory = "" if probe.memory_mb is None else f"  {probe.memory_mb:4.0f} MB of memory"
    return f"{probe.size_mb:6.2f} MB  {probe.latency_ms:6.2f} ms{memory}"


def chosen_by_words(file: str, folds: int = 1) -> str:
    """By what the trials were compared, where it is an exported file and not their models."""
    if folds > 1:
        return f"chosen among the trials whose {file} keeps the limits of the device"
    return f"chosen by what the {file} of each answers to the validation images"


def left_out_of_device(broken: Sequence[str]) -> str:
    """Which limits a file breaks, after what was measured of it; "" if none."""
    return f"  left out: {', '.join(broken)}" if broken else ""


def source_words(probed: Sequence[Probed]) -> str:
    """Where the latencies of a search's files come from, as a clause."""
    sources = dict.fromkeys(one.source for one in probed if one.source)
    return f"latencies measured by {one_line(', '.join(sources))}" if sources else "one image on one thread"


def backbone_words(unfreeze: int, stage: str) -> str:
    """What training did to the backbone, as a clause.

    `unfreeze`: stages that the fine-tuning stage had unfrozen. `stage`: the stage of the epoch whose weights were kept,
    "head", "tune" or "refit". The head stage does not train the backbone, so its weights are then unchanged.
    """
    stages = f"last {unfreeze} stages" if unfreeze != 1 else "last stage"
    if not unfreeze:
        return "its backbone is as it came: no stage was unfrozen"
    if stage == "head":
        return "its backbone is as it came: its best epoch lies in the head stage, which trains nothing of the backbone"
    return f"the {stages} of its backbone {'were' if unfreeze != 1 else 'was'} fine-tuned"


def deeper_words(spec: ModelSpec, stage: str, tried: Iterable[int]) -> str:
    """What to try where the depth that was taken is the deepest of those tried, as a clause; "" if it is not, or if
    nothing lies deeper. `stage`: of the epoch whose weights were kept."""
    limit = BACKBONES[spec.backbone].deepest if spec.backbone in BACKBONES else 2 * spec.unfreeze
    if stage == "head" or not 0 < spec.unfreeze < limit or spec.unfreeze < max(tried, default=0):
        return ""
    deeper = f"{spec.unfreeze},{min(2 * spec.unfreeze, limit)}"
    return f"depth {spec.unfreeze} is the deepest that was tried: --unfreeze {deeper} in another run folder goes deeper"
