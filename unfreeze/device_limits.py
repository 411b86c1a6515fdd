"""Which backbones, image sizes and head sizes a device allows, measured before any training.

Each combination of backbone and image size is exported once, with an untrained head, and measured in its runtime; or
what the device took is read from a file (`export.latencies`), and nothing is exported. The measurements are kept in
RUN/probes.json; a search that goes on reads them there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.latencies import read_latencies
from export.limits import Limits, Probe, Probed
from toolkit.errors import UnfreezeError
from toolkit.models.choices import label_of
from toolkit.progress import Progress
from toolkit.settings import Settings
from toolkit.storage.files import read_json, scratch, write_json
from toolkit.storage.records import plain_record
from unfreeze.probe_command import probe_command

if TYPE_CHECKING:  # light at import: `--help` loads this module
    from export.probe import ProbeFile
    from export.variants import Variant
    from toolkit.run import Run
    from tuning.device import Device
    from tuning.selection import Judge

PROBES = "probes.json"
MOST, TIED = 12, 3  # trained models whose files are measured, too; of them those that are as good as the best
BYTES = {"float32": 4, "float16": 2, "float16_gpu": 2}  # of a weight; of the other precisions 1
Fits = dict[str, dict[str, tuple]]  # as `tuning.search_space` takes it


def probe_search(run: Run, limits: Limits, progress: Progress) -> tuple[Probed, ...]:
    """Measure those of a search's combinations that are not measured yet. Returns all. Raises UnfreezeError if the
    search was begun with other limits, or if no combination keeps them: the error tells of the nearest."""
    before, known = read_probes(run.path) or (limits, ())
    elsewhere = measured_elsewhere(run, limits) if limits.latencies else None
    if other := _differences(before, limits, known, elsewhere):
        if any((run.path / "search").glob("trial_*")):
            raise UnfreezeError(f"{run.path} holds a search with other limits ({other})")
        same = (before.variant, before.latency_scale) == (limits.variant, limits.latency_scale)
        known = known if same and not before.latencies else ()
    if elsewhere is None:
        there = {(one.backbone, one.image_size) for one in known}
        missing = {key: base for key, base in combinations(run.settings).items() if key not in there}
        known = (*known, *_measured(run, missing, limits, progress)) if missing else known
    else:
        known = elsewhere
    write_json(run.path / PROBES, {"limits": asdict(limits), "probes": [asdict(one) for one in known]})
    broken = {one: limits.broken(one.probe) for one in known}
    if all(broken.values()):
        nearest = sorted(broken, key=lambda one: limits.excess(one.probe))[:3]
        told = "; ".join(f"{one.backbone} at {one.image_size} px: {', '.join(broken[one])}" for one in nearest)
        kind = f"{limits.runtime} {limits.precision}"
        raise UnfreezeError(f"no backbone and image size keeps the limits as a {kind} file. {told}")
    return known


def _differences(before: Limits, limits: Limits, known: Sequence[Probed], elsewhere: Sequence[Probed] | None) -> str:
    """In what the limits differ from those that a search was begun with, in words; "" if in nothing. Of a file of
    latencies only the content counts. `known`: what was measured then. `elsewhere`: what such a file tells now."""
    from toolkit.setting_words import difference

    there, here = asdict(before), asdict(limits)
    names = [name for name in here if here[name] != there[name]]
    if before.latencies and elsewhere is not None:
        names = [name for name in names if name != "latencies"]
        if not names and list(map(_without_source, known)) != list(map(_without_source, elsewhere)):
            return "--latencies tells of other measurements there"
    return "; ".join(difference(name, there[name], here[name]) for name in names)


def _without_source(probed: Probed) -> Probed:
    return replace(probed, source="")


def measured_elsewhere(run: Run, limits: Limits) -> tuple[Probed, ...]:
    """What the file of latencies tells of this search's combinations, with the size for its classes and its smallest
    head. Raises UnfreezeError if it lacks one, or a memory that is limited."""
    told, settings, classes = read_latencies(limits), run.settings, len(run.images.class_names)
    keys = list(combinations(settings))
    if missing := [f"{label} at {size} px" for label, size in keys if (label, size) not in told.probed]:
        folder = str(Path(str(limits.latencies)).parent)
        raise UnfreezeError(
            f"{limits.latencies} tells nothing of {', '.join(missing)}; "
            f"`{probe_command(folder, settings, limits)}` writes their files, to be measured on the device"
        )
    found = []
    for key in keys:
        one = told.probed[key]
        if limits.max_memory_mb is not None and one.probe.memory_mb is None and not one.probe.trouble:
            raise UnfreezeError(
                f"{limits.latencies} tells no memory of {one.backbone} at {one.image_size} px; leave --max-memory-mb "
                "out, or measure it"
            )
        written = head_bytes(told.head_units, one.features, told.classes, limits.precision)
        more = head_bytes(min(settings.space[0]), one.features, classes, limits.precision) - written
        size = None if one.probe.size_mb is None else one.probe.size_mb + more / 1e6
        found.append(replace(one, probe=replace(one.probe, size_mb=size)))
    return tuple(found)


def combinations(settings: Settings) -> dict[tuple[str, int], dict[str, Any]]:
    """Label and image size of each combination -> a part of a point that has them. Combinations that differ in
    something else, such as the augmentation, count once."""
    at = [(settings.at(base), base) for base in settings.bases]
    return {(label_of(one.backbone, one.alpha), one.image_size): base for one, base in at}


def _measured(
    run: Run, bases: dict[tuple[str, int], dict[str, Any]], limits: Limits, progress: Progress
) -> Iterator[Probed]:
    """`bases`: label and image size -> a part of a point that has them."""
    from export.probe import ProbeFile, measure_probes

    with scratch(run.path) as space:
        made_of = write_probes(run, bases, limits.variant, space, progress)
        written = {key: (made, features) for key, made, features in made_of}
        files = {key: made for key, (made, _) in written.items() if isinstance(made, ProbeFile)}
        probes = measure_probes(files, limits.latency_scale)
        progress("probing", len(bases) + 1, len(bases) + 1)
    for key, (made, features) in written.items():
        yield Probed(*key, features, made if isinstance(made, Probe) else probes[key])


def write_probes(
    run: Run, bases: dict[tuple[str, int], dict[str, Any]], variant: Variant, folder: Path, progress: Progress
) -> Iterator[tuple[tuple[str, int], ProbeFile | Probe, int]]:
    """Write a file for each label and image size, as `_measured` takes them; yield these, the file or why there is
    none, and the channels of the pooled features."""
    from export.probe import write_probe
    from toolkit.models.build import build_model

    for done, (key, base) in enumerate(bases.items()):
        progress("probing", done, len(bases) + 1)
        settings = run.settings.at(base)
        model = build_model(settings.spec(len(run.images.class_names), min(settings.space[0]), 0.0, 0))
        features = model.get_layer("pool").output.shape[-1]
        yield key, write_probe(run, model, variant, folder / str(done)), features
    progress("probing", len(bases), len(bases) + 1)


def read_probes(run: Path) -> tuple[Limits, tuple[Probed, ...]] | None:
    """The limits of a run's search, and what was measured; None if it has none. Raises UnfreezeError if the file is
    damaged."""
    if not (run / PROBES).exists():
        return None
    told = read_json(run / PROBES)
    try:
        probed = [Probed(**{**one, "probe": plain_record(Probe, one["probe"])}) for one in told["probes"]]
        return Limits(**told["limits"]), tuple(probed)
    except (LookupError, TypeError, ValueError):
        raise UnfreezeError(f"{run / PROBES} is damaged; remove it, and the next search measures anew") from None


def device_of(run: Run, limits: Limits, probed: Sequence[Probed], judge: Judge) -> Device:
    """What the device changes of a run's search. A point costs the latency of its backbone and image size."""
    from tuning.device import Device
    from tuning.search_space import base_of

    times = {(one.backbone, one.image_size): one.probe.latency_ms for one in probed}

    def cost(values: Mapping[str, Any]) -> float | None:
        own = run.settings.at(base_of(values))
        return times.get((label_of(own.backbone, own.alpha), own.image_size))

    return Device(fits_of(run.settings, limits, probed, len(run.images.class_names)), judge, cost)


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
