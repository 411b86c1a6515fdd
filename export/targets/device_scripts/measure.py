"""How long this machine takes for each model file beside this script.

    python measure.py [--threads N] [--device NAME] [--out latencies.json]

For .tflite files it needs numpy and one of ai-edge-litert, tflite-runtime and tensorflow; for .onnx files numpy and
onnxruntime. Each file runs in a process of its own: one image at a time, of noise, and the median of the times counts.
Memory is the peak beyond what the imported runtime takes, where the system tells it (Linux).

Exit code 0: measured; 1: no file ran; 2: something is missing."""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np

HERE = Path(__file__).resolve().parent
WARM_UP, TIMED = (3, 0.5), (50, 2.0)  # at least so many runs, and so many seconds
MOST = 1000  # timed runs
TFLITE = {  # package -> the module that has the Interpreter
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "tensorflow": "tensorflow.lite",
}


def stop(text: str, code: int) -> NoReturn:
    print(f"error: {text}", file=sys.stderr)
    sys.exit(code)


def runtime_of(suffix: str) -> tuple[str, type]:
    """The name of the runtime that is installed for such files, and the class that runs them."""
    packages = {"onnxruntime": "onnxruntime"} if suffix == ".onnx" else TFLITE
    for package, module in packages.items():
        try:
            found = importlib.import_module(module)
            top = importlib.import_module(module.partition(".")[0])
        except ImportError:
            continue
        kind = found.InferenceSession if suffix == ".onnx" else found.Interpreter
        return f"{package} {getattr(top, '__version__', '')}".strip(), kind
    stop(f"pip install {next(iter(packages))}, which runs {suffix} files", 2)


def load(path: Path, runtime: type, threads: int) -> Callable[[], object]:
    """A function that runs the file once, on an image of noise."""
    rng = np.random.default_rng(0)
    if path.suffix == ".onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = runtime(str(path), options, providers=["CPUExecutionProvider"])
        (entry,) = session.get_inputs()
        shape = [side if isinstance(side, int) else 1 for side in entry.shape]
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        return lambda: session.run(None, {entry.name: image})
    interpreter = runtime(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    image = rng.integers(0, 256, entry["shape"], dtype=np.uint8).astype(entry["dtype"])  # float32 if it is for a GPU

    def run() -> None:
        interpreter.set_tensor(entry["index"], image)
        interpreter.invoke()

    return run


def times(run: Callable[[], object], least: tuple[int, float]) -> list[float]:
    """Seconds of each run."""
    taken: list[float] = []
    while len(taken) < MOST and (len(taken) < least[0] or sum(taken) < least[1]):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return taken


def memory(entry: str) -> float | None:
    """Megabytes of this process, as Linux tells them; None elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(entry)), None)


def measure(path: Path, threads: int) -> dict[str, float]:
    """What is told of one file."""
    _, runtime = runtime_of(path.suffix)
    before = memory("VmRSS")
    run = load(path, runtime, threads)
    times(run, WARM_UP)
    told = {"latency_ms": round(1e3 * float(np.median(times(run, TIMED))), 4)}
    peak = memory("VmHWM")
    if peak is not None and before is not None:
        told["memory_mb"] = round(max(0.0, peak - before), 1)
    return told


def measured_apart(path: Path, threads: int) -> dict[str, object]:
    """The same in a process of its own, or the trouble."""
    command = [sys.executable, __file__, "--threads", str(threads), "--one", path.name]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode == 0:
        return dict(json.loads(ended.stdout.splitlines()[-1]))
    said = [line for line in ended.stderr.splitlines() if line.strip()]
    return {"trouble": said[-1][:200] if said else f"it ended with {ended.returncode}"}


def this_device() -> str:
    """What the system says of itself."""
    for file in ("/proc/device-tree/model", "/sys/class/dmi/id/product_name"):
        try:
            told = Path(file).read_text(errors="replace").strip(" \0\n")
        except OSError:
            continue
        if told:
            return told
    return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description="How long this machine takes for each model file beside this script.")
    parser.add_argument("--threads", type=int, default=1, help="threads that the runtime may use (1)")
    parser.add_argument("--device", default=this_device(), help="name of this machine, for people")
    parser.add_argument("--out", type=Path, default=HERE / "latencies.json", help="file to write")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.threads < 1:
        parser.error("--threads has to be 1 or more")
    if given.one:
        print(json.dumps(measure(HERE / given.one, given.threads)))
        return
    files = sorted(path for path in HERE.iterdir() if path.suffix in (".onnx", ".tflite"))
    if not files:
        stop(f"no .tflite or .onnx file in {HERE}", 2)
    runtime, _ = runtime_of(files[0].suffix)
    latencies = {}
    for path in files:
        told = latencies[path.name] = measured_apart(path, given.threads)
        what = told.get("trouble") or f"{told['latency_ms']:8.2f} ms"
        print(f"{path.name:50} {what}", file=sys.stderr)
    text = {"device": given.device, "runtime": runtime, "threads": given.threads, "latencies": latencies}
    temporary = given.out.with_name(f"{given.out.name}.part")
    temporary.write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, given.out)
    print(f"wrote {given.out}", file=sys.stderr)
    if all("trouble" in one for one in latencies.values()):
        stop("no file ran", 1)


if __name__ == "__main__":
    main()
