"""The commands that make a run again, with the options whose values are not the defaults."""

from __future__ import annotations

import shlex
from dataclasses import asdict, fields
from math import inf, nextafter
from pathlib import Path

import numpy as np

from export.artefacts import UNSTATED
from export.description import reject_below
from export.limits import NO_LIMITS, Limits
from export.proof.parity import Parity
from export.settings import CALIBRATION, MARGIN, ExportSettings
from toolkit.data.settings import FEW, POOLED, DataSettings
from toolkit.models.applications import BACKBONES
from toolkit.models.backbones import OWN_BACKBONE, is_file
from toolkit.models.hub.preset import origin_of
from toolkit.models.spec import NO_FILES
from toolkit.own.parts import words
from toolkit.pixels.pixel_range import PIXELS
from toolkit.run import Run
from toolkit.settings import TRIALS, TRIALS_EACH, Settings
from toolkit.settings_rules import SEARCH_ONLY, FollowedInt, FollowedTuple
from toolkit.stats.accuracy_lost import margin_of
from unfreeze.pages.run_facts import RunFacts

SINGLE = {"head_units": 0, "dropout": 0.2, "unfreeze": 2}  # the defaults of `unfreeze train`
SPLIT = tuple(field.name for field in fields(DataSettings))
HERE = {"cache_dir"}  # left out: a folder of this machine


def commands(facts: RunFacts) -> tuple[str, ...]:
    """The lines to type in a folder that holds data, run and weights. They name no other directory, because a report
    must not reveal the author's.

    They are derived from the settings, so that a run that was made from Python has them, too. One with parts of the
    author's own program is begun from Python: its first line is a comment.
    """
    first, *others = _commands(facts)
    if not (parts := words(facts.stored)):
        return (first, *others)
    told = f"# from Python, with own=unfreeze.Own(...) of the program that began it: {parts}; and the settings of"
    return (" ".join(told.split()), f"# {first}", *others)


def _commands(facts: RunFacts) -> tuple[str, ...]:
    searched = bool(facts.search or facts.trials)
    data, run = facts.run.images.root.name or "DATA", facts.name
    report = _line("unfreeze", "report", run)
    first, *others = facts.exports or (None,)
    exports = [_line("unfreeze", "export", run, *_export(facts, call, margin=True)) for call in others]
    if facts.picked:
        begun = _line("unfreeze", "tune", data, run, *_options(facts.run, searched), *_limits(facts.limits))
        number = facts.picked.trial
        chosen = _limits(facts.picked.limits) if number is None else ["--trial", str(number)]
        calls = [words for call in facts.exports if (words := _export(facts, call, margin=True))]
        exports = [_line("unfreeze", "export", run, *one) for one in calls]
        return (begun, _line("unfreeze", "pick", run, *chosen), *exports, *(_verify(facts) if exports else []), report)
    if searched and facts.evaluation is not None and facts.verified:
        options = [*_options(facts.run, searched), *_limits(facts.limits), *_export(facts, first), *_margin(facts)]
        again = [*exports, *_verify(facts)] if exports or facts.sensitivity or len(facts.margins) > 1 else []
        return (_line("unfreeze", "run", data, run, *options), *again, report)
    if facts.adopted:
        lines = [_line("unfreeze", "adopt", facts.adopted_file, data, run, *_adopt_options(facts))]
    else:
        options = [*_options(facts.run, searched), *_limits(facts.limits)]
        lines = [_line("unfreeze", "tune" if searched else "train", data, run, *options)]
    if facts.evaluation is not None:
        lines.append(_line("unfreeze", "evaluate", run))
    if facts.files:
        lines += [_line("unfreeze", "export", run, *_export(facts, first, margin=True)), *exports]
    if facts.verified:
        lines += _verify(facts)
    return (*lines, report)


def _adopt_options(facts: RunFacts) -> list[str]:
    """`labels.txt` is the file of that name in the export folder, with a class name in each line."""
    settings, usual = facts.run.settings, Settings()
    named = facts.adopted.pixels if facts.adopted else PIXELS[0]
    pixels = [] if named == PIXELS[0] else ["--pixels", named]
    sorted_names = list(facts.class_names) == sorted(facts.class_names)
    labels = [] if sorted_names else ["--labels", "labels.txt"]
    split = [
        word
        for name in SPLIT
        if getattr(settings, name) != getattr(usual, name)
        for word in _typed(name, getattr(settings, name))
    ]
    return [*pixels, *labels, *split]


def _verify(facts: RunFacts) -> list[str]:
    """The `unfreeze verify` lines: one, and one for each file that was verified with another margin than the first."""
    resize = ["--resize"] if facts.sensitivity else []
    lines = [_line("unfreeze", "verify", facts.name, *resize, *_margin(facts))]
    for parity in facts.parities:
        if parity.margin is not None and _typed_margin(parity) != _margin(facts):
            one = ["--formats", parity.artefact.format, "--precisions", parity.artefact.precision]
            lines.append(_line("unfreeze", "verify", facts.name, *one, *_typed_margin(parity)))
    return lines


def _export(facts: RunFacts, call: ExportSettings | None, *, margin: bool = False) -> list[str]:
    """The options of an export that are not the defaults. `margin`: whether --margin is among them. It is not for
    `unfreeze run`, whose one --margin for export and verification is added elsewhere."""
    if call is None:  # an earlier version did not record its settings
        return _described(facts)
    options = [("--formats", call.formats), ("--precisions", call.precisions), ("--float-layers", call.float_layers)]
    words = [word for name, values in options if values for word in (name, ",".join(values))]
    if call.calibration != CALIBRATION:
        words += ["--calibration", str(call.calibration)]
    if margin and call.margin not in (None, MARGIN):
        words += ["--margin", _number(call.margin)]
    return [*words, *_described(facts)]


def _described(facts: RunFacts) -> list[str]:
    """What every file says of itself: licence and threshold."""
    stated, threshold = facts.description.get("license", UNSTATED), reject_below(facts.description)
    words = [] if stated == UNSTATED else ["--license", stated]
    return [*words, "--reject-below", _number(threshold)] if threshold else words


def _margin(facts: RunFacts) -> list[str]:
    """The --margin of the first file that was compared."""
    return next((_typed_margin(parity) for parity in facts.parities if parity.margin is not None), [])


def _typed_margin(parity: Parity) -> list[str]:
    """The --margin that a file was verified with; none if it is what follows from the number of images. The record has
    a fraction, and what is typed is points: the number that a hundredth of gives the margin again."""
    margin, images = parity.margin or 0.0, sum(part.images for part in parity.evidence if part.counted)
    if not parity.margin_chosen or margin == margin_of(images or parity.images, MARGIN / 100):
        return []
    near = 100 * margin
    tried = float(f"{near:.15g}"), near, nextafter(near, inf), nextafter(near, -inf)  # the first has the fewest digits
    return ["--margin", _number(next((one for one in tried if one / 100 == margin), near))]


def _options(run: Run, searched: bool) -> list[str]:
    """`--name value` for each setting that has another value than the default."""
    settings, default, options = run.settings, Settings(), []
    row = BACKBONES.get(settings.backbone)
    several = _several(settings)
    for field in fields(Settings):
        name, value = field.name, getattr(settings, field.name)
        usual = getattr(default, name)
        if name == "vary" or name in several or ("backbone" in several and name in ("alpha", "weights", "pixels")):
            options += several.get(name, [])
            continue
        if not searched and name in SINGLE:
            value, usual = value[0], SINGLE[name]
        elif "backbone" in several and isinstance(value, (FollowedInt, FollowedTuple)) and name != "trials":
            usual = value  # that of each backbone
        elif name == "image_size":
            usual = row.image_size if row and "backbone" not in several else None
        elif name == "trials":
            usual = max(TRIALS, TRIALS_EACH * len(settings.bases)) if settings.bases[1:] else usual
        elif name == "folds":  # with few images the default depends on DATA
            usual = 1 if len(run.images.select(*POOLED)) > FEW else None
        elif name == "weights" and value == settings.backbone:
            usual = value  # they are in the backbone's file
        elif name == "pixels" and (origin := origin_of(Path(settings.backbone))) and origin.stated:
            usual = value  # the preset states them
        skipped = name in (*HERE, "time_limit") or (not searched and name in SEARCH_ONLY)
        if not skipped and value is not None and value != usual:
            options += _typed(name, value)
    return options


def _limits(limits: Limits | None) -> list[str]:
    """The words for what the device allows."""
    told = asdict(limits or NO_LIMITS)
    return [word for name, value in told.items() if value != getattr(NO_LIMITS, name) for word in _typed(name, value)]


def _several(settings: Settings) -> dict[str, list[str]]:
    """The words for each setting that the search varies."""
    options = {"backbone": "backbones", "image_size": "image_sizes"}
    texts = {name: list(map(_number, values)) for name, values in settings.varied.items()}
    texts |= {"backbone": [one.typed for one in settings.backbones]} if settings.backbones else {}
    return {name: ["--" + options.get(name, name).replace("_", "-"), ",".join(told)] for name, told in texts.items()}


def _typed(name: str, value: object) -> list[str]:
    option = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [option if value else f"--no-{option[2:]}"]
    if isinstance(value, tuple):
        return [option, ",".join(map(_number, value))]
    if name == "backbone" and (origin := origin_of(Path(str(value)))):
        return [option, origin.typed]
    is_path = is_file(str(value)) if name == "backbone" else value not in NO_FILES
    if name == "latencies":  # the list of the files lies beside it
        path = Path(str(value))
        return [option, f"{path.parent.name}/{path.name}"]
    if name == "image_dir" or (name in ("backbone", "weights") and is_path):
        path = Path(str(value))
        return [option, f"{path.parent.name}/{path.name}" if path.name == OWN_BACKBONE else path.name]
    return [option, _number(value)]


def _number(value: object) -> str:
    """A value as it is typed. A float gets all its digits: with fewer, the command would make another run."""
    return np.format_float_positional(value, trim="-") if isinstance(value, float) else str(value)


def _line(*words: str) -> str:
    return " ".join(shlex.quote(" ".join(word.split())) for word in words)  # a line break would start a command
