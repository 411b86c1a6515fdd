"""One function in a process of its own: a file that crashes what reads it crashes only that process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from export.runtimes.processes import FIRST_ANSWER_LIMIT, ArtefactProcess

Given = TypeVar("Given")


def run_isolated(path: Path, function: Callable[..., Given], *arguments: object) -> Given:
    """What `function`, of a module's top level, gives for `arguments`; UnfreezeError where the process that deals with
    the artefact `path` dies, or does not come to an end."""
    held = ArtefactProcess(path)
    try:
        given: Given = held.call(function, *arguments, limit=FIRST_ANSWER_LIMIT)
        return given
    finally:
        held.end()
