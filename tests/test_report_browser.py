"""The page in a real browser: nothing on its console, and no request leaves."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from toolkit.run import Run, load_run
from toolkit.stats.metrics import evaluate
from unfreeze.pages.page import render_page
from unfreeze.pages.run_facts import RunFacts, read_run_facts
from unfreeze.pages.write_report import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell")
OWN = ("google.com", "googleapis.com", "gvt1.com", "gstatic.com")  # whom the browser itself may call


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no headless browser: none of {', '.join(NAMES)} is installed")
    return found


WIDTHS = """<script>
addEventListener("load", () => {
  const cut = [...document.querySelectorAll(".scroll")].filter(one => one.scrollWidth > one.clientWidth + 1);
  document.title = JSON.stringify(cut.map(one => one.ariaLabel));
});
</script>"""


def cut(browser: str, page: Path, folder: Path, width: int) -> list[str]:
    """The parts of a page that are wider than what is shown of them in a window of `width` pixels."""
    loose = re.sub("<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    measured = folder / "measured.html"
    measured.write_text(loose.replace("</body>", WIDTHS + "</body>"), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'measuring'}"]
    command += [f"--window-size={width},2000", "--virtual-time-budget=2000", "--dump-dom", measured.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    (title,) = re.findall("<title>(.*?)</title>", ended.stdout)
    return json.loads(html.unescape(title))


def visit(browser: str, page: Path, folder: Path) -> tuple[str, list[str], list[str]]:
    """The page as the browser has it, what stands on its console, and the URLs that it asked for."""
    log = folder / "net.json"
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync", "--disable-extensions", "--enable-logging=stderr"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", f"--log-net-log={log}", f"--user-data-dir={folder / 'profile'}"),
        *("--virtual-time-budget=2000", "--dump-dom"),
    ]
    command = [browser, *options, page.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr[-2000:]
    console = re.findall(r"CONSOLE.*", ended.stderr)
    text = log.read_text(encoding="utf-8", errors="replace")
    asked = {url for url in re.findall(r'"url":"((?:https?|wss?|ftp):[^"]*)"', text)}
    return ended.stdout, console, [url for url in asked if not (urlsplit(url).hostname or "").endswith(OWN)]


@pytest.fixture
def page(finished: Run, tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(finished.path, tmp_path / "run"))
    return write_report(load_run(copy))[0]


def test_the_console_is_empty_and_no_request_leaves(page: Path, browser: str, tmp_path: Path) -> None:
    shown, console, asked = visit(browser, page, tmp_path)
    assert "How to make it again" in shown
    assert console == []
    assert asked == []


def test_a_bad_page_would_be_noticed(page: Path, browser: str, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    picture = '<img src="http://unfreeze.example/x.png" alt="">'
    page.write_text(text.replace("</main>", picture + "</main>"), encoding="utf-8")
    _, console, asked = visit(browser, page, tmp_path)
    assert console  # its own policy forbids the picture
    assert asked == []
    loose = re.sub("<meta http-equiv[^>]*>", "", text).replace("</main>", picture + "</main>")
    page.write_text(loose, encoding="utf-8")
    _, _, asked = visit(browser, page, tmp_path)
    assert asked == ["http://unfreeze.example/x.png"]


def many_classes(facts: RunFacts, names: tuple[str, ...]) -> RunFacts:
    """The run's facts with an evaluation of other classes, in which every mistake was made."""
    labels = np.repeat(np.arange(len(names)), 70)
    answers = np.eye(len(names))[(labels + (np.arange(len(labels)) % 7 == 0)) % len(names)]
    return replace(facts, evaluation=evaluate(answers, labels, names), answers=None)


@pytest.mark.parametrize("classes", [2, 10, 20])
def test_nothing_is_cut_on_a_usual_screen(classes: int, finished: Run, browser: str, tmp_path: Path) -> None:
    """Files verified with different margins have one more column; most names of classes are longer than a digit."""
    facts = read_run_facts(finished)
    first, *others = facts.files
    assert first.parity is not None
    mixed = (replace(first, parity=replace(first.parity, margin=0.1)), *others)
    names = tuple(f"a class of some length {number}" for number in range(classes))
    page = tmp_path / "report.html"
    page.write_text(render_page(many_classes(replace(facts, files=mixed), names)), encoding="utf-8")
    assert cut(browser, page, tmp_path, 1280) == []
