"""What pytest shows while tests run, in place of dots: a line for each twentieth of them and for each that fails."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import pytest

STEPS = 20
PAUSE = 10  # seconds at least between two lines
WHOLE = "every test that is not slow: about half an hour on two cores that are free, twice as long on busy ones"


class Progress:
    """For the process that shows the results of several workers, in whatever order they come."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.done, self.step = 0, 0
        self.started = self.shown = time.monotonic()

    def pytest_report_header(self) -> str | None:
        whole = self.config.args_source == pytest.Config.ArgsSource.TESTPATHS
        return WHOLE if whole and self.config.option.markexpr == "not slow" else None

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, tuple[str, str, Any], tuple[str, str, Any]]:
        category, _, word = yield
        return category, "", word  # counted and named at the end, and not shown as a letter

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.show(f"failed: {report.nodeid}")
        if report.when == "teardown":
            self.done += 1
            self.tell(self.session.testscollected)

    def tell(self, total: int) -> None:
        now, step = time.monotonic(), STEPS * self.done // total
        if self.done == total or (step > self.step and now > self.shown + PAUSE):
            self.step, self.shown = step, now
            minutes, seconds = divmod(int(now - self.started), 60)
            self.show(f"{100 * step // STEPS:3} %  {self.done:,} of {total:,} tests, {minutes}:{seconds:02}")

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.session = session

    def show(self, line: str) -> None:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        reporter.ensure_newline()
        reporter.write_line(line)
