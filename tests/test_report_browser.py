"""The page in a real browser: nothing on its console, and no request leaves."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from toolkit.run import Run, load_run
from unfreeze.pages.write_report import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell")
OWN = ("google.com", "googleapis.com", "gvt1.com", "gstatic.com")  # whom the browser itself may call


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no headless browser: none of {', '.join(NAMES)} is installed")
    return found


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
