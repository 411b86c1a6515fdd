"""How far probabilities can be believed, and what a threshold on them leaves unanswered: for the page and the card."""

from __future__ import annotations

import numpy as np

from export.description import reject_below
from toolkit.stats.metrics import calibration_error, log_losses
from toolkit.stats.rejection import Coverage, coverage, coverage_table
from toolkit.stats.temperature import FEWEST, tempered
from unfreeze.pages.run_facts import RunFacts
from unfreeze.pages.sentences import percent


def threshold_of(facts: RunFacts) -> float:
    """The threshold in the exported files; 0 if they have none, or are of an earlier model."""
    return 0.0 if facts.outdated else reject_below(facts.description)


def coverage_rows(facts: RunFacts) -> tuple[Coverage, ...]:
    """What thresholds do on the test part, among them that of the exported files; () before the evaluation."""
    if facts.answers is None:
        return facts.evaluation.coverage if facts.evaluation else ()
    limit = threshold_of(facts)
    return coverage_table(facts.answers.probabilities, facts.answers.images.labels, (limit,) if limit else ())


def without_temperature(facts: RunFacts) -> np.ndarray | None:
    """float32 [N, C]: what the model would answer to the test part without its temperature; None if it has none that
    changes anything, or before the evaluation."""
    if facts.answers is None or facts.temperature is None or facts.temperature.value == 1:
        return None
    return tempered(facts.answers.probabilities, 1 / facts.temperature.value)


def temperature_sentences(facts: RunFacts) -> tuple[str, ...]:
    """What the temperature in the model is, and what it changes on the test part."""
    found = facts.temperature
    if found is None:
        return ()
    if found.value == 1:
        few = "are too few to fit a temperature" if found.images < FEWEST else "gave no reason for a temperature"
        return (f"The {found.images:,} images that judged it {few}: its probabilities are as they were trained.",)
    folded = facts.run.settings.fold_count > 1
    whose = "out of fold, by its folds' models" if folded else "on which it was not trained"
    told = (
        f"The model's logits are divided by {found.value:g}, a temperature that was fitted on the answers to "
        f"{found.images:,} images {whose}. It is inside the model and every file, and changes no answer.",
    )
    before = without_temperature(facts)
    if before is None or facts.evaluation is None or facts.answers is None:
        return told
    labels, after = facts.answers.images.labels, facts.evaluation
    return (
        *told,
        f"Without it, on these test images, the calibration error would be {calibration_error(before, labels):.4f} "
        f"instead of {after.calibration_error:.4f}, and the log loss {log_losses(before, labels).mean():.4f} nats "
        f"instead of {after.log_loss:.4f}.",
    )


def threshold_sentence(facts: RunFacts) -> str:
    """What the threshold in the exported files does on the test part; "" if they have none."""
    limit = threshold_of(facts)
    if not limit:
        return ""
    told = f"The files were exported with a threshold: an image is unsure if its top probability is below {limit:g}."
    if facts.answers is None:
        return told
    row = coverage(facts.answers.probabilities, facts.answers.images.labels, limit)
    return (
        f"{told} Of {row.images:,} test images, {row.answered:,} ({percent(row.share)}) are answered then, "
        f"{row.wrong:,} of them wrongly: {percent(row.accuracy)} are right."
    )


def unsure_otherwise_sentence(facts: RunFacts) -> str:
    """On how many test images a file and the model are not both unsure or both sure; "" without a threshold."""
    counts = [(file.name, file.parity.unsure_otherwise) for file in facts.verified if file.parity]
    known = [f"{name} {count:,}" for name, count in counts if count is not None]
    if not known:
        return ""
    return (
        "Accuracy, what is lost and flips are those of all images, unsure ones too. Images on which one of file and "
        f"model is unsure and the other is not: {', '.join(known)}."
    )
