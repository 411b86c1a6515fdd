"""Executes a notebook and writes it as it may be passed on: with tables and charts, without photographs.

python scripts/notebook.py examples/cats_and_dogs.ipynb [--out FILE] [--work FOLDER] [--pictures]

A picture is kept where its cell has the tag `chart`; no other picture is, for photographs belong to whoever took them.
Nothing that tells of one machine or day is kept either: metadata are reduced, and a path of this machine or a line on
standard error is a failure. UNFREEZE_DATA and UNFREEZE_WEIGHTS say what to execute it on.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from toolkit.storage.files import write_text

CHART, PHOTOGRAPHS = "chart", "photographs"  # tags of cells
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
PRIVATE = ("UNFREEZE_DATA", "UNFREEZE_WEIGHTS", "HOME")  # variables whose paths must not be seen in an output


def execute(book: Any, work: Path) -> None:
    """Run every cell, in order, in a fresh kernel whose current folder is `work`; one that fails raises."""
    started = time.monotonic()

    def tell(cell: Any, cell_index: int) -> None:
        print(f"{time.monotonic() - started:6.0f} s  cell {cell_index + 1} of {len(book.cells)}", file=sys.stderr)

    NotebookClient(
        book,
        timeout=None,
        startup_timeout=300,  # seconds, on a machine with much else to do
        extra_arguments=["--log-level=ERROR"],  # it warns that its sockets, on this machine alone, are not encrypted
        kernel_name="python3",
        resources={"metadata": {"path": str(work)}},
        record_timing=False,
        coalesce_streams=True,
        on_cell_executed=lambda cell, cell_index, execute_reply: tell(cell, cell_index),
    ).execute()


def strip(book: Any, pictures: bool = False) -> None:
    """Remove what may not be kept; `pictures`: all pictures stay."""
    book.metadata = nbformat.from_dict(KERNEL)
    for cell in book.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.outputs = [] if PHOTOGRAPHS in tags and not pictures else [_plain(out) for out in cell.outputs]
            if CHART not in tags and not pictures:
                cell.outputs = [out for out in cell.outputs if not is_picture(out)]


def is_picture(output: Any) -> bool:
    """Whether an output holds anything but text."""
    return any(not kind.startswith("text/plain") for kind in output.get("data", {}))


def faults(book: Any, private: list[str]) -> list[str]:
    """What an output shows and should not."""
    found = []
    for number, cell in enumerate(book.cells, 1):
        for output in cell.get("outputs", []):
            text = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
            if output.get("name") == "stderr":
                found.append(f"cell {number} writes to standard error: {text[:300]}")
            found += [f"cell {number} shows the path {path}" for path in private if path in text]
    return found


def _plain(output: Any) -> Any:
    if "metadata" in output:
        output.metadata = nbformat.from_dict({})
    return output


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--out", type=Path, help="where to write it; default: in its place")
    parser.add_argument("--work", type=Path, help="the folder to run it in; default: a temporary one")
    parser.add_argument("--pictures", action="store_true", help="keep the photographs: to look at, not to pass on")
    given = parser.parse_args()
    if given.pictures and given.out is None:
        parser.error("--pictures needs --out: a notebook with photographs must not replace the one that is passed on")

    os.environ.setdefault("UNFREEZE_DATA", str(given.notebook.parent / "data" / "cats_dogs"))
    for name in PRIVATE:
        if Path(os.environ.get(name, "")).exists() and os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).absolute())  # the kernel runs in another folder
    book = nbformat.read(given.notebook, as_version=4)
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        execute(book, work)
        private = [str(work.absolute()), *(os.environ[name] for name in PRIVATE if os.environ.get(name, "/") != "/")]
    strip(book, given.pictures)
    found = faults(book, [path for path in private if Path(path).is_absolute()])
    if given.out or not found:
        write_text(given.out or given.notebook, nbformat.writes(book) + "\n")
    if found:
        sys.exit("\n".join(["error: not to be passed on:", *found]))


if __name__ == "__main__":
    main()
