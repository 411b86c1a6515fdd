"""`RunFacts` -> report.md, a model card in the form that model hubs read: YAML, then Markdown."""

from __future__ import annotations

import re

from export.artefacts import UNSTATED
from toolkit.data.together import near_leaks, split_groups
from toolkit.models.backbones import short_name
from toolkit.own.parts import names, words
from unfreeze.evidence_wording import chance_words, undecided_words
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
    sentence,
    shorten,
    starting_weights_sentence,
    test_images_words,
)
from unfreeze.pages.templating import template_environment
from unfreeze.pages.unsure import temperature_sentences, threshold_sentence
from unfreeze.wording import majority_words

LICENSES = (  # identifiers that model hubs know: the most frequent ones
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "unlicense", "cc0-1.0", "openrail"),
    *("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"),
    *("gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "epl-2.0", "eupl-1.2", "wtfpl", "zlib"),
)
USES = {"train": "to train on", "val": "to choose on", "test": "for the test"}  # what each part of the data was for
FOLDED_USES = USES | {"train": "to train and choose on, in folds", "val": "more for the same"}
ADOPTED_USES = USES | {"train": "to calibrate int8 with", "val": "to compare with the model as it came"}
TABLE_ROWS = 30  # classes in the table at most; the others are counted


def render_card(facts: RunFacts) -> str:
    """The text of report.md."""
    environment = template_environment(
        autoescape=False,  # Markdown: `md`, `prose` and `code` escape, and every value passes one of them
        md=markdown,
        prose=escape_markdown,
        code=code,
        fenced=fenced,
    )
    text = environment.get_template("report.md.j2").render(
        facts=facts,
        front=front_matter(facts),
        settings=facts.run.settings,
        evaluation=facts.evaluation,
        model=model_words(facts),
        colour=colour_word(facts),
        test_images=test_images_words(facts),
        near_apart=len(near_leaks(facts.run.images)),
        torn=len(split_groups(facts.run.images)),
        starting_weights=starting_weights_sentence(facts),
        adoption=adoption_sentences(facts),
        backbone=backbone_sentence(facts),
        backbone_name=short_name(facts.spec.backbone) if facts.spec else "",
        temperature=temperature_sentences(facts),
        unsure=threshold_sentence(facts),
        verdict=exports_verdict(facts),
        margins=margins_words(facts),
        evidence=evidence_sentences(facts),
        undecided=sentence(undecided_words(facts.parities)),
        majority=sentence(majority_words(facts.evaluation)) if facts.evaluation else "",
        chance=sentence(chance_words(facts.parities)),
        quantisation=quantisation_sentences(facts),
        recommendations=recommend(() if facts.outdated else facts.files, facts.kept_limits),
        parts=[part for part in ("train", "val", "test") if part in facts.run.images.parts],
        loading=loading(facts),
        commands=commands(facts),
        own=names(facts.stored),
        own_words=words(facts.stored),
        uses=ADOPTED_USES if facts.adopted else FOLDED_USES if facts.search.get("folds", 1) > 1 else USES,
        formats=FORMATS,
        rows=TABLE_ROWS,
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def markdown(text: object) -> str:
    """A line of Markdown that shows a name as it is: characters that could be markup, also HTML, are escaped, and a
    long one is shortened."""
    return escape_markdown(shorten(text))


def escape_markdown(text: object) -> str:
    """The same without shortening it: for our own sentences, in which names are shortened already."""
    line = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~$:@/])", r"\\\1", line)


def code(text: object) -> str:
    """A code span with the text in it, which may stand in a table. Its fence is longer than any run of backticks in
    the text, so that the text cannot end it."""
    line = shorten(text).replace("|", "\\|") or " "
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    space = " " if len(fence) > 1 else ""
    return f"{fence}{space}{line}{space}{fence}"


def fenced(text: str, language: str = "") -> str:
    """A block of code with the text in it. Its fence is longer than any run of backticks in the text."""
    fence = "`" * max(4, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def front_matter(facts: RunFacts) -> str:
    """The YAML at the top, without the dashes around it; every text from the run is a double-quoted scalar."""
    lines = [*_license(facts.description.get("license", UNSTATED))]
    lines += ["library_name: keras", "pipeline_tag: image-classification", "tags:"]
    tags = ["image-classification", "keras", "unfreeze", *sorted({file.format for file in facts.files})]
    lines += [f"  - {yaml_text(tag)}" for tag in [*tags, short_name(facts.spec.backbone) if facts.spec else ""] if tag]
    if facts.evaluation is None:
        return "\n".join(lines)
    data = facts.run.images.root.name or "images"
    lines += [
        "metrics:",
        "  - accuracy",
        "  - f1",
        "model-index:",
        f"  - name: {yaml_text(facts.name)}",
        "    results:",
    ]
    lines += ["      - task:", "          type: image-classification", "        dataset:"]
    lines += [
        f"          name: {yaml_text(data)}",
        f"          type: {yaml_text('imagefolder')}",
        "          split: test",
    ]
    lines += ["        metrics:"]
    for kind, name, value in (
        ("accuracy", "Test accuracy", facts.evaluation.accuracy),
        ("balanced_accuracy", "Balanced accuracy", facts.evaluation.balanced_accuracy),
        ("f1", "Macro F1", facts.evaluation.macro_f1),
    ):
        lines += [
            f"          - type: {kind}",
            f"            name: {yaml_text(name)}",
            f"            value: {value:.6f}",
        ]
    return "\n".join(lines)


def _license(text: str) -> list[str]:
    if text == UNSTATED:
        return ["license: unknown"]
    if text.lower() in LICENSES:
        return [f"license: {text.lower()}"]
    return ["license: other", f"license_name: {yaml_text(text)}"]


def yaml_text(text: str) -> str:
    """A double-quoted YAML scalar (YAML 1.2, section 5.7). Characters that may not stand in one are escaped by their
    code points."""
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text) + '"'
