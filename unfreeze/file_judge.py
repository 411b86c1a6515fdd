"""A search that keeps a device's limits chooses by what ships: the trial is taken whose file is the best within them,
not whose model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from export.limits import Limits, Probe, scaled
from export.settings import EXPORT, ExportSettings
from toolkit.errors import UnfreezeError
from toolkit.models.choices import label_of
from toolkit.progress import Listener
from toolkit.run import Run
from toolkit.stats.scores import SCORES
from tuning.selection import Candidate, Judged, tied
from unfreeze.device_limits import MOST, TIED, head_bytes, measured_elsewhere
from unfreeze.finalist_files import Load, answers_of, measured
from unfreeze.finalists import Finalist

Broken = Mapping[str, Sequence[str]]  # trial -> the limits that its file breaks, each in words


@dataclass(frozen=True)
class FileJudge:
    """Compares candidates by what their files answer, and leaves out those that break a limit. If all do, the nearest
    is left; `strict`: UnfreezeError, which tells of it.

    With folds they stay compared by the answers of the folds' models, each on its own fold: a file of the mean of them
    was trained on all of these images.
    """

    run: Run
    limits: Limits
    listener: Listener
    export: ExportSettings = EXPORT  # how the file will be exported
    strict: bool = False

    def __call__(self, candidates: Sequence[Candidate], load: Load) -> Judged:
        found = self._measured(candidates, load)
        chosen = [one for one in candidates if one.trial in found]
        shown = [replace(found[one.trial], probe=self._on_device(one, found[one.trial])) for one in chosen]
        self.listener.on_finalists(self.limits, shown)
        broken = self._broken(chosen, found)
        fitting = [one for one in chosen if not broken[one.trial]]
        if not fitting:
            nearest, told = self._nearest(chosen, found, broken)
            fitting, broken = [nearest], {nearest.trial: [told]}
        judged = [self._as_file(one, found[one.trial]) for one in fitting]
        words = {trial: ", ".join(whys) for trial, whys in broken.items()}
        return Judged(_best_first(self.run, judged), self.limits.variant.name, words)

    def _measured(self, candidates: Sequence[Candidate], load: Load) -> dict[str, Finalist]:
        """trial -> what was measured of the finalists' files. Where one breaks a limit, the next of its backbone and
        image size that may keep it is measured, too."""
        found: dict[str, Finalist] = {}
        left = list(candidates)
        while left:
            chosen = finalists_among(self.run, left)
            export = replace(self.export, within=self.limits.measured_here)
            found |= measured(self.run, chosen, load, self.limits.variant, export, self.listener.progress)
            broken = self._broken([one for one in candidates if one.trial in found], found)
            over = [one for one in candidates if broken.get(one.trial)]
            kept = [one for one in left if not any(self._breaks_too(one, other, found, broken) for other in over)]
            if len(kept) == len(left):
                break
            left = kept
        return found

    def _broken(self, candidates: Sequence[Candidate], found: Mapping[str, Finalist]) -> Broken:
        return {one.trial: self.limits.broken(self._on_device(one, found[one.trial])) for one in candidates}

    def _on_device(self, candidate: Candidate, finalist: Finalist) -> Probe:
        """What is known of the file on the device: what it took for the untrained one, or this machine's times."""
        probe = scaled(finalist.probe, self.limits.latency_scale)
        own = self.run.settings.at(candidate.values)
        told = self._elsewhere.get((label_of(own.backbone, own.alpha), own.image_size))
        if told is None or told.trouble or probe.trouble:
            return told if told and told.trouble else probe
        return replace(probe, latency_ms=told.latency_ms, memory_mb=told.memory_mb)

    @cached_property
    def _elsewhere(self) -> dict[tuple[str, int], Probe]:
        """Backbone and image size -> what the file of latencies tells; {} if there is none."""
        told = measured_elsewhere(self.run, self.limits) if self.limits.latencies else ()
        return {(one.backbone, one.image_size): one.probe for one in told}

    def _breaks_too(self, one: Candidate, other: Candidate, found: Mapping[str, Finalist], broken: Broken) -> bool:
        """Whether a candidate cannot keep the limits, because the file of another one of its backbone and image size
        breaks them: only a smaller head makes it smaller, and none makes it faster."""
        if _base(one) != _base(other):
            return False
        size, most = found[other.trial].probe.size_mb or 0.0, self.limits.max_size_mb
        only_size = most is not None and size > most and len(broken[other.trial]) == 1
        if found[other.trial].probe.trouble or (only_size and self.run.own.head is not None):
            return one.trial == other.trial  # of another one nobody knows
        return not only_size or one.values["head_units"] >= other.values["head_units"]

    def _nearest(
        self, chosen: Sequence[Candidate], found: Mapping[str, Finalist], broken: Broken
    ) -> tuple[Candidate, str]:
        """The candidate that is taken where all break a limit, and which it breaks. Raises UnfreezeError if that is not
        wanted, or if no file runs."""
        nearest = min(chosen, key=lambda one: self.limits.excess(self._on_device(one, found[one.trial])))
        told = ", ".join(broken[nearest.trial]) + self._smaller_head(nearest, found[nearest.trial])
        if self.strict or found[nearest.trial].probe.trouble:
            raise UnfreezeError(
                f"no trial of {self.run.path} keeps the limits as a {self.limits.runtime} {self.limits.precision} "
                f"file; the nearest is trial {int(nearest.trial)}: {told}"
            )
        return nearest, told

    def _smaller_head(self, candidate: Candidate, finalist: Finalist) -> str:
        """What would keep the limit of the size, as a clause; "" if the size keeps it."""
        size, most = finalist.probe.size_mb, self.limits.max_size_mb
        if size is None or most is None or size <= most or self.run.own.head is not None:
            return ""
        classes, now = len(self.run.images.class_names), candidate.values["head_units"]

        def megabytes(units: int) -> float:
            own, less = (
                head_bytes(one, finalist.features, classes, self.limits.precision) / 1e6 for one in (now, units)
            )
            return size - own + less

        smaller = [units for units in (now // 2, now // 4, now // 8, 0) if units < now and megabytes(units) <= most]
        if smaller:
            return f"; with --head-units {smaller[0]} its file has about {megabytes(smaller[0]):.2f} MB"
        return "; no smaller head makes that up: give a narrower backbone (--alpha) or another one to --backbones"

    def _as_file(self, candidate: Candidate, finalist: Finalist) -> Candidate:
        """The candidate with the answers and the size of its file."""
        run = self.run
        made = replace(candidate, size=round(1e6 * (finalist.probe.size_mb or 0.0)))
        if run.settings.fold_count > 1:
            return made
        answers, labels = answers_of(run, finalist), run.images.select(*run.settings.judged_on).labels
        score = SCORES[run.settings.objective].of(answers, labels, run.settings.balanced)
        return replace(made, answers=answers, score=score)


def finalists_among(run: Run, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those whose files are measured, the best first, at most MOST: the best of each backbone and image size, and up to
    TIED more that the images cannot tell from the best of all. `candidates`: the best first."""
    labels = run.images.select(*run.settings.judged_on).labels
    first: dict[tuple, Candidate] = {}
    for one in candidates:
        first.setdefault(_base(one), one)
    others = [one for one in candidates if all(one is not other for other in first.values())]
    equal = [one for one in others if tied(candidates[0], one, labels, run.settings)]
    chosen = {one.trial for one in [*first.values(), *equal[:TIED]][:MOST]}
    return [one for one in candidates if one.trial in chosen]


def _base(one: Candidate) -> tuple[str | None, int]:
    return one.values.get("backbone"), one.image_size


def _best_first(run: Run, candidates: Sequence[Candidate]) -> list[Candidate]:
    """By the objective; of equal ones the smallest first."""
    sign = -1.0 if SCORES[run.settings.objective].rises else 1.0
    return sorted(candidates, key=lambda one: (sign * one.score, one.size))
