"""RUN/report.html and RUN/report.md."""

from __future__ import annotations

from pathlib import Path

from toolkit.files import write_text
from toolkit.report.facts import read_facts
from toolkit.run import Run


def write_report(run: Run) -> tuple[Path, Path]:
    """Write both, of whatever of the run was made so far, and give their paths. UnfreezeError where it has no model
    yet, or where one of its files is damaged."""
    from toolkit.report.card import render_card
    from toolkit.report.page import render_page  # with matplotlib and Jinja2

    facts = read_facts(run)
    page, card = run.path / "report.html", run.path / "report.md"
    write_text(page, render_page(facts))
    write_text(card, render_card(facts))
    return page, card
