"""Verdicts -> workflow commands of GitHub Actions: annotations that stand on the page of the run and of the pull
request.

The runner takes commands from whatever a step prints. So what is printed beside them, with names that a pull request
may have brought, stands between `stopped` and `resumed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.errors import one_line
from unfreeze.gate.outcome import ERROR, FAILURE, NOTHING, PASSED, SKIPPED, at_chance, outcome_of
from unfreeze.wording import at_chance_words

if TYPE_CHECKING:
    from export.proof.parity import Parity

LEVELS = {PASSED: "notice", SKIPPED: "warning", FAILURE: "error", ERROR: "error"}
TITLE = "unfreeze verify"


def annotate(parities: Sequence[Parity], strict: bool = False, trouble: str = "") -> list[str]:
    """A line for each artefact, the errors first: GitHub shows ten of each level. `strict`, `trouble`: as in
    `unfreeze.gate.junit`."""
    found = [("error", TITLE, trouble or NOTHING)] if trouble or not parities else []
    chance = at_chance(parities)
    if chance is not None:
        found.append(("error" if chance.reference is not None else "warning", TITLE, at_chance_words(chance)))
    for parity in parities:
        outcome = outcome_of(parity, strict)
        told = outcome.words + (f": {outcome.reason}" if outcome.reason else _kept(parity))
        found.append((LEVELS[outcome.status], parity.artefact.name, told))
    order = ("error", "warning", "notice")
    return [_command(*one) for one in sorted(found, key=lambda one: order.index(one[0]))]


def stopped(token: str) -> str:
    """From here on the runner takes nothing for a command. `token`: one that nobody can guess."""
    return f"::stop-commands::{token}"


def resumed(token: str) -> str:
    return f"::{token}::"


def _kept(parity: Parity) -> str:
    """What an artefact that holds loses, and how many of its answers are others."""
    if parity.lost is None or parity.lost_at_most is None:
        return ""
    return f": loses {parity.lost:+.2%} of accuracy, at most {parity.lost_at_most:.2%}; flips {len(parity.flips)}"


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    """As the runner reads it back: these three characters are escaped, no others."""
    return one_line(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
