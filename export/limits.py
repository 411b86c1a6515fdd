"""What a device allows of an exported file: its size, its latency and its memory, for one format and precision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from export.variants import Variant, choose_variants
from toolkit.checks import Number, Rule, check, one_of
from toolkit.errors import UnfreezeError
from toolkit.storage.local_path import local_path

RUNTIMES = ("tflite", "onnx")  # formats whose runtimes a probe is measured in
_POSITIVE = Rule(Number, "a number above 0", lambda value: 0 < value < math.inf)
RULES = {
    **dict.fromkeys(("max_size_mb", "max_latency_ms", "max_memory_mb"), replace(_POSITIVE, optional=True)),
    "runtime": one_of(RUNTIMES),
    "latency_scale": _POSITIVE,
    "latencies": Rule((str, Path), "the path of a JSON file of latencies", optional=True),
}


@dataclass(frozen=True)
class Probe:
    """What was measured of one file, or what its writing failed with."""

    size_mb: float | None = None  # millions of bytes
    latency_ms: float | None = None  # of one image on one thread, the median, times the scale of the limits
    memory_mb: float | None = None  # peak resident memory beyond what the imported runtime takes; None: not known here
    trouble: str = ""  # why it was not measured


def scaled(probe: Probe, scale: float) -> Probe:
    """The same on a machine that takes so many times as long."""
    return probe if probe.latency_ms is None else replace(probe, latency_ms=probe.latency_ms * scale)


@dataclass(frozen=True)
class Probed:
    """A combination of backbone and image size, and what was measured of its file with the smallest head."""

    backbone: str  # its label
    image_size: int  # pixels
    features: int  # channels of the pooled features
    probe: Probe
    source: str = ""  # the file of latencies and its device, in words; "": it was measured here


@dataclass(frozen=True)
class Limits:
    """The limits that a search keeps. None: no limit. Raises UnfreezeError if a value has the wrong type or range, if
    no file has this format and precision, or if latencies are given that nothing asks for."""

    max_size_mb: float | None = None
    max_latency_ms: float | None = None
    max_memory_mb: float | None = None
    runtime: str = "tflite"
    precision: str = "int8"
    latency_scale: float = 1.0  # how many times slower the device is than this machine
    latencies: str | Path | None = None  # what the device took, in the JSON file that a script of `unfreeze probe`
    # wrote; None: it is measured here. The record has its absolute path, as text

    def __post_init__(self) -> None:
        check(self, RULES)
        choose_variants([self.runtime], [self.precision])
        if self.latencies is None:
            return
        path = local_path(self.latencies, "a file on this machine").resolve()
        object.__setattr__(self, "latencies", str(path))  # found from any working directory; the record is frozen
        if self.latency_scale != 1:
            raise UnfreezeError("latencies is given, and they are those of the device; leave --latency-scale out")
        if not self:
            raise UnfreezeError("latencies is given without a limit; give --max-latency-ms, too")

    def __bool__(self) -> bool:
        return any(limit is not None for limit in (self.max_size_mb, self.max_latency_ms, self.max_memory_mb))

    @property
    def variant(self) -> Variant:
        """The file that is held to the limits."""
        (variant,) = choose_variants([self.runtime], [self.precision])
        return variant

    @property
    def measured_here(self) -> Limits:
        """Those that what is measured on this machine can be held to."""
        if not self:
            return NO_LIMITS
        if self.latencies is None:
            return self
        return replace(self, latencies=None, max_latency_ms=None, max_memory_mb=None)

    def broken(self, probe: Probe) -> list[str]:
        """The limits that a file breaks, each in words; [] if it keeps them all. A value that is not known breaks
        none."""
        if probe.trouble:
            return [probe.trouble]
        words = {"size_mb": ".2f} MB", "latency_ms": ".1f} ms", "memory_mb": ".0f} MB of memory"}
        return [
            ("{:" + words[name]).format(value) + f" over --max-{name.replace('_', '-')} {limit:g}"
            for name, value, limit in self._known(probe)
            if value > limit
        ]

    def excess(self, probe: Probe) -> float:
        """How many times a limit the worst of the probe's values is; infinity if nothing was measured."""
        if probe.trouble:
            return math.inf
        return max((value / limit for _, value, limit in self._known(probe)), default=0.0)

    def _known(self, probe: Probe) -> Iterator[tuple[str, float, float]]:
        """Name, value and limit of what is limited and known."""
        for name in ("size_mb", "latency_ms", "memory_mb"):
            value, limit = getattr(probe, name), getattr(self, f"max_{name}")
            if value is not None and limit is not None:
                yield name, value, limit


NO_LIMITS = Limits()
LIMIT_NAMES = tuple(field.name for field in fields(Limits))
