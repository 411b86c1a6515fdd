"""A URL is shown as it was typed, by the command line and by the functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import unfreeze
from toolkit.errors import UnfreezeError
from toolkit.storage.local_path import local_path
from unfreeze import cli

URLS = ["s3://bucket/photos", "gs://bucket/photos", "http://example.org/a.zip", "hf://datasets/a/b", "file:///tmp/a"]


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_refused(url: str) -> None:
    with pytest.raises(UnfreezeError, match=f"^{url} is a URL; expected a file or folder on this machine"):
        local_path(url)


@pytest.mark.parametrize("path", ["photos", "/photos", "a:b/c", "C:/photos", "C:\\photos", "./s3://x", "x/s3://y", ""])
def test_what_is_no_url_is_a_path(path: str) -> None:
    assert local_path(path) == Path(path)


def test_a_folder_may_have_such_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:" / "bucket").mkdir(parents=True)
    assert local_path("s3://bucket") == Path("s3:/bucket")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "s3://b/x", "RUN"], "a local folder or CSV"),
        (["scan", "s3://b/x"], "a local folder or CSV"),
        (["tune", "s3://b/x", "RUN"], "a local folder or CSV"),
        (["evaluate", "RUN", "s3://b/x"], "a local folder or CSV"),
        (["verify", "RUN", "--data", "s3://b/x"], "a local folder or CSV"),
        (["export", "RUN", "--data", "s3://b/x"], "a local folder or CSV"),
        (["run", "photos", "s3://b/x"], "a file or folder on this machine"),
        (["run", "photos", "RUN", "--cache-dir", "s3://b/x"], "a file or folder on this machine"),
        (["predict", "s3://b/x", "a.jpg"], "a file or folder on this machine"),
        (["predict", "model.onnx", "s3://b/x"], "a file or folder on this machine"),
        (["adopt", "s3://b/x", "photos", "RUN"], "a file or folder on this machine"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_commands_show_it_as_it_was_typed(
    arguments: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli._main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: s3://b/x is a URL; expected {expected}: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: unfreeze.scan("s3://b/x"),
        lambda: unfreeze.tune("s3://b/x", "RUN"),
        lambda: unfreeze.train("photos", "s3://b/x"),
        lambda: unfreeze.evaluate("s3://b/x"),
        lambda: unfreeze.predict("s3://b/x", []),
        lambda: unfreeze.report("RUN", data="s3://b/x"),
    ],
)
def test_functions_show_it_as_it_was_given(
    call: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnfreezeError, match=r"^s3://b/x is a URL; expected a "):
        call()
    assert list(tmp_path.iterdir()) == []
