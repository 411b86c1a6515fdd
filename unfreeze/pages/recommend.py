"""Which file to take for a phone, a browser and a server, and why. Only files that were shown to hold are recommended.

What is known of the runtimes: onnxruntime-web computes in WebAssembly, where float32 is fastest and int8 takes about
twice its time (benchmarks/RESULTS.md); on an ARM phone as on a desktop CPU LiteRT's int8 kernels are the fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unfreeze.pages.run_facts import ExportedFile

EQUALLY_FAST = 1.1  # times that differ by a smaller factor count as equal, and then the smaller file is better
PHONE = ("int8", "float16", "dynamic", "float32")  # order of preference if not all files were timed
BROWSER = ("float32", "float16", "int8")
SERVER = ("float32", "int8", "float16")


@dataclass(frozen=True)
class Recommendation:
    """The file for one place; `file` is None if none can be recommended."""

    place: str  # "Phone" | "Browser" | "Server"
    file: ExportedFile | None
    why: str  # a sentence


def recommend(files: Sequence[ExportedFile]) -> tuple[Recommendation, ...]:
    """The recommendations for phone, browser and server, in this order."""
    return (_phone(files), _browser(files), _server(files))


def _phone(files: Sequence[ExportedFile]) -> Recommendation:
    candidates = [file for file in files if file.format == "tflite" and file.holds]
    if not candidates:
        return Recommendation("Phone", None, _nothing(files, "TFLite", ("tflite",)))
    chosen = _fastest(candidates, ExportedFile.milliseconds) or _first(candidates, PHONE)
    others = [file for file in candidates if file is not chosen]
    smallest = chosen.bytes <= min((file.bytes for file in others), default=chosen.bytes)
    reasons = []
    if (time := chosen.milliseconds()) is not None:
        fastest = all(time <= (file.milliseconds() or time) for file in others)
        standing = "the fastest TFLite file that holds" if fastest else "among the fastest TFLite files that hold"
        reasons.append(
            f"{standing}, {time:.1f} ms an image on one thread here"
            if others
            else f"the only TFLite file that holds, {time:.1f} ms an image on one thread here"
        )
    elif chosen.precision == "int8":
        reasons.append("int8 is what phones compute fastest")
    else:
        reasons.append("the best TFLite file that holds")
    reasons.append(f"{'the smallest, ' if smallest and others else ''}{chosen.megabytes:.1f} MB in the app")
    return Recommendation("Phone", chosen, _sentence(reasons))


def _browser(files: Sequence[ExportedFile]) -> Recommendation:
    candidates = [file for file in files if file.format == "onnx" and file.holds]
    if not candidates:
        return Recommendation("Browser", None, _nothing(files, "ONNX", ("onnx",)))
    chosen = _first(candidates, BROWSER)
    if chosen.precision == "float32":
        reasons = [
            f"float32 is what onnxruntime-web computes fastest in WebAssembly; {chosen.megabytes:.1f} MB to load"
        ]
    else:
        reasons = [f"no float32 ONNX file holds, and this one does; {chosen.megabytes:.1f} MB to load"]
    smaller = [file for file in candidates if file.bytes < 0.7 * chosen.bytes]
    if smaller:
        least = min(smaller, key=lambda file: file.bytes)
        reasons.append(f"where loading matters more than speed, {least.name} has {least.megabytes:.1f} MB")
    return Recommendation("Browser", chosen, _sentence(reasons, "; "))


def _server(files: Sequence[ExportedFile]) -> Recommendation:
    candidates = [file for file in files if file.format in ("onnx", "saved_model") and file.holds]
    if not candidates:
        return Recommendation("Server", None, _nothing(files, "ONNX or SavedModel", ("onnx", "saved_model")))

    def throughput(file: ExportedFile) -> float | None:
        return file.milliseconds(batch=True, all_threads=True)

    chosen = _fastest(candidates, throughput)
    if chosen is None:
        chosen = _first(sorted(candidates, key=lambda file: file.format), SERVER)
        runtime = "onnxruntime" if chosen.format == "onnx" else "TensorFlow"
        why = f"It holds, and {runtime} runs it on any server. Not every file was timed, so none is known to be faster."
        return Recommendation("Server", chosen, why)
    others = [file for file in candidates if file is not chosen]
    standing = "the fastest of the ONNX and SavedModel files that hold" if others else "the only one that holds"
    return Recommendation(
        "Server", chosen, _sentence([f"{standing}: {throughput(chosen):.1f} ms an image in batches here"])
    )


def _fastest(files: Sequence[ExportedFile], time: Callable[[ExportedFile], float | None]) -> ExportedFile | None:
    """The smallest file among those that are about as fast as the fastest; None if not all files were timed."""
    times = [time(file) for file in files]
    known = [one for one in times if one is not None]
    if len(known) < len(files):
        return None
    near = [file for file, one in zip(files, known, strict=True) if one <= EQUALLY_FAST * min(known)]
    return min(near, key=lambda file: file.bytes)


def _first(files: Sequence[ExportedFile], order: Sequence[str]) -> ExportedFile:
    return min(files, key=lambda file: order.index(file.precision) if file.precision in order else len(order))


def _nothing(files: Sequence[ExportedFile], what: str, formats: Sequence[str]) -> str:
    there = [file for file in files if file.format in formats]
    if not there:
        return f"No {what} file was exported."
    if all(file.parity is None for file in there):
        return "Nothing is recommended before it was verified."
    return f"No {what} file was shown to hold."


def _sentence(reasons: Sequence[str], joint: str = ", ") -> str:
    text = joint.join(reasons)
    return text[0].upper() + text[1:] + "."
