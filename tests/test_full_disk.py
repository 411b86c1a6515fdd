"""A disk that fills up: one line, exit 2, and nothing lost. `benchmarks/full_disk.py` does the same in more steps."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import OPTIONS
from toolkit.data.decoded_arrays import new_array
from toolkit.errors import describe_os_error, disk_is_full, short_reason
from toolkit.storage.files import reserve

ROOT = Path(__file__).parents[1]


def may_mount() -> bool:
    user = [] if hasattr(os, "geteuid") and os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", "--mount", *user, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.long
@pytest.mark.skipif(not may_mount(), reason="no mount namespaces here")
def test_a_run_on_a_full_disk_goes_on_when_there_is_room(pictures: Path, tmp_path: Path) -> None:
    script = [sys.executable, ROOT / "benchmarks" / "full_disk.py", pictures, "--program", "tests.tiny"]
    how = ["--steps", "2", "--folder", tmp_path / "disk"]
    few = ["--trials", "2", "--formats", "tflite,onnx", "--precisions", "float32"]  # every kind of file, nine times
    done = subprocess.run([*script, *how, "--", *OPTIONS, *few], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "4 full disks, 0 with a fault" in done.stdout


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "no space left on the device at a.npy; make room"),
        (errno.EROFS, r"no permission at a.npy \(Read-only file system\); check who owns it"),
        (errno.EACCES, "no permission at a.npy"),
        (errno.EISDIR, "a file or folder is in the way at a.npy"),
        (errno.EMFILE, "too many files are open at a.npy"),
    ],
)
def test_what_the_system_says_is_one_line_with_what_to_do(number: int, said: str) -> None:
    text = describe_os_error(OSError(number, os.strerror(number), "a.npy"))
    assert re.match(said, text)
    assert text.isprintable()


def test_a_file_is_named_or_it_is_said_how_to_find_it() -> None:
    for number, what in ((number, os.strerror(number)) for number in errno.errorcode):
        assert "a.npy" in describe_os_error(OSError(number, what, "a.npy")), what
        assert "b.npy" in describe_os_error(OSError(number, what, "a.npy", None, "b.npy")), what
        text = describe_os_error(OSError(number, what))
        assert what in text or text.startswith("no space left on the device"), what
        assert text.endswith("the system does not say which file: add --debug to see what was being done"), what


def test_libraries_that_give_no_number_are_understood() -> None:
    hdf5 = RuntimeError("(file write failed: errno = 28, error message = 'No space left on device', buf = 0x1)")
    assert disk_is_full(hdf5)
    assert not disk_is_full(RuntimeError("no"))


def test_an_array_that_does_not_fit_is_an_error_and_no_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a sparse file that cannot be written kills the process; so it is reserved first."""

    def full(handle: int, start: int, size: int) -> None:
        os.ftruncate(handle, size)  # as far as it came
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match=r"a\.npy"):
        new_array(tmp_path / "a.npy", (10**6,), "uint8")
    (tmp_path / "b").write_bytes(b"12")
    with pytest.raises(OSError, match="No space"):
        reserve(tmp_path / "b", 10**6)
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {"b": 2}


def test_a_file_system_that_cannot_reserve_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, start: int, size: int) -> None:
        assert not fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_APPEND  # glibc could not write instead
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    array = new_array(tmp_path / "a.npy", (10,), "uint8")
    array[:] = 7
    assert array.sum() == 70


def test_a_long_text_of_a_library_keeps_both_ends() -> None:
    text = short_reason(ValueError(f"/{'folder/' * 60}model.onnx: it crashed"))
    assert len(text) == 160
    assert text.startswith("/folder/folder")
    assert text.endswith("model.onnx: it crashed")
