"""The models of finalists, each exported once and run in its runtime on the images that judged the trials. The answers
of each file are kept with its trial."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export.finalists import Measured, Trained, measure_finalists
from export.settings import ExportSettings
from export.variants import Variant
from toolkit.progress import Progress
from toolkit.run import Run
from toolkit.stats.temperature import tempered
from toolkit.storage.files import atomic, file_digest
from toolkit.training.held_out import HeldOut, fit, with_temperature
from toolkit.training.model_file import fold_temperature
from tuning.checkpoints import CHECKPOINT
from tuning.selection import Candidate
from tuning.trial_files import trial_folder
from unfreeze.finalists import Finalist, as_json, read_finalists, write_finalists

if TYPE_CHECKING:
    import keras

Load = Callable[[str], "keras.Model"]  # trial -> its model


def measured(
    run: Run, candidates: Sequence[Candidate], load: Load, variant: Variant, export: ExportSettings, progress: Progress
) -> dict[str, Finalist]:
    """trial -> what was measured of its file. Those that are not measured yet, or failed, are written and measured."""
    made, within = made_by(export), export.within
    digests = {one.trial: file_digest(trial_folder(run, one.trial).path / CHECKPOINT) for one in candidates}
    stored = read_finalists(run.path)
    own = [
        one for one in stored if (one.file, one.made) == (variant.name, made) and one.weights == digests.get(one.trial)
    ]
    known = {one.trial: one for one in own if _is_whole(run, one) and one.is_kept_within(within)}
    missing = [one for one in candidates if one.trial not in known]
    if missing:
        models = _trained(run, missing, load, variant, progress)
        found = measure_finalists(models, variant, export, run.path, progress)
        for one in missing:
            got = found[one.trial]
            names = (one.trial, digests[one.trial], variant.name, made)
            how = as_json(within), got.least, got.decided
            known[one.trial] = Finalist(*names, got.features, _accuracy(run, one, got), got.probe, *how)
            _write_answers(run, known[one.trial], got)
        others = [one for one in stored if one.file != variant.name or one.trial not in known]
        write_finalists(run.path, (*others, *known.values()))
    return {one.trial: known[one.trial] for one in candidates}


def _trained(
    run: Run, candidates: Sequence[Candidate], load: Load, variant: Variant, progress: Progress
) -> Iterator[Trained]:
    labels = run.images.select(*run.settings.judged_on).labels
    for done, one in enumerate(candidates):
        progress(f"finalists as {variant.name}", done, len(candidates))
        own = replace(run, settings=run.settings.at(one.values))
        folder = trial_folder(run, one.trial)
        model, held_out, answers = load(one.trial), HeldOut(folder.answers(), labels), folder.checkpoint_answers()
        if run.settings.calibrate:  # as the model that is saved
            value = fit(held_out).value
            fold_temperature(model, value)
            held_out, answers = with_temperature(held_out, value), tempered(answers, value)
        yield Trained(one.trial, own, model, answers, held_out if run.settings.fold_count > 1 else None)
    progress(f"finalists as {variant.name}", len(candidates), len(candidates))


def made_by(export: ExportSettings) -> str:
    """A digest of the settings on which the file of a variant depends, beside the limits (`is_kept_within`)."""
    told = json.dumps([export.calibration, list(export.float_layers), export.margin])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _accuracy(run: Run, candidate: Candidate, found: Measured) -> float:
    """That of the file; with folds, and where it does not run, that of the answers that judged the trial."""
    labels = run.images.select(*run.settings.judged_on).labels
    judged = candidate.answers if found.answers is None or run.settings.fold_count > 1 else found.answers
    return float((judged.argmax(1) == labels).mean())


def _write_answers(run: Run, finalist: Finalist, found: Measured) -> None:
    if found.answers is not None:
        with atomic(_answers_file(run, finalist)) as temporary, temporary.open("wb") as file:
            np.save(file, found.answers, allow_pickle=False)


def answers_of(run: Run, finalist: Finalist) -> np.ndarray:
    """float32 [N, C]: the file's answers to the images that judged the trials."""
    answers: np.ndarray = np.load(_answers_file(run, finalist), allow_pickle=False)
    return answers


def _answers_file(run: Run, finalist: Finalist) -> Path:
    return trial_folder(run, finalist.trial).path / f"{finalist.file}.npy"


def _is_whole(run: Run, finalist: Finalist) -> bool:
    """Whether it was measured, and its answers can be read. What failed may have failed by chance: it is tried anew."""
    try:
        return not finalist.probe.trouble and bool(np.isfinite(answers_of(run, finalist)).all())
    except (OSError, ValueError, EOFError):
        return False
