"""Run one function in a process of its own, so that a file that crashes its reader crashes only that process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from export.runtimes.processes import FIRST_ANSWER_LIMIT, ArtefactProcess

Given = TypeVar("Given")


def run_isolated(
    path: Path, function: Callable[..., Given], *arguments: object, limit: float = FIRST_ANSWER_LIMIT
) -> Given:
    """Run `function(*arguments)` in a process of its own and return its result.

    `function` has to be defined at the top level of a module. `path`: the artefact that an error names. Raises
    UnfreezeError if the process ends by itself, or does not answer within `limit` seconds.
    """
    held = ArtefactProcess(path)
    try:
        given: Given = held.call(function, *arguments, limit=limit)
        return given
    finally:
        held.end()
