"""Do the decoder and the scanner stand files from strangers?

    PYTHONPATH=. python benchmarks/fuzz.py [--count 10000] [--seed 0] [--only 4711]

Seven inputs in ten are one damaged picture (`tests/hostile.py`), the others a folder or a CSV of odd names, links,
pipes and broken files; the bombs come first. Each is judged in a worker process that may take 4 GB: the call refuses
with one line or gives an image, the check says the same as the decoder, and standard error stays empty. A worker that
says nothing for 20 s is killed and counted as hung, one that dies as a crash. `--only` judges one input here, for a
debugger. Exit code 1 where any is wrong.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random

import click

from toolkit.process.cores import cores

LIMIT = 20.0  # seconds for one input
MEMORY = 4 << 30  # bytes of address space for a worker
LEAK = 64 << 20  # bytes that a worker's memory may grow by over its second half
BLOCK = 50  # inputs that a worker is given at once


@dataclass(frozen=True)
class Judged:
    number: int
    what: str  # "picture", "folder", "csv" or a bomb's name
    outcome: str  # "ok", "refused", or what was wrong
    seconds: float  # of processor time, all threads: how busy the machine is does not count
    resident: int  # bytes, after it
    peak: int  # bytes


def judge(seed: int, number: int) -> tuple[str, str]:
    """What input `number` is, and "ok" or "refused"."""
    from tests import hostile

    bombs = sorted(hostile.bombs().items())
    if number < len(bombs):
        name, (suffix, data) = bombs[number]
        return name, hostile.judged(suffix, data, 224)
    random = Random(f"{seed} {number}")
    kind = random.choices(("picture", "folder", "csv"), (70, 15, 15))[0]
    if kind == "picture":
        return kind, hostile.judged(*hostile.damaged(random))
    with tempfile.TemporaryDirectory() as folder:
        make = hostile.write_folder if kind == "folder" else hostile.write_csv_folder
        return kind, hostile.judged_scan(make(Path(folder) / "data", random))


def work(asked: Connection, seed: int, errors: Path) -> None:
    """A worker: judges the blocks that it is given; standard error goes into a file of its own."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    judge(seed, 0)  # imports, and makes the bombs: no input's time
    while True:
        first, count = asked.recv()
        for number in range(first, first + count):
            asked.send(number)  # begun
            began, before = time.process_time(), errors.stat().st_size
            try:
                what, outcome = judge(seed, number)
            except BaseException as error:
                what, outcome = "?", f"{type(error).__name__}: {str(error)[:200]}"
            if errors.stat().st_size > before:
                outcome = f"wrote to standard error: {errors.read_bytes()[before:][:200]!r}"
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            asked.send(Judged(number, what, outcome, time.process_time() - began, _resident(), peak))
        asked.send(None)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Worker:
    """A process, the block that it works on, and since when its input is under way."""

    def __init__(self, seed: int, folder: str, name: str) -> None:
        self.connection, other = multiprocessing.Pipe()
        errors = Path(folder) / name
        errors.touch()
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=work, args=(other, seed, errors), daemon=True)
        self.process.start()
        other.close()
        self.block = (0, 0)
        self.current: int | None = None
        self.since = time.monotonic()
        self.resident: list[int] = []

    def give(self, first: int, stop: int) -> None:
        self.block = (first, stop)
        self.since = time.monotonic() + 30  # the imports of a new worker do not count
        self.connection.send((first, stop - first))

    def leaked(self) -> int:
        """Bytes by which the median of the last tenth is above that of the middle one."""
        tenth = len(self.resident) // 10
        if tenth < 20:
            return 0
        middle = sorted(self.resident[5 * tenth : 6 * tenth])[tenth // 2]
        return sorted(self.resident[-tenth:])[tenth // 2] - middle


def fuzz(count: int, seed: int, workers: int) -> tuple[list[Judged], list[int]]:
    """Every input judged, and by how much the memory of each worker that lived to the end grew."""
    results: list[Judged] = []
    waiting = [(at, min(at + BLOCK, count)) for at in range(0, count, BLOCK)][::-1]
    with tempfile.TemporaryDirectory() as folder:
        made = 0
        running: list[Worker] = []
        grown: list[int] = []
        while waiting or running:
            while waiting and len(running) < workers:
                made += 1
                running.append(Worker(seed, folder, f"{made}.txt"))
                running[-1].give(*waiting.pop())
            wait([worker.connection for worker in running], timeout=1)
            for worker in list(running):
                gone = _listen(worker, results, waiting)
                if gone == "done":
                    grown.append(worker.leaked())
                if gone:
                    worker.process.kill()
                    worker.process.join()
                    running.remove(worker)
    return results, grown


def _listen(worker: Worker, results: list[Judged], waiting: list[tuple[int, int]]) -> str:
    """Takes what a worker has to say; "done" or "lost" where it is of no more use."""
    try:
        while worker.connection.poll():
            said = worker.connection.recv()
            worker.since = time.monotonic()
            if isinstance(said, Judged):
                results.append(said)
                worker.resident.append(said.resident)
                worker.current = None
            elif said is not None:
                worker.current = said
            elif waiting:
                worker.give(*waiting.pop())
                worker.since = time.monotonic()
            else:
                return "done"
    except (EOFError, ConnectionError):
        worker.process.join()
        return _lost(worker, results, waiting, f"crash, exit code {worker.process.exitcode}")
    if time.monotonic() - worker.since > LIMIT:
        return _lost(worker, results, waiting, f"hang: more than {LIMIT:.0f} s")
    return ""


def _lost(worker: Worker, results: list[Judged], waiting: list[tuple[int, int]], outcome: str) -> str:
    number = worker.block[0] if worker.current is None else worker.current
    results.append(Judged(number, "?", outcome, time.monotonic() - worker.since, 0, 0))
    if number + 1 < worker.block[1]:
        waiting.append((number + 1, worker.block[1]))
    return "lost"


@click.command()
@click.option("--count", default=10_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--workers", default=cores(), show_default=True)
@click.option("--only", type=int, help="Judge this input here and stop.")
def main(count: int, seed: int, workers: int, only: int | None) -> None:
    if only is not None:
        click.echo(": ".join(judge(seed, only)))
        return
    began = time.monotonic()
    results, grown = fuzz(count, seed, workers)
    wrong = [one for one in results if one.outcome not in ("ok", "refused")]
    bombs = [one for one in results if one.what not in ("picture", "folder", "csv", "?")]
    kinds = Counter((one.what if one not in bombs else "bomb", one.outcome) for one in results if one not in wrong)
    for (what, outcome), number in sorted(kinds.items()):
        click.echo(f"{what:8} {outcome:8} {number:6}")
    slowest = max(results, key=lambda one: one.seconds)
    peak = max(one.peak for one in results)
    usual = max((one.seconds for one in results if one not in bombs), default=0.0)
    click.echo(f"{len(results)} inputs in {time.monotonic() - began:.0f} s, {len(wrong)} wrong")
    worst = f"{slowest.seconds:.2f} s of processor time, input {slowest.number} ({slowest.what})"
    click.echo(f"slowest: {worst}; without bombs {usual:.2f} s")
    click.echo(f"peak memory of a worker: {peak / 1e6:.0f} MB; grown over its second half: {max(grown) / 1e6:.1f} MB")
    for one in wrong[:50]:
        click.echo(f"WRONG input {one.number} ({one.what}): {one.outcome}")
    sys.exit(bool(wrong or len(results) != count or max(grown) > LEAK))


if __name__ == "__main__":
    main()
