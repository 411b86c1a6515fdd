"""`unfreeze run` killed, interrupted or terminated at random moments, and typed again: is anything lost?

    python benchmarks/interruptions.py DATA [--signal KILL] [--count 30] [--seed 0] [--folder DIR] -- OPTIONS OF RUN

One undisturbed run tells when its stages begin and end. Then one run after another is disturbed, each up to three
times, at a random moment of a random stage or, with KILL, in the middle of a random write: before or after the renaming
of a file. A line for each signal says where it came, the seconds until the process had ended, and its exit code. Every
run is compared with the undisturbed one: trials, weights, answers and artefacts, bit for bit; times are left out. A
trial that had ended before a signal has to be the same file after it. Exit 1 where anything differs, where a process
stays, or where INT or TERM take 5 s or more.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click
import h5py
import numpy as np

KILLED_AT_WRITE = """
import os, random, signal, sys
left, before, replace = int(sys.argv.pop(1)), random.random() < 0.5, os.replace
def replaced(*names):
    global left
    left -= 1
    if left == 0 and before:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*names)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = replaced
import runpy
runpy.run_module(sys.argv.pop(1), run_name="__main__")
"""
TIMES = (
    "seconds",
    "timings",
    "memory_mb",
    "latency_ms",
    "float32_latency_ms",
)  # keys and columns that no two runs share
MODEL = "model_sha256"  # digest of a .keras file: an archive, which holds the time
AT_MOST = 5.0  # seconds from INT or TERM to the end


@dataclass
class Stage:
    """A line of progress, and how long it took."""

    name: str
    seconds: float


@dataclass
class Running:
    """A command, whose progress is read while it runs."""

    program: str
    arguments: list[str]
    writes: int | None = None  # it is killed at that one
    began: list[tuple[float, str]] = field(default_factory=list)
    said: str = ""
    moment: str = ""  # of the signal
    code: int = 0
    seconds: float = 0.0  # from the signal to the end
    gone_too: bool = True  # its children

    def __post_init__(self) -> None:
        how = ["-m"] if self.writes is None else ["-c", KILLED_AT_WRITE, str(self.writes)]
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *how, self.program, *self.arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
        )
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self.news:
                self.began.append((time.monotonic(), stage_of(line)))
                self.said += line
                self.news.notify_all()
        with self.news:
            self.news.notify_all()

    def wait_for(self, stage: str) -> None:
        """Until it says that this stage begins, or has ended."""
        with self.news:
            while not any(name == stage for _, name in self.began) and self.reader.is_alive():
                self.news.wait(1)

    def end(self) -> int:
        code = self.process.wait()
        self.reader.join(10)
        return code

    def gone(self, timeout: float = 30) -> bool:
        """Whether no process of its session stays."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if not of_session(self.process.pid):
                return True
            time.sleep(0.05)
        return False


def stage_of(line: str) -> str:
    """What a line of progress is about, without its numbers."""
    if re.match(r"\s*\d+\s+\d+\s|trial  ", line):
        return "trial"
    return re.split(r":| \.\.\.|,", line.strip())[0]


def of_session(leader: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(state[3]) == leader and state[0] != "Z":
            found.append(int(folder.name))
    return found


def stages(running: Running, ended: float) -> list[Stage]:
    """Those that took a moment, each as often as it was named."""
    times = [(running.started, "imports"), *running.began, (ended, "")]
    return [
        Stage(name, after - at) for (at, name), (after, _) in itertools.pairwise(times) if name and after - at > 0.05
    ]


# What a run is, without its times


def facts(run: Path) -> dict[str, str]:
    """A digest for each thing that has to be equal."""
    told = {"trials.csv": _trials(run / "trials.csv")}
    for name in ("metrics.json", "model.json", "parity.json", "export/manifest.json"):
        told[name] = json.dumps(_timeless(json.loads((run / name).read_text())), sort_keys=True)
    for name in ("test_probabilities.npz", "export/reference.npz"):
        with np.load(run / name, allow_pickle=False) as arrays:
            keys = sorted({*arrays.files} - {MODEL})
            told[name] = " ".join(f"{key} {_sha(arrays[key].tobytes())}" for key in keys)
    told["model.keras"] = _weights(run / "model.keras")
    for path in sorted([*(run / "export").glob("*.tflite"), *(run / "export").glob("*.onnx")]):
        told[path.name] = _sha(path.read_bytes())
    for path in sorted((run / "search").glob("trial_*/val_probabilities.npy")):
        told[f"{path.parent.name}/{path.name}"] = _sha(path.read_bytes())
    told["files"] = " ".join(sorted(_kept(path.relative_to(run)) for path in run.rglob("*") if path.is_file()))
    return {name: _sha(text.encode()) if len(text) > 100 else text for name, text in told.items()}


def _kept(path: Path) -> str:
    """TensorBoard names its files by the time."""
    return re.sub(r"tfevents\.\d+", "tfevents", path.as_posix())


def _trials(path: Path) -> str:
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    return json.dumps([{key: value for key, value in row.items() if key not in TIMES} for row in rows])


def _timeless(value: object) -> object:
    """Without what measures time or memory, and without the digest of a SavedModel: TensorFlow writes no two alike."""
    if isinstance(value, dict):
        skip: tuple[str, ...] = (*TIMES, MODEL)
        skip += ("sha256", "bytes") if value.get("format") == "saved_model" else ()
        return {key: _timeless(item) for key, item in value.items() if key not in skip}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def _weights(path: Path) -> str:
    digest = hashlib.sha256()

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            digest.update(name.encode() + np.asarray(item[()]).tobytes())

    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        digest.update(re.sub(rb'"shared_object_id": \d+', b"", archive.read("config.json")))  # an address in memory
        with h5py.File(archive.extract("model.weights.h5", folder)) as file:
            file.visititems(add)
    return digest.hexdigest()


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def ended_trials(run: Path) -> dict[Path, str]:
    """The files of trials that KerasTuner has as completed: they are not to be written again."""
    found = {}
    for record in run.glob("search/trial_*/trial.json"):
        if json.loads(record.read_text())["status"] == "COMPLETED":
            for name in ("result.json", "history.csv", "val_probabilities.npy"):
                path = record.with_name(name)
                found[path] = f"{_sha(path.read_bytes())} {path.stat().st_mtime_ns}"
    return found


# The disturbance


def disturb(
    start: Callable[..., Running], what: signal.Signals, rng: random.Random, plan: list[Stage], writes: int
) -> Running:
    """The command, ended by one signal or by itself, whichever was first; where, how and how soon stands in it."""
    at_write = what == signal.SIGKILL and rng.random() < 0.3
    running = start(writes=rng.randint(1, writes) if at_write else None)
    if at_write:
        moment = f"write {running.writes}"
    else:
        stage = rng.choice(sorted({one.name for one in plan}))
        chosen = rng.choice([one for one in plan if one.name == stage])
        if stage != "imports":
            running.wait_for(stage)
        moment = f"{stage} + {(after := rng.random() * chosen.seconds):.1f} s"
        try:
            running.process.wait(after)
        except subprocess.TimeoutExpired:
            running.process.send_signal(what)
    sent = time.monotonic()
    code = running.end()
    seconds, gone = time.monotonic() - sent, running.gone()
    running.moment, running.code, running.seconds, running.gone_too = moment, code, seconds, gone
    return running


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--signal", "names", default=["KILL"], multiple=True, type=click.Choice(["KILL", "INT", "TERM"]))
@click.option("--program", default="toolkit", show_default=True, help="The module that is run as `unfreeze`.")
@click.option("--count", default=30, show_default=True, help="Signals.")
@click.option("--seed", default=0, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Where runs go.  [a temporary folder]")
@click.argument("options", nargs=-1)
def main(
    data: Path,
    names: tuple[str, ...],
    program: str,
    count: int,
    seed: int,
    folder: Path | None,
    options: tuple[str, ...],
) -> None:
    rng, folder = random.Random(seed), folder or Path(tempfile.mkdtemp())
    reference = folder / "undisturbed"

    def starting(run: Path) -> Callable[..., Running]:
        return partial(Running, program, ["run", str(data), str(run), *options])

    shutil.rmtree(reference, ignore_errors=True)
    first = starting(reference)(writes=10**9)
    if first.end() not in (0, 1):
        sys.exit(first.said)
    plan, expected = stages(first, time.monotonic()), facts(reference)
    print(f"undisturbed: {time.monotonic() - first.started:.0f} s; stages: {', '.join(one.name for one in plan)}")
    writes = sum(1 for path in reference.rglob("*") if path.is_file())
    sent, number = 0, 0
    faults: list[str] = []
    outcomes: Counter[int] = Counter()
    while sent < count:
        run, number = folder / f"disturbed-{number}", number + 1
        shutil.rmtree(run, ignore_errors=True)
        ended: dict[Path, str] = {}
        for _ in range(min(3, count - sent)):
            what = signal.Signals[f"SIG{rng.choice(names)}"]
            running = disturb(starting(run), what, rng, plan, writes)
            if running.code in (0, 1):  # it was over before
                break
            sent += 1
            outcomes[running.code] += 1
            last = running.said.strip().splitlines()[-1:] or [""]
            print(
                f"{sent:>3}  {running.moment:<60} {running.seconds:5.2f} s  exit {running.code}  {last[0][:110]}",
                flush=True,
            )
            if what != signal.SIGKILL and running.seconds >= AT_MOST:
                faults.append(f"signal {sent}: {running.seconds:.1f} s until it ended")
            if not running.gone_too:
                faults.append(f"signal {sent}: a process stays")
            if (
                what != signal.SIGKILL
                and "type the same command to go on" not in last[0]
                and "imports" not in running.moment
            ):
                faults.append(f"signal {sent}: it does not say how to go on")
            ended = ended_trials(run) | ended
        else:
            whole = starting(run)()
            if whole.end() not in (0, 1):
                sys.exit(whole.said)
        faults += [f"{path} was written again" for path, then in ended.items() if ended_trials(run).get(path) != then]
        different = [key for key, value in facts(run).items() if expected.get(key) != value]
        different += [key for key in expected if key not in facts(run)]
        faults += [f"{run.name}: {key} differs" for key in different]
        print(f"     {run.name}: {'equal' if not different else 'DIFFERENT: ' + ', '.join(different)}", flush=True)
    print(f"{sent} signals on {number} runs; exit codes {dict(outcomes)}; {len(faults)} faults")
    print("\n".join(faults))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    )
    main()
