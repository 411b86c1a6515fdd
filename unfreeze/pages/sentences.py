"""Numbers and verdicts in words, for the page and the card alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit.data.together import near_leaks, split_groups
from toolkit.errors import one_line
from toolkit.models.backbones import short_name
from toolkit.models.hub.preset import origin_of
from toolkit.pixels.pixel_range import PIXELS
from unfreeze.evidence_wording import allowed_words, class_loss_words, classes_words, evidence_words
from unfreeze.pages.effects import Effect
from unfreeze.pages.run_facts import RunFacts
from unfreeze.wording import backbone_words, deeper_words, listed_words

FORMATS = {"saved_model": "SavedModel", "tflite": "TFLite", "onnx": "ONNX", "keras": "Keras"}


def percent(share: float | None, digits: int = 2) -> str:
    """A fraction as a percentage; an en dash for None."""
    return "–" if share is None else f"{100 * share:.{digits}f}%"


def points(share: float | None) -> str:
    """A fraction as points of accuracy, without a sign; an en dash where there is none."""
    return "–" if share is None else f"{100 * share:.2f}"


def signed_points(share: float | None) -> str:
    """A fraction as points of accuracy, with a true minus sign; an en dash where there is none."""
    if share is None:
        return "–"
    rounded = round(100 * share, 2) + 0.0  # no negative zero
    return f"{rounded:+.2f}".replace("-", "\u2212").replace("+0.00", "0.00")


def sentence(text: str) -> str:
    """A clause as a sentence, unless it begins with the name of a file or a class; "" stays."""
    if not text:
        return ""
    first = text.partition(" ")[0].rstrip(":")
    return f"{text[0].upper() + text[1:] if first.isalpha() else text}."


def escape_controls(value: Any) -> Any:
    """Text in which characters that hide or reverse other text, or control a terminal, are written as an escape. Line
    ends and tabs stay; a value that is not text is returned unchanged."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return type(value)(re.sub(r"[^\n\t]+", lambda found: one_line(found[0]), value))


def shorten(text: object) -> str:
    """A name without line breaks. Of a name with more than 160 characters only the beginning and the end are kept."""
    line = " ".join(str(text).split())
    return line if len(line) <= 160 else f"{line[:100]}…{line[-50:]}"


def model_words(facts: RunFacts) -> str:
    """The model and where it was trained, as the beginning of a sentence that ends with its classes."""
    at = f"at {facts.image_size} px" + (" in grey" if facts.run.settings.channels == 1 else "")
    if facts.spec is None:
        return f"A Keras model {at} that was trained elsewhere"
    width = f" (alpha {facts.spec.alpha:g})" if facts.spec.alpha != 1 else ""
    return f"{short_name(facts.spec.backbone)}{width} {at}, fine-tuned"


def colour_word(facts: RunFacts) -> str:
    """What the pixels are that the model takes."""
    return "grey" if facts.run.settings.channels == 1 else "RGB"


def backbone_sentence(facts: RunFacts) -> str:
    """What training did to the backbone of the model that was kept; "" if it was trained elsewhere."""
    if facts.spec is None:
        return ""
    stage = facts.best_epoch.get("stage", "tune")
    tried = [trial.point.unfreeze for trial in facts.trials if trial.point]
    told = backbone_words(facts.spec.unfreeze, stage), deeper_words(facts.spec, stage, tried) if tried else ""
    return " ".join(f"{words[0].upper()}{words[1:]}." for words in told if words)


def test_images_words(facts: RunFacts) -> str:
    """Whether the test images are new to the model, as a clause. It is not known what a model from elsewhere was
    trained on."""
    if facts.adopted:
        return "which test the model if it was not trained on them"
    images = facts.run.images
    drawn = facts.run.settings.near_duplicates == "warn"  # then not only DATA parts them, but the draw, too
    told = []
    if images.leaks() or split_groups(images) or (near_leaks(images) and not drawn):
        told.append("some of which stand in another part, too, as they were given")
    if near_leaks(images) and drawn:
        told.append("some of which have a near duplicate in another part, as --near-duplicates warn allows")
    return " and ".join(told) or "that took no part in training or choosing"


def starting_weights_sentence(facts: RunFacts) -> str:
    """The weights that training started from; "" if the model was trained elsewhere."""
    if facts.adopted:
        return ""
    settings, spec = facts.run.settings, facts.spec
    own = [one for one in settings.backbones if spec and (one.backbone, one.alpha) == (spec.backbone, spec.alpha)]
    weights = own[0].weights if own else settings.weights
    if origin := origin_of(Path(weights)):
        return f"It started from the weights in the preset {origin.typed} of KerasHub."
    if weights == (spec.backbone if spec else settings.backbone):
        return f"It started from the weights in the backbone's own file, {Path(weights).name}."
    return {
        "imagenet": "It started from ImageNet weights.",
        "starter": "It started from the starter weights, which have seen computed pictures only: to try things out, "
        "not for production.",
        "none": "It started from random weights, not from pre-trained ones.",
    }.get(weights, f"It started from the weights in {Path(weights).name}.")


def adoption_sentences(facts: RunFacts) -> tuple[str, ...]:
    """What a model from elsewhere took and gave, and which steps `adopt` added; () if the model was trained here."""
    adopted = facts.adopted
    if adopted is None:
        return ()
    gave = "a sigmoid for each class" if adopted.answers == "sigmoids" else adopted.answers
    grey = "greyscale images in " if adopted.grey else ""
    sentences = [f"It was made for {grey}the pixel range {adopted.pixels} and gave {gave}."]
    added = ["from colours to grey"] if adopted.grey else []
    added += [] if adopted.pixels == PIXELS[0] else ["from 0..255 to that range"]
    added += [f"from {adopted.answers} to probabilities"] if adopted.answers != "probabilities" else []
    if added:
        sentences.append(f"It now has inside the step {' and the step '.join(added)}.")
    if facts.adopted_object:
        sentences.append(f"It came as an object of Python; {facts.adopted_file} stands for a file of it.")
    return tuple(sentences)


def exports_verdict(facts: RunFacts) -> str:
    """What the verification showed, in a sentence or two. Every bound is that of one file: that all of them hold at
    once has less than 95 % confidence, and the sentence does not claim it."""
    if not facts.files:
        return "No file was exported yet."
    if facts.outdated:
        return "The exported files are of an earlier model: export again."
    if not facts.verified:
        return f"{_files(len(facts.files))} exported, none verified yet."
    holding = [parity for parity in facts.parities if parity]
    images = evidence_words(facts.parities) or "no image"  # if no file could run
    if len(holding) == len(facts.files):
        most = f"{100 * max(parity.lost_at_most or 0.0 for parity in holding):.2f} points of accuracy"
        ran = f"keeps the model's accuracy: run in its own runtime on {images},"
        if len(holding) == 1:
            return f"The exported file {ran} it loses at most {most}, with 95% confidence."
        return f"Every exported file {ran} each loses at most {most}, with 95% confidence for each file by itself."
    parts = [f"{len(holding)} of {_files(len(facts.files))} shown to keep the model's accuracy, on {images}."]
    for label, names in _by_verdict(facts).items():
        parts.append(f"{label}: {', '.join(names)}.")
    collapse = class_loss_words(facts.parities) if any(parity.collapsed for parity in facts.parities) else ""
    return " ".join(filter(None, [*parts, sentence(collapse)]))


def margins_words(facts: RunFacts) -> str:
    """The margin that the bounds have to be within, as the end of a sentence. If files have different margins, it
    refers to the margin of each, which the table shows in a column."""
    repeats = (
        "" if all(file.precision != "float32" for file in facts.files) else " (float32: it repeats every probability)"
    )
    if len(facts.margins) == 1:
        return f"which has to be within {100 * facts.margins[0]:.2f} points{repeats}"
    return f"which has to be within the file's own margin{repeats}"


def evidence_sentences(facts: RunFacts) -> tuple[str, ...]:
    """What the bounds rest on, the margins if there is more to say of them than the number, the smallest class and the
    one that loses most."""
    allowed = allowed_words(facts.parities)
    told = allowed if ";" in allowed or "(" in allowed else ""
    evidence = evidence_words(facts.parities)
    bounds = f"bounds: from {evidence}" if evidence else ""
    clauses = (bounds, f"allowed: {told}" if told else "", *classes_words(facts.parities))
    return tuple(sentence(clause) for clause in clauses if clause)


def _files(number: int) -> str:
    return f"{number} file" + ("s" if number != 1 else "")


def _by_verdict(facts: RunFacts) -> dict[str, list[str]]:
    """Names of the files that were not shown to hold, by what was found."""
    groups: dict[str, list[str]] = {}
    for file in facts.files:
        if not file.holds:
            groups.setdefault(file.verdict[0].upper() + file.verdict[1:], []).append(file.name)
    return groups


def search_conclusions(found: Sequence[Effect]) -> str:
    """What the search shows of its settings, and how sure that is."""
    shown = [effect for effect in found if effect.shown]
    hidden = [effect for effect in found if effect.share is not None and not effect.shown]
    too_few = [effect for effect in found if effect.share is None]
    sentences = []
    for effect in shown:
        sentences.append(
            f"{effect.label.capitalize()} explains {effect.share:.0%} of the variance between {effect.trials} trials, "
            f"more than the {effect.chance:.0%} that chance alone stays below in 95 of 100 cases."
        )
    if hidden:
        names = listed_words([effect.label for effect in hidden])
        sentences.append(
            f"What {names} seem{'s' if len(hidden) == 1 else ''} to explain is within what chance gives with so few "
            f"trials: no effect is shown, which does not mean that there is none."
        )
    for effect in too_few:
        few = f"{effect.trials} trials that trained equally long are" if effect.trials != 1 else "1 trial is"
        sentences.append(f"{effect.label.capitalize()}: {few} too few to tell.")
    return " ".join(sentences)


def quantisation_sentences(facts: RunFacts) -> tuple[tuple[str, str], ...]:
    """(name, the rest of a sentence that says how it was made) of each int8 file."""
    sentences = []
    for file in facts.files:
        attempts, layers = file.artefact.attempts, len(file.artefact.float_layers)
        kept = next((attempt for attempt in attempts if attempt.get("kept")), None)
        if kept is None:
            continue
        way = str(kept.get("step")).partition(", float:")[0]
        way += f" with {layers} layer{'s' if layers > 1 else ''} in float" if layers else ""
        tried = "the first way that was tried" if len(attempts) == 1 else f"one of {len(attempts)} ways that were tried"
        accepted = kept.get("accepted", kept.get("holds"))  # "holds": as version 0.1 wrote it
        rest = "" if accepted else "; none was accepted, and this is the fastest of those that lose least"
        if not accepted and any(one.get("accepted") for one in attempts):
            rest = "; the one that was accepted breaks a limit of the device"
        sentences.append((file.name, f"was made by {way}, {tried}{rest}."))
    return tuple(sentences)
