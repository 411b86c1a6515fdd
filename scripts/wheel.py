"""The wheel and the source archive of the last commit, into dist/: the same bytes wherever and whenever they are built.

    python scripts/wheel.py [FOLDER]

Built from the commit, not from the folder: what is not committed is not in it. Times are the commit's, permissions and
owners fixed; setuptools, whose version stands in the wheel, is pinned in pyproject.toml. Needs git and `build`.
"""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def build(root: Path, folder: Path) -> list[Path]:
    """The files written to `folder`: the source archive, and the wheel built from it."""
    when = int(subprocess.check_output(["git", "log", "-1", "--format=%ct"], cwd=root, text=True))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        source, made = Path(temporary) / "source", Path(temporary) / "made"
        archive = subprocess.check_output(["git", "-c", "tar.umask=0022", "archive", "HEAD"], cwd=root)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)  # from 3.11.4 on
            tar.extractall(source)
        for path in source.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when)}
        for kind in ("--sdist", "--wheel"):
            command = [sys.executable, "-m", "build", "--quiet", kind, "--outdir", str(made), str(source)]
            subprocess.run(command, env=environment, umask=0o022, check=True)
        written = []
        for path in sorted(made.iterdir()):
            content = path.read_bytes()
            written.append(folder / path.name)
            written[-1].write_bytes(repacked(content, when) if path.name.endswith(".tar.gz") else content)
    return written


def repacked(content: bytes, when: int) -> bytes:
    """A .tar.gz with its members in the order of names, all of one time and one owner; setuptools leaves its own."""
    plain = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(content)) as source,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda one: one.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = when, 0, 0, "", ""
            member.mode, member.pax_headers = 0o755 if member.isdir() else 0o644, {}
            target.addfile(member, source.extractfile(member) if member.isfile() else None)
    return gzip.compress(plain.getvalue(), mtime=when)


if __name__ == "__main__":
    for path in build(ROOT, Path(sys.argv[1] if len(sys.argv) > 1 else "dist")):
        print(path)
