"""What `unfreeze run` does after its search, the test, the exports, their proof and the report, in the time that is
left: an estimate, and what is left out where it was too low."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from unfreeze.device_limits import MOST, TIED

if TYPE_CHECKING:
    from tuning.results import SearchResult

# In times that TensorFlow takes to trace the model once, which tells how many layers it has and how busy the machine is
START = 8.0  # runtimes are loaded, pictures drawn, the report written
FILE = 6.0  # each exported file: converting, loading, timing it
MILLION = 1.0  # seconds for each million of parameters of a file
RUN = 1.3  # an image in a file's own runtime, in forward passes of the Keras model
PROOF = 1.2  # verification with its timing, in times that the export took
SMALLER = 0.5  # of the slowest model's time: what the mean finalist takes
NO_LATENCIES = "no latencies of the files"


@dataclass(frozen=True)
class After:
    """What comes after a search. Called with the speed of its slowest model (seconds to trace it, seconds of one image
    through it, the number of its parameters) and with how many points and combinations of backbone and image size were
    tried, it gives an estimate in seconds, fitted to the main job and the demo (benchmarks/RESULTS.md)."""

    files: int = 0  # that are exported; 0: the command ends with its search
    images: int = 0  # of the test part and those that judge the trials, on which each of them runs
    judged: int = 0  # images that judge the trials, on which the finalists' files run; 0: no file is measured

    def __call__(self, speed: tuple[float, float, int], points: int, bases: int) -> float:
        tracing, per_image, parameters = speed
        own = FILE * tracing + MILLION * parameters / 1e6
        finalists = min(points, bases + TIED, MOST) if self.judged else 0
        measured = SMALLER * finalists * (own + self.judged * per_image * RUN)
        if not self.files:
            return measured
        return measured + START * tracing + self.files * own + self.images * per_image * (1 + RUN * self.files)


def leaves_no_time_for_latencies(limit: float | None, spent: float, export: float) -> bool:
    """Whether files are verified without their latencies. `limit`: seconds of the command, `spent`: of these, until
    now, `export`: that the export took."""
    return limit is not None and spent + PROOF * export > limit


def keep_latencies(result: SearchResult, run: Path) -> SearchResult:
    """The result, which no longer says that there was no time to measure the files' latencies."""
    from tuning.results import write_left_out

    told = result.left_out.removesuffix(NO_LATENCIES).rstrip()
    if told != result.left_out:
        told = told.removesuffix(",") if told.endswith(",") else ""
        write_left_out(run, told)
    return replace(result, left_out=told)


def without_latencies(result: SearchResult, run: Path, limit: float | None) -> SearchResult:
    """The result, which says that there was no time to measure the files' latencies, as the run then does."""
    from tuning.left_out import duration
    from tuning.results import write_left_out

    head = f"{result.left_out}," if result.left_out else f"time limit {duration(limit or 0.0)}:"
    told = f"{head} {NO_LATENCIES}"
    write_left_out(run, told)
    return replace(result, left_out=told)
