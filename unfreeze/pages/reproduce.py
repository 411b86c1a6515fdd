"""The commands that make a run again: what differs from the defaults, as it is typed."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path

from export.settings import CALIBRATION, MARGIN, PIXELS
from toolkit.models.applications import BACKBONES
from toolkit.settings import Settings
from unfreeze.pages.run_facts import Call, Facts

SINGLE = {"head_units": 0, "dropout": 0.2, "unfreeze": 2}  # the defaults of `unfreeze train`
SEARCH_ONLY = {"oracle", "trials", "pick", "refit", "views", "cache", "cache_dtype", "cache_limit"}
SPLIT = ("val", "test", "seed")
HERE = {"cache_dir"}  # says nothing on another machine


def commands(facts: Facts) -> tuple[str, ...]:
    """As typed where data, run and weights lie in the working folder: a report tells nobody's directories."""
    searched = bool(facts.search or facts.trials)
    data, run = facts.run.images.root.name or "DATA", facts.name
    report = _line("unfreeze", "report", run)
    first, *others = facts.exports or (None,)
    exports = [_line("unfreeze", "export", run, *_export(facts, call, margin=True)) for call in others]
    if searched and facts.evaluation is not None and facts.verified:
        options = [*_options(facts.run.settings, searched), *_export(facts, first), *_margin(facts)]
        again = [*exports, _verify(facts)] if exports else [_verify(facts)] if facts.resize else []
        return (_line("unfreeze", "run", data, run, *options), *again, report)
    if facts.adopted:
        lines = [_line("unfreeze", "adopt", facts.adopted_file, data, run, *_adopt_options(facts))]
    else:
        lines = [_line("unfreeze", "tune" if searched else "train", data, run, *_options(facts.run.settings, searched))]
    if facts.evaluation is not None:
        lines.append(_line("unfreeze", "evaluate", run))
    if facts.files:
        lines += [_line("unfreeze", "export", run, *_export(facts, first, margin=True)), *exports]
    if facts.verified:
        lines.append(_verify(facts))
    return (*lines, report)


def _adopt_options(facts: Facts) -> list[str]:
    """`labels.txt` is that of the export, a class name a line."""
    settings, usual = facts.run.settings, Settings()
    pixels = [] if facts.adopted["pixels"] == PIXELS[0] else ["--pixels", str(facts.adopted["pixels"])]
    sorted_names = list(facts.class_names) == sorted(facts.class_names)
    labels = [] if sorted_names else ["--labels", "labels.txt"]
    split = [
        word
        for name in SPLIT
        if getattr(settings, name) != getattr(usual, name)
        for word in _typed(name, getattr(settings, name))
    ]
    return [*pixels, *labels, *split]


def _verify(facts: Facts) -> str:
    return _line("unfreeze", "verify", facts.name, *(["--resize"] if facts.resize else []), *_margin(facts))


def _export(facts: Facts, call: Call | None, *, margin: bool = False) -> list[str]:
    """What differs from the defaults; `run` has one `--margin` for the export and the verification."""
    if call is None:  # exported before calls were recorded
        return _license(facts)
    options = [("--formats", call.formats), ("--precisions", call.precisions), ("--float-layers", call.float_layers)]
    words = [word for name, values in options if values for word in (name, ",".join(values))]
    if call.calibration != CALIBRATION:
        words += ["--calibration", str(call.calibration)]
    if margin and call.margin != MARGIN:
        words += ["--margin", f"{call.margin:g}"]
    return [*words, *_license(facts)]


def _license(facts: Facts) -> list[str]:
    stated = facts.description.get("license", "not stated")
    return [] if stated == "not stated" else ["--license", stated]


def _margin(facts: Facts) -> list[str]:
    points = 100 * (facts.verified[0].parity.get("margin") or MARGIN / 100)
    return [] if abs(points - MARGIN) < 1e-9 else ["--margin", f"{points:g}"]


def _options(settings: Settings, searched: bool) -> list[str]:
    """`--name value` of each setting that is not the default's."""
    default, options = Settings(), []
    row = BACKBONES.get(settings.backbone)
    for field in fields(Settings):
        name, value = field.name, getattr(settings, field.name)
        usual = getattr(default, name)
        if not searched and name in SINGLE:
            value, usual = value[0], SINGLE[name]
        elif name == "image_size" and row is not None:
            usual = row.image_size
        skipped = name in HERE or (not searched and name in SEARCH_ONLY)
        if not skipped and value is not None and value != usual:
            options += _typed(name, value)
    return options


def _typed(name: str, value: object) -> list[str]:
    option = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [option if value else f"--no-{option[2:]}"]
    if isinstance(value, tuple):
        return [option, ",".join(f"{one:g}" for one in value)]
    if name == "weights" and value not in ("imagenet", "starter", "none"):
        return [option, Path(str(value)).name]
    return [option, f"{value:g}" if isinstance(value, float) else str(value)]


def _line(*words: str) -> str:
    return " ".join(shlex.quote(" ".join(word.split())) for word in words)  # a line break would start a command
