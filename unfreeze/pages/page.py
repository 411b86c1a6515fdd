"""`Facts` -> report.html: one file, which loads nothing and runs nothing."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from toolkit.stats.accuracy_lost import HOLDS, LOSES, UNSURE
from unfreeze.pages import pictures
from unfreeze.pages.effects import effects
from unfreeze.pages.how_to_load import loading
from unfreeze.pages.recommend import recommend
from unfreeze.pages.reproduce import commands
from unfreeze.pages.run_facts import UNVERIFIED, Facts
from unfreeze.pages.sentences import (
    FORMATS,
    model,
    one_line,
    percent,
    put_inside,
    readable,
    signed,
    start,
    told,
    unseen,
    verdict,
)
from unfreeze.pages.thumbnails import mistakes

LISTED = 30  # files, before the rest are only counted
MARKS = {HOLDS: "good", LOSES: "bad", "could not run": "bad", UNSURE: "unsure", UNVERIFIED: "none"}


def render_page(facts: Facts) -> str:
    """The whole page. Class and file names come from strangers: every value is escaped where it is put in."""
    environment = Environment(
        loader=PackageLoader("unfreeze.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=readable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "signed": signed,
        "count": lambda number: f"{number:,}",
        "one_line": one_line,
    }
    return environment.get_template("report.html.j2").render(**page_values(facts))


def page_values(facts: Facts) -> dict[str, Any]:
    """What the template shows."""
    return {
        "facts": facts,
        "name": facts.name,
        "today": date.today().isoformat(),
        "settings": facts.run.settings,
        "evaluation": facts.evaluation,
        "model": model(facts),
        "unseen": unseen(facts),
        "start": start(facts),
        "put_inside": put_inside(facts),
        "verdict": verdict(facts),
        "recommendations": recommend(() if facts.outdated else facts.files),
        "parts": [part for part in ("train", "val", "test") if part in facts.run.images.parts],
        "classes": _classes(facts),
        "search": _search(facts),
        "curves": _curves(facts),
        "confusion": _confusion(facts),
        "per_class": _per_class(facts),
        "reliability": _reliability(facts),
        "mistakes": mistakes(facts),
        "wrong": None
        if facts.evaluation is None
        else int(facts.evaluation.images - np.trace(facts.evaluation.confusion)),
        "data": _data(facts),
        "marks": MARKS,
        "formats": FORMATS,
        "timed": sorted({one["threads"] for file in facts.verified for one in file.parity.get("timings") or []}),
        "loading": loading(facts),
        "commands": commands(facts),
        "LISTED": LISTED,
    }


def _classes(facts: Facts) -> list[tuple[str, list[int], int]]:
    """(name, images in each part, images) of each class."""
    images = facts.run.images
    columns = [images.counts(part) for part in ("train", "val", "test") if part in images.parts]
    total = images.counts()
    return [
        (name, [int(column[row]) for column in columns], int(total[row])) for row, name in enumerate(images.class_names)
    ]


def _search(facts: Facts) -> dict[str, Any]:
    """{} where no trial completed."""
    objective = facts.run.settings.objective
    done = [trial for trial in facts.trials if trial.value(objective) is not None]
    if not done:
        return {}
    taken = int(facts.search["taken"]) if facts.search.get("taken") else None
    found = effects(facts.trials, objective, facts.run.settings.head_epochs)
    seconds = [trial.seconds for trial in facts.trials if trial.seconds is not None]
    return {
        "done": len(done),
        "failed": len(facts.trials) - len(done),
        "configurations": len({(trial.head_units, trial.dropout, trial.unfreeze) for trial in facts.trials}),
        "seconds": sum(seconds),
        "taken": next((trial for trial in done if trial.number == taken), None),
        "tied": [int(name) for name in facts.search.get("tied", [])],
        "scores": [pictures.trial_scores(done, name, taken) for name in ("val_accuracy", "val_loss")],
        "parallel": pictures.parallel(done, objective, taken) if len(done) > 1 else None,
        "effects": pictures.effect_bars(found) if any(effect.share is not None for effect in found) else None,
        "told": told(found),
        "costs": pictures.trial_costs(facts.trials) if seconds else None,
    }


def _curves(facts: Facts) -> list[pictures.Picture]:
    if not facts.history:
        return []
    kept = facts.best_epoch.get("epoch")
    return [pictures.learning_curve(facts.history, name, kept) for name in ("accuracy", "loss")]


def _confusion(facts: Facts) -> dict[str, Any]:
    if facts.evaluation is None:
        return {}
    return {"picture": pictures.confusion(facts.evaluation), "pairs": pictures.confused(facts.evaluation)}


def _per_class(facts: Facts) -> list[dict[str, Any]]:
    """A row for each class; of more than a few the worst first."""
    evaluation = facts.evaluation
    if evaluation is None:
        return []
    images = evaluation.confusion.sum(axis=1)
    rows = [
        {"name": name, "precision": float(p), "recall": float(r), "f1": float(f), "images": int(n)}
        for name, p, r, f, n in zip(
            evaluation.class_names, evaluation.precision, evaluation.recall, evaluation.f1, images, strict=True
        )
    ]
    return sorted(rows, key=lambda row: row["f1"]) if len(rows) > pictures.NUMBERED else rows


def _reliability(facts: Facts) -> pictures.Picture | None:
    if facts.answers is None or facts.evaluation is None:
        return None
    return pictures.reliability(facts.answers, facts.evaluation)


def _data(facts: Facts) -> dict[str, Any]:
    images = facts.run.images
    part = dict(zip(images.paths, images.parts, strict=True))
    leaks = [", ".join(f"{one_line(path)} ({part[path]})" for path in group) for group in images.leaks()]
    duplicates = [", ".join(one_line(path) for path in group) for group in images.duplicates()]
    rejected = [f"{one_line(left.path)}: {one_line(left.reason)}" for left in images.rejected]
    width, height = (np.percentile(images.sizes[:, axis], (0, 50, 100)).astype(int) for axis in (0, 1))
    return {
        "sizes": f"{width[0]} to {width[2]} px wide (median {width[1]}), "
        f"{height[0]} to {height[2]} px high (median {height[1]})",
        "lists": [
            ("Left out", rejected, "Every file could be used."),
            ("Byte-identical", duplicates, "No two files are byte-identical."),
            ("In two parts as they were given, so the test is too easy", leaks, ""),
        ],
        "ignored": images.ignored,
    }
