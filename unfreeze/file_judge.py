"""A search that keeps a device's limits chooses by what ships: the trial is taken whose file is the best within them,
not whose model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from export.limits import Limits
from export.probe import scaled
from toolkit.errors import UnfreezeError
from toolkit.progress import Listener
from toolkit.run import Run
from toolkit.stats.scores import SCORES
from tuning.selection import Candidate, Judge, Judged, tied
from unfreeze.device_limits import MOST, head_bytes
from unfreeze.finalist_files import Load, answers_of, measured
from unfreeze.finalists import Finalist


def file_judge(run: Run, limits: Limits, listener: Listener, strict: bool = False) -> Judge:
    """Candidates are compared by what their files answer, and those that break a limit are left out. If all do, the
    nearest is left; `strict`: UnfreezeError, which tells of it.

    With folds they stay compared by the answers of the folds' models, each on its own fold: a file of the mean of them
    was trained on all of these images.
    """

    def judge(candidates: Sequence[Candidate], load: Load) -> Judged:
        found: dict[str, Finalist] = {}
        left, more = list(candidates), True
        while more:
            found |= measured(run, finalists_among(run, left), load, limits.variant, listener.progress)
            broken = {trial: _broken(limits, one) for trial, one in found.items()}
            over = [one for one in candidates if broken.get(one.trial)]
            kept = [one for one in left if not any(_breaks_too(one, other, found, limits) for other in over)]
            left, more = kept, 0 < len(kept) < len(left)
        listener.on_finalists(limits, list(found.values()))
        chosen = [one for one in candidates if one.trial in found]
        fitting = [one for one in chosen if not broken[one.trial]]
        if not fitting:
            nearest = min(chosen, key=lambda one: (len(broken[one.trial]), found[one.trial].probe.size_mb or 0.0))
            told = ", ".join(broken[nearest.trial]) + _smaller_head(run, limits, nearest, found[nearest.trial])
            if strict or found[nearest.trial].probe.trouble:
                raise UnfreezeError(
                    f"no trial of {run.path} keeps the limits as a {limits.runtime} {limits.precision} file; the "
                    f"nearest is trial {int(nearest.trial)}: {told}"
                )
            fitting, broken = [nearest], {nearest.trial: [told]}
        judged = [_as_file(run, one, found[one.trial]) for one in fitting]
        words = {trial: ", ".join(whys) for trial, whys in broken.items()}
        return Judged(_best_first(run, judged), limits.variant.name, words)

    return judge


def finalists_among(run: Run, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those whose files are measured, the best first, at most MOST: the best of each backbone and image size, and those
    that the images cannot tell from the best of all. `candidates`: the best first."""
    labels = run.images.select(*run.settings.judged_on).labels
    first: dict[tuple, Candidate] = {}
    for one in candidates:
        first.setdefault(_base(one), one)
    others = [one for one in candidates if all(one is not other for other in first.values())]
    equal = [one for one in others if tied(candidates[0], one, labels, run.settings)]
    chosen = {one.trial for one in [*first.values(), *equal][:MOST]}
    return [one for one in candidates if one.trial in chosen]


def _breaks_too(one: Candidate, other: Candidate, found: Mapping[str, Finalist], limits: Limits) -> bool:
    """Whether a candidate cannot keep the limits, because the file of another one of its backbone and image size breaks
    them: only a smaller head makes it smaller, and none makes it faster."""
    if _base(one) != _base(other):
        return False
    size_mb = found[other.trial].probe.size_mb or 0.0
    too_large = limits.max_size_mb is not None and size_mb > limits.max_size_mb
    only_size = too_large and len(_broken(limits, found[other.trial])) == 1
    return not only_size or one.values["head_units"] >= other.values["head_units"]


def _base(one: Candidate) -> tuple[str | None, int]:
    return one.values.get("backbone"), one.image_size


def _broken(limits: Limits, finalist: Finalist) -> list[str]:
    return limits.broken(scaled(finalist.probe, limits.latency_scale))


def _as_file(run: Run, candidate: Candidate, finalist: Finalist) -> Candidate:
    """The candidate with the answers and the size of its file."""
    made = replace(candidate, size=round(1e6 * (finalist.probe.size_mb or 0.0)))
    if run.settings.fold_count > 1:
        return made
    answers, labels = answers_of(run, finalist), run.images.select(*run.settings.judged_on).labels
    score = SCORES[run.settings.objective].of(answers, labels, run.settings.balanced)
    return replace(made, answers=answers, score=score)


def _best_first(run: Run, candidates: Sequence[Candidate]) -> list[Candidate]:
    """By the objective; of equal ones the smallest first."""
    sign = -1.0 if SCORES[run.settings.objective].rises else 1.0
    return sorted(candidates, key=lambda one: (sign * one.score, one.size))


def _smaller_head(run: Run, limits: Limits, candidate: Candidate, finalist: Finalist) -> str:
    """What would keep the limit of the size, as a clause; "" if the size keeps it."""
    size, most = finalist.probe.size_mb, limits.max_size_mb
    if size is None or most is None or size <= most:
        return ""
    classes, now = len(run.images.class_names), candidate.values["head_units"]

    def megabytes(units: int) -> float:
        own, less = (head_bytes(one, finalist.features, classes, limits.precision) for one in (now, units))
        return size - (own - less) / 1e6

    smaller = [units for units in (now // 2, now // 4, now // 8, 0) if units < now and megabytes(units) <= most]
    if smaller:
        return f"; with --head-units {smaller[0]} its file has about {megabytes(smaller[0]):.2f} MB"
    return "; no smaller head makes that up: give a narrower backbone (--alpha) or another one to --backbones"
