"""Code that loads the exported files. All files of a format load the same way, but one for a GPU, so one is shown."""

from __future__ import annotations

from dataclasses import dataclass

from export.targets.snippets import Snippet, snippets
from export.variants import GPU
from unfreeze.pages.recommend import recommend
from unfreeze.pages.run_facts import RunFacts
from unfreeze.pages.sentences import FORMATS


@dataclass(frozen=True)
class Loading:
    """How to load the files of one format."""

    title: str
    shown: str  # the file that the snippets name
    others: tuple[str, ...]  # other files that load in the same way
    snippets: tuple[Snippet, ...]


def loading(facts: RunFacts) -> list[Loading]:
    """How to load one file of each exported format, a recommended one if there is one, and then model.keras."""
    files = () if facts.outdated else facts.files
    chosen = {one.file.name for one in recommend(files, facts.kept_limits) if one.file}
    groups = []
    for form in ("onnx", "tflite", "saved_model"):
        there = [file for file in files if file.format == form and file.precision != GPU]
        if there:
            shown = next((file for file in there if file.name in chosen), there[0])
            others = tuple(file.name for file in there if file is not shown)
            groups.append(Loading(FORMATS[form], shown.name, others, snippets_of(facts, shown.name, form)))
    return [*groups, Loading("Keras", "model.keras", (), snippets_of(facts, "model.keras", "keras"))]


def snippets_of(facts: RunFacts, name: str, form: str) -> tuple[Snippet, ...]:
    return snippets(
        name,
        form,
        image_size=facts.image_size,
        class_names=facts.class_names,
        description=facts.description,
        colour=facts.run.settings.colour,
        levels=facts.run.images.levels,
    )
