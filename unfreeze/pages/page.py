"""`RunFacts` -> report.html, a single file that loads no other file and runs no script."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from toolkit.data.together import near_duplicates, near_leaks, split_groups
from toolkit.own.parts import names
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED
from toolkit.stats.scores import SCORES, shown
from unfreeze.evidence_wording import chance_words, undecided_words
from unfreeze.pages import result_pictures, search_pictures
from unfreeze.pages.effects import effects
from unfreeze.pages.exported_file import UNVERIFIED
from unfreeze.pages.front_picture import front_picture
from unfreeze.pages.how_to_load import loading
from unfreeze.pages.recommend import recommend
from unfreeze.pages.reproduce import commands
from unfreeze.pages.run_facts import RunFacts
from unfreeze.pages.sentences import (
    FORMATS,
    adoption_sentences,
    backbone_sentence,
    colour_word,
    evidence_sentences,
    exports_verdict,
    margins_words,
    model_words,
    quantisation_sentences,
    search_conclusions,
    sentence,
    shorten,
    starting_weights_sentence,
    test_images_words,
)
from unfreeze.pages.svg_picture import Picture
from unfreeze.pages.templating import template_environment
from unfreeze.pages.thumbnails import mistakes
from unfreeze.pages.unsure import (
    coverage_rows,
    temperature_sentences,
    threshold_of,
    threshold_sentence,
    unsure_otherwise_sentence,
    without_temperature,
)
from unfreeze.wording import (
    COULD_NOT_RUN,
    chosen_by_words,
    folds_words,
    majority_words,
    source_words,
    varied_words,
    verdict_words,
)

LISTED = 30  # files are named at most; the others are counted
CHIPS = {  # verdict -> CSS class of the element that shows it
    verdict_words(HOLDS): "good",
    verdict_words(FAILS): "bad",
    COULD_NOT_RUN: "bad",
    verdict_words(UNDECIDED): "unsure",
    UNVERIFIED: "none",
}


def render_page(facts: RunFacts) -> str:
    """The text of report.html. Names of classes and files may come from a stranger, so Jinja escapes every value."""
    environment = template_environment(autoescape=True, shorten=shorten, verdict_words=verdict_words)
    return environment.get_template("report.html.j2").render(**page_values(facts))


def page_values(facts: RunFacts) -> dict[str, Any]:
    """The values that the template is filled with."""
    return {
        "facts": facts,
        "name": facts.name,
        "today": date.today().isoformat(),
        "settings": facts.run.settings,
        "latency_source": source_words(facts.probes),
        "evaluation": facts.evaluation,
        "model": model_words(facts),
        "colour": colour_word(facts),
        "test_images": test_images_words(facts),
        "starting_weights": starting_weights_sentence(facts),
        "adoption": adoption_sentences(facts),
        "verdict": exports_verdict(facts),
        "margins": margins_words(facts),
        "evidence": evidence_sentences(facts),
        "undecided": sentence(undecided_words(facts.parities)),
        "majority": sentence(majority_words(facts.evaluation)) if facts.evaluation else "",
        "chance": sentence(chance_words(facts.parities)),
        "quantisation": quantisation_sentences(facts),
        "recommendations": recommend(() if facts.outdated else facts.files, facts.kept_limits),
        "parts": [part for part in ("train", "val", "test") if part in facts.run.images.parts],
        "classes": _classes(facts),
        "search": _search(facts),
        "front": front_picture(facts.front),
        "curves": _curves(facts),
        "confusion": _confusion(facts),
        "per_class": _per_class(facts),
        "reliability": _reliability(facts),
        "temperature": temperature_sentences(facts),
        "coverage": coverage_rows(facts),
        "threshold": threshold_of(facts),
        "unsure": threshold_sentence(facts),
        "unsure_otherwise": unsure_otherwise_sentence(facts),
        "mistakes": mistakes(facts),
        "wrong": None
        if facts.evaluation is None
        else int(facts.evaluation.images - np.trace(facts.evaluation.confusion)),
        "data": _data(facts),
        "chips": CHIPS,
        "formats": FORMATS,
        "timed": sorted({timing.threads for parity in facts.parities for timing in parity.timings}),
        "loading": loading(facts),
        "commands": commands(facts),
        "own": names(facts.stored),
        "LISTED": LISTED,
    }


def _classes(facts: RunFacts) -> list[tuple[str, list[int], int]]:
    """(name, images in each part, images) of each class."""
    images = facts.run.images
    columns = [images.counts(part) for part in ("train", "val", "test") if part in images.parts]
    total = images.counts()
    return [
        (name, [int(column[row]) for column in columns], int(total[row])) for row, name in enumerate(images.class_names)
    ]


def _search(facts: RunFacts) -> dict[str, Any]:
    """The values of the section on the search; {} if no trial completed."""
    objective = facts.run.settings.objective
    done = [trial for trial in facts.trials if trial.value(objective) is not None]
    if not done:
        return {}
    taken = int(facts.search["taken"]) if facts.search.get("taken") else None
    found = effects(facts.trials, objective, facts.run.settings.head_epochs, facts.trial_epochs)
    drawn = dict.fromkeys(("val_accuracy", "val_loss", objective))
    seconds = [trial.seconds for trial in facts.trials if trial.seconds is not None]
    chosen = next((trial for trial in done if trial.number == taken and trial.point), None)
    folds = folds_words(facts.search, objective, chosen.fold_spread if chosen else None)
    return {
        "done": len(done),
        "failed": len(facts.trials) - len(done),
        "configurations": len({tuple(trial.values.items()) for trial in facts.trials if trial.point}),
        "seconds": sum(seconds),
        "taken": chosen,
        "varied": varied_words(chosen.varied) if chosen else "",
        "folds": folds[:1].upper() + folds[1:],
        "file": _chosen_by(facts),
        "objective": SCORES[objective].words,
        "score": _other_score(facts),
        "backbone": backbone_sentence(facts),
        "tied": [int(name) for name in facts.search.get("tied", [])],
        "scores": [search_pictures.trial_scores(done, name, taken) for name in drawn],
        "parallel": search_pictures.parallel(done, objective, taken) if len(done) > 1 else None,
        "effects": search_pictures.effect_bars(found) if any(effect.share is not None for effect in found) else None,
        "conclusions": search_conclusions(found),
        "costs": search_pictures.trial_costs(facts.trials) if seconds else None,
    }


def _chosen_by(facts: RunFacts) -> str:
    """By what the trials were compared, where it is an exported file; "" where it is their models."""
    file = facts.search.get("file", "")
    words = chosen_by_words(file, facts.search.get("folds", 1)) if file else ""
    return words[:1].upper() + words[1:]


def _other_score(facts: RunFacts) -> str:
    """The objective of the epoch that was kept, if it is neither loss nor accuracy."""
    name = facts.run.settings.objective
    value = facts.best_epoch.get(name)
    if name in ("val_loss", "val_accuracy") or not isinstance(value, float):
        return ""
    return f", {SCORES[name].words} {shown(name, value)}"


def _curves(facts: RunFacts) -> list[Picture]:
    if not facts.history:
        return []
    kept = facts.best_epoch.get("epoch")
    return [result_pictures.learning_curve(facts.history, name, kept) for name in ("accuracy", "loss")]


def _confusion(facts: RunFacts) -> dict[str, Any]:
    if facts.evaluation is None:
        return {}
    return {"picture": result_pictures.confusion(facts.evaluation), "pairs": result_pictures.confused(facts.evaluation)}


def _per_class(facts: RunFacts) -> list[dict[str, Any]]:
    """A row for each class. If there are more classes than the confusion matrix shows numbers for, they are sorted by
    F1, the lowest first."""
    evaluation = facts.evaluation
    if evaluation is None:
        return []
    images = evaluation.confusion.sum(axis=1)
    rows = [
        {"name": name, "precision": float(p), "recall": float(r), "interval": span, "f1": float(f), "images": int(n)}
        for name, p, r, span, f, n in zip(
            evaluation.class_names,
            evaluation.precision,
            evaluation.recall,
            evaluation.recall_interval.tolist(),
            evaluation.f1,
            images,
            strict=True,
        )
    ]
    return sorted(rows, key=lambda row: row["f1"]) if len(rows) > result_pictures.MOST_NUMBERED else rows


def _reliability(facts: RunFacts) -> Picture | None:
    if facts.answers is None or facts.evaluation is None:
        return None
    return result_pictures.reliability(facts.answers, facts.evaluation, without_temperature(facts))


def _data(facts: RunFacts) -> dict[str, Any]:
    images = facts.run.images
    part = dict(zip(images.paths, images.parts, strict=True))
    leaks, near_apart = (
        [", ".join(f"{shorten(path)} ({part[path]})" for path in paths) for paths in sets]
        for sets in (images.leaks(), near_leaks(images))
    )
    duplicates, near = (
        [", ".join(map(shorten, paths)) for paths in sets] for sets in (images.duplicates(), near_duplicates(images))
    )
    torn = [f"{shorten(group)}: {' and '.join(parts)}" for group, parts in split_groups(images).items()]
    rejected = [f"{shorten(left.path)}: {shorten(left.reason)}" for left in images.rejected]
    width, height = (np.percentile(images.sizes[:, axis], (0, 50, 100)).astype(int) for axis in (0, 1))
    return {
        "sizes": f"{width[0]} to {width[2]} px wide (median {width[1]}), "
        f"{height[0]} to {height[2]} px high (median {height[1]})",
        "lists": [
            ("How the data were read", [shorten(notice) for notice in images.notices], ""),
            ("Left out", rejected, "Every file could be used."),
            ("With the same pixels", duplicates, "No two files have the same pixels."),
            ("Nearly the same (resized, or encoded anew)", near, ""),
            ("In two parts as they were given, so the test is too easy", leaks, ""),
            ("Nearly the same image in two parts, so the test is too easy", near_apart, ""),
            ("A group in two parts, so the test is too easy", torn, ""),
        ],
        "ignored": images.ignored,
    }
