"""Where the reports of `unfreeze verify` go: the files are checked before the work, and are written however it ends."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.errors import UnfreezeError, first_line, one_line
from toolkit.storage.files import write_text

if TYPE_CHECKING:
    from export.proof.parity import Parity

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"  # names the file that GitHub Actions shows on the page of the run


@dataclass(frozen=True)
class Reports:
    """The reports that were asked for. Raises UnfreezeError if one cannot be written where it should."""

    junit: Path | None = None
    summary: Path | None = None
    github: bool = False  # annotations, and the summary where GITHUB_STEP_SUMMARY says
    strict: bool = False  # too few images to tell are a failure
    as_json: bool = False  # standard output is for JSON: annotations go to standard error

    def __post_init__(self) -> None:
        given = {"--junit": self.junit, "--summary": self.summary, STEP_SUMMARY: self.step_summary}
        for option, path in given.items():
            if path is not None:
                _check(option, path)
        if self.junit is not None and self.summary is not None and self.junit.resolve() == self.summary.resolve():
            raise UnfreezeError(f"--junit and --summary are both {one_line(str(self.junit))}; give two files")

    @property
    def step_summary(self) -> Path | None:
        name = os.environ.get(STEP_SUMMARY, "")
        return Path(name) if self.github and name else None

    @contextmanager
    def even_without_verdicts(self) -> Iterator[None]:
        """If the block raises, the reports say why there is no verdict: an earlier one must not stand for it."""
        try:
            yield
        except Exception as error:
            text = str(error) if isinstance(error, UnfreezeError) else f"{type(error).__name__}: {first_line(error)}"
            self.write((), trouble=text)
            self._annotate((), text)
            raise

    def write(self, parities: Sequence[Parity], pictures: Path | None = None, trouble: str = "") -> None:
        """Write the files. `pictures`: the folder with the pictures of the flips. `trouble`: why there are no verdicts,
        or not all that were asked for."""
        from unfreeze.gate.junit import junit
        from unfreeze.gate.markdown import summary

        if self.junit is not None:
            write_text(self.junit.resolve(), junit(parities, self.strict, trouble))
        if self.summary is not None:
            linked = _pictures(parities, pictures, self.summary)
            write_text(self.summary.resolve(), summary(parities, self.strict, trouble, linked))
        if self.step_summary is not None:
            with self.step_summary.open("a", encoding="utf-8") as file:  # pictures cannot be linked from there
                file.write(summary(parities, self.strict, trouble) + "\n")

    def show(self, show: Callable[[], None], parities: Sequence[Parity], trouble: str = "") -> None:
        """Call `show`, which prints the result, and annotate it. What it prints is no command to GitHub's runner."""
        from unfreeze.gate.github import resumed, stopped

        if not self.github or self.as_json:
            show()
        else:
            token = secrets.token_hex(16)
            click.echo(stopped(token))
            try:
                show()
            finally:
                click.echo(resumed(token))
        self._annotate(parities, trouble)

    def _annotate(self, parities: Sequence[Parity], trouble: str) -> None:
        from unfreeze.gate.github import annotate

        if self.github:
            for line in annotate(parities, self.strict, trouble):
                click.echo(line, err=self.as_json)


def _check(option: str, path: Path) -> None:
    """Raises UnfreezeError if a file cannot be written there. It is not tried: nothing is left behind."""
    name = one_line(str(path))
    if path.exists() and not path.is_file():
        raise UnfreezeError(f"{option} is {name}, which is not a file; give the path of a file")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise UnfreezeError(f"{option} is {name}, but {one_line(str(folder))} is a file; give another path")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UnfreezeError(f"{option} is {name}, but {one_line(str(folder))} cannot be written; give another path")


def _pictures(parities: Sequence[Parity], folder: Path | None, page: Path) -> dict[str, str]:
    """The pictures of the flips that there are, by artefact, as paths relative to the page."""
    from export.artefacts import picture_paths

    if folder is None:
        return {}
    names = [parity.artefact.name for parity in parities if parity.flips]
    found = {name: picture_paths(folder, name)[0] for name in names}
    below = page.resolve().parent
    return {
        name: Path(os.path.relpath(path.resolve(), below)).as_posix() for name, path in found.items() if path.is_file()
    }
