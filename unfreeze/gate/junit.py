"""Verdicts -> JUnit XML, as Jenkins, GitLab and others show it: a test case for each artefact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from unfreeze.gate.outcome import ERROR, FAILURE, NOTHING, PASSED, SKIPPED, Outcome, numbers, outcome_of
from unfreeze.gate.safe_text import for_xml
from unfreeze.wording import COULD_NOT_RUN

if TYPE_CHECKING:
    from export.proof.parity import Parity

SUITE = "unfreeze verify"
COUNTED = {"failures": FAILURE, "errors": ERROR, "skipped": SKIPPED}


def junit(parities: Sequence[Parity], strict: bool = False, trouble: str = "") -> str:
    """The document. `strict`: too few images to tell are a failure. `trouble`: why there are no verdicts, or not all;
    it is an error of its own, as it is that there are none at all: nothing passes because nothing ran."""
    cases = [(parity.artefact.name, outcome_of(parity, strict), numbers(parity)) for parity in parities]
    if trouble or not cases:
        cases.append((SUITE, Outcome(ERROR, "could-not-run", COULD_NOT_RUN, trouble or NOTHING), {}))
    suites = Element("testsuites")
    status = Counter(outcome.status for _, outcome, _ in cases)
    counts = {"tests": str(len(cases)), **{name: str(status[which]) for name, which in COUNTED.items()}}
    suite = SubElement(suites, "testsuite", {"name": SUITE, **counts, "time": "0"})
    for name, outcome, values in cases:
        _add_case(suite, name, outcome, values)
    indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(suites, encoding="unicode") + "\n"


def _add_case(suite: Element, name: str, outcome: Outcome, values: dict[str, float]) -> None:
    case = SubElement(suite, "testcase", {"classname": SUITE, "name": for_xml(name), "time": "0"})
    if values:
        properties = SubElement(case, "properties")
        for key, value in values.items():
            SubElement(properties, "property", {"name": key, "value": str(value)})
    if outcome.status != PASSED:
        reason = for_xml(outcome.reason or outcome.words)
        result = SubElement(case, outcome.status, {"type": outcome.kind, "message": reason})
        result.text = f"{for_xml(name)} {outcome.words}: {reason}"
