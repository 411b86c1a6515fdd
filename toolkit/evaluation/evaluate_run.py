"""Evaluate a run's model on its test part, or on another folder. Writes metrics.json and pictures in plots/."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from toolkit.data.decoded_arrays import decoded
from toolkit.data.image_set import ImageSet, scan
from toolkit.data.settings import CSV_FIELDS, DataSettings, undivided
from toolkit.evaluation import plots
from toolkit.evaluation.results import write_answers, write_metrics
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.stats.metrics import Evaluation, evaluate, worst_mistakes
from toolkit.storage.files import file_digest, read_json
from toolkit.training.answers import probabilities
from toolkit.training.batches import load_part
from toolkit.training.history import read_history
from toolkit.training.model_file import load_model
from toolkit.training.stored_spec import read_spec

MAX_MISTAKES_SHOWN = 24  # mistakes are shown in plots/mistakes.png at most


def evaluate_run(run: Run, *, progress: Progress = silent) -> Evaluation:
    """Evaluate the run's model on its test part; writes metrics.json, test_probabilities.npz and plots/*.png."""
    model = load_model(run)
    images = run.images.select("test")
    part = load_part(run, "test", image_size=read_spec(run).image_size, progress=progress)
    answers = probabilities(model, part.images)
    evaluation = evaluate(answers, part.labels, run.images.class_names)
    write_answers(run.path, images, answers, file_digest(run.path / "model.keras"))
    write_metrics(run.path, evaluation)
    _draw(run, evaluation, answers, part.images, images)
    return evaluation


def evaluate_folder(
    run: Run, data: Path, reading: DataSettings | None = None, *, progress: Progress = silent
) -> Evaluation:
    """Evaluate the run's model on the test part of another folder, or on all its images if it has no test part.
    It is read as the run's data were, but for the columns, the folder and the suffix of a CSV that `reading` names.
    Only decoded images are written, into the run's cache."""
    how = {name: given for name in CSV_FIELDS if (given := getattr(reading, name, ""))}
    names, told = run.images.class_names, partial(progress, "scanning")
    levels, profiles, reading = run.images.levels, run.images.profiles, undivided(run.settings, **how)
    images = scan(data, reading, classes=names, levels=levels, profiles=profiles, progress=told)
    if "test" in images.parts:
        images = images.select("test")
    model = load_model(run)
    size, channels = read_spec(run).image_size, run.settings.channels
    pixels = decoded(images, run.cache, size, channels=channels, progress=partial(progress, "decoding"))
    seen = {*run.images.select("train").digests, *run.images.select("val").digests}
    known = sum(digest in seen for digest in images.digests)
    evaluation = evaluate(probabilities(model, pixels), images.labels, run.images.class_names)
    return replace(evaluation, trained_on=known)


def _draw(run: Run, evaluation: Evaluation, answers: np.ndarray, pixels: np.ndarray, images: ImageSet) -> None:
    folder = run.path / "plots"
    plots.save(plots.confusion(evaluation), folder / "confusion.png")
    described = read_json(run.path / "model.json")
    if "adopted" not in described:  # such a model was not trained here
        best = described.get("best_epoch") or {}
        curves = plots.learning_curves(read_history(run.path / "history.csv"), best.get("epoch"))
        plots.save(curves, folder / "learning_curves.png")
    rows = worst_mistakes(answers, images.labels, MAX_MISTAKES_SHOWN)
    plots.save(
        plots.mistakes(pixels[rows], [_caption(images, answers, row) for row in rows]),
        folder / "mistakes.png",
    )


def _caption(images: ImageSet, answers: np.ndarray, row: int) -> str:
    names, answer = images.class_names, int(answers[row].argmax())
    file = Path(images.paths[row]).name
    short = file if len(file) <= 24 else file[:10] + "…" + file[-12:]
    return f"{short}\n{names[answer]} {answers[row, answer]:.1%}\n(is {names[images.labels[row]]})"
