"""One process at a time in a run folder."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import unfreeze
from toolkit.errors import UnfreezeError
from toolkit.storage.files import temporary_name
from toolkit.storage.lock import alone, in_turn

ROOT = Path(__file__).parents[1]
HOLD = """
import sys, time
from pathlib import Path
from toolkit.storage.files import temporary_name
from toolkit.storage.lock import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def owner(tmp_path: Path):
    """Another process that has the folder."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_who_has_it(owner: subprocess.Popen, tmp_path: Path) -> None:
    with (
        pytest.raises(
            UnfreezeError, match=rf"in use by process {owner.pid} on .*; wait until it has ended, or stop it"
        ),
        alone(tmp_path / "run"),
    ):
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_owners_lock_is_free(number: signal.Signals, owner: subprocess.Popen, tmp_path: Path) -> None:
    owner.send_signal(number)
    owner.wait()
    run = tmp_path / "run"
    with alone(run):
        assert json.loads((run / ".owner.json").read_text())["pid"] == os.getpid()


def test_an_owner_that_cannot_be_read_is_another_process(owner: subprocess.Popen, tmp_path: Path) -> None:
    (tmp_path / "run" / ".owner.json").write_text("{")
    with pytest.raises(UnfreezeError, match="in use by another process"), alone(tmp_path / "run"):
        pass


def test_it_may_be_asked_for_again_by_its_owner_but_not_by_another_thread(tmp_path: Path) -> None:
    said = []

    def other() -> None:
        try:
            with alone(tmp_path / "run"):
                said.append("got it")
        except UnfreezeError as error:
            said.append(str(error))

    with alone(tmp_path / "run"):
        with alone(tmp_path / ".." / tmp_path.name / "run"):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "in use by another thread of this program" in said[0]
    other()
    assert said[1] == "got it"


@pytest.mark.parametrize("name", ["run", "deeper/run"])
def test_where_no_run_begins_nothing_is_left(name: str, tmp_path: Path) -> None:
    with alone(tmp_path / name):
        assert (tmp_path / name / ".lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_left_in_a_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(UnfreezeError, match="is not a run folder"):
        unfreeze.evaluate(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_what_a_killed_process_left_is_swept(owner: subprocess.Popen, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "export"
    folder.mkdir()
    mine, others = folder / f".model.{os.getpid()}.tmp.onnx", folder / f".model.{owner.pid}.tmp.onnx"
    mine.touch()  # of a process of the same number, in another container
    others.touch()
    (folder / ".keep.tmp").touch()
    (folder / ".x.99999999999999999999.tmp").touch()  # no process has such a number
    owner.kill()
    owner.wait()
    with alone(tmp_path / "run"):
        assert {path.name for path in folder.iterdir()} == {".keep.tmp", ".x.99999999999999999999.tmp"}


def test_temporary_files_of_another_host_are_left_in_a_shared_cache(tmp_path: Path) -> None:
    """Whether its process still runs cannot be asked; after a day nobody writes a file any more."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    own = temporary_name("own", ".npy")
    host = own.split(".")[2].partition("-")[0]
    other = f"{int(host, 16) ^ 1:08x}"
    ended = f".ended.{host}-{dead.pid}.tmp.npy"
    runs = f".runs.{host}-{os.getppid()}.tmp"
    new, old = f".new.{other}-{dead.pid}.tmp.npy", f".old.{other}-{dead.pid}.tmp"
    unnamed, unnamed_old = f".unnamed.{dead.pid}.tmp", f".unnamed_old.{dead.pid}.tmp"
    cache, export = tmp_path / "run" / "cache" / "activations", tmp_path / "run" / "export"
    for folder in (cache, export):
        folder.mkdir(parents=True)
        for name in (own, ended, runs, new, old, unnamed, unnamed_old):
            (folder / name).touch()
        for name in (old, unnamed_old):
            os.utime(folder / name, (time.time() - 90_000,) * 2)
    with alone(tmp_path / "run"):
        assert {path.name for path in cache.iterdir()} == {runs, new, unnamed}
        assert {path.name for path in export.iterdir()} == {runs}


def test_in_a_cache_one_waits_for_the_other(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    free, order = threading.Event(), []

    def waiting(done: int, total: int) -> None:
        told.append((done, total))
        free.set()

    def second() -> None:
        with in_turn(tmp_path / "x.lock", waiting):
            order.append("second")

    with in_turn(tmp_path / "x.lock", waiting):
        thread = threading.Thread(target=second)
        thread.start()
        assert free.wait(10)
        order.append("first")
    thread.join(10)
    assert (order, told) == (["first", "second"], [(0, 1), (1, 1)])


def test_a_run_in_use_refuses_every_command_that_writes(
    owner: subprocess.Popen, finished, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "run" / "run.json").touch()
    calls = {
        "run": lambda: unfreeze.run(pictures, tmp_path / "run"),
        "demo": lambda: unfreeze.demo(tmp_path / "run"),
        "tune": lambda: unfreeze.tune(pictures, tmp_path / "run"),
        "train": lambda: unfreeze.train(pictures, tmp_path / "run"),
        "evaluate": lambda: unfreeze.evaluate(tmp_path / "run"),
        "export": lambda: unfreeze.export(tmp_path / "run"),
        "verify": lambda: unfreeze.verify(tmp_path / "run"),
        "sensitivity": lambda: unfreeze.sensitivity(tmp_path / "run"),
        "adopt": lambda: unfreeze.adopt(tmp_path / "model.keras", pictures, tmp_path / "run"),
    }
    for call in calls.values():
        with pytest.raises(UnfreezeError, match="is in use by process"):
            call()
    assert not (tmp_path / "run-images").exists()  # the demo's


def test_a_clock_before_1980_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(0))
    with pytest.raises(UnfreezeError, match=r"clock says .*; set it to today"), alone(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_no_obstacle(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with alone(tmp_path / "run"), in_turn(tmp_path / "x.lock", lambda done, total: None):
        (tmp_path / "run" / "run.json").touch()
    assert not (tmp_path / "run" / ".owner.json").exists()


def test_what_was_made_goes_where_the_lock_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(UnfreezeError, match=r"cannot write to .* \(Input/output error\)"),
        alone(tmp_path / "a" / "run"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
