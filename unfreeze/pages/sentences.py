"""Numbers and verdicts in words, for the page and the card alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.settings import PIXELS
from toolkit import errors
from unfreeze.pages.effects import Effect
from unfreeze.pages.run_facts import Facts

FORMATS = {"saved_model": "SavedModel", "tflite": "TFLite", "onnx": "ONNX", "keras": "Keras"}


def percent(share: float | None, digits: int = 2) -> str:
    """Of a fraction; an en dash where there is none."""
    return "–" if share is None else f"{100 * share:.{digits}f}%"


def signed(share: float | None) -> str:
    """Points of accuracy, with a true minus sign."""
    if share is None:
        return "–"
    points = round(100 * share, 2) + 0.0  # no negative zero
    return f"{points:+.2f}".replace("-", "\u2212").replace("+0.00", "0.00")


def readable(value: Any) -> Any:
    """Text with what hides or reverses other text, or controls a terminal, written as an escape; line ends stay."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return type(value)(re.sub(r"[^\n\t]+", lambda found: errors.one_line(found[0]), value))


def one_line(text: object) -> str:
    """A name without line breaks; of a very long one the beginning and the end."""
    line = " ".join(str(text).split())
    return line if len(line) <= 160 else f"{line[:100]}…{line[-50:]}"


def model(facts: Facts) -> str:
    """What classifies, and where it was trained; a class is a noun to come."""
    at = f"at {facts.image_size} px"
    if facts.adopted:
        return f"A Keras model {at} that was trained elsewhere"
    alpha = facts.run.settings.alpha
    width = f" (alpha {alpha:g})" if alpha != 1 else ""
    return f"{facts.spec.get('backbone')}{width} {at}, fine-tuned"


def unseen(facts: Facts) -> str:
    """What is known of the test images. Of a model from elsewhere nobody here knows what it was trained on."""
    if facts.adopted:
        return "which test the model if it was not trained on them"
    if facts.run.images.leaks():
        return "some of which stand in another part, too, as they were given"
    return "that took no part in training or choosing"


def start(facts: Facts) -> str:
    """What the training started from, in a sentence; "" where the model was trained elsewhere."""
    if facts.adopted:
        return ""
    weights = facts.run.settings.weights
    return {
        "imagenet": "It started from ImageNet weights.",
        "starter": "It started from the starter weights, which have seen computed pictures only: to try things out, "
        "not for production.",
        "none": "It started from random weights, not from pre-trained ones.",
    }.get(weights, f"It started from the weights in {Path(weights).name}.")


def put_inside(facts: Facts) -> tuple[str, ...]:
    """How a model from elsewhere came, and what `adopt` put around its own layers, in sentences; () where there is no
    such model."""
    if not facts.adopted:
        return ()
    pixels, logits = facts.adopted["pixels"], facts.adopted["logits"]
    sentences = [f"It was made for the pixel range {pixels} and gave {'logits' if logits else 'probabilities'}."]
    added = [] if pixels == PIXELS[0] else ["from 0..255 to that range"]
    added += ["from logits to probabilities"] if logits else []
    if added:
        sentences.append(f"It now has inside the step {' and the step '.join(added)}.")
    if facts.adopted_object:
        sentences.append(f"It came as an object of Python; {facts.adopted_file} stands for a file of it.")
    return tuple(sentences)


def verdict(facts: Facts) -> str:
    """What the verification showed, in a sentence or two."""
    if not facts.files:
        return "No file was exported yet."
    if facts.outdated:
        return "The exported files are of an earlier model: export again."
    proven = facts.verified
    if not proven:
        return f"{_files(len(facts.files))} exported, none verified yet."
    holding = [file for file in proven if file.holds]
    images = max(file.parity["images"] for file in proven)  # a file that could not run has none
    if len(holding) == len(facts.files):
        most = max(file.parity["lost_at_most"] for file in holding)
        every = "Every exported file" if len(holding) > 1 else "The exported file"
        text = (
            f"{every} keeps the model's accuracy: run in its own runtime on {images:,} test images, "
            f"none loses more than {100 * most:.2f} points of accuracy, with 95% confidence."
        )
        return text if len(holding) > 1 else text.replace("none loses", "it does not lose")
    parts = [
        f"{len(holding)} of {_files(len(facts.files))} shown to keep the model's accuracy, on {images:,} test images."
    ]
    for label, names in _by_verdict(facts).items():
        parts.append(f"{label}: {', '.join(names)}.")
    return " ".join(parts)


def _files(number: int) -> str:
    return f"{number} file" + ("s" if number != 1 else "")


def _by_verdict(facts: Facts) -> dict[str, list[str]]:
    """Names of the files that were not shown to hold, by what was found."""
    groups: dict[str, list[str]] = {}
    for file in facts.files:
        if not file.holds:
            groups.setdefault(file.verdict[0].upper() + file.verdict[1:], []).append(file.name)
    return groups


def told(found: Sequence[Effect]) -> str:
    """What the search shows of its settings, and how sure that is."""
    shown = [effect for effect in found if effect.shown]
    hidden = [effect for effect in found if effect.share is not None and not effect.shown]
    untold = [effect for effect in found if effect.share is None]
    sentences = []
    for effect in shown:
        sentences.append(
            f"{effect.label.capitalize()} explains {effect.share:.0%} of the variance between {effect.trials} trials, "
            f"more than the {effect.chance:.0%} that chance alone stays below in 95 of 100 cases."
        )
    if hidden:
        names = " and ".join(effect.label for effect in hidden)
        sentences.append(
            f"What {names} seem{'s' if len(hidden) == 1 else ''} to explain is within what chance gives with so few "
            f"trials: no effect is shown, which does not mean that there is none."
        )
    for effect in untold:
        few = f"{effect.trials} trial{'s' if effect.trials != 1 else ''}"
        sentences.append(f"{effect.label.capitalize()}: {few} that trained equally long are too few to tell.")
    return " ".join(sentences)
