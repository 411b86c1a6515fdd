from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.pictures import write_pictures
from toolkit.data import decoded_arrays
from toolkit.data.decoded_arrays import decoded, decoded_both, release
from toolkit.data.image_set import ImageSet, scan
from toolkit.errors import UnfreezeError
from toolkit.pixels.decode import decode


def test_rows_are_the_decoded_files_in_order(pictures: Path, tmp_path: Path) -> None:
    images = scan(pictures)
    array = decoded(images, tmp_path, 24)
    assert array.dtype == np.uint8
    assert array.shape == (40, 24, 24, 3)
    for row in (0, 17, 39):
        np.testing.assert_array_equal(array[row], decode(pictures / images.paths[row], 24))


def test_what_is_there_is_read_and_not_decoded_again(pictures: Path, tmp_path: Path) -> None:
    images = scan(pictures)
    decoded(images, tmp_path, 24)
    calls: list[int] = []
    decoded(images, tmp_path, 24, progress=lambda done, total: calls.append(done))
    assert calls == []


def test_what_was_damaged_is_made_anew(pictures: Path, tmp_path: Path) -> None:
    images = scan(pictures)
    whole = decoded(images, tmp_path, 24).copy()
    (path,) = tmp_path.glob("images-*.npy")
    for content in (b"", b"x", path.read_bytes()[:5000]):
        path.unlink()
        path.write_bytes(content)
        np.testing.assert_array_equal(decoded(images, tmp_path, 24), whole)


def test_size_antialias_and_content_each_give_another_array(pictures: Path, tmp_path: Path) -> None:
    images = scan(pictures)
    decoded(images, tmp_path, 24)
    decoded(images, tmp_path, 16)
    decoded(images, tmp_path, 24, antialias=True)
    decoded(scan(write_pictures(tmp_path / "other", seed=3)), tmp_path, 24)
    assert len(list(tmp_path.glob("images-*.npy"))) == 4


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of the files that are read from now on."""
    rows: list[int] = []
    read = decoded_arrays.read_unchanged

    def reads(images: ImageSet, row: int) -> bytes:
        rows.append(row)
        return read(images, row)

    monkeypatch.setattr(decoded_arrays, "read_unchanged", reads)
    return rows


def test_both_arrays_come_of_one_pass_over_the_files(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, rows = scan(pictures), counted(monkeypatch)
    calls: list[tuple[int, int]] = []
    plain, smooth = decoded_both(images, tmp_path, 24, progress=lambda done, total: calls.append((done, total)))
    assert sorted(rows) == list(range(40))
    assert calls[-1] == (40, 40)
    for row in (0, 17, 39):
        np.testing.assert_array_equal(plain[row], decode(pictures / images.paths[row], 24))
        np.testing.assert_array_equal(smooth[row], decode(pictures / images.paths[row], 24, antialias=True))
    again = decoded_both(images, tmp_path, 24)
    assert len(rows) == 40
    np.testing.assert_array_equal(again, (plain, smooth))


@pytest.mark.parametrize("antialias", [False, True])
def test_of_both_arrays_only_the_missing_one_is_made(
    antialias: bool, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = scan(pictures)
    alone = decoded(images, tmp_path, 24, antialias=antialias)
    (there,) = tmp_path.glob("images-*.npy")
    before, rows = there.stat(), counted(monkeypatch)
    both = decoded_both(images, tmp_path, 24)
    assert len(rows) == 40
    assert (there.stat().st_ino, there.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    np.testing.assert_array_equal(both[antialias], alone)
    np.testing.assert_array_equal(both[not antialias][3], decode(pictures / images.paths[3], 24, not antialias))


def test_one_that_needs_both_and_two_that_need_one_wait_for_each_other(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, rows = scan(pictures), counted(monkeypatch)
    with ThreadPoolExecutor(3) as threads:
        both = threads.submit(decoded_both, images, tmp_path, 24)
        each = [threads.submit(decoded, images, tmp_path, 24, antialias=kind) for kind in (False, True)]
        for kind in (False, True):
            np.testing.assert_array_equal(both.result(60)[kind], each[kind].result(60))
    assert len(rows) <= 80  # nothing was decoded by two of them


def test_where_both_cannot_be_made_nothing_is_left(tmp_path: Path) -> None:
    images = scan(write_pictures(tmp_path / "data"))
    (tmp_path / "data" / images.paths[5]).unlink()
    with pytest.raises(UnfreezeError, match=images.paths[5]):
        decoded_both(images, tmp_path / "cache", 16)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock", ".lock"]


def test_room_for_both_is_told_before_anything_is_written(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = 40 * 100 * 100 * 3
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": int(1.5 * one)})())
    with pytest.raises(UnfreezeError, match="make room"):
        decoded_both(scan(pictures), tmp_path / "cache", 100)
    decoded(scan(pictures), tmp_path / "cache", 100)


def test_progress_ends_with_the_total(pictures: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    decoded(scan(pictures), tmp_path, 16, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (40, 40)


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def endless(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


def unreadable(file: Path) -> None:
    """As a folder's permissions, a lost mount or a bad sector make it; root may read what `chmod` forbids others."""
    file.unlink()
    file.symlink_to("/proc/self/mem")  # the system answers with an error


@pytest.mark.parametrize(
    "spoil", [Path.unlink, lambda file: file.write_bytes(b"another"), a_folder, a_pipe, endless, unreadable]
)
def test_a_file_that_went_or_changed_after_the_scan_is_named(spoil, tmp_path: Path) -> None:
    images = scan(write_pictures(tmp_path / "data"))
    spoil(tmp_path / "data" / images.paths[5])
    with pytest.raises(UnfreezeError, match=images.paths[5]):
        decoded(images, tmp_path / "cache", 16)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_full_disk_is_told_before_anything_is_written(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(UnfreezeError, match="make room"):
        decoded(scan(pictures), tmp_path / "cache", 16)


def resident() -> int:
    """Bytes of mapped files in this process' memory."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["RssFile"].split()[0]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")
def test_pages_that_were_read_are_let_go(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.ones(2**25, np.uint8))
    array = np.load(tmp_path / "array.npy", mmap_mode="r")
    assert array.sum() == 2**25
    before = resident()
    release(array)
    assert before - resident() > 2**24
    assert array.sum() == 2**25
