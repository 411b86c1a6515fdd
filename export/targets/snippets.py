"""Code that loads an artefact and answers for one image, ready to paste: the right names, shapes and classes in it.

Every snippet decodes as the model was trained: EXIF orientation applied, stretched to the square by bilinear
interpolation without antialias, RGB or the same grey. In a template, a line after `$rgb|` or `$grey|` is for models of
that colour only, one after `$unsure|` for those that were exported with a threshold. Names of classes and files may
come from strangers, so each is written as a string literal of its language with everything escaped that could end the
string or be executed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from export.description import reject_below
from toolkit.pixels.levels import FULL, words

INPUT, OUTPUT = "image", "probabilities"
TEMPLATES = Path(__file__).parent / "snippet_templates"
WAYS: dict[str, tuple[tuple[str, str, str, str], ...]] = {  # (where it runs, language, what it needs, template)
    "keras": (("Python", "python", "pip install keras tensorflow opencv-python-headless", "keras.py"),),
    "saved_model": (("Python", "python", "pip install tensorflow opencv-python-headless", "saved_model.py"),),
    "tflite": (
        ("Python", "python", "pip install ai-edge-litert opencv-python-headless", "tflite.py"),
        ("Android, Kotlin", "kotlin", "com.google.ai.edge.litert:litert", "tflite.kt"),
        ("iOS, Swift", "swift", "TensorFlowLiteSwift", "tflite.swift"),
        ("Browser, JavaScript", "javascript", "npm install @litertjs/core", "tflite_browser.js"),
    ),
    "onnx": (
        ("Python", "python", "pip install onnxruntime opencv-python-headless", "onnx.py"),
        ("Browser, JavaScript", "javascript", "npm install onnxruntime-web", "onnx_browser.js"),
        ("Node, JavaScript", "javascript", "npm install onnxruntime-node sharp", "onnx_node.js"),
        ("Android, Kotlin", "kotlin", "com.microsoft.onnxruntime:onnxruntime-android", "onnx.kt"),
        ("iOS, Swift", "swift", "onnxruntime-objc", "onnx.swift"),
    ),
}


@dataclass(frozen=True)
class Snippet:
    """One way to load one artefact."""

    title: str  # where it runs
    language: str  # "python" | "javascript" | "kotlin" | "swift"
    needs: str  # what has to be installed
    code: str


@dataclass(frozen=True)
class _Values:
    """What a template is filled with."""

    file: str  # name of the file, or its path from where the code runs
    size: int  # pixels
    names: tuple[str, ...]  # classes
    entry: str  # name of the input
    answer: str  # name of the output
    colour: str  # "rgb" | "grey"
    reject_below: float  # the top probability below which an image is unsure; 0: none is


def snippets(
    name: str,
    form: str,
    *,
    image_size: int,
    class_names: Sequence[str],
    description: Mapping[str, Any],
    colour: str = "rgb",
    levels: str = FULL,
) -> tuple[Snippet, ...]:
    """For the artefact RUN/export/`name` of a format ("saved_model", "tflite", "onnx"), or "keras": RUN/model.keras.

    `image_size` in pixels. `description`: what the artefact says of itself, {} before an export. `colour`: of the
    images that it takes, "rgb" or "grey". `levels`: how it takes 16-bit ones (`toolkit.pixels.levels`).
    """
    entry = description.get("input", {}).get("name", INPUT)
    answer = description.get("output", {}).get("name", OUTPUT)
    names = tuple(description.get("class_names") or class_names)
    values = _Values(name, image_size, names, entry, answer, colour, reject_below(description))
    return tuple(
        Snippet(title, language, needs, _note(levels, language) + _filled(template, values, LITERALS[language]))
        for title, language, needs, template in WAYS[form]
    )


def _note(levels: str, language: str) -> str:
    """A comment for a model that was trained on 16-bit images of which the decoders used here give the high byte."""
    if levels == FULL:
        return ""
    mark = "#" if language == "python" else "//"
    return f"{mark} Give 8-bit images. The model was trained on 16-bit ones, made so:\n{mark} {words(levels)}.\n"


def python_literal(text: str) -> str:
    """A Python string in ASCII."""
    return ascii(text)


def javascript_literal(text: str) -> str:
    """JSON in ASCII is JavaScript; "<" is escaped so that a script element can hold it."""
    return json.dumps(text).replace("<", "\\u003c")


def kotlin_literal(text: str) -> str:
    """Kotlin knows \\u with four digits; a dollar would begin a template."""
    units = (int.from_bytes(unit) for unit in _pairs(text.encode("utf-16-be", "surrogatepass")))
    return '"' + "".join(chr(u) if _plain(u) and chr(u) != "$" else f"\\u{u:04x}" for u in units) + '"'


def swift_literal(text: str) -> str:
    """Swift knows \\u{...}; a backslash is escaped, so none begins an interpolation."""
    return '"' + "".join(c if _plain(ord(c)) else f"\\u{{{ord(c):x}}}" for c in text) + '"'


def _pairs(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 2] for at in range(0, len(data), 2))


def _plain(code: int) -> bool:
    """Whether a character may stand in a string literal as it is."""
    return 32 <= code < 127 and chr(code) not in '"\\<'


LITERALS: dict[str, Callable[[str], str]] = {
    "python": python_literal,
    "javascript": javascript_literal,
    "kotlin": kotlin_literal,
    "swift": swift_literal,
}


def _filled(name: str, values: _Values, literal: Callable[[str], str]) -> str:
    """A template with the values in it; `$pixels` stands for what the snippets of its language have in common."""
    text = _template(name)
    if "$pixels\n" in text:
        text = text.replace("$pixels\n", _template(f"pixels{Path(name).suffix}"))
    return Template(_lines_for(text, values)).substitute(
        file=literal(values.file),
        stem=literal(values.file.rpartition(".")[0] or values.file),
        size=values.size,
        channels=3 if values.colour == "rgb" else 1,
        colour="RGB" if values.colour == "rgb" else "grey",
        classes=len(values.names),
        names=_listed([literal(name) for name in values.names]),
        entry=literal(values.entry),
        answer=literal(values.answer),
        entry_name=values.entry,
        reject_below=values.reject_below,
    )


def _lines_for(text: str, values: _Values) -> str:
    """The template with the lines for this model only."""
    wanted = {"rgb": values.colour == "rgb", "grey": values.colour == "grey", "unsure": values.reject_below > 0}
    lines = text.splitlines(keepends=True)
    for mark, kept in wanted.items():
        lines = [line.removeprefix(f"${mark}|") for line in lines if kept or not line.startswith(f"${mark}|")]
    return "".join(lines)


def _template(name: str) -> str:
    return (TEMPLATES / f"{name}.txt").read_text(encoding="utf-8")


def _listed(literals: Sequence[str]) -> str:
    """The literals in one line; if that is too long, in several lines between the brackets."""
    line = ", ".join(literals)
    if len(line) <= 80:
        return line
    return "\n" + "\n".join(f"    {one}" for one in _wrapped(literals)) + "\n"


def _wrapped(literals: Sequence[str], width: int = 92) -> list[str]:
    """The literals with their commas, as many in a line as fit. A literal is never broken: it may hold spaces."""
    lines = [""]
    for literal in literals:
        if lines[-1] and len(lines[-1]) + len(literal) + 2 > width:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{literal},"
    return lines
