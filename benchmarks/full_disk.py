"""`unfreeze run` on a disk that fills up, by bytes or by files: one line, exit 2; with room, it completes.

    python benchmarks/full_disk.py DATA [--steps 8] [--folder DIR] -- OPTIONS OF RUN

The disk is a tmpfs in a mount namespace of its own (Linux; `unshare`, as root or where users may). One run with room
enough tells what it takes; then disks of equal steps below that are tried. What was finished has to be whole: with room
made, the same command ends as the first run did, bit for bit (`interruptions.py` says what is compared), and no
temporary file is left. Exit 1 where it does not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from interruptions import facts

ENOUGH = ("2g", 10**6)  # bytes and files


def mount(disk: Path, size: str, files: int, *, again: bool = False) -> None:
    options = f"{'remount,' if again else ''}size={size},nr_inodes={files}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)


def unfreeze(program: str, data: Path, run: Path, options: tuple[str, ...]) -> tuple[int, list[str]]:
    """Exit code, and the lines that are errors."""
    command = [sys.executable, "-m", program, "run", str(data), str(run), *options]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return done.returncode, [line for line in done.stderr.splitlines() if line.startswith(("error", "Traceback"))]


def faults(code: int, errors: list[str], run: Path) -> list[str]:
    """What is wrong with how a command ended on a full disk."""
    found = [] if code == 2 else [f"exit {code}"]
    if len(errors) != 1 or "make room" not in errors[0]:
        found.append(f"it said {errors}")
    return found + [f"{path} is left" for path in run.rglob(".*.tmp*")]


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--program", default="toolkit", show_default=True, help="The module that is run as `unfreeze`.")
@click.option("--steps", default=8, show_default=True, help="Disks of each kind.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the disk is mounted.  [a temporary folder]")
@click.argument("options", nargs=-1)
def main(data: Path, program: str, steps: int, folder: Path | None, options: tuple[str, ...]) -> None:
    disk = folder or Path(tempfile.mkdtemp())
    disk.mkdir(exist_ok=True)
    run, wrong = disk / "run", 0
    mount(disk, *ENOUGH)
    unfreeze(program, data, run, options)
    expected, used = facts(run), os.statvfs(disk)
    size, files = (used.f_blocks - used.f_bfree) * used.f_frsize, used.f_files - used.f_ffree
    print(f"with room: {size / 1e6:.1f} MB, {files} files")
    for step in range(1, 2 * steps + 1):
        share = (step - 1) % steps + 1
        small = (str(size * share // (steps + 1)), ENOUGH[1]) if step <= steps else ("2g", files * share // (steps + 1))
        subprocess.run(["umount", disk], check=True)
        mount(disk, *small)
        code, errors = unfreeze(program, data, run, options)
        found = faults(code, errors, run)
        mount(disk, *ENOUGH, again=True)
        again, said = unfreeze(program, data, run, options)
        found += [f"with room it ended with {again}: {said}"] if again not in (0, 1) else []
        found += [f"{name} differs" for name, value in facts(run).items() if expected.get(name) != value]
        what = f"{int(small[0]) / 1e6:.1f} MB" if step <= steps else f"{small[1]} files"
        print(f"{what:>10}  exit {code}  {(errors or [''])[-1][:150]}  then {again}  {'; '.join(found)}", flush=True)
        wrong += bool(found)
    print(f"{2 * steps} full disks, {wrong} with a fault")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    if "IN_NAMESPACE" not in os.environ:
        os.environ["IN_NAMESPACE"] = "yes"
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        os.execvp("unshare", ["unshare", "--mount", *user, sys.executable, *sys.argv])
    here = str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")]))
    main()
