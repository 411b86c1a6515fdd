"""Verdicts for continuous integration: whatever names are in them, the files are well-formed, and they say what the
exit code says."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from export.artefacts import Artefact
from export.proof.compare import could_not_run
from export.proof.parity import Divergence, Flip, Parity, ReferenceFile, read_parities, write_parities
from export.runtimes.measure import Timing
from toolkit.errors import NoAnswerError, UnfreezeError, one_line
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED
from unfreeze import artefact_api, cli
from unfreeze.commands.finish import require_proof, require_sense
from unfreeze.gate.github import annotate
from unfreeze.gate.junit import junit
from unfreeze.gate.markdown import summary
from unfreeze.gate.outcome import ERROR, FAILURE, outcome_of
from unfreeze.gate.reports import Reports
from unfreeze.gate.safe_text import as_code

HOSTILE = (
    "a.onnx::error::x",
    "::stop-commands::x",
    "##[error]x",
    "</testcase><failure/>",
    "]]>",
    "a|b",
    "`a`b``",
    "<script>alert(1)</script>",
    "![x](http://x.y/z)",
    "@someone #1 www.x.org",
    "\x00\x1b[2J\r\n::error::x",
    "\ufffe\uffff\ud800\udfff",
    "100%,a:b",
    "\u202egnp.exe",
    " x ",
    "",
    "a\\",
    "\\|",
)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
# any character, also lone surrogates, as the names of files are read that are not UTF-8
NAMES = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=()), max_size=30)
BEFORE = ReferenceFile("old.onnx", "onnx", "float32", 10_000_000, "0" * 64, (Timing(1, 9.0, 4.0, 5.0, 3.0, 4.0),))


def flip(path: str = "cat/1.jpg", label: str = "cat", to: str = "dog") -> Flip:
    return Flip(path, label, "cat", 0.9123, to, 0.5504, False)


def parity(verdict: str = HOLDS, name: str = "new.onnx", **more: Any) -> Parity:
    """Of 200 images, with made-up numbers."""
    file = Artefact(name, "onnx", "int8", 2_500_000, "1" * 64)
    numbers: dict[str, Any] = {
        "reason": "" if verdict == HOLDS else "it loses too much",
        "images": 200,
        "accuracy": 0.97,
        "accuracy_interval": (0.94, 0.99),
        "reference_accuracy": 0.98,
        "lost": 0.01,
        "lost_at_most": 0.0321,
        "margin": 0.005,
        "p_value": 0.5,
        "agreement": 0.985,
        "flips_at_most": 0.0384,
        "flips": (flip(),),
        "calibration_error": 0.01,
        "reference_calibration_error": 0.01,
        "timings": (Timing(1, 9.0, 1.7, 2.0, 1.5, 1.6),),
        "reference": BEFORE,
    }
    return Parity(file, verdict, **numbers | more)


ABSENT = replace(could_not_run(parity().artefact, "it crashed"), reference=BEFORE)
CHANCE = parity(HOLDS, reference_at_chance=True)
ALL = [parity(), parity(FAILS), parity(UNDECIDED), ABSENT, CHANCE]


@st.composite
def hostile(draw: st.DrawFn) -> Parity:
    one = draw(st.sampled_from(ALL))
    flips = st.lists(st.builds(flip, NAMES, NAMES, NAMES), max_size=3)
    found = Divergence(draw(NAMES), (), 0.2, 0.1, 9, (), draw(NAMES))
    return replace(
        one,
        artefact=replace(one.artefact, name=draw(NAMES)),
        reason=draw(NAMES),
        flips=tuple(draw(flips)),
        divergence=draw(st.none() | st.just(found)),
        reference=draw(st.none() | st.just(replace(BEFORE, name=draw(NAMES)))),
    )


# In agreement with the exit code


@given(st.lists(st.sampled_from(ALL), min_size=1, max_size=4), st.booleans())
def test_what_blocks_is_what_the_command_exits_with(parities: list[Parity], strict: bool) -> None:
    blocks = any(outcome_of(one, strict).status in (FAILURE, ERROR) for one in parities)
    try:
        require_sense(parities)
        require_proof(parities, strict)
    except NoAnswerError:
        assert blocks
    else:
        assert not blocks
    suite = ElementTree.fromstring(junit(parities, strict))[0]
    assert (int(suite.attrib["failures"]) + int(suite.attrib["errors"]) > 0) == blocks
    assert any(line.startswith("::error ") for line in annotate(parities, strict)) == blocks
    assert ("❌" in summary(parities, strict).partition("\n|")[0]) == blocks


def test_a_runs_own_model_at_chance_is_told_but_fails_nothing() -> None:
    """As `unfreeze verify RUN` does."""
    own = replace(CHANCE, reference=None)
    require_proof([own])
    assert outcome_of(own, strict=True).status == "passed"
    assert summary([own]).startswith("# ⚠️ Reference at chance")
    assert annotate([own])[0].startswith("::warning ")


@pytest.mark.parametrize("trouble", ["", "data is not there"])
def test_nothing_passes_because_nothing_ran(trouble: str) -> None:
    suite = ElementTree.fromstring(junit([], trouble=trouble))[0]
    assert (suite.attrib["tests"], suite.attrib["errors"]) == ("1", "1")
    said = trouble or "no artefact to verify"
    assert said in junit([], trouble=trouble)
    assert summary([], trouble=trouble) == f"## ❌ {said}\n"
    assert annotate([], trouble=trouble) == [f"::error title=unfreeze verify::{said}"]


def test_trouble_beside_verdicts_is_an_error_of_its_own() -> None:
    suite = ElementTree.fromstring(junit([parity()], trouble="an image is missing"))[0]
    assert [case.attrib["name"] for case in suite] == ["new.onnx", "unfreeze verify"]
    assert suite.attrib["errors"] == "1"
    assert [line.split()[0] for line in annotate([parity()], trouble="x")] == ["::error", "::notice"]


# JUnit


def test_a_test_case_for_each_artefact_with_its_numbers() -> None:
    suites = ElementTree.fromstring(junit([parity(), parity(FAILS), parity(UNDECIDED), ABSENT]))
    (suite,) = suites
    assert (suites.tag, suite.tag, suite.attrib["name"]) == ("testsuites", "testsuite", "unfreeze verify")
    counts = {name: suite.attrib[name] for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1"}
    ends = [[child.tag for child in case if child.tag != "properties"] for case in suite]
    assert ends == [[], ["failure"], ["skipped"], ["error"]]
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.attrib == {"type": "does-not-hold", "message": "it loses too much"}
    found = {one.attrib["name"]: float(one.attrib["value"]) for one in suite[0].iter("property")}
    assert found == {
        "images": 200,
        "accuracy": 0.97,
        "reference_accuracy": 0.98,
        "lost": 0.01,
        "lost_at_most": 0.0321,
        "margin": 0.005,
        "flips": 1,
        "flips_at_most": 0.0384,
        "bytes": 2_500_000,
        "reference_bytes": 10_000_000,
        "median_latency_ms": 1.7,
        "reference_median_latency_ms": 4.0,
    }


def test_undecided_is_a_failure_under_strict() -> None:
    assert "<skipped" in junit([parity(UNDECIDED)])
    assert '<failure type="undecided"' in junit([parity(UNDECIDED)], strict=True)


@given(st.lists(hostile(), min_size=1, max_size=3), st.booleans(), NAMES)
def test_the_xml_is_well_formed_whatever_is_in_names(parities: list[Parity], strict: bool, trouble: str) -> None:
    document = junit(parities, strict, trouble).encode()  # UTF-8 has no lone surrogates: it would raise
    suite = ElementTree.fromstring(document)[0]
    cases = [case.attrib["name"] for case in suite]
    assert len(cases) == len(parities) + bool(trouble)
    for case, one in zip(cases, parities, strict=False):
        plain = one_line(one.artefact.name)
        assert case == plain or "\ufffe" in plain or "\\u" in case or "\\U" in case
    assert {element.tag for element in suite.iter()} <= {
        *("testsuite", "testcase", "properties", "property", "failure", "error", "skipped"),
    }


# GitHub


def read_command(line: str) -> tuple[str, dict[str, str], str]:
    """As the runner does (its ActionCommand.TryParseV2): command, properties, message."""
    assert line.startswith("::")
    info, _, data = line[2:].partition("::")
    command, _, rest = info.partition(" ")
    properties = dict(pair.partition("=")[::2] for pair in rest.split(","))

    def restored(text: str, more: Sequence[tuple[str, str]] = ()) -> str:
        for escape, character in (*more, ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
            text = text.replace(escape, character)
        return text

    colons = (("%3A", ":"), ("%2C", ","))
    return command, {name: restored(value, colons) for name, value in properties.items()}, restored(data)


@given(hostile(), st.booleans())
def test_an_annotation_is_read_back_as_it_was_meant(one: Parity, strict: bool) -> None:
    lines = annotate([one], strict)
    assert all(len(line.splitlines()) == 1 for line in lines)
    (line,) = (line for line in lines if "title=unfreeze verify::" not in line)
    command, properties, message = read_command(line)
    outcome = outcome_of(one, strict)
    assert command == {"passed": "notice", "skipped": "warning", "failure": "error", "error": "error"}[outcome.status]
    assert properties == {"title": one_line(one.artefact.name)}
    assert message.startswith(outcome.words)
    if outcome.reason:
        assert message == f"{outcome.words}: {one_line(outcome.reason)}"


def test_errors_come_first_because_github_shows_ten() -> None:
    lines = annotate([parity(), parity(UNDECIDED), *[parity(FAILS)] * 3])
    assert [line.split()[0] for line in lines] == ["::error"] * 3 + ["::warning", "::notice"]
    assert lines[-1] == "::notice title=new.onnx::holds: loses +1.00%25 of accuracy, at most 3.21%25; flips 1"


# Markdown


def test_the_verdict_is_the_first_line() -> None:
    assert summary([parity()]).splitlines()[0] == "## ✅ `new.onnx`: holds"
    assert summary([parity(FAILS)]).splitlines()[0] == "## ❌ `new.onnx`: does not hold"
    assert summary([parity(UNDECIDED)]).splitlines()[0] == "## ❔ `new.onnx`: too few images to tell"
    several = [parity(), parity(), parity(UNDECIDED), parity(FAILS)]
    told = "## ❌ 4 artefacts: 1 × does not hold, 1 × too few images to tell, 2 × holds"
    assert summary(several).splitlines()[0] == told


def test_a_reference_at_chance_comes_before_all_and_nothing_holds() -> None:
    text = summary([CHANCE])
    assert text.startswith("# ⚠️ Reference at chance: the reference is right on 98.0% of 200 images")
    assert "holds" not in text


def test_what_changed_is_in_a_row() -> None:
    assert (
        "| `new.onnx` | ✅ holds | 98.00 → 97.00% | +1.00% (at most 3.21%, allowed 0.50%) | 1 (at most 3.84%) "
        "| 10.00 → 2.50 MB (-75%) | 4.00 → 1.70 ms (-57%) |" in summary([parity()]).splitlines()
    )
    own = summary([parity(reference=None, timings=())])
    assert "| 2.50 MB |  |" in own
    assert "Compared with the run's model" in own
    assert "Latency: not measured." in own


def test_times_of_other_numbers_of_threads_are_not_compared() -> None:
    (timing,) = parity().timings
    other = replace(BEFORE, timings=(replace(timing, threads=4),))
    assert "| 1.70 ms |" in summary([parity(reference=other)])


def test_twenty_flips_are_named_and_the_rest_counted() -> None:
    flips = tuple(flip(f"{number}.jpg", "dog") for number in range(25))
    text = summary([parity(flips=flips)], pictures={"new.onnx": "evidence/flips new.onnx.png"})
    rows = [line for line in text.splitlines() if ".jpg" in line]
    assert len(rows) == 20
    assert rows[0] == "| `0.jpg` | `dog` | `cat` 0.9123 | `dog` 0.5504 | gained |"
    assert "### Flips of `new.onnx`: 25" in text
    assert "\nand 5 more\n" in text
    assert text.endswith("](evidence/flips%20new.onnx.png)\n")
    assert "more" not in summary([parity(flips=flips[:20])])


def test_many_artefacts_fit_into_what_github_takes() -> None:
    flips = (flip("é" * 5000, "é" * 5000, "é" * 5000),) * 30
    many = [parity(FAILS, f"{number}" * 3000, flips=flips, reason="|" * 9000) for number in range(100)]
    assert len(summary(many).encode()) < 2**20


@given(st.lists(hostile(), min_size=1, max_size=3), st.booleans(), NAMES)
def test_names_are_no_markup(parities: list[Parity], strict: bool, trouble: str) -> None:
    """As an implementation of Markdown with GitHub's tables reads it: our tags alone, and all cells of the tables."""
    text = summary(parities, strict, trouble)
    text.encode()
    page = MARKDOWN.render(text)
    tags = set(re.findall(r"<(\w+)", page))
    assert tags <= {"h1", "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "code"}
    rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    tables = [parities, *[one.flips for one in parities if one.flips]]
    assert len(rows) == sum(1 + len(table) for table in tables)
    assert {line.count("|") for line in text.splitlines() if line.startswith("|")} <= {6, 8}
    shown = [html.unescape(re.findall(r"<code>(.*?)</code>", row)[0]) for row in rows[1 : 1 + len(parities)]]
    for name, one in zip(shown, parities, strict=True):
        plain = one_line(one.artefact.name)
        assert name == plain or not set(plain).isdisjoint("\ufffe\uffff") or not plain.isprintable()


@pytest.mark.parametrize("name", [name for name in HOSTILE if name.isprintable()])
def test_a_name_in_markdown_is_the_name(name: str) -> None:
    page = MARKDOWN.render(f"| a |\n|---|\n| {as_code(name)} |")
    assert html.unescape(re.findall("<td>(.*)</td>", page)[0]) == f"<code>{name}</code>"


# The command


def call(arguments: Sequence[object]) -> int:
    return cli._main([str(argument) for argument in ["verify", "--reference", "old.onnx", *arguments]])


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Parity]:
    """The verdicts that `unfreeze verify --reference` comes to."""
    found: list[Parity] = []

    def verify_foreign(*_: Any, **__: Any) -> list[Parity]:
        if not found:
            raise UnfreezeError("old.onnx takes no images")
        return found

    monkeypatch.setattr(artefact_api, "verify_foreign", verify_foreign)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.chdir(tmp_path)
    return found


GIVEN = ["--artefact", "new.onnx", "--data", "test"]


@pytest.mark.parametrize(("one", "code"), [(parity(), 0), (parity(UNDECIDED), 0), (parity(FAILS), 1), (CHANCE, 1)])
def test_files_are_written_however_it_ends(one: Parity, code: int, made_up: list[Parity], tmp_path: Path) -> None:
    made_up.append(one)
    assert call([*GIVEN, "--junit", "reports/out.xml", "--summary", tmp_path / "summary.md"]) == code
    assert (tmp_path / "reports" / "out.xml").read_text() == junit([one])
    assert (tmp_path / "summary.md").read_text() == summary([one])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["out.xml", "reports", "summary.md"]


def test_strict_reaches_the_reports(made_up: list[Parity], tmp_path: Path) -> None:
    made_up.append(parity(UNDECIDED))
    assert call([*GIVEN, "--strict", "--junit", "out.xml"]) == 1
    assert "<failure" in (tmp_path / "out.xml").read_text()


def test_an_earlier_report_does_not_stand_for_a_run_that_came_to_nothing(
    made_up: list[Parity], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out.xml").write_text(junit([parity()]))
    assert call([*GIVEN, "--junit", "out.xml", "--summary", "summary.md", "--github"]) == 2
    (suite,) = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert suite.attrib["errors"] == suite.attrib["tests"] == "1"
    assert (tmp_path / "summary.md").read_text() == "## ❌ old.onnx takes no images\n"
    assert capsys.readouterr().out == "::error title=unfreeze verify::old.onnx takes no images\n"


def test_the_table_is_no_command_and_the_annotations_are(
    made_up: list[Parity], capsys: pytest.CaptureFixture[str]
) -> None:
    made_up.append(parity(FAILS, flips=(flip("::add-mask::e"),)))
    assert call([*GIVEN, "--github"]) == 1
    lines = capsys.readouterr().out.splitlines()
    commands = [number for number, line in enumerate(lines) if line.lstrip().startswith("::")]
    stop, planted, resume, annotation = commands
    assert lines[planted].lstrip().startswith("::add-mask::")
    assert (command := read_command(lines[stop]))[0] == "stop-commands"
    assert lines[resume] == f"::{command[2]}::"
    assert len(command[2]) >= 32
    assert lines[annotation] == "::error title=new.onnx::does not hold: it loses too much"


def test_standard_output_is_json_alone(made_up: list[Parity], capsys: pytest.CaptureFixture[str]) -> None:
    made_up.append(parity())
    assert call([*GIVEN, "--github", "--json"]) == 0
    printed = capsys.readouterr()
    (entry,) = json.loads(printed.out)
    assert entry["reference"]["bytes"] == 10_000_000
    assert "::notice title=new.onnx::holds" in printed.err
    made_up.clear()
    assert call([*GIVEN, "--github", "--json"]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["exit"] == 2
    assert "::error title=unfreeze verify::" in printed.err


def test_the_summary_is_added_to_the_steps(
    made_up: list[Parity], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up.append(parity())
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    (tmp_path / "step.md").write_text("before\n")
    assert call(GIVEN) == 0
    assert (tmp_path / "step.md").read_text() == "before\n"
    assert call([*GIVEN, "--github"]) == 0
    assert (tmp_path / "step.md").read_text() == f"before\n{summary([parity()])}\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--junit", "folder"], "--junit is folder, which is not a file"),
        (["--summary", "file/x.md"], "--summary is file/x.md, but .*file is a file"),
        (["--junit", "x", "--summary", "folder/../x"], "--junit and --summary are both x"),
        (["--junit", "locked/x.xml"], "locked cannot be written"),
        (["--github"], "GITHUB_STEP_SUMMARY is .*folder, which is not a file"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_the_work(
    options: list[str],
    said: str,
    made_up: list[Parity],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "locked").mkdir(mode=0o555)
    if "locked" in said and os.access(tmp_path / "locked", os.W_OK):
        pytest.skip("this user may write everywhere")
    if "--github" in options:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "folder"))
    monkeypatch.setattr(artefact_api, "verify_foreign", lambda *_, **__: pytest.fail("it began to work"))
    assert call([*GIVEN, *options]) == 2
    assert re.search(said, capsys.readouterr().err)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.xml").touch()
    (tmp_path / "link.xml").symlink_to("real.xml")
    Reports(junit=tmp_path / "link.xml").write([parity()])
    assert (tmp_path / "link.xml").is_symlink()
    assert (tmp_path / "real.xml").read_text() == junit([parity()])


def test_the_reference_is_stored_with_the_verdict(tmp_path: Path) -> None:
    write_parities(tmp_path / "parity.json", ALL)
    assert read_parities(tmp_path / "parity.json") == ALL


def test_the_workflows_in_the_docs_are_workflows() -> None:
    text = (Path(__file__).parents[1] / "docs" / "recipes" / "ci.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        (job,) = yaml.safe_load(block)["jobs"].values()
        assert job["runs-on"]
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])


# Typed


def write_model(path: Path, kernel: np.ndarray) -> Path:
    """Mean red, green and blue of 0 to 1 -> two classes. `kernel`: float32 [3, 2]."""
    weights = [
        numpy_helper.from_array(kernel.astype(np.float32), "kernel"),
        numpy_helper.from_array(np.zeros(2, np.float32), "bias"),
    ]
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "kernel", "bias"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ]
    entry = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 8, 8])
    answer = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph(nodes, "colours", [entry], [answer], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty bluish and twenty reddish images, a model that tells them apart, and one that is wrong about four."""
    folder = tmp_path_factory.mktemp("colours")
    for number in range(40):
        red, blue = (60 + number % 20, 20) if number >= 20 else (20, 60 + number % 20)
        if number in (3, 5, 7, 9):
            red, blue = blue - 2, blue
        path = folder / "test" / ("red" if number >= 20 else "blue") / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (red, 40, blue)).save(path)
    kernel = np.array([[-9, 9], [0, 0], [9, -9]])
    write_model(folder / "old.onnx", kernel)
    write_model(folder / "new.onnx", kernel * [[1.2], [1], [1]])
    return folder


@pytest.mark.long
def test_a_changed_model_is_shown_where_it_is_reviewed(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    line = [
        "verify",
        "--reference",
        colours / "old.onnx",
        "--artefact",
        colours / "new.onnx",
        "--data",
        colours / "test",
    ]
    line += ["--pixels", "0..1", "--margin", "0.5", "--threads", "1", "--out", "evidence"]
    line += ["--junit", "out.xml", "--github", "--summary", "pages/summary.md"]
    assert cli._main([str(word) for word in line]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^ +old\.onnx .* 100\.00% +the reference *$", printed, re.MULTILINE)
    assert re.search(r"^old\.onnx \(the reference\) +\d", printed, re.MULTILINE)
    assert re.search("^::error title=new.onnx::does not hold: ", printed, re.MULTILINE)
    assert "Keras" not in printed
    case = ElementTree.parse("out.xml").getroot()[0][0]
    found = {one.attrib["name"]: float(one.attrib["value"]) for one in case.iter("property")}
    assert found["bytes"] == (colours / "new.onnx").stat().st_size
    assert found["reference_bytes"] == (colours / "old.onnx").stat().st_size
    assert (found["accuracy"], found["reference_accuracy"], found["flips"]) == (0.9, 1.0, 4)
    assert found["median_latency_ms"] > 0
    assert found["reference_median_latency_ms"] > 0
    page = (tmp_path / "pages" / "summary.md").read_text()
    assert page.startswith("## ❌ `new.onnx`: does not hold\n")
    assert "| `blue/03.png` | `blue` |" in page
    picture = re.search(r"!\[.*\]\((.*)\)", page)
    assert picture is not None
    assert (tmp_path / "pages" / picture[1]).is_file()
    step = (tmp_path / "step.md").read_text()
    assert step.startswith(page.partition("\n\n![")[0])
    assert "![" not in step
    (stored,) = read_parities(tmp_path / "evidence" / "parity.json")
    assert stored.reference is not None
    assert stored.reference.name == "old.onnx"
