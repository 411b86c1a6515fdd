"""Write RUN/report.html and RUN/report.md."""

from __future__ import annotations

from pathlib import Path

from toolkit.run import Run
from toolkit.storage.files import write_text
from unfreeze.pages.run_facts import read_run_facts


def write_report(run: Run) -> tuple[Path, Path]:
    """Write both from what the run's folder holds so far, and return their paths. Raises UnfreezeError if there is no
    model yet, or if a file in it is damaged."""
    from unfreeze.pages.card import render_card
    from unfreeze.pages.page import render_page  # loads matplotlib and Jinja2

    facts = read_run_facts(run)
    page, card = run.path / "report.html", run.path / "report.md"
    write_text(page, render_page(facts))
    write_text(card, render_card(facts))
    return page, card
