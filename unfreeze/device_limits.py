"""Which backbones, image sizes and head sizes a device allows, measured before any training.

Each combination of backbone and image size is exported once, with an untrained head, and measured in its runtime. The
measurements are kept in RUN/probes.json; a search that goes on reads them there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.limits import Limits, Probe
from toolkit.errors import UnfreezeError
from toolkit.models.choices import label_of
from toolkit.progress import Progress
from toolkit.settings import Settings
from toolkit.storage.files import read_json, scratch, write_json
from toolkit.storage.records import plain_record

if TYPE_CHECKING:  # light at import: `--help` loads this module
    from toolkit.run import Run

PROBES = "probes.json"
MOST = 12  # trained models whose files are measured, too
BYTES = {"float32": 4, "float16": 2}  # of a weight; of the other precisions 1
Fits = dict[str, dict[str, tuple]]  # as `tuning.search_space` takes it


@dataclass(frozen=True)
class Probed:
    """A combination of backbone and image size, and what was measured of its file with the smallest head."""

    backbone: str  # its label
    image_size: int  # pixels
    features: int  # channels of the pooled features
    probe: Probe


def probe_search(run: Run, limits: Limits, progress: Progress) -> tuple[Probed, ...]:
    """Measure those of a search's combinations that are not measured yet. Returns all. Raises UnfreezeError if the
    search was begun with other limits, or if no combination keeps them: the error tells of the nearest."""
    before, known = read_probes(run.path) or (limits, ())
    if before != limits:
        if any((run.path / "search").glob("trial_*")):
            raise UnfreezeError(f"{run.path} holds a search with other limits ({_differences(before, limits)})")
        same = (before.variant, before.latency_scale) == (limits.variant, limits.latency_scale)
        known = known if same else ()
    there = {(one.backbone, one.image_size) for one in known}
    missing = {key: base for base in run.settings.bases if (key := _key(run.settings.at(base))) not in there}
    known = (*known, *_measured(run, missing, limits, progress)) if missing else known
    write_json(run.path / PROBES, {"limits": asdict(limits), "probes": [asdict(one) for one in known]})
    broken = {one: limits.broken(one.probe) for one in known}
    if all(broken.values()):
        nearest = sorted(broken, key=lambda one: (len(broken[one]), one.probe.size_mb or 0.0))[:3]
        told = "; ".join(f"{one.backbone} at {one.image_size} px: {', '.join(broken[one])}" for one in nearest)
        kind = f"{limits.runtime} {limits.precision}"
        raise UnfreezeError(f"no backbone and image size keeps the limits as a {kind} file. {told}")
    return known


def _differences(before: Limits, limits: Limits) -> str:
    from toolkit.setting_words import difference

    there, here = asdict(before), asdict(limits)
    return "; ".join(difference(name, there[name], here[name]) for name in here if here[name] != there[name])


def _key(settings: Settings) -> tuple[str, int]:
    return label_of(settings.backbone, settings.alpha), settings.image_size


def _measured(
    run: Run, bases: dict[tuple[str, int], dict[str, Any]], limits: Limits, progress: Progress
) -> Iterator[Probed]:
    """`bases`: label and image size -> a part of a point that has them."""
    from export.probe import ProbeFile, measure_probes, write_probe
    from toolkit.models.build import build_model

    classes = len(run.images.class_names)
    probes: dict[tuple[str, int], Probe] = {}
    files: dict[tuple[str, int], ProbeFile] = {}
    features: dict[tuple[str, int], int] = {}
    with scratch(run.path) as space:
        for done, (key, base) in enumerate(bases.items()):
            progress("probing", done, len(bases) + 1)
            settings = run.settings.at(base)
            model = build_model(settings.spec(classes, min(settings.space[0]), 0.0, 0))
            features[key] = model.get_layer("pool").output.shape[-1]
            made = write_probe(run, model, limits.variant, space / str(done))
            if isinstance(made, ProbeFile):
                files[key] = made
            else:
                probes[key] = made
        progress("probing", len(bases), len(bases) + 1)
        probes |= measure_probes(files, limits.latency_scale)
        progress("probing", len(bases) + 1, len(bases) + 1)
    for key in bases:
        yield Probed(*key, features[key], probes[key])


def read_probes(run: Path) -> tuple[Limits, tuple[Probed, ...]] | None:
    """The limits of a run's search, and what was measured; None if it has none. Raises UnfreezeError if the file is
    damaged."""
    if not (run / PROBES).exists():
        return None
    told = read_json(run / PROBES)
    try:
        probed = [
            Probed(one["backbone"], one["image_size"], one["features"], plain_record(Probe, one["probe"]))
            for one in told["probes"]
        ]
        return Limits(**told["limits"]), tuple(probed)
    except (LookupError, TypeError, ValueError):
        raise UnfreezeError(f"{run / PROBES} is damaged; remove it, and the next search measures anew") from None


def fits_of(settings: Settings, limits: Limits, probed: Sequence[Probed], classes: int) -> Fits:
    """What is left of the search space. A larger head is left out where its weights take the file over the limit of its
    size; its latency hardly differs."""
    fits: Fits = {}
    for one in probed:
        if not limits.broken(one.probe):
            values = fits.setdefault(one.backbone if settings.backbones else "", {"image_size": (), "head_units": ()})
            values["image_size"] = (*values["image_size"], one.image_size)
            values["head_units"] = tuple(sorted({*values["head_units"], *_heads(settings, limits, one, classes)}))
    return fits


def _heads(settings: Settings, limits: Limits, probed: Probed, classes: int) -> Iterator[int]:
    smallest = min(settings.space[0])
    for units in settings.space[0]:
        own, least = (head_bytes(one, probed.features, classes, limits.precision) for one in (units, smallest))
        size = (probed.probe.size_mb or 0.0) + (own - least) / 1e6
        if limits.max_size_mb is None or size <= limits.max_size_mb:
            yield units


def head_bytes(units: int, features: int, classes: int, precision: str) -> int:
    """What the weights of a head take in a file, without its biases."""
    return (units * (features + classes) if units else features * classes) * BYTES.get(precision, 1)
