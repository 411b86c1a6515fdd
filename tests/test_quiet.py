"""Standard error is redirected while any block runs, and restored by the last one that ends."""

from __future__ import annotations

import os
import threading

import pytest

from toolkit.process.quiet import hushed


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def test_what_is_written_in_a_block_is_held_back_and_what_comes_after_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    with hushed():
        os.write(2, b"inside")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_blocks_that_overlap_in_two_threads(capfd: pytest.CaptureFixture[str]) -> None:
    """The one that began first ends first."""
    second_runs, first_ended = threading.Event(), threading.Event()

    def second() -> None:
        with hushed():
            second_runs.set()
            assert first_ended.wait(10)
            os.write(2, b"inside the second")

    before = descriptors()
    thread = threading.Thread(target=second)
    with hushed():
        thread.start()
        assert second_runs.wait(10)
    first_ended.set()
    thread.join(10)
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
    assert descriptors() == before


def test_many_blocks_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    def often() -> None:
        for _ in range(200):
            with hushed():
                os.write(2, b"inside")

    threads = [threading.Thread(target=often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_nested_blocks_and_exceptions(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with hushed():
            with hushed():
                os.write(2, b"inner")
            os.write(2, b"outer")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
