"""Which file to take for a phone, a browser and a server, why, and what that costs.

A file is recommended if it was shown to hold, or if the images are too few to tell and it loses nothing on them; and if
it keeps the limits of the device.

What is known of the runtimes: in WebAssembly LiteRT.js takes half of onnxruntime-web's time in float32, and a seventh
in int8, where onnxruntime-web takes longer than for float32 (benchmarks/RESULTS.md); on an ARM phone as on a desktop
CPU LiteRT's int8 kernels are the fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from export.limits import Limits, Probe, scaled
from export.variants import GPU
from toolkit.stats.accuracy_lost import UNDECIDED
from unfreeze.pages.exported_file import ExportedFile

EQUALLY_FAST = 1.1  # times that differ by a smaller factor count as equal, and then the smaller file is better
PHONE = ("int8", "float16", "dynamic", "float32")  # order of preference if not all files were timed
BROWSER = (  # the fastest first; of the two that are equally fast, the smaller
    *(("tflite", "int8"), ("tflite", "float16"), ("tflite", "float32")),
    *(("onnx", "float32"), ("onnx", "float16"), ("onnx", "int8")),
)
SERVER = ("float32", "int8", "float16")


@dataclass(frozen=True)
class Recommendation:
    """The file for one place; `file` is None if none can be recommended."""

    place: str  # "Phone" | "Browser" | "Server"
    file: ExportedFile | None
    why: str  # a sentence


def recommend(files: Sequence[ExportedFile], limits: Limits | None = None) -> tuple[Recommendation, ...]:
    """The recommendations for phone, browser and server, in this order. `limits`: what a device allows of the files of
    its runtime."""
    files = [file for file in files if file.precision != GPU]  # no GPU was measured
    over = {file.name: told for file in files if (told := _broken(file, limits))}
    fitting = [file for file in files if file.name not in over]
    found = []
    for place, what, formats, choose in (
        ("Phone", "TFLite", ("tflite",), _phone),
        ("Browser", "TFLite or ONNX", ("tflite", "onnx"), _browser),
        ("Server", "ONNX or SavedModel", ("onnx", "saved_model"), _server),
    ):
        own = [file for file in fitting if file.format in formats and _is_good(file)]
        if own:
            one = choose(own)
            found.append(replace(one, why=one.why + _cost(one.file)))
        else:
            found.append(Recommendation(place, None, _nothing(files, what, formats, over)))
    return tuple(found)


def _is_good(file: ExportedFile) -> bool:
    """Whether it holds, or loses nothing on images that are too few to tell."""
    parity = file.parity
    return file.holds or (
        parity is not None and parity.verdict == UNDECIDED and parity.lost is not None and parity.lost <= 0
    )


def _broken(file: ExportedFile, limits: Limits | None) -> list[str]:
    """The limits that a file of the device's runtime breaks."""
    if limits is None or limits.runtime != file.format or file.parity is None:
        return []
    if limits.latencies:  # times and memory of this machine say nothing of the device
        return limits.broken(Probe(file.megabytes))
    return limits.broken(
        scaled(Probe(file.megabytes, file.milliseconds(), file.parity.memory_mb), limits.latency_scale)
    )


def _cost(file: ExportedFile | None) -> str:
    """What the file loses of the accuracy, as a sentence with a space before it; "" if that is not known."""
    parity = file.parity if file else None
    if parity is None or parity.lost is None or parity.lost_at_most is None:
        return ""
    most = f"at most {100 * max(0.0, parity.lost_at_most):.2f} points of accuracy (95%)"
    if parity:
        return f" It loses {most}."
    gained = f"gains {-100 * parity.lost:.2f} points" if parity.lost < 0 else "loses nothing"
    return (
        f" On these {parity.images:,} images it {gained}; they are too few to show that it holds: it may lose {most}."
    )


def _phone(candidates: Sequence[ExportedFile]) -> Recommendation:
    chosen = _fastest(candidates, ExportedFile.milliseconds) or _first(candidates, PHONE)
    others = [file for file in candidates if file is not chosen]
    smallest = chosen.bytes <= min((file.bytes for file in others), default=chosen.bytes)
    reasons = []
    if (time := chosen.milliseconds()) is not None:
        fastest = all(time <= (file.milliseconds() or time) for file in others)
        standing = (
            "the fastest TFLite file that qualifies" if fastest else "among the fastest TFLite files that qualify"
        )
        reasons.append(
            f"{standing}, {time:.1f} ms an image on one thread here"
            if others
            else f"the only such TFLite file, {time:.1f} ms an image on one thread here"
        )
    elif chosen.precision == "int8":
        reasons.append("int8 is what phones compute fastest")
    else:
        reasons.append("the best TFLite file")
    reasons.append(f"{'the smallest, ' if smallest and others else ''}{chosen.megabytes:.1f} MB in the app")
    return Recommendation("Phone", chosen, _sentence(reasons))


def _browser(candidates: Sequence[ExportedFile]) -> Recommendation:
    """LiteRT.js refuses the TFLite files of earlier versions, whose manifest does not tell of a runtime."""
    candidates = [one for one in candidates if one.format == "onnx" or one.artefact.runtime_at_least] or candidates
    chosen = min(candidates, key=_browser_place)
    if chosen.format == "tflite":
        first = f"{chosen.precision} is what LiteRT.js computes fastest in WebAssembly"
        reason = first if chosen.precision == "int8" else "LiteRT.js computes it fastest of those that qualify"
    else:
        reason = f"no TFLite file in int8, float16 or float32 qualifies; onnxruntime-web computes {chosen.precision}"
    reasons = [f"{reason}, {chosen.megabytes:.1f} MB to load"]
    smaller = [file for file in candidates if file.bytes < 0.7 * chosen.bytes]
    if smaller:
        least = min(smaller, key=lambda file: file.bytes)
        reasons.append(f"where loading matters more than speed, {least.name} has {least.megabytes:.1f} MB")
    return Recommendation("Browser", chosen, _sentence(reasons, "; "))


def _browser_place(file: ExportedFile) -> int:
    kind = (file.format, file.precision)
    return BROWSER.index(kind) if kind in BROWSER else len(BROWSER)


def _server(candidates: Sequence[ExportedFile]) -> Recommendation:
    def throughput(file: ExportedFile) -> float | None:
        return file.milliseconds(batch=True, all_threads=True)

    chosen = _fastest(candidates, throughput)
    if chosen is None:
        chosen = _first(sorted(candidates, key=lambda file: file.format), SERVER)
        runtime = "onnxruntime" if chosen.format == "onnx" else "TensorFlow"
        why = f"On any server {runtime} runs it. Not every file was timed, so none is known to be faster."
        return Recommendation("Server", chosen, why)
    others = [file for file in candidates if file is not chosen]
    standing = "the fastest of the ONNX and SavedModel files" if others else "the only one"
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


def _nothing(
    files: Sequence[ExportedFile], what: str, formats: Sequence[str], over: Mapping[str, Sequence[str]]
) -> str:
    there = [file for file in files if file.format in formats]
    if not there:
        return f"No {what} file was exported."
    if all(file.parity is None for file in there):
        return "Nothing is recommended before it was verified."
    good = [file for file in there if _is_good(file)]
    if good:
        nearest = min(good, key=lambda file: (len(over[file.name]), file.bytes))
        told = ", ".join(over[nearest.name])
        return f"No {what} file keeps the limits of the device. The nearest is {nearest.name}: {told}."
    return f"No {what} file was shown to hold."


def _sentence(reasons: Sequence[str], joint: str = ", ") -> str:
    text = joint.join(reasons)
    return text[0].upper() + text[1:] + "."
